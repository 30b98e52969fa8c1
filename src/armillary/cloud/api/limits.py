"""How many requests one caller may make: a bound that no honest client meets, before anything is looked up.

Each token, and for signing in each address, has a bucket that holds a minute's worth of requests and fills evenly.
Whoever finds it empty is refused in the service's own shape, with the seconds to wait in `Retry-After`.
"""

from __future__ import annotations

import math
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from armillary.base.clock import Clock

_MOST_BUCKETS = 10_000
"""A bucket that was not asked for in a minute is full: the one that was not asked for longest is forgotten first."""
_WORDS = "This request was rate-limited."


class Buckets:
    """Counts requests by key. One event loop calls it: nobody comes in between."""

    def __init__(self, *, clock: Clock, per_minute: int) -> None:
        self._clock = clock
        self._per_minute = per_minute
        self._known: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, key: str) -> float:
        """Take one request out of a bucket and return 0, or the seconds until there is one to take."""
        if not self._per_minute:
            return 0
        now = self._clock.now().timestamp()
        left, then = self._known.pop(key, (float(self._per_minute), now))
        left = min(self._per_minute, left + max(0.0, now - then) * self._per_minute / 60)
        taken = left >= 1
        self._known[key] = (left - 1 if taken else left, now)
        if len(self._known) > _MOST_BUCKETS:
            self._known.popitem(last=False)
        return 0 if taken else (1 - left) * 60 / self._per_minute


class Limits:
    """The buckets of one cloud, which its services share."""

    def __init__(self, *, clock: Clock, requests_per_minute: int, sign_ins_per_minute: int) -> None:
        """Begin with full buckets; 0 means no bound."""
        self._requests = Buckets(clock=clock, per_minute=requests_per_minute)
        self._sign_ins = Buckets(clock=clock, per_minute=sign_ins_per_minute)

    def wait(self, scope: Scope) -> float:
        """Count a request, and return the seconds that its caller has to wait, mostly 0."""
        if scope["method"] == "POST" and scope["path"].rstrip("/") == "/identity/v3/auth/tokens":
            client = scope.get("client")
            return self._sign_ins.wait(client[0] if client else "")
        # without a token there is only what costs nothing: documents of versions, and being refused
        token = Headers(scope=scope).get("x-auth-token")
        return self._requests.wait(token) if token else 0


class Limited:
    """Lets requests to a service pass as long as their callers' buckets hold any."""

    def __init__(self, app: ASGIApp, *, service: str, limits: Limits) -> None:
        self._app = app
        self._refuse = _REFUSALS[service]
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wait = self._limits.wait(scope) if scope["type"] == "http" else 0
        if not wait:
            await self._app(scope, receive, send)
            return
        seconds = math.ceil(wait)
        answer = self._refuse(seconds)
        answer.headers["Retry-After"] = str(seconds)
        answer.headers["x-openstack-request-id"] = f"req-{uuid.uuid4()}"
        await answer(scope, receive, send)


def _identity(_seconds: int) -> Response:
    return JSONResponse({"error": {"code": 429, "message": _WORDS, "title": "Too Many Requests"}}, 429)


def _image(_seconds: int) -> Response:
    title = "429 Too Many Requests"
    page = f"<html>\n <head>\n  <title>{title}</title>\n </head>\n <body>\n  <h1>{title}</h1>\n  {_WORDS}<br /><br />\n"
    return HTMLResponse(f"{page}\n\n\n </body>\n</html>", 429)


def _network(_seconds: int) -> Response:
    error = {"type": "HTTPTooManyRequests", "message": _WORDS, "detail": ""}
    return JSONResponse({"NeutronError": error}, 429)


def _over_limit(status: int) -> Callable[[int], Response]:
    def refuse(seconds: int) -> Response:
        fault = {"code": status, "message": _WORDS, "retryAfter": str(seconds)}
        return JSONResponse({"overLimit": fault}, status)

    return refuse


_REFUSALS: Mapping[str, Callable[[int], Response]] = {
    "identity": _identity,
    "image": _image,
    "network": _network,
    "compute": _over_limit(429),
    # Cinder never changed to 429
    "volume": _over_limit(413),
}
