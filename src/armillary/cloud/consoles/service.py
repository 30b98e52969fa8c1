"""Gives out tickets for consoles, and says what a ticket opens."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote, urlsplit

from sqlalchemy import Engine

from armillary.accounts.model import Principal
from armillary.base.clock import Clock
from armillary.base.errors import Conflict, Invalid, NotFound
from armillary.base.ids import ServerId
from armillary.cloud.compute.records import alive, own
from armillary.cloud.consoles.store import TICKETS, Ticket, tickets
from armillary.cloud.ports import Devices

LIFETIME = timedelta(minutes=10)
"""Nova's default for `token_ttl`. A console that is open stays open after that."""
NOVNC, SERIAL = "novnc", "serial"
MOST_TICKETS = 32
"""of one server at once; the oldest gives way"""
_KIND_OF = {"vnc": NOVNC, "serial": SERIAL}


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What a ticket opens."""

    server_id: ServerId
    kind: str
    socket: Path
    host: str
    port: int
    """Where the console is served."""


class ConsoleService:
    """Consoles of machines.

    Args:
        engine: the records.
        clock: tells when tickets end.
        devices: says where machines offer their consoles.
        base_url: where the cloud is found; the console's pages are at `/console` there.
    """

    def __init__(self, *, engine: Engine, clock: Clock, devices: Devices, base_url: str) -> None:
        self._engine = engine
        self._clock = clock
        self._devices = devices
        self._base_url = base_url

    def url(self, principal: Principal, server_id: str, *, protocol: str, kind: str) -> str:
        """Return an address at which a browser, or a WebSocket client, has a console of the server.

        Raises:
            NotFound: there is no such server for the principal.
            Invalid: the cloud offers no such console, in Nova's words.
            Conflict: the machine does not run.
        """
        with self._engine.execution_options(readonly=True).connect() as connection:
            server = own(connection, principal, server_id)
        if protocol not in _KIND_OF:
            raise Invalid(f"Unavailable console type {kind}.", code="console_type_unavailable")
        if _KIND_OF[protocol] != kind:
            raise Invalid(f"Invalid console type {kind}", code="console_type_invalid")
        if self._socket(server.id, kind) is None:
            raise Conflict(
                f"Instance {server.id} is not ready",
                code="instance_not_ready",
                remedy="Start it first, and ask again.",
            )
        secret = secrets.token_urlsafe(32)
        now = self._clock.now()
        ticket = Ticket(digest=_digest(secret), server_id=server.id, kind=kind, expires_at=now + LIFETIME)
        with self._engine.begin() as connection:
            TICKETS.remove(connection, tickets.c.expires_at < now)
            known = TICKETS.find(connection, tickets.c.server_id == server.id)
            oldest = sorted(known, key=lambda each: each.expires_at)[: -MOST_TICKETS + 1]
            TICKETS.remove(connection, tickets.c.digest.in_([each.digest for each in oldest]))
            TICKETS.add(connection, ticket)
        return self._address(kind, secret)

    def opened(self, secret: str) -> Opened:
        """Return what a ticket opens now.

        Raises:
            NotFound: it is none, has ended, or its server has.
        """
        with self._engine.execution_options(readonly=True).connect() as connection:
            ticket = TICKETS.get(connection, _digest(secret))
            server = alive(connection, ticket.server_id) if ticket is not None else None
        if ticket is None or server is None or ticket.expires_at <= self._clock.now():
            raise NotFound("Token not found", code="console_token_not_found")
        socket = self._socket(server.id, ticket.kind)
        if socket is None:
            raise NotFound("Token not found", code="console_token_not_found")
        place = urlsplit(self._base_url)
        return Opened(
            server_id=server.id, kind=ticket.kind, socket=socket,
            host=place.hostname or "127.0.0.1", port=place.port or 80,
        )  # fmt: skip

    def _socket(self, server_id: ServerId, kind: str) -> Path | None:
        offered = self._devices.consoles(server_id)
        return offered.display if kind == NOVNC else offered.serial

    def _address(self, kind: str, secret: str) -> str:
        if kind == NOVNC:
            path = quote(f"console/websockify?token={secret}", safe="/")
            return f"{self._base_url}/console/vnc_lite.html?path={path}"
        return f"{self._base_url.replace('http', 'ws', 1)}/console/serial?token={secret}"


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
