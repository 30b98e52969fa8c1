"""Signing in with a provider of OpenID Connect: to it, and back."""

from __future__ import annotations

import hmac
import json
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from armillary.accounts.cookies import cookie_of, session_of
from armillary.accounts.model import ErrandKind
from armillary.base.errors import Forbidden, NotFound, Unauthorized
from armillary.portal.context import Portal, Services, Visiting
from armillary.portal.oidc import Journey, Provider
from armillary.portal.pages.signing_in import local_path, welcome
from armillary.portal.security import is_csrf_token
from armillary.portal.visit import Visit

JOURNEY_COOKIE = "armillary_oidc"
IDENTITY_COOKIE = "armillary_identity"
"""Who came with an identity that nobody here has, and registers."""
MINUTES = 60

router = APIRouter()


def need_provider(portal: Portal) -> Provider:
    """Return the provider; without one the page does not exist."""
    if portal.provider is None:
        raise NotFound("There is no such page.", code="page_not_found")
    return portal.provider


@router.get("/sign-in/oidc")
def leave(portal: Services, visit: Visiting, request: Request, to: str = "/", add: str = "") -> Response:
    """`add` is the token of a form: no other site can have an identity added to the account."""
    provider = need_provider(portal)
    if add:
        _need_own(visit, add)
    journey = Journey.begin(to=local_path(to), adds=add)
    response = RedirectResponse(provider.address(journey, back=_back(visit)), 303)
    visit.set_proof(response, JOURNEY_COOKIE, json.dumps(vars(journey)), max_age=10 * MINUTES)
    return response


@router.get("/sign-in/oidc/back")
def back(
    portal: Services, visit: Visiting, request: Request, code: str = "", state: str = "", error: str = ""
) -> Response:
    provider = need_provider(portal)
    journey = _journey(request, state)
    if error or not code:
        raise Unauthorized(
            f"{provider.label} did not sign you in: {error[:100] or 'no code'}.",
            code="not_signed_in_there",
            facts={"provider": provider.label},
            remedy="Try again, or sign in with your password.",
        )
    if journey.adds:
        _need_own(visit, journey.adds)  # the cookie may have been written by a page of a name beside ours
    known = provider.identity(code, journey, back=_back(visit))
    if journey.adds:
        portal.accounts.add_identity(visit.person.id, issuer=known.issuer, subject=known.subject)
        response = visit.go("/security", notice="identity-added")
    elif person := portal.accounts.person_of_identity(known.issuer, known.subject):
        response = welcome(portal, visit, person, journey.to)
    else:
        facts: dict[str, Any] = vars(known)
        response = visit.go("/register")
        secret = portal.accounts.begin_errand(ErrandKind.IDENTITY, facts=facts)
        visit.set_proof(response, IDENTITY_COOKIE, secret, max_age=30 * MINUTES)
    visit.set_proof(response, JOURNEY_COOKIE, "", max_age=0)
    return response


def _need_own(visit: Visit, token: str) -> None:
    """Refuse to add an identity without the token of a form of the same session."""
    if not (visit.principal and is_csrf_token(token, visit.nonce, session_of(visit.request))):
        raise Forbidden(
            "This link is not from your own page.",
            code="forged_request",
            remedy="Go back, reload the page, and try again.",
        )


def _journey(request: Request, state: str) -> Journey:
    try:
        journey = Journey(**json.loads(cookie_of(request, JOURNEY_COOKIE)))
        same = hmac.compare_digest(journey.state.encode(), state.encode())
    except (ValueError, TypeError, AttributeError):
        same, journey = False, None
    if not same or journey is None:
        raise Forbidden(
            "This sign-in was not begun here, or it took too long.",
            code="forged_request",
            remedy="Begin again.",
        )
    return journey


def _back(visit: Visit) -> str:
    return f"{str(visit.request.base_url).rstrip('/')}/sign-in/oidc/back"
