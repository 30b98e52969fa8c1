"""A bound on what a request may carry: our JSON bodies are small, and memory is not."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from armillary.base.errors import TooLarge

MOST_BYTES = 256 * 1024


class BoundedRoute(APIRoute):
    """A route that refuses bodies over `most` before they are in memory."""

    most: ClassVar[int] = MOST_BYTES

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap FastAPI's handler."""
        handle = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            seen = 0

            async def receive() -> Message:
                nonlocal seen
                message = await request.receive()
                seen += len(message.get("body", b""))
                _check(seen, self.most)
                return message

            declared = request.headers.get("content-length", "0")
            _check(int(declared) if declared.isdecimal() else 0, self.most)
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
