"""One's own ssh keys and tokens."""

from __future__ import annotations

from datetime import timedelta

from fastapi import APIRouter
from starlette.responses import Response

from armillary.accounts.model import IssuedToken, TokenKind
from armillary.base.errors import ArmillaryError
from armillary.base.ids import TokenId
from armillary.portal.context import Portal, Sent, Services, Visiting
from armillary.portal.visit import Visit

LIFETIMES = (1, 7, 30, 90, 365)
"""Days."""
SCOPES = ("vospace:read", "vospace:write", "batch:read", "batch:write")
"""What a token may be limited to."""


router = APIRouter()


def show_keys(
    portal: Portal, visit: Visit, *, status: int = 200, error: ArmillaryError | None = None
) -> Response:
    return visit.page("keys.html", status=status, keys=portal.keys.of(visit.person.id), error=error)


def show_tokens(portal: Portal, visit: Visit, *, issued: IssuedToken | None = None) -> Response:
    now = portal.clock.now()
    tokens = [
        token
        for token in portal.accounts.tokens_of(visit.person.id)
        if token.kind in (TokenKind.API, TokenKind.SESSION)
        and token.revoked_at is None
        and token.expires_at > now
    ]
    tokens.sort(key=lambda token: token.created_at, reverse=True)
    return visit.page("tokens.html", tokens=tokens, issued=issued, lifetimes=LIFETIMES, scopes=SCOPES)


@router.get("/keys")
def keys(portal: Services, visit: Visiting) -> Response:
    return show_keys(portal, visit)


@router.post("/keys")
def add_key(portal: Services, visit: Visiting, form: Sent) -> Response:
    upload = form.upload("key_file")
    typed = upload.file.read(20_000).decode(errors="replace") if upload else form.text("key")
    try:
        portal.keys.add(visit.person.id, typed, name=form.text("name"))
    except ArmillaryError as error:
        return show_keys(portal, visit, status=error.status, error=error)
    return visit.go("/keys", notice="key-added")


@router.post("/keys/remove")
def remove_key(portal: Services, visit: Visiting, form: Sent) -> Response:
    portal.keys.remove(visit.person.id, form.text("fingerprint"))
    return visit.go("/keys", notice="key-removed")


@router.get("/tokens")
def tokens(portal: Services, visit: Visiting) -> Response:
    return show_tokens(portal, visit)


@router.post("/tokens")
def make_token(portal: Services, visit: Visiting, form: Sent) -> Response:
    days = form.text("days")
    issued = portal.accounts.issue_token(
        visit.person.id,
        kind=TokenKind.API,
        lifetime=timedelta(days=int(days) if days in map(str, LIFETIMES) else LIFETIMES[0]),
        label=form.text("label")[:100],
        project_id=next(
            (m.project.id for m in visit.memberships if m.project.name == form.text("project")), None
        ),
        scopes=frozenset(scope for scope in SCOPES if form.flag(scope)),
    )
    return show_tokens(portal, visit, issued=issued)  # the secret is on this page and on no other


@router.post("/tokens/revoke")
def revoke(portal: Services, visit: Visiting, form: Sent) -> Response:
    portal.accounts.revoke_token(visit.person.id, TokenId(form.text("token")))
    return visit.go("/tokens", notice="token-revoked")
