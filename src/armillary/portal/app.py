"""Puts the portal together."""

from __future__ import annotations

from functools import cache

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.responses import Response

from armillary.accounts.service import AccountsService
from armillary.base.clock import Clock
from armillary.base.errors import ArmillaryError, Invalid, NotFound
from armillary.batch.board import Board
from armillary.batch.service import BatchService
from armillary.fleet.service import FleetService
from armillary.portal.archive import Archive
from armillary.portal.context import Portal
from armillary.portal.inside.service import Inside
from armillary.portal.keys import KeyRing
from armillary.portal.machinery import Machinery
from armillary.portal.office import Office
from armillary.portal.oidc import Provider
from armillary.portal.pages import (
    access,
    admin,
    admin_people,
    admin_place,
    crates,
    files,
    front,
    frozen,
    groups,
    growing,
    image_contents,
    images,
    job,
    jobs,
    keeping,
    launching,
    machine_parts,
    machines,
    made_by,
    notices,
    oidc,
    places,
    profile,
    rerunning,
    security,
    shared,
    signing_in,
    submit,
    viewer,
    workers,
)
from armillary.portal.pages import inside as inside_pages
from armillary.portal.rendering import Renderer
from armillary.portal.security import SecurityHeaders
from armillary.portal.shelf import Shelf
from armillary.portal.static_files import TerminalFiles, VersionedFiles
from armillary.portal.visit import SignInNeeded
from armillary.provenance.service import Provenance
from armillary.vospace.service import VOSpaceService

ROOMS = (
    front,
    signing_in,  # before the administration: its links are below /admin
    security,
    oidc,
    admin,
    admin_people,
    admin_place,
    growing,
    groups,
    launching,
    machines,
    machine_parts,
    places,
    access,
    inside_pages,
    images,
    image_contents,
    submit,  # before the jobs, as what has a number below /jobs is a submit of old
    workers,
    keeping,  # before the jobs, whose actions and numbers are any word there
    rerunning,
    crates,
    jobs,
    job,
    files,
    made_by,
    frozen,
    profile,
    notices,
    shared,
    viewer,
)


AS_THEY_ARE = (*DEFAULT_EXCLUDED_CONTENT_TYPES, "application/*", "image/*", "font/*")
"""What is not compressed on its way: files of people, which are large and of every kind; only text is."""


@cache
def _renderer() -> Renderer:
    """Return the one of this process: templates are compiled once, and know nothing of who shows them."""
    return Renderer()


def create_portal(
    *,
    accounts: AccountsService,
    fleet: FleetService,
    machinery: Machinery,
    batch: BatchService,
    board: Board,
    vospace: VOSpaceService,
    shelf: Shelf,
    keys: KeyRing,
    inside: Inside,
    office: Office,
    clock: Clock,
    provenance: Provenance | None = None,
    archive: Archive | None = None,
    provider: Provider | None = None,
) -> FastAPI:
    """Return the portal as an application of its own, to be mounted at `/` behind everything else."""
    portal = Portal(
        accounts=accounts,
        fleet=fleet,
        machinery=machinery,
        batch=batch,
        board=board,
        files=vospace,
        shelf=shelf,
        keys=keys,
        inside=inside,
        office=office,
        provenance=provenance,
        archive=archive,
        provider=provider,
        clock=clock,
        renderer=_renderer(),
    )
    # The routes themselves, and not routers that are included: of those FastAPI builds each route a second time when the
    # first request comes, and each request looks through two layers.
    routes = [route for room in ROOMS for route in room.router.routes]
    app = FastAPI(title="Armillary", docs_url=None, redoc_url=None, openapi_url=None, routes=routes)
    app.state.portal = portal
    app.add_middleware(SecurityHeaders)
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=5, exclude_content_types=AS_THEY_ARE)
    app.mount("/static/terminals", TerminalFiles())
    app.mount("/static", VersionedFiles())

    def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, ArmillaryError)
        try:
            visit = portal.visit(request)
        except ArmillaryError:  # the project in the address is what was refused
            visit = portal.visit(Request({**request.scope, "query_string": b""}))
        return visit.page("error.html", status=error.status, error=error)

    def unknown(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code != 404:
            return refused(request, Invalid(str(error.detail)))
        return refused(request, NotFound("There is no such page.", code="page_not_found"))

    def malformed(request: Request, error: Exception) -> Response:
        return refused(request, Invalid(f"The address is not right: {error}"))

    def sign_in_first(request: Request, _error: Exception) -> Response:
        visit = portal.visit(request)
        to = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        if request.headers.get("hx-request"):
            return visit.leave("/sign-in")  # its way back would be to a part
        return visit.go("/sign-in", to=to if request.method == "GET" else "/")

    app.add_exception_handler(ArmillaryError, refused)
    app.add_exception_handler(HTTPException, unknown)
    app.add_exception_handler(RequestValidationError, malformed)
    app.add_exception_handler(SignInNeeded, sign_in_first)
    return app
