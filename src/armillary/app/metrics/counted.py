"""Counts requests on their way through, by class of route: there are a dozen, whatever addresses people ask for."""

from __future__ import annotations

import time
from collections.abc import Sequence

from fastapi import APIRouter, Request
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from armillary.accounts.api import Authenticator
from armillary.app.metrics.meters import OTHER, Meters
from armillary.base.errors import Forbidden
from armillary.batch.seeing import READ

_CLASSES = (
    ("/agent/", "agent"),
    ("/api/v1/batch", "batch"),
    ("/api/", "api"),
    ("/portal", "portal"),
    ("/static", "static"),
    ("/metrics", "metrics"),
    ("/healthz", "health"),
)
_TEXT = "text/plain; version=1.0.0; charset=utf-8"


class Counted:
    """Stands in front of the application."""

    def __init__(self, app: ASGIApp, *, meters: Meters, space: Sequence[str]) -> None:
        """`space` has the prefixes of VOSpace's paths."""
        self._app = app
        self._meters = meters
        self._space = tuple(space)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        route = self.class_of(scope["path"])
        began = time.perf_counter()
        told = False

        async def noting(message: Message) -> None:
            nonlocal told
            if message["type"] == "http.response.start" and not told:
                told = True
                seconds = None if route == "agent" else time.perf_counter() - began
                self._meters.answered(route, message["status"], seconds)
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception:
            if not told:  # the server answers for us
                self._meters.answered(route, 500, None)
            raise

    def class_of(self, path: str) -> str:
        """Return the class of a route."""
        if path.startswith(self._space):
            return "vospace"
        return next((name for prefix, name in _CLASSES if path.startswith(prefix)), OTHER)


def metrics_router(*, meters: Meters, authenticator: Authenticator) -> APIRouter:
    """Return `/metrics` for administrators."""
    routes = APIRouter()

    @routes.get("/metrics", include_in_schema=False)
    def metrics(request: Request) -> Response:
        who = authenticator.principal_of(request)
        bound = who.token is not None and who.token.project_id is not None
        if not who.person.is_admin or bound or not who.allows(READ):
            raise Forbidden(
                "metrics are for administrators",
                code="not_an_administrator",
                remedy="Use an administrator's token, or the listener of metrics_port on the platform's machine.",
            )
        return Response(meters.render(), headers={"Content-Type": _TEXT})

    return routes


def metrics_app(meters: Meters) -> ASGIApp:
    """Return what answers on the operator's own listener: nothing but `/metrics`, to whoever can reach it."""

    def metrics(_request: Request) -> Response:
        return Response(meters.render(), headers={"Content-Type": _TEXT})

    return Starlette(routes=[Route("/metrics", metrics)])
