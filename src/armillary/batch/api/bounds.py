"""Bounds on what a request may bring, checked before it is read."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from armillary.base.errors import ArmillaryError, TooLarge

MAX_JSON = 64 * 2**20
_OF_ANYBODY = 2**20
"""octets of a body that is read before we know whose it is: a machine tells of its files when it registers"""


class BoundedRoute(APIRoute):
    """A route whose JSON body has a bound. Uploads read their stream themselves, bounded by the spool."""

    knows: Callable[[Request], object] | None = None
    """Raises unless the request is of somebody we know: asked before a large body is read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            if self.body_field is not None:
                refused = refusal(request)
                if refused is not None:
                    return JSONResponse(refused.as_dict(), status_code=refused.status)
                if self.knows is not None and is_large(request):
                    await run_in_threadpool(self.knows, request)
            return await handle(request)

        return bounded


def known(knows: Callable[[Request], object]) -> type[BoundedRoute]:
    """Return the class of routes that take large bodies of those only whom `knows` does not refuse."""
    return type("KnownRoute", (BoundedRoute,), {"knows": staticmethod(knows)})


def is_large(request: Request) -> bool:
    """Return whether a body, of which `refusal` said nothing, is too large to be read of anybody."""
    return int(request.headers.get("content-length") or 0) > _OF_ANYBODY


def refusal(request: Request, at_most: int = MAX_JSON) -> ArmillaryError | None:
    """Return why a JSON body is not read, if it is not."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) <= at_most:
        return None
    if not length and "transfer-encoding" not in request.headers:
        return None  # no body
    return TooLarge(
        f"a request may have {at_most} bytes, announced by Content-Length",
        facts={"limit": at_most},
        remedy="Split it.",
    )
