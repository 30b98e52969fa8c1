"""What the pages share: the services, and the dependencies that make a `Visit` or a checked `Form`."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from armillary.accounts.cookies import session_of
from armillary.accounts.model import Membership, Principal, TokenKind
from armillary.accounts.service import AccountsService
from armillary.accounts.trail import see
from armillary.base.clock import Clock
from armillary.base.errors import NotFound, Unauthorized
from armillary.batch.board import Board
from armillary.batch.service import BatchService
from armillary.fleet.service import FleetService
from armillary.portal.archive import Archive
from armillary.portal.forms import Form
from armillary.portal.i18n import choose_locale
from armillary.portal.inside.service import Inside
from armillary.portal.keys import KeyRing
from armillary.portal.machinery import Machinery
from armillary.portal.office import Office
from armillary.portal.oidc import Provider
from armillary.portal.rendering import Renderer
from armillary.portal.security import (
    FORM_FIELD,
    NONCE_COOKIE,
    bounded,
    check_csrf,
    csrf_token,
)
from armillary.portal.shelf import Shelf
from armillary.portal.visit import Visit
from armillary.provenance.service import Provenance
from armillary.vospace.service import VOSpaceService

LOCALE_COOKIE = "armillary_locale"
PROJECT_COOKIE = "armillary_project"
FORM_PARTS = 2000
"""Fields and files of one form."""
FORM_BYTES = 64 * 2**30
"""of a form with its files; what is larger goes through `vcp`"""
STRANGERS_BYTES = 2**20
"""of a form from somebody who is not signed in"""


@dataclass(frozen=True, kw_only=True)
class Portal:
    """The services behind the pages."""

    accounts: AccountsService
    fleet: FleetService
    machinery: Machinery
    batch: BatchService
    board: Board
    files: VOSpaceService
    shelf: Shelf
    keys: KeyRing
    inside: Inside
    office: Office
    clock: Clock
    renderer: Renderer
    archive: Archive | None = None
    """what carries jobs with their records away, and keeps them"""
    provenance: Provenance | None = None
    """what made results"""
    provider: Provider | None = None
    """of OpenID Connect, if the operator named one"""

    def visit(self, request: Request) -> Visit:
        """Who visits, signed in or not, and in which project and language."""
        session = session_of(request)
        nonce = request.cookies.get(NONCE_COOKIE, "")
        fresh = "" if nonce else secrets.token_urlsafe(32)
        principal = self._principal(session)
        if principal is not None:
            see(request.scope, principal.person.user_name)
        mine = self.accounts.projects_of(principal.person.id) if principal else []
        return Visit(
            request=request,
            renderer=self.renderer,
            locale=choose_locale(
                cookie=request.cookies.get(LOCALE_COOKIE),
                accept_language=request.headers.get("accept-language"),
            ),
            nonce=nonce or fresh,
            csrf=csrf_token(nonce or fresh, session),
            principal=principal,
            memberships=mine,
            membership=_chosen(request, mine),
            cookies={NONCE_COOKIE: fresh} if fresh else {},
            unread=lambda: self.office.notices.unread(principal.person.id) if principal else 0,
            announcements=self.office.announcements.current,
        )

    async def form(self, request: Request) -> Form:
        """The form that was sent, if one of our own pages made it.

        Files of a form are kept on our disk before anything in it can be read. So strangers send small ones only.

        Raises:
            TooLarge: it is larger than who sends it may send.
            Forbidden: it came from elsewhere.
        """
        known = await run_in_threadpool(self._principal, session_of(request))
        request = bounded(request, most=FORM_BYTES if known else STRANGERS_BYTES)
        data = await request.form(max_files=FORM_PARTS, max_fields=FORM_PARTS, max_part_size=4 * 2**20)
        check_csrf(request, data.get(FORM_FIELD))
        return Form(data)

    def _principal(self, session: str) -> Principal | None:
        if not session:
            return None
        try:
            return self.accounts.check_token(session, kinds=frozenset({TokenKind.SESSION}))
        except Unauthorized:
            return None  # expired or revoked: the visitor is a stranger again


def _chosen(request: Request, mine: list[Membership]) -> Membership | None:
    """The project that the address names, else the one chosen last, else the first.

    Raises:
        NotFound: the address names a project that is not the visitor's.
    """
    named = request.query_params.get("project")
    if named is not None:
        for membership in mine:
            if membership.project.name == named:
                return membership
        raise NotFound(
            f"You have no project {named}.",
            code="project_not_found",
            facts={"project": named},
            remedy="Choose one of your projects.",
        )
    kept = request.cookies.get(PROJECT_COOKIE)
    return next((m for m in mine if m.project.name == kept), mine[0] if mine else None)


def services(request: Request) -> Portal:
    """Dependency: the services behind the pages."""
    return cast("Portal", request.app.state.portal)


Services = Annotated[Portal, Depends(services)]


def visiting(request: Request, portal: Services) -> Visit:
    """Dependency: who visits."""
    return portal.visit(request)


async def sent(request: Request, portal: Services) -> Form:
    """Dependency: the form that was sent."""
    return await portal.form(request)


Visiting = Annotated[Visit, Depends(visiting)]
Sent = Annotated[Form, Depends(sent)]
