"""A console that a cloud serves, reached from here: a browser needs to reach the portal only."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.typing import Subprotocol

from armillary.base.errors import Unavailable

_LARGEST = 4 << 20
_OPEN_SECONDS = 15


def socket_address(address: str) -> str | None:
    """Return where the WebSocket of a console is, given the address that Nova made for a browser; None if it is no such one.

    Serial consoles have the WebSocket's own address. The page of a screen names it as `path` (noVNC since 1.0), or
    only its `token`.
    """
    parts = urlsplit(address)
    if parts.scheme in ("ws", "wss"):
        return address
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return None
    scheme = "wss" if parts.scheme == "https" else "ws"
    query = parse_qs(parts.query)
    if "path" in query:
        path, _, words = query["path"][0].partition("?")
        return urlunsplit((scheme, parts.netloc, "/" + path.lstrip("/"), words, ""))
    if "token" in query:
        return urlunsplit((scheme, parts.netloc, "/websockify", f"token={query['token'][0]}", ""))
    return None


class CloudConsole:
    """A `Line` to a cloud's console."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    @classmethod
    async def reach(cls, address: str) -> CloudConsole:
        """Open it.

        Raises:
            Unavailable: code `console_unreachable`.
        """
        try:
            connection = await connect(
                address,
                subprotocols=[Subprotocol("binary")],
                compression=None,
                max_size=_LARGEST,
                open_timeout=_OPEN_SECONDS,
                proxy=None,
            )
        except (OSError, TimeoutError, InvalidHandshake, InvalidURI) as error:
            raise Unavailable(
                "The cloud's console does not answer.",
                code="console_unreachable",
                remedy="Try again in a moment.",
            ) from error
        return cls(connection)

    async def read(self) -> bytes:
        try:
            said = await self._connection.recv()
        except ConnectionClosed:
            return b""
        return said.encode() if isinstance(said, str) else said

    async def write(self, data: bytes) -> None:
        try:
            await self._connection.send(data)
        except ConnectionClosed as error:
            raise EOFError from error

    def resize(self, rows: int, cols: int) -> None:
        """A serial line does not know."""

    async def close(self) -> None:
        await self._connection.close()
