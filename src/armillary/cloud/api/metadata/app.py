"""What guests ask at 169.254.169.254, carried here by the switch: any method, any path, answers as Nova's."""

from __future__ import annotations

from html import escape

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from armillary.base.errors import ArmillaryError
from armillary.cloud.api.shared import Bounded
from armillary.cloud.metadata.service import Asked, MetadataService

_MOST_BYTES = 4096
"""of a request's body: the one thing that a guest may send is a password"""
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_TITLES = {
    400: ("Bad Request", ("The server could not comply with the request since it is either malformed or otherwise "
                          "incorrect.")),
    403: ("Forbidden", "Access was denied to this resource."),
    404: ("Not Found", "The resource could not be found."),
    409: ("Conflict", "There was a conflict when trying to complete your request."),
    413: ("Request Entity Too Large", "The body of your request was too large for this server."),
}  # fmt: skip


def metadata_app(*, metadata: MetadataService, prefix: str) -> ASGIApp:
    """Make the application that answers under `prefix`."""

    async def answer(request: Request) -> Response:
        asked = Asked(
            method=request.method,
            path=request.url.path.removeprefix(prefix),
            body=await request.body() if request.method == "POST" else b"",
            server_id=request.headers.get("x-instance-id"),
            project_id=request.headers.get("x-tenant-id"),
            signature=request.headers.get("x-instance-id-signature"),
        )
        try:
            item = await run_in_threadpool(metadata.answer, asked)
        except ArmillaryError as error:
            return _page(error.status, error.message)
        # Nova says UTF-8 of text, whatever the bytes of user data are, and nothing of JSON
        charset = "" if item.media_type == "application/json" else "; charset=UTF-8"
        return Response(item.body, headers={"Content-Type": item.media_type + charset})

    app = Starlette(
        routes=[
            Route(prefix, answer, methods=_METHODS),
            Route(f"{prefix}/{{path:path}}", answer, methods=_METHODS),
        ]
    )
    return Bounded(app, most=_MOST_BYTES, refuse=_page)


def _page(status: int, explanation: str) -> Response:
    """Return a refusal as Nova writes it."""
    title, usual = _TITLES.get(status, ("Internal Server Error", "The server has failed."))
    said = escape(explanation) or usual
    page = (
        f"<html>\n <head>\n  <title>{status} {title}</title>\n </head>\n <body>\n  <h1>{status} {title}</h1>\n"
        f"  {said}<br /><br />\n\n\n\n </body>\n</html>"
    )
    return HTMLResponse(page, status, headers={"Content-Type": "text/html; charset=UTF-8"})
