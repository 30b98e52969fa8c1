"""What the cloud's API rooms share: request ids, microversions, paging, the way to each room."""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, TypeVar
from urllib.parse import urlencode

from fastapi import Depends, Request
from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from armillary.accounts.model import Principal
from armillary.base.errors import Invalid

T = TypeVar("T")

MOST_BYTES = 1 << 20
"""of a request's JSON; user data, the largest thing in one, has at most 64 KiB"""


async def principal_of(
    request: Request, authenticate: Callable[[Request], Awaitable[Principal]]
) -> Principal:
    """Who asks, looked up once in a request."""
    known: Principal | None = getattr(request.state, "principal", None)
    if known is None:
        known = request.state.principal = await authenticate(request)
    return known


async def caller(request: Request) -> Principal:
    """Who asks, by `X-Auth-Token`."""
    return await principal_of(request, request.app.state.authenticate)


def request_id(request: Request) -> str:
    """The id that the answer carries."""
    return request.state.request_id


Caller = Annotated[Principal, Depends(caller)]
RequestId = Annotated[str, Depends(request_id)]


class RequestIds:
    """Gives every request an id, `req-<uuid>`, and every answer the headers that name it."""

    def __init__(self, app: ASGIApp, *, header_names: Sequence[str] = ("x-openstack-request-id",)) -> None:
        self._app = app
        self._names = header_names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identifier = f"req-{uuid.uuid4()}"
        scope.setdefault("state", {})["request_id"] = identifier

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name in self._names:
                    headers.setdefault(name, identifier)
            await send(message)

        await self._app(scope, receive, answer)


class Bounded:
    """Refuses bodies that are larger than any that the service understands, before they fill the memory."""

    def __init__(self, app: ASGIApp, *, most: int, refuse: Callable[[int, str], Response]) -> None:
        self._app = app
        self._most = most
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdigit() and int(announced) > self._most:
            await self._refuse(413, f"The request has more than {self._most} bytes.")(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            # a sender that lied about the length, or said none, is cut off as if it had hung up
            return message if seen <= self._most else {"type": "http.disconnect"}

        await self._app(scope, counted, send)


class Prefixes:
    """Sends each request to the room whose prefix its path has.

    A room is made when it is first asked for: a platform with several clouds would otherwise spend most of its start
    on routes that nobody uses yet.
    """

    def __init__(self, rooms: Mapping[str, Callable[[], ASGIApp]], *, otherwise: ASGIApp) -> None:
        self._rooms = dict(rooms)
        self._made: dict[str, ASGIApp] = {}
        self._otherwise = otherwise

    def _room(self, prefix: str) -> ASGIApp:
        # only ever called from the one event loop, and without a pause: nobody can come in between
        if prefix not in self._made:
            self._made[prefix] = self._rooms[prefix]()
        return self._made[prefix]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        if scope["type"] not in {"http", "websocket"}:
            return
        path: str = scope["path"]
        for prefix in self._rooms:
            if path == prefix or path.startswith(prefix + "/"):
                # a fresh state: one room must not see what another leaves there
                await self._room(prefix)({**scope, "state": dict(scope.get("state") or {})}, receive, send)
                return
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        await self._otherwise(scope, receive, send)


async def _live(receive: Receive, send: Send) -> None:
    """Nothing has to be done at start and end; a server only wants to hear that."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


class Microversions:
    """Negotiates `OpenStack-API-Version`, as Nova and Cinder do."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        service: str,
        minimum: tuple[int, int],
        maximum: tuple[int, int],
        legacy_header: str | None = None,
        refuse: Callable[[int, str], Response],
    ) -> None:
        self._app = app
        self._service = service
        self._minimum, self._maximum = minimum, maximum
        self._legacy = legacy_header
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        text = self._asked(Headers(scope=scope))
        version = self._minimum if text is None else self._maximum if text == "latest" else _version(text)
        if version is None:
            message = f"API Version String {text} is of invalid format. Must be of format MajorNum.MinorNum."
            await self._refuse(400, message)(scope, receive, send)
            return
        named = f"{version[0]}.{version[1]}"
        if not self._minimum <= version <= self._maximum:
            low, high = (f"{major}.{minor}" for major, minor in (self._minimum, self._maximum))
            message = f"Version {named} is not supported by the API. Minimum is {low} and maximum is {high}."
            await self._refuse(406, message)(scope, receive, self._marking(send, named))
            return
        scope.setdefault("state", {})["microversion"] = version[1]
        await self._app(scope, receive, self._marking(send, named))

    def _asked(self, headers: Headers) -> str | None:
        for part in headers.get("openstack-api-version", "").split(","):
            words = part.split()
            if len(words) == 2 and words[0].lower() == self._service:
                return words[1]
        return headers.get(self._legacy) if self._legacy else None

    def _marking(self, send: Send, named: str) -> Send:
        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["OpenStack-API-Version"] = f"{self._service} {named}"
                headers.append("Vary", "OpenStack-API-Version")
                if self._legacy:
                    headers[self._legacy] = named
                    headers.append("Vary", self._legacy)
            await send(message)

        return answer


def _version(text: str) -> tuple[int, int] | None:
    match = re.fullmatch(r"([1-9]\d{0,3})\.(0|[1-9]\d{0,3})", text)
    return (int(match[1]), int(match[2])) if match else None


def no_such_page() -> Response:
    """What Nova, Neutron and Cinder answer for a path that they do not know."""
    page = (
        "<html>\n <head>\n  <title>404 Not Found</title>\n </head>\n <body>\n  <h1>404 Not Found</h1>\n"
        "  The resource could not be found.<br /><br />\n\n\n\n </body>\n</html>"
    )
    return HTMLResponse(page, 404)


def spoken(message: str, remedy: str) -> str:
    """A message with its remedy, for protocols that have one field for both."""
    return (
        f"{message} {remedy}"
        if remedy and message.endswith(".")
        else f"{message}. {remedy}"
        if remedy
        else message
    )


def query_of(params: QueryParams) -> dict[str, str]:
    """A query without what clients send empty."""
    return {key: value for key, value in params.items() if value not in {"", "None"}}


def page_of(
    items: Sequence[T], query: Mapping[str, str], *, identify: Callable[[T], str], most: int = 1000
) -> tuple[list[T], bool]:
    """The items after `marker`, at most `limit`; and whether there are more.

    Raises:
        Invalid: limit or marker is none, in Nova's words.
    """
    text = query.get("limit", str(most))
    if not text.isdigit():
        raise Invalid(
            f"Invalid input for query parameters limit. Value: {text}. '{text}' does not match '^[0-9]*$'"
        )
    limit = min(int(text), most) if int(text) or "limit" in query else most
    start = 0
    marker = query.get("marker")
    if marker is not None:
        places = [index for index, item in enumerate(items) if identify(item) == marker]
        if not places:
            raise Invalid(f"marker [{marker}] not found", code="marker_not_found")
        start = places[0] + 1
    chosen = list(items[start : start + limit])
    return chosen, start + limit < len(items) and bool(chosen)


def next_link(url: str, params: QueryParams, marker: str) -> list[dict[str, str]]:
    """The link to the page after `marker`."""
    query = [(key, value) for key, value in params.multi_items() if key != "marker"]
    return [{"rel": "next", "href": f"{url}?{urlencode([*query, ('marker', marker)])}"}]
