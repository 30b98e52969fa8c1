"""Who asks one of the cloud's services: the bearer of a Keystone token."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from armillary.accounts.model import Principal, Role, TokenKind
from armillary.accounts.service import AccountsService
from armillary.accounts.trail import see
from armillary.base.errors import Forbidden, Unauthorized
from armillary.cloud.api.access_rules import permitted

KEYSTONE_ONLY = frozenset({TokenKind.KEYSTONE})
_BELIEVED_FOR = timedelta(seconds=2)
_MOST_BELIEVED = 10_000
UNAUTHENTICATED = "The request you have made requires authentication."


class AuthenticationRequired(Unauthorized):
    """There is no token, or it is not good. Every OpenStack service answers this in the same shape."""

    code = "authentication_required"

    def __init__(self, *, identity_url: str) -> None:
        super().__init__(UNAUTHENTICATED, remedy="Sign in at Keystone again.")
        self.identity_url = identity_url

    def response(self) -> Response:
        """Return the reply of keystonemiddleware, whatever the dialect of the service."""
        body = {"error": {"code": 401, "title": "Unauthorized", "message": UNAUTHENTICATED}}
        headers = {"WWW-Authenticate": f'Keystone uri="{self.identity_url}"'}
        return JSONResponse(body, status_code=401, headers=headers)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Believed:
    principal: Principal
    until: datetime
    changes: int


class KeystoneAuth:
    """Reads `X-Auth-Token`. `principal` (which the services use), `context` and `project_context` are FastAPI dependencies.

    A token that was good is believed for two seconds more unless an account was written meanwhile: every call names one,
    and looking it up costs more than most calls. Keystone's own middleware believes for five minutes. The two
    seconds are for writers in other processes (`armillary reset-password`).

    Roles are Keystone's here: `admin` means an administrator of the cloud, for which `principal.is_cloud_admin` is the
    test; whoever administers only a project is its `manager`.
    """

    def __init__(self, *, accounts: AccountsService, identity_url: str = "") -> None:
        self._accounts = accounts
        self._identity_url = identity_url
        self._believed: dict[str, _Believed] = {}

    async def principal(self, request: Request) -> Principal:
        """As `context`, for endpoints that run in the event loop."""
        secret = self._secret(request)
        return self._within_rules(
            self._remembered(secret) or await run_in_threadpool(self._look_up, secret), request
        )

    def context(self, request: Request) -> Principal:
        """Return who asks, with `project` None if the token is not scoped to one.

        Raises:
            AuthenticationRequired: render it with its own `response()`.
        """
        secret = self._secret(request)
        return self._within_rules(self._remembered(secret) or self._look_up(secret), request)

    def _within_rules(self, principal: Principal, request: Request) -> Principal:
        """Return the principal, noted for the trail, if its application credential is good for this request."""
        see(request.scope, principal.person.user_name)
        rules = principal.access_rules
        if rules is not None and not permitted(rules, method=request.method, path=request.url.path):
            raise AuthenticationRequired(identity_url=self._identity_url)
        return principal

    def _secret(self, request: Request) -> str:
        secret = request.headers.get("x-auth-token", "")
        if not secret:
            raise AuthenticationRequired(identity_url=self._identity_url)
        return secret

    def _remembered(self, secret: str) -> Principal | None:
        known = self._believed.get(secret)
        if (
            known is None
            or known.until <= self._accounts.clock.now()
            or known.changes != self._accounts.changes
        ):
            return None
        return known.principal

    def _look_up(self, secret: str) -> Principal:
        changes = self._accounts.changes  # before the look: a write during it makes what we saw old
        try:
            principal = as_keystone(self._accounts.check_token(secret, kinds=KEYSTONE_ONLY))
        except Unauthorized as error:
            raise AuthenticationRequired(identity_url=self._identity_url) from error
        if len(self._believed) >= _MOST_BELIEVED:
            self._believed.clear()
        until = self._accounts.clock.now() + _BELIEVED_FOR
        if principal.token is not None:
            until = min(until, principal.token.expires_at)
        self._believed[secret] = _Believed(principal=principal, until=until, changes=changes)
        return principal

    def project_context(self, request: Request) -> Principal:
        """Return who asks with a token scoped to a project.

        Raises:
            AuthenticationRequired: as `context`.
            Forbidden: the token is not scoped to a project.
        """
        principal = self.context(request)
        if principal.project is None:
            raise Forbidden(
                "This token is not scoped to a project.",
                code="unscoped_token",
                remedy="Name a project when you sign in (OS_PROJECT_NAME).",
            )
        return principal


def as_keystone(principal: Principal) -> Principal:
    """Return the principal with Keystone's meaning of roles: `admin` is the cloud's, and unscoped tokens have none."""
    token, person = principal.token, principal.person
    if person.is_admin and token is not None and token.project_id is None and token.cloud_scope is None:
        return replace(principal, person=replace(person, is_admin=False))
    if principal.is_cloud_admin:
        return principal
    return replace(principal, roles=principal.roles - {Role.ADMIN})


def install_authentication_required(app: FastAPI) -> None:
    """Make `app` answer AuthenticationRequired in its own shape, whatever other handlers it has."""

    async def answer(request: Request, error: Exception) -> Response:
        assert isinstance(error, AuthenticationRequired)
        return error.response()

    app.add_exception_handler(AuthenticationRequired, answer)
