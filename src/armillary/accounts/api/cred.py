"""`/cred`: short-lived client certificates for a password or a token (the stock `cadc-get-cert`)."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from armillary.accounts.api.gms import find_person
from armillary.accounts.certificates import issued_in
from armillary.accounts.model import Person, Principal
from armillary.accounts.service import AccountsService
from armillary.base.errors import Forbidden, Invalid, NotFound

_DAYS = re.compile(r"\d{1,4}(?:\.\d{1,6})?")


class Issuer(Protocol):
    """Issues client certificates (`accounts.certificates.Authority`)."""

    def issue_client(
        self, user_name: str, lifetime: timedelta, *, scopes: frozenset[str] = ..., job: bool = ...
    ) -> bytes:
        """Return a certificate and its key as one PEM."""
        ...


class CertificateDesk:
    """Hands out certificates for at most `most_days`."""

    def __init__(self, *, service: AccountsService, issuer: Issuer, most_days: int) -> None:
        self._service = service
        self._issuer = issuer
        self._most_days = most_days

    def generate(self, request: Request, who: Principal, _body: bytes) -> Response:
        """Answer with a certificate and its key; a longer life than is allowed becomes the longest allowed.

        Administrators of the platform may ask for somebody else's, for services that act for people. Whoever is
        asked for, it cannot outlive the token that asks.
        """
        _refuse_limited(request, who)
        person = self._person(request, who)
        lifetime = self._lifetime(request)
        if who.token is not None:
            lifetime = min(lifetime, who.token.expires_at - self._service.clock.now())
        pem = self._issuer.issue_client(person.user_name, lifetime)
        issued = issued_in(pem)
        self._service.note_certificate(
            person.id, serial=issued.serial, expires_at=issued.expires_at, by=who.person
        )
        return Response(
            pem,
            media_type="application/x-pem-file",
            headers={
                "Content-Disposition": "attachment; filename=cadcproxy.pem",
                "Cache-Control": "no-store",
            },
        )

    def _person(self, request: Request, who: Principal) -> Person:
        kind, name = request.path_params.get("kind"), request.path_params.get("name")
        if kind is None:
            return who.person
        if kind not in {"userid", "dn"}:
            raise NotFound("There is nothing at this address.", remedy="Use userid or dn.")
        if not who.person.is_admin and (kind, name) != ("userid", who.person.user_name):
            raise Forbidden(
                "Only an administrator of the platform gets somebody else's certificate.",
                code="not_an_administrator",
                remedy="Leave the name out.",
            )
        return find_person(self._service, "X500" if kind == "dn" else "HTTP", name or "")

    def _lifetime(self, request: Request) -> timedelta:
        text = request.query_params.get("daysValid", str(self._most_days))
        if not _DAYS.fullmatch(text) or float(text) <= 0:
            raise Invalid(
                "daysValid is a number of days.",
                code="invalid_argument",
                facts={"field": "daysValid"},
                remedy=f"Ask for 1 to {self._most_days} days.",
            )
        return timedelta(days=min(float(text), self._most_days))


def _refuse_limited(request: Request, who: Principal) -> None:
    """Refuse to make an unlimited certificate of a limited credential, or a new one of an old one."""
    stated = "authorization" in request.headers or who.token is not None
    if who.scopes or who.of_job or who.facts or not stated:
        raise Forbidden(
            "A certificate is only given for a password or an unlimited token.",
            code="limited_credential",
            remedy="Use cadc-get-cert with your user name and password.",
        )
