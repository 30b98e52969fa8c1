"""Who asks one of the cloud's services: the bearer of a Keystone token."""

from __future__ import annotations

from dataclasses import replace

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from armillary.accounts.model import Principal, Role, TokenKind
from armillary.accounts.service import AccountsService
from armillary.base.errors import Forbidden, Unauthorized

KEYSTONE_ONLY = frozenset({TokenKind.KEYSTONE})
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


class KeystoneAuth:
    """Reads `X-Auth-Token`. `context` and `project_context` are FastAPI dependencies.

    Roles are Keystone's here: `admin` means an administrator of the cloud, for which `principal.is_cloud_admin` is the
    test; whoever administers only a project is its `manager`.
    """

    def __init__(self, *, accounts: AccountsService, identity_url: str = "") -> None:
        self._accounts = accounts
        self._identity_url = identity_url

    def context(self, request: Request) -> Principal:
        """Return who asks, with `project` None if the token is not scoped to one.

        Raises:
            AuthenticationRequired: render it with its own `response()`.
        """
        secret = request.headers.get("x-auth-token", "")
        if not secret:
            raise AuthenticationRequired(identity_url=self._identity_url)
        try:
            return as_keystone(self._accounts.check_token(secret, kinds=KEYSTONE_ONLY))
        except Unauthorized as error:
            raise AuthenticationRequired(identity_url=self._identity_url) from error

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
