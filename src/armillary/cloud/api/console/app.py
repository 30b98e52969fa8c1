"""Pages with a machine's screen or serial line, what they are made of, and the WebSockets that they open."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.routing import Mount, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from armillary.base.errors import NotFound
from armillary.cloud.api.console.relay import Sessions
from armillary.cloud.consoles.service import NOVNC, SERIAL, ConsoleService
from armillary.terminals import DIRECTORY, PARTS

_STATIC = Path(__file__).parent / "static"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
"""Nothing from elsewhere; xterm.js and noVNC write styles into elements."""


def console_app(*, consoles: ConsoleService, prefix: str) -> ASGIApp:
    """Make the application that answers under `prefix`."""
    sessions = Sessions()

    async def open_(websocket: WebSocket, kind: Literal["novnc", "serial"]) -> None:
        if not _from_here(websocket):
            await websocket.close()  # before it is accepted: the server answers 403
            return
        try:
            opened = await run_in_threadpool(consoles.opened, websocket.query_params.get("token", ""))
        except NotFound:
            opened = None
        if opened is None or opened.kind != kind:
            await websocket.close()
            return
        await sessions.carry(
            websocket, opened.socket, server_id=opened.server_id, alone=opened.kind == SERIAL
        )

    async def screen(websocket: WebSocket) -> None:
        await open_(websocket, NOVNC)

    async def serial(websocket: WebSocket) -> None:
        await open_(websocket, SERIAL)

    app = Starlette(
        routes=[
            WebSocketRoute(f"{prefix}/websockify", screen),
            WebSocketRoute(f"{prefix}/serial", serial),
            *(Mount(f"{prefix}/{part}", StaticFiles(directory=DIRECTORY / part)) for part in PARTS),
            Mount(prefix, StaticFiles(directory=_STATIC)),
        ]
    )
    return _Guarded(app)


def _from_here(websocket: WebSocket) -> bool:
    """Return whether a page of ours, or no page at all, opens the WebSocket: browsers let any page try."""
    origin = websocket.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == websocket.headers.get("host")


class _Guarded:
    """Says to browsers what pages may do here, and that addresses with tickets in them go to nobody else."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = _POLICY
                headers["Referrer-Policy"] = "no-referrer"
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Cache-Control"] = "no-cache"
            await send(message)

        await self._app(scope, receive, answer if scope["type"] == "http" else send)
