"""The way inside: tickets at the door, then a line to what was asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket

from armillary.accounts.model import Membership
from armillary.base.errors import Conflict, Unavailable
from armillary.fleet.service import FleetService
from armillary.portal.inside.cloud_console import CloudConsole, socket_address
from armillary.portal.inside.doorman import Doorman, audit
from armillary.portal.inside.reaching import Reaching
from armillary.portal.inside.relay import Line, Sessions
from armillary.portal.inside.shell import ShellLine, SocketLine
from armillary.portal.inside.tickets import Kind, Pass, Place, Tickets, fits
from armillary.portal.inside.tunnels import Tunnels, label_of
from armillary.portal.inside.workspaces import Workspaces

_RFB_KEY, _RFB_POINTER = b"\x04", b"\x05"
"""What a person does, among the messages of a screen's client (RFC 6143, 7.5)."""


class Inside:
    """Lets people into machines. Its `serve` runs on the event loop; all else may be called from threads."""

    def __init__(
        self,
        *,
        fleet: FleetService,
        doorman: Doorman,
        tickets: Tickets,
        reaching: Reaching,
        sessions: Sessions,
        workspaces: Workspaces,
        tunnels: Tunnels,
        pattern: str,
    ) -> None:
        self._fleet = fleet
        self._doorman = doorman
        self._tickets = tickets
        self._reaching = reaching
        self._sessions = sessions
        self._pattern = pattern
        self.workspaces = workspaces
        self.tunnels = tunnels

    @property
    def sessions(self) -> int:
        """How many are open."""
        return self._sessions.count

    def ticket(self, session: str, membership: Membership, place: Place, kind: Kind) -> str:
        """Return a ticket for one session of that kind, good once and for thirty seconds. See `Doorman.admit`."""
        return self._tickets.issue(self.admit(session, membership, place, kind))

    def admit(self, session: str, membership: Membership, place: Place, kind: Kind) -> Pass:
        """Return what a member's session may open. See `Doorman.admit`."""
        return self._doorman.admit(session, membership, place, kind)

    def way_to(self, what: Pass) -> str:
        """Return the address, good once, at which a browser has a machine's own pages."""
        ticket = self._tickets.issue(what)
        return f"{self._pattern.replace('*', label_of(what.place), 1)}/.armillary/enter?ticket={ticket}"

    async def enter(self, ticket: str, fits: Callable[[Pass], bool], *, known: str = "") -> str:
        """Return the secret of a tunnel in exchange for a ticket: see `Tunnels.enter`.

        Raises:
            Forbidden: the ticket is not right.
            Unavailable: there are too many, or nothing was started that it could lead to.
        """
        what = self._tickets.take(ticket, fits)
        await run_in_threadpool(self._doorman.still, what)
        there = self.workspaces.standing(what).socket
        if not there:
            raise _not_there()
        note(what, "opened")
        return self.tunnels.enter(what, there, known)

    async def close(self) -> None:
        """Let go of all that is open. What runs in machines runs on."""
        await self.workspaces.close()
        await self.tunnels.close()

    async def serve(
        self, websocket: WebSocket, *, session: str, ticket: str, kind: Kind, cloud: str, server_id: str
    ) -> None:
        """Answer a WebSocket of one of our pages.

        Raises:
            Forbidden: the ticket, or the session that shows it, is not right; nothing was accepted.
        """
        what = self._tickets.take(
            ticket, partial(fits, session=session, kind=kind, cloud=cloud, server_id=server_id)
        )
        await run_in_threadpool(self._doorman.still, what)
        note(what, "opened")
        how = "lost"
        try:
            how = await self._sessions.carry(
                websocket,
                self._reach(what),
                whose=what.person,
                still=lambda: self._doorman.still(what),
                typed=_by_hand if kind in (Kind.SCREEN, Kind.DESKTOP) else bool,
            )
        finally:
            note(what, "ended", how=how)

    def _reach(self, what: Pass) -> Callable[[], Awaitable[Line]]:
        async def shell() -> Line:
            return await ShellLine.reach(await self._reaching.connect(what))

        async def desktop() -> Line:
            there = self.workspaces.standing(what).socket
            if not there:
                raise _not_there()
            try:
                return await SocketLine.reach(await self._reaching.connect(what), there)
            except Unavailable:
                self.workspaces.forget(what)
                raise

        async def console() -> Line:
            return await CloudConsole.reach(await run_in_threadpool(self._console_socket, what))

        match what.kind:
            case Kind.SERIAL | Kind.SCREEN:
                return console
            case Kind.DESKTOP:
                return desktop
            case _:
                return shell

    def _console_socket(self, what: Pass) -> str:
        place = what.place
        address = self._fleet.screen(
            place.cloud, place.project, place.server_id, serial=what.kind is Kind.SERIAL
        )
        found = socket_address(address)
        if found is None:
            raise Conflict(
                "This cloud shows consoles on pages of its own only.",
                code="console_elsewhere",
                remedy="Open the cloud's own page.",
            )
        return found


def note(what: Pass, event: str, *, how: str = "") -> None:
    """Write into the audit trail who went inside of which machine, by which way."""
    audit.info(
        "inside.%s.%s %s/%s",
        what.kind.value,
        event,
        what.place.cloud,
        what.place.server_id,
        extra={"user": what.user_name, "project": what.place.project.name, "how": how},
    )


def _not_there() -> Unavailable:
    return Unavailable(
        "It does not run in the machine.",
        code="workspace_gone",
        remedy="Open it again from the machine's page.",
    )


def _by_hand(frame: bytes) -> bool:
    return frame[:1] in (_RFB_KEY, _RFB_POINTER)
