"""Carries bytes between a WebSocket and a machine's console."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from starlette.websockets import WebSocket, WebSocketState

MOST_SESSIONS, MOST_OF_ONE_SERVER = 64, 8
_LONGEST_SECONDS = 8 * 3600.0
_PIECE = 65536
_NORMAL, _TRY_LATER = 1000, 1013
"""Close codes of RFC 6455 (7.4.1) and its registry."""


class Sessions:
    """The consoles that are open now. Used from one event loop only."""

    def __init__(self) -> None:
        self._open: dict[asyncio.Task[None], tuple[str, bool]] = {}

    async def carry(self, websocket: WebSocket, socket: Path, *, server_id: str, alone: bool) -> None:
        """Accept a WebSocket and carry bytes until either side ends, or the session has lasted long enough.

        A line that has room for one (`alone`) goes to whoever comes last.
        """
        offered: list[str] = websocket.scope.get("subprotocols") or []
        await websocket.accept(subprotocol="binary" if "binary" in offered else None)
        own = [task for task, whose in self._open.items() if whose == (server_id, alone)]
        if alone:
            for task in own:
                task.cancel()
            await asyncio.gather(*own, return_exceptions=True)
        elif len(own) >= MOST_OF_ONE_SERVER or len(self._open) >= MOST_SESSIONS:
            await websocket.close(_TRY_LATER, "too many consoles are open")
            return
        session = asyncio.ensure_future(_carry(websocket, socket))
        self._open[session] = (server_id, alone)
        try:
            await asyncio.wait([session], timeout=_LONGEST_SECONDS)
        finally:
            session.cancel()
            del self._open[session]
            await asyncio.gather(session, return_exceptions=True)
        if websocket.client_state is not WebSocketState.DISCONNECTED:
            await websocket.close(_NORMAL)


async def _carry(websocket: WebSocket, socket: Path) -> None:
    try:
        reader, writer = await asyncio.open_unix_connection(str(socket))
    except OSError:
        return  # the machine ended in this moment
    try:
        halves = [
            asyncio.ensure_future(_to_browser(websocket, reader)),
            asyncio.ensure_future(_to_machine(websocket, writer)),
        ]
        try:
            await asyncio.wait(halves, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for half in halves:
                half.cancel()
            await asyncio.gather(*halves, return_exceptions=True)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _to_browser(websocket: WebSocket, reader: asyncio.StreamReader) -> None:
    while data := await reader.read(_PIECE):
        await websocket.send_bytes(data)


async def _to_machine(websocket: WebSocket, writer: asyncio.StreamWriter) -> None:
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return
        writer.write(message.get("bytes") or (message.get("text") or "").encode())
        await writer.drain()
