"""Pages that a machine serves, brought to a browser at an origin of their own, never at the portal's.

What a notebook shows may be anybody's script. So each machine has a host name of its own, a cookie there that opens this
machine and nothing else, and no way to the portal's cookies or pages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from urllib.parse import urlsplit, urlunsplit

import httpx2
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Origin, Subprotocol

from armillary.base.errors import ArmillaryError
from armillary.portal.inside.service import Inside
from armillary.portal.inside.tickets import Kind
from armillary.portal.inside.tunnels import Tunnel, label_of

COOKIE = "armillary_inside"
DOOR = "/.armillary/enter"
LARGEST_MESSAGE = 64 << 20
"""of a WebSocket, from the machine; the server bounds those of browsers"""
MOST_SOCKETS = 32
"""WebSockets of one tunnel at once: a notebook has one for each kernel and each terminal"""
_THERE = "localhost"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_GONE, _ENDED = 1011, 4401
_HOP = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
        "transfer-encoding", "upgrade", "proxy-connection",
    }
)  # fmt: skip
"""Of one connection only (RFC 9110, 7.6.1)."""
_OURS_TO_SAY = frozenset({"host", "origin", "referer", "cookie", "forwarded"})
_NOT_FROM_THERE = frozenset({"strict-transport-security", "clear-site-data", "alt-svc", "server", "date"})
_ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "SAMEORIGIN",
}


class InsideProxy:
    """The application that answers at `SCHEME://LABEL.REST`, where each machine has its label.

    Args:
        inside: knows tickets and tunnels.
        pattern: the address of all of them, with a star in place of the label.
    """

    def __init__(self, *, inside: Inside, pattern: str) -> None:
        self._inside = inside
        parts = urlsplit(pattern)
        self._scheme = parts.scheme
        self._rest = parts.netloc.removeprefix("*")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._carry(WebSocket(scope, receive, send))
        elif scope["type"] == "http":
            request = Request(scope, receive)
            label = self._label(request)
            if label is None:
                answer = _plain("There is nothing here.", 404)
            elif request.url.path == DOOR:
                answer = await self._enter(request, label)
            elif (tunnel := self._tunnel(request, label)) is None:
                answer = _plain("This session has ended. Open it again from the machine's page.", 401)
            elif not self._from_here(request):
                answer = _plain("This request came from another page.", 403)
            else:
                await self._forward(request, tunnel, send)
                return
            await answer(scope, receive, send)

    def _tunnel(self, request: HTTPConnection, label: str | None) -> Tunnel | None:
        return self._inside.tunnels.of(request.cookies.get(COOKIE, ""), label) if label else None

    async def _enter(self, request: Request, label: str) -> Response:
        """Take a ticket in exchange for a cookie of this host name."""
        try:
            secret = await self._inside.enter(
                request.query_params.get("ticket", ""),
                lambda what: what.kind is Kind.JUPYTER and label_of(what.place) == label,
                known=request.cookies.get(COOKIE, ""),
            )
        except ArmillaryError as error:
            return _plain(f"{error.message} {error.remedy}", error.status)
        response = RedirectResponse("/lab", 303)
        response.set_cookie(
            COOKIE, secret, httponly=True, samesite="lax", secure=self._scheme == "https", path="/"
        )
        response.headers.update({**_ALWAYS, "cache-control": "no-store"})
        return response

    async def _forward(self, request: Request, tunnel: Tunnel, send: Send) -> None:
        tunnel.busy += 1
        try:
            answer = await self._ask(request, tunnel)
            if isinstance(answer, Response):
                await answer(request.scope, request.receive, send)
                return
            try:
                passed = StreamingResponse(answer.aiter_raw(), answer.status_code)
                passed.raw_headers = list(_headers_here(answer))
                await passed(request.scope, request.receive, send)
            finally:
                await answer.aclose()
        except (httpx2.HTTPError, ClientDisconnect):
            return  # in the middle of an answer: the server breaks it off, too
        finally:
            tunnel.busy -= 1

    async def _ask(self, request: Request, tunnel: Tunnel) -> httpx2.Response | Response:
        """Return the machine's answer, of which the body is still to come; or ours, when it has none."""
        try:
            client = await self._inside.tunnels.client(tunnel)
            asked = client.build_request(
                request.method,
                f"http://{_THERE}{_target(request)}",
                headers=self._headers_there(request),
                content=None if request.method in _SAFE else request.stream(),
            )
            return await client.send(asked, stream=True, follow_redirects=False)
        except ArmillaryError as error:
            return _plain(f"{error.message} {error.remedy}", 502)
        except httpx2.HTTPError:
            self._inside.workspaces.forget(tunnel.what)
            return _plain(
                "It does not run in the machine any more. Open it again from the machine's page.", 502
            )

    async def _carry(self, websocket: WebSocket) -> None:
        label = self._label(websocket)
        tunnel = self._tunnel(websocket, label)
        if tunnel is None or not self._from_here(websocket) or not websocket.headers.get("origin"):
            await websocket.close()  # before it is accepted: the server answers 403
            return
        if tunnel.sockets >= MOST_SOCKETS:
            await websocket.close()
            return
        tunnel.sockets += 1
        try:
            await self._carry_through(websocket, tunnel)
        finally:
            tunnel.sockets -= 1

    async def _carry_through(self, websocket: WebSocket, tunnel: Tunnel) -> None:
        offered: list[str] = websocket.scope.get("subprotocols") or []
        try:
            here = await self._inside.tunnels.opened(tunnel)
            there = await unix_connect(
                str(here),
                f"ws://{_THERE}{_target(websocket)}",
                origin=Origin(f"http://{_THERE}"),
                subprotocols=[Subprotocol(one) for one in offered] or None,
                additional_headers={"Cookie": _cookies_there(websocket)},
                compression=None,
                max_size=LARGEST_MESSAGE,
                max_queue=1,  # what the browser has not taken yet waits in the machine
                ping_interval=None,
            )
        except (ArmillaryError, OSError, TimeoutError, WebSocketException, ValueError):
            # a ValueError, too, is the machine's doing: it leads the connection somewhere else
            await websocket.close()
            return
        tunnel.busy += 1
        try:
            await websocket.accept(subprotocol=there.subprotocol)
            await _both_ways(websocket, there, tunnel)
        finally:
            tunnel.busy -= 1
            await there.close()

    def _label(self, request: HTTPConnection) -> str | None:
        host = request.headers.get("host", "").lower()
        label = host.removesuffix(self._rest)
        return label if host.endswith(self._rest) and label.startswith("m-") and "." not in label else None

    def _from_here(self, request: HTTPConnection) -> bool:
        """Whether a page of the same machine asks, or only leads here; browsers say so, and cannot be made to lie.

        Pages of other machines are of the same site for a browser, so it sends the cookie along with what they ask.
        """
        origin = request.headers.get("origin")
        if origin is not None:
            return origin == f"{self._scheme}://{request.headers.get('host', '').lower()}"
        said = request.headers.get("sec-fetch-site")
        if request.scope.get("method") not in _SAFE:
            return said == "same-origin"
        led = request.headers.get("sec-fetch-mode") == "navigate"
        return said in (None, "same-origin", "none") or led

    def _headers_there(self, request: Request) -> list[tuple[str, str]]:
        dropped = _HOP | _OURS_TO_SAY
        headers = [
            (name, value)
            for name, value in request.headers.items()
            if name not in dropped and not name.startswith(("x-forwarded-", "sec-"))
        ]
        if request.headers.get("origin"):
            headers.append(("origin", f"http://{_THERE}"))
        cookies = _cookies_there(request)
        return [*headers, ("cookie", cookies)] if cookies else headers


def _target(request: HTTPConnection) -> str:
    """The path and the query as they came, percent signs and all."""
    path: bytes = request.scope.get("raw_path") or request.url.path.encode()
    query: bytes = request.scope["query_string"]
    return (path + (b"?" + query if query else b"")).decode("latin-1")


def _cookies_there(request: HTTPConnection) -> str:
    """The machine's own cookies as they came, quotes and all, without the one that opens the way to it."""
    sent = (one.strip() for line in request.headers.getlist("cookie") for one in line.split(";"))
    return "; ".join(one for one in sent if one and one.partition("=")[0].strip() != COOKIE)


def _headers_here(answer: httpx2.Response) -> Iterable[tuple[bytes, bytes]]:
    """What of a machine's headers a browser is told, and what we say in any case."""
    dropped = _HOP | _NOT_FROM_THERE | frozenset(_ALWAYS)
    for raw_name, value in answer.headers.raw:
        name = raw_name.lower()
        text = name.decode("latin-1")
        if text == "set-cookie":
            if _harmless_cookie(value.decode("latin-1")):
                yield name, value
        elif text == "location":
            yield name, _local(value.decode("latin-1")).encode("latin-1")
        elif text not in dropped and not text.startswith("access-control-"):
            yield name, value
    for said, value in _ALWAYS.items():
        yield said.encode(), value.encode()


def _harmless_cookie(cookie: str) -> bool:
    """Whether a cookie is for this host name alone, and not in place of ours."""
    first, *attributes = cookie.split(";")
    name = first.partition("=")[0].strip().lower()
    return name != COOKIE and not any(a.strip().lower().startswith("domain") for a in attributes)


def _local(location: str) -> str:
    """A place to go to, on this origin even where the machine names its own."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return location  # no address at all, as the browser will find, too
    return (
        urlunsplit(("", "", parts.path or "/", parts.query, parts.fragment))
        if parts.netloc == _THERE
        else location
    )


async def _both_ways(websocket: WebSocket, there: ClientConnection, tunnel: Tunnel) -> None:
    """Carry messages until either side, or the session, ends."""

    async def to_browser() -> int:
        with suppress(ConnectionClosed):
            async for message in there:
                if isinstance(message, str):
                    await websocket.send_text(message)
                else:
                    await websocket.send_bytes(message)
        return there.close_code or _GONE

    async def to_machine() -> int:
        with suppress(ConnectionClosed):
            while True:
                message = await websocket.receive()
                if message["type"] == "websocket.disconnect":
                    break
                data: bytes | None = message.get("bytes")
                await there.send(message.get("text") or "" if data is None else data)
        return _GONE

    async def until_ended() -> int:
        await tunnel.ended.wait()
        return _ENDED

    halves = [asyncio.ensure_future(half()) for half in (to_browser, to_machine, until_ended)]
    try:
        done, _ = await asyncio.wait(halves, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for half in halves:
            half.cancel()
        await asyncio.wait(halves)
    if websocket.client_state is WebSocketState.CONNECTED:
        code = next(iter(done))
        error = code.exception()
        with suppress(RuntimeError, WebSocketDisconnect):  # the browser left in the meantime
            await websocket.close(_GONE if error else _sayable(code.result()))


def _sayable(code: int) -> int:
    """A close code that may be sent: those that only tell of a broken connection may not (RFC 6455, 7.4.1)."""
    return code if code not in (1004, 1005, 1006, 1015) else _GONE


def _plain(text: str, status: int) -> Response:
    return PlainTextResponse(text + "\n", status, headers={**_ALWAYS, "cache-control": "no-store"})
