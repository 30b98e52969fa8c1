"""Signs of life: from the keeper to us, and from us to systemd, which starts us anew when they stay away."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable

from armillary.guest.agent.basics import now
from armillary.guest.agent.keeping import Keeping

EVERY = 5.0
WATCH_SECONDS = 60
"""After so long without a sign of us systemd ends us and all jobs, and starts us anew."""
LATE = 20.0
"""Seconds without an answer of the keeper after which we do not call ourselves alive."""


def beat(keeping: Keeping, died: Callable[[], None]) -> None:
    """Ask the keeper, tell systemd; call `died` when the keeper is gone. Runs until then.

    systemd is told of its watch here and not in the unit: before, an agent may wait for hours to be woken.
    """
    notify(f"WATCHDOG_USEC={WATCH_SECONDS * 1_000_000}")
    while True:
        keeping.ping()
        if now() - keeping.answered < LATE:
            notify("WATCHDOG=1")
        if keeping.gone.wait(EVERY):
            died()
            return


def notify(state: str) -> None:
    """Tell systemd something of this service (sd_notify(3)); nothing without systemd."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.sendto(state.encode(), address)
