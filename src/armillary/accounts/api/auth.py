"""Who asks: a token, a password, a session cookie or a client certificate, all answered by one Principal."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import replace
from typing import Protocol

from starlette.requests import HTTPConnection, Request

from armillary.accounts.certificates import ClientIdentity
from armillary.accounts.cookies import session_of
from armillary.accounts.model import JOB_MARK, Person, Principal, TokenKind
from armillary.accounts.service import AccountsService
from armillary.accounts.trail import origin_of, see
from armillary.base.errors import Forbidden, Unauthorized
from armillary.base.ids import PersonId

STOCK_COOKIE = "CADC_SSO"
"""In which the stock clients keep what `/ac/login` gave them."""
DELEGATION_HEADER = "x-cadc-delegationtoken"
"""In which they send a token a second time; some send it there alone."""
_JOB_NAME = re.compile(r"\d{1,18}\.\d{1,9}\.\d{1,9}", re.ASCII)
"""`12.0.1`: job and attempt."""
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Certificates(Protocol):
    """Knows the client certificates that this installation issued."""

    def identity_of(self, der: bytes) -> ClientIdentity:
        """Return who a certificate speaks for; raises Unauthorized."""
        ...


class Authenticator:
    """Answers who asks, for all our own APIs.

    Tried in this order, and the first that is there decides: `Authorization: Bearer` (API, session and job
    tokens; Keystone's open clouds, not this), `Authorization: Basic`, `X-CADC-DelegationToken` with such a token,
    the cookie of a session (or `CADC_SSO`, as the stock clients call it), the TLS client certificate in `scope["state"]["peer_certificate"]` (DER). `principal_of` is a FastAPI dependency.
    """

    def __init__(self, *, service: AccountsService, certificates: Certificates | None = None) -> None:
        self._service = service
        self._certificates = certificates

    def principal_of(self, request: Request) -> Principal:
        """Return who asks.

        Raises:
            Unauthorized: there is no credential (code `no_credentials`), or it is not good.
            Forbidden: the cookie came along with a request that another site made.
        """
        principal = self.find(request)
        if principal is None:
            raise Unauthorized(
                "This needs you to sign in.",
                code="no_credentials",
                remedy="Sign in, or send a token as 'Authorization: Bearer …'.",
            )
        see(request.scope, principal.person.user_name)
        return principal

    def holder(self, person_id: PersonId, credential: str) -> Person:
        """Return who signed in with a credential (`Principal.credential`), if it is still good; raises Unauthorized."""
        return self._service.holder(person_id, credential)

    def find(self, request: HTTPConnection) -> Principal | None:
        """Return who asks, or None if nobody says so; a credential that is not good raises as above."""
        header = request.headers.get("authorization", "")
        scheme, _, value = header.partition(" ")
        if header:
            return self._from_header(scheme.lower(), value.strip(), origin_of(request))
        delegated = request.headers.get(DELEGATION_HEADER, "").strip()
        if delegated:
            return self._from_header("bearer", delegated)
        cookie = session_of(request) or request.cookies.get(STOCK_COOKIE, "").strip('"')
        if cookie:
            _refuse_other_sites(request)
            return self._token(cookie, TokenKind.SESSION)
        der = request.scope.get("state", {}).get("peer_certificate")
        return self.shown(der) if der and self._certificates is not None else None

    def bearer(self, secret: str) -> Principal:
        """Return who bears a token of a kind that is sent as `Bearer`; raises Unauthorized."""
        secret, _, job = secret.partition(JOB_MARK)
        principal = self._token(secret, TokenKind.API, TokenKind.SESSION, TokenKind.JOB)
        named = principal.of_job and _JOB_NAME.fullmatch(job)
        return replace(principal, facts={**principal.facts, "job": job}) if named else principal

    def basic(self, credentials: str, origin: str = "") -> Principal:
        """Return whose name and password (in Base64) these are; raises Unauthorized, and TooManyRequests by address."""
        user_name, password = _basic(credentials)
        person = self._service.authenticate(user_name, password, origin=origin)
        return replace(self._service.principal(person.id), method="basic")

    def shown(self, der: bytes) -> Principal:
        """Return who has shown a client certificate; raises Unauthorized."""
        assert self._certificates is not None, "nobody here knows certificates"
        return self._certificate(self._certificates.identity_of(der))

    def _from_header(self, scheme: str, value: str, origin: str = "") -> Principal:
        if scheme == "bearer":
            return self.bearer(value)
        if scheme == "basic":
            return self.basic(value, origin)
        raise Unauthorized(
            "This way to sign in is not known.", code="unknown_scheme", remedy="Use Bearer or Basic."
        )

    def _token(self, secret: str, *kinds: TokenKind) -> Principal:
        return self._service.check_token(secret, kinds=frozenset(kinds))

    def _certificate(self, identity: ClientIdentity) -> Principal:
        principal = self._service.bearer(
            identity.user_name,
            serial=identity.serial,
            issued_at=identity.issued_at,
            is_job=identity.is_job,
        )
        issued_at = identity.issued_at.isoformat() if identity.issued_at else ""
        person, facts = principal.person, {"certificate": f"{identity.serial}@{issued_at}"}
        if identity.is_job:  # what runs in a job must not administer the platform in its owner's name
            person, facts = replace(person, is_admin=False), {**facts, "job": identity.job}
        return replace(principal, person=person, method="x509", scopes=identity.scopes, facts=facts)


def principal_of(request: Request) -> Principal:
    """Return who asks, by the Authenticator that the application keeps as `app.state.authenticator`."""
    authenticator: Authenticator = request.app.state.authenticator
    return authenticator.principal_of(request)


def _basic(value: str) -> tuple[str, str]:
    try:
        text = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Unauthorized("The Basic credentials cannot be read.", code="wrong_password") from error
    user_name, _, password = text.partition(":")
    return user_name, password


def _refuse_other_sites(request: HTTPConnection) -> None:
    """A browser sends the cookie whoever wrote the page; only our own pages may change things with it."""
    if request.scope.get("method", "GET") in _SAFE:
        return
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    own = origin is None or origin.partition("://")[2] == request.headers.get("host")
    if site not in (None, "same-origin", "none") or (site is None and not own):
        raise Forbidden("This request was made by another site.", code="cross_site")
