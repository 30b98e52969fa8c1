"""`/ac/login`, `/ac/whoami` and `/ac/users`: what the stock clients ask of a service of users."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from armillary.accounts.api.gms import find_person
from armillary.accounts.api.gms_xml import write_person
from armillary.accounts.model import Principal, TokenKind
from armillary.accounts.service import AccountsService
from armillary.accounts.trail import origin_of
from armillary.base.errors import Forbidden, Invalid

_LIFETIME = timedelta(days=2)


class UserDesk:
    """Signs people in, and tells them who they are."""

    def __init__(self, *, service: AccountsService) -> None:
        self._service = service

    def login(self, request: Request, body: bytes) -> Response:
        """Trade a form of `username` and `password` for a token, as text.

        It is good for two days as `Authorization: Bearer`, as `X-CADC-DelegationToken`, and as the cookie `CADC_SSO`.
        """
        try:
            form = parse_qs(body.decode(), max_num_fields=10)
        except ValueError as error:
            raise _no_form() from error
        names, passwords = form.get("username", []), form.get("password", [])
        if len(names) != 1 or len(passwords) != 1:
            raise _no_form()
        person = self._service.authenticate(names[0], passwords[0], origin=origin_of(request))
        issued = self._service.issue_token(
            person.id, kind=TokenKind.SESSION, lifetime=_LIFETIME, label="login of a client"
        )
        return PlainTextResponse(issued.secret, headers={"Cache-Control": "no-store"})

    def whoami(self, _request: Request, who: Principal, _body: bytes) -> Response:
        """Show who asks."""
        return _shown(who)

    def user(self, request: Request, who: Principal, _body: bytes) -> Response:
        """Show the caller; an administrator of the platform may look up others."""
        kind = request.query_params.get("idType", "HTTP")
        person = (
            find_person(self._service, kind, request.path_params["user"]) if who.person.is_admin else None
        )
        own = (request.path_params["user"], kind.upper()) in {
            (who.person.user_name, "HTTP"),
            (f"CN={who.person.user_name}", "X500"),
        }
        if person is None and not own:
            raise Forbidden(
                "You may look up yourself.",
                code="not_an_administrator",
                remedy="Ask an administrator of the platform.",
            )
        return _shown(who) if person is None else Response(write_person(person), media_type="text/xml")


def _shown(who: Principal) -> Response:
    return Response(write_person(who.person), media_type="text/xml", headers={"Cache-Control": "no-store"})


def _no_form() -> Invalid:
    return Invalid(
        "This is not a form with username and password.",
        code="invalid_argument",
        facts={"field": "username"},
        remedy="Send both as application/x-www-form-urlencoded, in the body.",
    )
