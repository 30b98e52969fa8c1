"""A machine's memory on its way to a file and back: QEMU's own migration, into a file that we open and hand over."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from armillary.cloud.engines.qemu.cards import cards_of
from armillary.cloud.engines.qemu.hardware import Hardware
from armillary.cloud.engines.qemu.layout import MachineFiles
from armillary.cloud.engines.qemu.qmp import Monitor, MonitorError, Refused
from armillary.cloud.engines.qemu.stand import devices

_MEMORY = "memory"
_NO_LIMIT = 2**40
"""Bytes a second: a migration is throttled for the sake of a network, and there is none here."""
_LOOK_SECONDS = 0.02


def as_it_is(found: Hardware, monitor: Monitor) -> Hardware:
    """Leave out what is recorded but not there: a plug was killed half-way, or the guest let go too late."""
    there = devices(monitor)
    machine: str = monitor.ask("qom-get", path="/machine", property="type")
    kept = found.without(name for name in found.slots if name not in there)
    return replace(kept, machine_type=machine.removesuffix("-machine"))


def drop_ways_out(monitor: Monitor, found: Hardware, files: MachineFiles) -> None:
    """Take the user-mode stacks out of what is saved.

    Connections through them do not outlive the process anyway, and QEMU numbers them in the order of their making:
    after an unplug the numbers would not be those of a new process.
    """
    for each in cards_of(found, files):
        for netdev in reversed(each.way_out):
            with contextlib.suppress(Refused):  # gone, in an attempt before this one
                monitor.ask("netdev_del", id=netdev["id"])


def write_memory(monitor: Monitor, path: Path) -> None:
    """Write the memory of a machine that stands still to a file, and see it onto the disk."""
    writing = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        monitor.ask("migrate-set-parameters", max_bandwidth=_NO_LIMIT)
        monitor.give(writing, name=_MEMORY)
        monitor.ask("migrate", uri=f"fd:{_MEMORY}")
        await_migration(monitor)
        os.fsync(writing)
    finally:
        os.close(writing)


def read_memory(monitor: Monitor, path: Path, *, within: float | None = None) -> None:
    """Let a machine that waits for its memory take it from a file; then its processors may turn."""
    reading = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        monitor.give(reading, name=_MEMORY)
        monitor.ask("migrate-incoming", uri=f"fd:{_MEMORY}")
        await_migration(monitor, within=within)
    finally:
        os.close(reading)


def await_migration(monitor: Monitor, *, within: float | None = None) -> None:
    """Return when all is copied.

    Raises:
        MonitorError: it could not be copied, or not in time.
    """
    deadline = None if within is None else time.monotonic() + within
    while True:
        found: dict[str, Any] = monitor.ask("query-migrate")
        status = found.get("status")
        if status == "completed":
            return
        if status in ("failed", "cancelled"):
            raise MonitorError(str(found.get("error-desc", "the memory could not be copied")))
        if deadline is not None and time.monotonic() > deadline:
            raise MonitorError(f"the memory is not there after {within:.0f} s")
        time.sleep(_LOOK_SECONDS)


def end_migration(monitor: Monitor) -> None:
    """End what a process before us may have begun."""
    if monitor.ask("query-migrate").get("status") not in (None, "completed", "failed", "cancelled"):
        monitor.ask("migrate_cancel")
        with contextlib.suppress(MonitorError):
            await_migration(monitor)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
