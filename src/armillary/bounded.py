"""A bound on what a request may carry: our JSON bodies are small, and memory is not."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from armillary.base.errors import TooLarge

MOST_BYTES = 256 * 1024


class BoundedRoute(APIRoute):
    """A route that refuses bodies over `most` before they are in memory."""

    most: ClassVar[int] = MOST_BYTES
    knows: Callable[[Request], object] | None = None
    """Raises unless the request is of somebody we know: asked before more than `MOST_BYTES` are read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap FastAPI's handler."""
        handle = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            seen = 0
            declared = request.headers.get("content-length", "0")
            size = int(declared) if declared.isdecimal() else 0
            most = self.most if self.knows is None or size > MOST_BYTES else MOST_BYTES

            async def receive() -> Message:
                nonlocal seen
                message = await request.receive()
                seen += len(message.get("body", b""))
                _check(seen, most)
                return message

            _check(size, most)
            if self.knows is not None and size > MOST_BYTES:
                await run_in_threadpool(self.knows, request)
            try:
                return await handle(Request(request.scope, receive))
            except HTTPException as error:
                # FastAPI takes whatever ends the reading of a body for a body that cannot be parsed
                if isinstance(error.__cause__, TooLarge):
                    raise error.__cause__ from None
                raise

        return bounded


def _check(size: int, most: int) -> None:
    if size > most:
        raise TooLarge("The request is too large.", facts={"limit_bytes": most}, remedy="Send less at once.")
