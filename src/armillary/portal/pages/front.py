"""The way in: front page, registration, sign in and out, language, and the choice of the project."""

from __future__ import annotations

from datetime import timedelta

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from armillary.accounts.model import Person, TokenKind
from armillary.base.errors import ArmillaryError, Invalid
from armillary.portal.context import LOCALE_COOKIE, PROJECT_COOKIE, Portal, Sent, Services, Visiting, sent
from armillary.portal.i18n import LOCALES, N_
from armillary.portal.overview import overview
from armillary.portal.security import SESSION_COOKIE
from armillary.portal.visit import THEME_COOKIE, THEMES, WEEK, Visit

SESSION_LIFETIME = timedelta(hours=12)
SUGGESTED = {"cores": "4", "ram": "8", "disk": "50", "storage": "100", "batch_cores": "16"}
"""What a project that is new to this starts well with; RAM, disk and storage in GiB."""


def local_path(target: str) -> str:
    """Return `target` if it is a path of ours, else `/`: nobody is led to another site by a link to the form."""
    safe = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if safe else "/"


router = APIRouter()


def sign_in(portal: Portal, visit: Visit, person: Person, path: str, **query: str) -> Response:
    issued = portal.accounts.issue_token(
        person.id, kind=TokenKind.SESSION, lifetime=SESSION_LIFETIME, label="portal"
    )
    response = visit.go(path, **query)
    visit.set_cookie(response, SESSION_COOKIE, issued.secret, max_age=int(SESSION_LIFETIME.total_seconds()))
    return response


@router.get("/")
def front(portal: Services, visit: Visiting) -> Response:
    if visit.principal is None:
        return visit.page("front.html")
    return visit.page("overview.html", overview=overview(portal, visit))


@router.get("/register")
def register_form(visit: Visiting) -> Response:
    return visit.page("register.html", values=SUGGESTED, error=None)


@router.post("/register")
def register(portal: Services, visit: Visiting, form: Sent) -> Response:
    try:
        if form.raw("password") != form.raw("password_again"):
            again = {"password_again": N_("The passwords are not the same.")}
            facts = {"field": "password_again", "errors": again}
            raise Invalid("The passwords are not the same.", code="invalid_field", facts=facts)
        portal.accounts.register(
            user_name=form.text("user_name"),
            full_name=form.text("full_name"),
            email=form.text("email"),
            institute=form.text("institute"),
            password=form.raw("password"),
            project_name=form.text("project_name"),
            requested=form.allocation(),
            reason=form.text("reason"),
            locale=visit.locale,
        )
    except ArmillaryError as error:
        return visit.page("register.html", status=error.status, values=form.values(), error=error)
    return sign_in(
        portal,
        visit,
        portal.accounts.person_named(form.text("user_name")),
        "/applications",
        notice="registered",
    )


@router.get("/sign-in")
def sign_in_form(visit: Visiting, to: str = "/") -> Response:
    return visit.page("sign_in.html", values={"to": local_path(to)}, error=None)


@router.post("/sign-in")
def sign_in_sent(portal: Services, visit: Visiting, form: Sent) -> Response:
    try:
        person = portal.accounts.authenticate(form.text("user_name"), form.raw("password"))
    except ArmillaryError as error:
        return visit.page("sign_in.html", status=error.status, values=form.values(), error=error)
    return sign_in(portal, visit, person, local_path(form.text("to", "/")))


@router.post("/sign-out", dependencies=[Depends(sent)])
def sign_out(portal: Services, visit: Visiting, request: Request) -> Response:
    portal.accounts.revoke_secret(request.cookies.get(SESSION_COOKIE, ""))
    response = visit.go("/", notice="signed-out")
    response.delete_cookie(SESSION_COOKIE)
    return response


@router.post("/language")
def language(visit: Visiting, form: Sent) -> Response:
    chosen = form.text("language")
    response = visit.go(local_path(form.text("to", "/")))
    if chosen in LOCALES:
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
