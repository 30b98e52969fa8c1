"""Signing in and out: the password, the code after it, and a new password for one that is forgotten."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from armillary.accounts.cookies import cookie_of, session_cookie, session_of
from armillary.accounts.model import ErrandKind, Person, TokenKind
from armillary.accounts.trail import origin_of, see
from armillary.base.errors import ArmillaryError, Invalid, NotFound
from armillary.portal.context import Portal, Sent, Services, Visiting, sent
from armillary.portal.forms import Form
from armillary.portal.i18n import N_
from armillary.portal.visit import Visit

SESSION_LIFETIME = timedelta(hours=12)
HALF_COOKIE = "armillary_half"
"""Who gave the right password and still owes the code."""

router = APIRouter()


def local_path(target: str) -> str:
    """Return `target` if it is a path of ours, else `/`: nobody is led to another site by a link to the form."""
    safe = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if safe else "/"


def begin_session(portal: Portal, visit: Visit, person: Person, path: str, **query: str) -> Response:
    """Sign a person in whose proofs were all right."""
    issued = portal.accounts.issue_token(
        person.id, kind=TokenKind.SESSION, lifetime=SESSION_LIFETIME, label="portal"
    )
    response = visit.go(path, **query)
    see(visit.request.scope, person.user_name)
    cookie = session_cookie(visit.request)
    visit.set_cookie(response, cookie, issued.secret, max_age=int(SESSION_LIFETIME.total_seconds()))
    return response


def welcome(portal: Portal, visit: Visit, person: Person, to: str) -> Response:
    """Sign a person in whose password or identity was right, or ask for the code of their second factor.

    `to` was in a form or a cookie: whoever can write these leads nobody to another site.
    """
    to = local_path(to)
    if not portal.accounts.has_second_factor(person.id):
        return begin_session(portal, visit, person, to)
    half = portal.accounts.begin_errand(ErrandKind.CODE, person_id=person.id, facts={"to": to})
    response = visit.go("/sign-in/code")
    visit.set_proof(response, HALF_COOKIE, half, max_age=300)
    return response


def chosen_password(form: Form) -> str:
    """Return a new password that was typed twice.

    Raises:
        Invalid: differently.
    """
    if form.raw("password") != form.raw("password_again"):
        again = {"password_again": N_("The passwords are not the same.")}
        facts = {"field": "password_again", "errors": again}
        raise Invalid("The passwords are not the same.", code="invalid_field", facts=facts)
    return form.raw("password")


@router.get("/sign-in")
def sign_in_form(portal: Services, visit: Visiting, to: str = "/") -> Response:
    return visit.page("sign_in.html", values={"to": local_path(to)}, error=None, provider=portal.provider)


@router.post("/sign-in")
def sign_in_sent(portal: Services, visit: Visiting, form: Sent) -> Response:
    try:
        name, password = form.text("user_name"), form.raw("password")
        person = portal.accounts.prove_password(name, password, origin=origin_of(visit.request))
    except ArmillaryError as error:
        return visit.page(
            "sign_in.html",
            status=error.status,
            values=form.values(),
            error=error,
            provider=portal.provider,
        )
    return welcome(portal, visit, person, form.text("to", "/"))


@router.get("/sign-in/code")
def code_form(portal: Services, visit: Visiting, request: Request) -> Response:
    try:
        portal.accounts.errand(ErrandKind.CODE, cookie_of(request, HALF_COOKIE))
    except NotFound:
        return visit.go("/sign-in")
    return visit.page("code.html", error=None)


@router.post("/sign-in/code")
def code_sent(portal: Services, visit: Visiting, request: Request, form: Sent) -> Response:
    half = cookie_of(request, HALF_COOKIE)
    try:
        errand = portal.accounts.errand(ErrandKind.CODE, half)
    except NotFound:
        return visit.go("/sign-in")
    assert errand.person_id is not None  # every sign-in is somebody's
    try:
        portal.accounts.check_code(errand.person_id, form.text("code"), origin=origin_of(request))
    except ArmillaryError as error:
        return visit.page("code.html", status=error.status, error=error)
    portal.accounts.end_errand(ErrandKind.CODE, half)
    person = portal.accounts.person(errand.person_id)
    response = begin_session(portal, visit, person, local_path(str(errand.facts["to"])))
    visit.set_proof(response, HALF_COOKIE, "", max_age=0)
    return response


@router.post("/sign-out", dependencies=[Depends(sent)])
def sign_out(portal: Services, visit: Visiting, request: Request) -> Response:
    portal.accounts.revoke_secret(session_of(request))
    response = visit.go("/", notice="signed-out")
    visit.set_cookie(response, session_cookie(request), "", max_age=0)
    return response


@router.get("/reset")
def reset_form(portal: Services, visit: Visiting) -> Response:
    return visit.page("reset.html", mailed=portal.office.notices.mails, asked=False)


@router.post("/reset")
def reset_asked(portal: Services, visit: Visiting, form: Sent) -> Response:
    """Answer the same for names that are somebody's and for others."""
    mailed = portal.office.notices.mails
    origin = origin_of(visit.request)
    found = portal.accounts.ask_for_reset(form.text("name"), origin=origin) if mailed else None
    if found:
        person, secret = found
        portal.office.notices.write_to(person, kind="reset", body={"path": f"/reset/{quote(secret)}"})
    return visit.page("reset.html", mailed=mailed, asked=True)


@router.get("/reset/{secret}")
def new_password_form(portal: Services, visit: Visiting, secret: str) -> Response:
    portal.accounts.errand(ErrandKind.RESET, secret)
    return visit.page("new_password.html", secret=secret, error=None)


@router.post("/reset/{secret}")
def new_password(portal: Services, visit: Visiting, form: Sent, secret: str) -> Response:
    portal.accounts.errand(ErrandKind.RESET, secret)
    try:
        portal.accounts.reset_password(secret, chosen_password(form))
    except Invalid as error:
        return visit.page("new_password.html", status=error.status, secret=secret, error=error)
    return visit.go("/sign-in", notice="password-set")


@router.post("/admin/reset-link")
def reset_link(portal: Services, visit: Visiting, form: Sent) -> Response:
    """Show an administrator the link with which somebody sets a new password."""
    visit.need_admin()
    person = portal.accounts.person_named(form.text("user_name"))
    secret = portal.accounts.begin_errand(ErrandKind.RESET, person_id=person.id)
    base = str(visit.request.base_url).rstrip("/")
    return visit.page("reset_link.html", person=person, link=f"{base}/reset/{quote(secret)}")


@router.post("/admin/second-factor")
def without_second_factor(portal: Services, visit: Visiting, form: Sent) -> Response:
    """Turn somebody's second factor off whose device is lost."""
    visit.need_admin()
    person = portal.accounts.person_named(form.text("user_name"))
    portal.accounts.clear_second_factor(person.id)
    return visit.go("/admin", notice="second-factor-off")
