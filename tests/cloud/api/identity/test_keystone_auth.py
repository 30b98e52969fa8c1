"""The cloud's services ask who bears a token."""

# no `from __future__ import annotations` here: FastAPI reads the annotations of functions made in functions

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI
from identity_bodies import BASE, V3, in_project
from starlette.requests import Request
from starlette.testclient import TestClient

from armillary.accounts.model import Person, Principal, Project, Role
from armillary.accounts.service import AccountsService
from armillary.base.clock import VirtualClock
from armillary.base.errors import Forbidden
from armillary.cloud.api.auth import AuthenticationRequired, KeystoneAuth, install_authentication_required

Sign = Callable[..., dict[str, str]]


@pytest.fixture
def auth(accounts: AccountsService) -> KeystoneAuth:
    return KeystoneAuth(accounts=accounts, identity_url=f"{BASE}{V3}")


def _request(headers: dict[str, str]) -> Request:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": raw})


def test_a_member_is_known_with_project_and_roles(
    auth: KeystoneAuth, ada: Person, m51: Project, sign: Sign
) -> None:
    principal = auth.project_context(_request(sign("ada", in_project())))
    assert (principal.person, principal.project, principal.roles) == (ada, m51, Role.MEMBER.implied)


def test_who_administers_only_a_project_is_no_administrator_of_the_cloud(
    auth: KeystoneAuth, spies: Project, sign: Sign
) -> None:
    principal = auth.context(_request(sign("eve", in_project("spies"))))
    assert principal.has(Role.MANAGER) and not principal.has(Role.ADMIN)


def test_an_administrator_of_the_platform_is_one_in_any_project(
    auth: KeystoneAuth, admin: Person, m51: Project, sign: Sign
) -> None:
    principal = auth.context(_request(sign("admin", in_project("m51"))))
    assert principal.has(Role.ADMIN) and principal.project == m51


def test_a_token_without_a_project_is_not_enough_for_a_projects_things(
    auth: KeystoneAuth, ada: Person, sign: Sign
) -> None:
    request = _request(sign("ada"))
    assert auth.context(request).project is None
    with pytest.raises(Forbidden):
        auth.project_context(request)


@pytest.mark.parametrize("headers", [{}, {"X-Auth-Token": "nonsense"}, {"Authorization": "Bearer x"}])
def test_without_a_good_token_every_service_answers_alike(
    auth: KeystoneAuth, headers: dict[str, str]
) -> None:
    with pytest.raises(AuthenticationRequired):
        auth.context(_request(headers))
    app = FastAPI()
    install_authentication_required(app)

    @app.get("/servers")
    def servers(who: Annotated[Principal, Depends(auth.context)]) -> None: ...

    answer = TestClient(app).get("/servers", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == f'Keystone uri="{BASE}{V3}"'
    message = "The request you have made requires authentication."
    assert answer.json() == {"error": {"code": 401, "title": "Unauthorized", "message": message}}


def test_a_token_that_was_believed_is_refused_once_it_is_revoked_or_has_ended(
    accounts: AccountsService, auth: KeystoneAuth, ada: Person, m51: Project, sign: Sign, clock: VirtualClock
) -> None:
    secret = sign("ada", in_project())["X-Auth-Token"]
    request = _request({"X-Auth-Token": secret})
    assert auth.context(request) == auth.context(request)
    accounts.revoke_secret(secret)
    with pytest.raises(AuthenticationRequired):
        auth.context(request)
    other = _request(sign("ada", in_project()))
    auth.context(other)
    clock.advance(timedelta(days=30))
    with pytest.raises(AuthenticationRequired):
        auth.context(other)
