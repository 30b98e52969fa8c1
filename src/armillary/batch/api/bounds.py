"""Bounds on what a request may bring, checked before it is read."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.responses import JSONResponse

from armillary.base.errors import ArmillaryError, TooLarge

MAX_JSON = 64 * 2**20


class BoundedRoute(APIRoute):
    """A route whose JSON body has a bound. Uploads read their stream themselves, bounded by the spool."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            if self.body_field is not None:
                refused = refusal(request)
                if refused is not None:
                    return JSONResponse(refused.as_dict(), status_code=refused.status)
            return await handle(request)

        return bounded


def refusal(request: Request) -> ArmillaryError | None:
    """Return why a JSON body is not read, if it is not."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) <= MAX_JSON:
        return None
    if not length and "transfer-encoding" not in request.headers:
        return None  # no body
    return TooLarge(
        f"a request may have {MAX_JSON} bytes, announced by Content-Length",
        facts={"limit": MAX_JSON},
        remedy="Split it.",
    )
