"""The way in: front page, registration, language and colours, and the choice of the project."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from armillary.accounts.cookies import cookie_of
from armillary.accounts.model import Errand, ErrandKind
from armillary.accounts.trail import origin_of
from armillary.base.errors import ArmillaryError, NotFound
from armillary.portal.context import LOCALE_COOKIE, PROJECT_COOKIE, Portal, Sent, Services, Visiting
from armillary.portal.i18n import LOCALES
from armillary.portal.overview import overview
from armillary.portal.pages.oidc import IDENTITY_COOKIE
from armillary.portal.pages.signing_in import begin_session, chosen_password, local_path
from armillary.portal.visit import THEME_COOKIE, THEMES, WEEK

SUGGESTED = {"cores": "4", "ram": "8", "disk": "50", "storage": "100", "batch_cores": "16"}
"""What a project that is new to this starts well with; RAM, disk and storage in GiB."""
PREFILLED = frozenset({*SUGGESTED, "user_name", "full_name", "email", "institute", "project_name", "reason"})
"""What a link to the form may fill in: everything but passwords."""

router = APIRouter()


@router.get("/")
def front(portal: Services, visit: Visiting) -> Response:
    if visit.principal is None:
        return visit.page("front.html")
    return visit.page("overview.html", overview=overview(portal, visit))


def elsewhere(portal: Portal, request: Request) -> Errand | None:
    """The identity from elsewhere with which somebody came to register, if they did."""
    secret = cookie_of(request, IDENTITY_COOKIE)
    try:
        return portal.accounts.errand(ErrandKind.IDENTITY, secret) if secret else None
    except NotFound:
        return None


@router.get("/register")
def register_form(portal: Services, visit: Visiting, request: Request) -> Response:
    """Show the form; what the address names is filled in."""
    identity = elsewhere(portal, request)
    known = {name: str(identity.facts[name]) for name in ("full_name", "email")} if identity else {}
    values = {**SUGGESTED, **known, **{k: v for k, v in request.query_params.items() if k in PREFILLED}}
    return visit.page("register.html", values=values, error=None, identity=identity)


@router.post("/register")
def register(portal: Services, visit: Visiting, request: Request, form: Sent) -> Response:
    identity = elsewhere(portal, request)
    try:
        portal.accounts.register(
            user_name=form.text("user_name"),
            full_name=form.text("full_name"),
            email=form.text("email"),
            institute=form.text("institute"),
            password=None if identity else chosen_password(form),
            project_name=form.text("project_name"),
            requested=form.allocation(),
            reason=form.text("reason"),
            locale=visit.locale,
            identity=(identity.facts["issuer"], identity.facts["subject"]) if identity else None,
            origin=origin_of(request),
        )
    except ArmillaryError as error:
        return visit.page(
            "register.html", status=error.status, values=form.values(), error=error, identity=identity
        )
    person = portal.accounts.person_named(form.text("user_name"))
    response = begin_session(portal, visit, person, "/applications", notice="registered")
    if identity:
        portal.accounts.end_errand(ErrandKind.IDENTITY, cookie_of(request, IDENTITY_COOKIE))
        visit.set_proof(response, IDENTITY_COOKIE, "", max_age=0)
    return response


@router.post("/language")
def language(portal: Services, visit: Visiting, form: Sent) -> Response:
    chosen = form.text("language")
    response = visit.go(local_path(form.text("to", "/")))
    if chosen in LOCALES:
        if visit.principal and visit.person.locale != chosen:
            portal.accounts.update_person(visit.person.id, locale=chosen)  # mails come in it, too
        visit.set_cookie(response, LOCALE_COOKIE, chosen, max_age=52 * WEEK)
    return response


@router.post("/theme")
def theme(visit: Visiting, form: Sent) -> Response:
    chosen = form.text("theme")
    response = visit.go(local_path(form.text("to", "/")))
    if chosen in THEMES:
        visit.set_cookie(response, THEME_COOKIE, chosen, max_age=52 * WEEK)
    else:
        response.delete_cookie(THEME_COOKIE)
    return response


@router.post("/project")
def choose_project(visit: Visiting, form: Sent) -> Response:
    chosen = form.text("project")
    response = visit.go("/")
    if any(membership.project.name == chosen for membership in visit.memberships):
        visit.set_cookie(response, PROJECT_COOKIE, chosen, max_age=52 * WEEK)
    return response


@router.get("/applications")
def applications(portal: Services, visit: Visiting) -> Response:
    mine = portal.accounts.applications_of(visit.person.id)
    return visit.page("applications.html", applications=mine[::-1], values=SUGGESTED, error=None)


@router.post("/applications")
def request_project(portal: Services, visit: Visiting, form: Sent) -> Response:
    person = visit.person
    try:
        portal.accounts.request_project(
            person.id,
            project_name=form.text("project_name"),
            requested=form.allocation(),
            reason=form.text("reason"),
        )
    except ArmillaryError as error:
        mine = portal.accounts.applications_of(person.id)
        return visit.page(
            "applications.html",
            status=error.status,
            applications=mine[::-1],
            values=form.values(),
            error=error,
        )
    return visit.go("/applications", notice="requested")
