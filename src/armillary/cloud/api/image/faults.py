"""Glance's refusals: pages of HTML, from the days of WebOb."""

from __future__ import annotations

import html
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response

from armillary.base.errors import ArmillaryError, OutOfSpace, PreconditionFailed
from armillary.cloud.api.auth import AuthenticationRequired
from armillary.cloud.api.shared import spoken

_NOT_SIGNED_IN = (
    "This server could not verify that you are authorized to access the document you requested. Either you "
    "supplied the wrong credentials (e.g., bad password), or your browser does not understand how to supply "
    "the credentials required."
)


def page(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    """Return a refusal as Glance writes it."""
    title = f"{status} {HTTPStatus(status).phrase}"
    body = (
        f"<html>\n <head>\n  <title>{title}</title>\n </head>\n <body>\n  <h1>{title}</h1>\n"
        f"  {html.escape(message)}<br /><br />\n\n\n\n </body>\n</html>"
    )
    return HTMLResponse(body, status_code=status, headers=headers)


def fault(error: ArmillaryError) -> Response:
    """Return what Glance would answer."""
    if isinstance(error, AuthenticationRequired):
        return page(401, _NOT_SIGNED_IN, {"WWW-Authenticate": f'Keystone uri="{error.identity_url}"'})
    message = spoken(error.message, error.remedy)
    if isinstance(error, PreconditionFailed):
        return page(400, message)  # bytes that differ from what was declared are a bad request there
    if isinstance(error, OutOfSpace):
        return page(413, message)
    return page(error.status, message)


class GlanceRoute(APIRoute):
    """Answers refusals in Glance's shape, so that the routes need no handlers of the application's."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler with its refusals."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            try:
                return await handle(request)
            except ArmillaryError as error:
                return fault(error)
            except ClientDisconnect:
                return page(400, "The client broke the connection off.")

        return guarded
