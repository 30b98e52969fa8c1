"""`/gms`, `/ac` and `/cred`: groups, people and certificates as the IVOA's and the stock clients' requests."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter

from armillary.accounts.api.access import SCOPE
from armillary.accounts.api.cred import CertificateDesk, Issuer
from armillary.accounts.api.gms import GroupDesk
from armillary.accounts.api.ivoa import Counter, Endpoint, Signed, SignedIn
from armillary.accounts.api.ums import UserDesk
from armillary.accounts.service import AccountsService

STOCK_AUTHORITIES = ("opencadc.org", "cadc.nrc.ca")
"""The names that stock clients have built in."""


def group_authorities(authority: str) -> frozenset[str]:
    """Return the names under which our group service is known, when our own authority is `authority`."""
    owners = (authority, *STOCK_AUTHORITIES)
    return frozenset(f"ivo://{owner}/{name}" for owner in owners for name in ("gms", "ac"))


def people_services(
    *,
    service: AccountsService,
    authenticator: SignedIn,
    issuer: Issuer,
    authority: str,
    certificate_days: int = 30,
) -> APIRouter:
    """Return the routes. `/gms` and `/ac` are two names of one service; clients look for it under both."""
    counter = Counter(authenticator=authenticator)
    groups = GroupDesk(service=service, authorities=group_authorities(authority))
    users = UserDesk(service=service)
    certificates = CertificateDesk(service=service, issuer=issuer, most_days=certificate_days)
    routes = APIRouter()

    def add(path: str, endpoint: Endpoint, *methods: str) -> None:
        routes.add_route(path, endpoint, methods=list(methods), include_in_schema=False)

    for face in ("gms", "ac"):
        # who one is, and in which groups, is what other services ask with whatever credential they were given
        add(f"/{face}/search", counter.signed(groups.search), "GET")
        add(f"/{face}/whoami", counter.signed(users.whoami), "GET")
        add(f"/{face}/login", counter.open(users.login), "POST")
        add(f"/{face}/users/{{user:path}}", counter.signed(users.user, scope=SCOPE), "GET")
        _add_groups(add, f"/{face}/groups", counter, groups)
    generate = counter.signed(certificates.generate)
    add("/cred/generate", generate, "GET")
    add("/cred/generate/{kind}/{name:path}", generate, "GET")
    return routes


def _add_groups(add: Callable[..., None], path: str, counter: Counter, groups: GroupDesk) -> None:
    def signed(handle: Signed) -> Endpoint:
        return counter.signed(handle, scope=SCOPE)

    add(path, signed(groups.listing), "GET")
    add(path, signed(groups.create), "PUT")
    one = path + "/{group}"
    add(one, signed(groups.show), "GET")
    add(one, signed(groups.update), "POST")
    add(one, signed(groups.remove), "DELETE")
    add(one + "/userMembers/{user:path}", signed(groups.people), "PUT", "DELETE")
    add(one + "/groupMembers/{inner}", signed(groups.groups), "PUT", "DELETE")
