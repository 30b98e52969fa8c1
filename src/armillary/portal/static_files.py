"""Style sheets, modules and pictures: kept by browsers for a year, under an address that changes with them."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from armillary import terminals

DIRECTORY = Path(__file__).parent / "static"
FOREVER = "public, max-age=31536000, immutable"


@cache
def version() -> str:
    """Return a short digest of everything under `static/`.

    One for all of it, so that a module finds its neighbours and a style sheet its pictures by relative addresses.
    """
    digest = hashlib.sha256()
    for path in sorted(DIRECTORY.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(DIRECTORY).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return f"v-{digest.hexdigest()[:12]}"


def static(path: str) -> str:
    """Return the address of a file under `static/`, to be kept by browsers until one of them changes."""
    return f"/static/{version()}/{path}"


class VersionedFiles:
    """Serves `static/`, with and without a version in front; compressed where that helps."""

    def __init__(self) -> None:
        self._files: ASGIApp = GZipMiddleware(_Kept(directory=DIRECTORY), minimum_size=600, compresslevel=9)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._files(scope, receive, send)


class _Kept(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        first, _, rest = path.partition("/")
        if first != version():  # another version's address still finds today's file, and is not kept
            return await super().get_response(rest if first.startswith("v-") else path, scope)
        response = await super().get_response(rest, scope)
        response.headers["cache-control"] = FOREVER
        if rest.startswith("js9/"):  # its frame has no origin, and what is here is no secret
            response.headers["access-control-allow-origin"] = "*"
        return response


class TerminalFiles:
    """Serves the terminals and screens that we share with the cloud's own pages; browsers ask whether they have changed."""

    def __init__(self) -> None:
        self._files: ASGIApp = GZipMiddleware(StaticFiles(directory=terminals.DIRECTORY), minimum_size=600)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._files(scope, receive, send)
