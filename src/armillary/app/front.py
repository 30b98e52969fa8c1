"""The way in: requests for files, and what agents ask for each job, take a short one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

_FILES = "/files/{path:path}"


class Front:
    """Leads requests for VOSpace past the other subjects, and past what stands before them.

    The application compares each request with hundreds of routes, one after the other, which costs more than many of
    the answers: the stock clients send eight requests for each file.
    """

    def __init__(
        self, app: ASGIApp, space: Sequence[BaseRoute], short: Mapping[str, ASGIApp] | None = None
    ) -> None:
        """Ask `app` for all that is not in `space`, the routes of VOSpace, and is no POST to a path that has a `short` way."""
        self._app = app
        self._short = short or {}
        routes = [route for route in space if isinstance(route, Route)]
        self._files = {
            route.path.removesuffix("{path:path}"): route for route in routes if route.path.endswith(_FILES)
        }
        tops = {prefix.removesuffix("files/") for prefix in self._files}
        self._tops = tuple(tops)
        self._space = Router([route for route in routes if any(route.path.startswith(top) for top in tops)])

    @property
    def tops(self) -> tuple[str, ...]:
        """How paths of VOSpace begin."""
        return self._tops

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer (ASGI)."""
        if scope["type"] != "http" or not scope["path"].startswith(self._tops):
            posts = scope["type"] == "http" and scope["method"] == "POST"
            app = self._short.get(scope["path"], self._app) if posts else self._app
            await app(scope, receive, send)
            return
        path: str = scope["path"]
        route = self._files.get(path[: path.find("/", path.find("/", 1) + 1) + 1])
        if route is None:
            await self._space(scope, receive, send)
        elif route.methods and scope["method"] not in route.methods:
            allowed = {"Allow": ", ".join(sorted(route.methods))}
            await PlainTextResponse("Method Not Allowed", 405, allowed)(scope, receive, send)
        else:
            # The endpoint answers with a response of its own, refusals too; nothing stands between.
            answer = await route.endpoint(Request(scope, receive, send))
            await answer(scope, receive, send)
