"""One-time tickets: what lets a WebSocket, or a browser that comes to another origin, in.

They live for thirty seconds in this process's memory: one that a restart loses is asked for again.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from armillary.accounts.model import Project
from armillary.base.clock import Clock
from armillary.base.errors import Forbidden, Unavailable
from armillary.base.ids import CloudName, PersonId, ServerId

LIFETIME = timedelta(seconds=30)
MOST, MOST_OF_ONE = 10_000, 100
"""tickets at once: of everybody, and of one person"""


class Kind(StrEnum):
    """What a ticket opens."""

    SHELL = "shell"
    SERIAL = "serial"
    SCREEN = "screen"
    DESKTOP = "desktop"
    JUPYTER = "jupyter"


@dataclass(frozen=True, kw_only=True)
class Place:
    """A machine, as a member of its project names it."""

    project: Project
    cloud: CloudName
    server_id: ServerId


@dataclass(frozen=True, kw_only=True)
class Pass:
    """Who may open what: bound to a person's session, a machine and a kind."""

    person: PersonId
    user_name: str
    session: str = field(repr=False)
    """the secret of the session that asked: what it opened ends with it"""
    place: Place
    kind: Kind


class Tickets:
    """Gives out tickets and takes each of them once. Safe to use from many threads."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, tuple[datetime, Pass]] = {}

    def issue(self, what: Pass) -> str:
        """Return the secret of a new ticket.

        Raises:
            Unavailable: too many are open.
        """
        now = self._clock.now()
        secret = secrets.token_urlsafe(32)
        with self._lock:
            self._known = {s: (ends, p) for s, (ends, p) in self._known.items() if ends > now}
            mine = sum(p.person == what.person for _, p in self._known.values())
            if mine >= MOST_OF_ONE or len(self._known) >= MOST:
                raise Unavailable(
                    "Too many consoles are being opened.",
                    code="too_many_tickets",
                    remedy="Wait half a minute.",
                )
            self._known[secret] = (now + LIFETIME, what)
        return secret

    def take(self, secret: str, fits: Callable[[Pass], bool]) -> Pass:
        """Return what a ticket opens, and forget the ticket, even if it does not fit the door where it is shown.

        Raises:
            Forbidden: code `ticket_refused`: it is unknown, used, too old, or for something else.
        """
        with self._lock:
            ends, found = self._known.pop(secret, (None, None))
        if found is None or ends is None or ends <= self._clock.now():
            raise _refused()
        if not fits(found):
            raise _refused()
        return found


def fits(what: Pass, *, session: str, kind: Kind, cloud: str, server_id: str) -> bool:
    """Whether a ticket is for this door, and shown by the session that asked for it."""
    same = hmac.compare_digest(what.session.encode(), session.encode())
    return same and (what.kind, what.place.cloud, what.place.server_id) == (kind, cloud, server_id)


def _refused() -> Forbidden:
    return Forbidden(
        "This address was used already, or it is too old.",
        code="ticket_refused",
        remedy="Open it again from the machine's page.",
    )
