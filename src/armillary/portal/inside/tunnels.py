"""Tunnels over ssh to sockets inside of machines, each for one person's browser and one machine."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import tempfile
import weakref
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
from starlette.concurrency import run_in_threadpool

from armillary.base.errors import ArmillaryError, Unavailable
from armillary.portal.inside.doorman import Doorman
from armillary.portal.inside.reaching import Reaching, let_go
from armillary.portal.inside.tickets import Pass, Place

if TYPE_CHECKING:
    from asyncssh import SSHClientConnection

IDLE_SECONDS = 30 * 60.0
LOOK_SECONDS = 5.0
ANSWER_SECONDS = 300.0
MOST, MOST_OF_ONE = 256, 16


def label_of(place: Place) -> str:
    """The first part of the host name at which a machine's pages are: each machine is an origin of its own."""
    digest = hashlib.blake2b(f"{place.cloud}/{place.server_id}".encode(), digest_size=12)
    return f"m-{digest.hexdigest()}"


@dataclass(kw_only=True, eq=False)
class Tunnel:
    """An open way for one browser to one machine.

    Attributes:
        what: whose, and to which machine.
        there: the socket in the machine.
        here: the socket at which its other end is, once it is open.
        used: when something went through last, by the loop's clock.
        busy: how many requests and WebSockets go through now.
        sockets: how many WebSockets are open or being opened.
    """

    what: Pass
    there: str
    here: Path
    used: float = 0.0
    busy: int = 0
    sockets: int = 0
    connection: SSHClientConnection | None = None
    http: httpx2.AsyncClient | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    opening: asyncio.Lock = field(default_factory=asyncio.Lock)


class Tunnels:
    """All that are open, by the secret in the browser's cookie. Used from one event loop only."""

    def __init__(
        self, *, reaching: Reaching, doorman: Doorman, idle: float = IDLE_SECONDS, look: float = LOOK_SECONDS
    ) -> None:
        self._reaching = reaching
        self._doorman = doorman
        self._idle = idle
        self._look = look
        self._known: dict[str, Tunnel] = {}
        self._watches: set[asyncio.Task[None]] = set()
        self._folder: Path | None = None

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._known)

    def enter(self, what: Pass, there: str, known: str = "") -> str:
        """Return the secret of a tunnel for whoever showed a ticket; it opens when it is used first.

        It is a new one, or that of the cookie `known` if the same session has been there before: who comes often does
        not use up what one person may have.

        Raises:
            Unavailable: there are too many.
        """
        before = self._known.get(known)
        if before is not None and (before.what, before.there) == (what, there):
            before.used = asyncio.get_running_loop().time()
            return known
        mine = sum(tunnel.what.person == what.person for tunnel in self._known.values())
        if len(self._known) >= MOST or mine >= MOST_OF_ONE:
            raise Unavailable(
                "Too many sessions are open.", code="too_many_sessions", remedy="Close one of them."
            )
        secret = secrets.token_urlsafe(32)
        tunnel = Tunnel(what=what, there=there, here=self._place() / secrets.token_hex(8))
        tunnel.used = asyncio.get_running_loop().time()
        self._known[secret] = tunnel
        watch = asyncio.ensure_future(self._watch(secret, tunnel))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)
        return secret

    def of(self, secret: str, label: str) -> Tunnel | None:
        """The tunnel of a cookie, if it leads to the machine at whose host name the cookie was shown."""
        tunnel = self._known.get(secret)
        if tunnel is None or label_of(tunnel.what.place) != label:
            return None
        tunnel.used = asyncio.get_running_loop().time()
        return tunnel

    async def opened(self, tunnel: Tunnel) -> Path:
        """Return the socket here that leads to the one in the machine; open it first where that is needed.

        Raises:
            ArmillaryError: the machine cannot be reached.
        """
        import asyncssh

        async with tunnel.opening:
            if tunnel.connection is not None and not tunnel.connection.is_closed():
                return tunnel.here
            connection = await self._reaching.connect(tunnel.what)
            async with AsyncExitStack() as undo:
                undo.push_async_callback(let_go, connection)
                try:
                    tunnel.here.unlink(missing_ok=True)
                    await connection.forward_local_path(str(tunnel.here), tunnel.there)
                except (asyncssh.Error, OSError) as error:
                    raise Unavailable(
                        "The machine's ssh lets nothing through.",
                        code="ssh_refused",
                        remedy="Allow AllowStreamLocalForwarding in its sshd_config.",
                    ) from error
                if tunnel.ended.is_set():  # while we were on the way: nobody would close it any more
                    raise Unavailable(
                        "This session has ended.",
                        code="workspace_gone",
                        remedy="Open it again from the machine's page.",
                    )
                tunnel.connection = connection
                undo.pop_all()
            return tunnel.here

    async def client(self, tunnel: Tunnel) -> httpx2.AsyncClient:
        """Return what speaks HTTP through it. See `opened`."""
        here = await self.opened(tunnel)
        if tunnel.http is None:
            way = httpx2.AsyncHTTPTransport(uds=str(here), verify=False)
            # cookies are the browser's: here they would pile up, and outlive their deletion there
            none = CookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
            tunnel.http = httpx2.AsyncClient(
                transport=way, timeout=ANSWER_SECONDS, trust_env=False, cookies=none
            )
        return tunnel.http

    async def close(self) -> None:
        """Close all of them."""
        for watch in list(self._watches):
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)

    async def _watch(self, secret: str, tunnel: Tunnel) -> None:
        """Close it when the session has ended, or nobody has used it for long."""
        clock = asyncio.get_running_loop().time
        try:
            while tunnel.busy or clock() - tunnel.used < self._idle:
                await asyncio.sleep(self._look)
                if not await allowed(lambda: self._doorman.still(tunnel.what)):
                    return
        finally:
            self._known.pop(secret, None)
            tunnel.ended.set()
            if tunnel.http is not None:
                await tunnel.http.aclose()
            if tunnel.connection is not None:
                await let_go(tunnel.connection)
            tunnel.here.unlink(missing_ok=True)

    def _place(self) -> Path:
        if self._folder is None:  # short, since the name of a socket has at most 107 bytes; ours alone
            folder = tempfile.TemporaryDirectory(prefix="armillary-inside-", ignore_cleanup_errors=True)
            weakref.finalize(self, folder.cleanup)
            self._folder = Path(folder.name)
        return self._folder


async def allowed(still: Callable[[], None]) -> bool:
    """Whether a session is allowed still; records that are busy for a moment end nobody's work."""
    try:
        await run_in_threadpool(still)
    except Unavailable:
        return True
    except ArmillaryError:
        return False
    return True
