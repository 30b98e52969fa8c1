"""Application credentials through Identity."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from identity_bodies import V3, by_credential, in_project
from starlette.testclient import TestClient

from armillary.accounts.model import Person, Project, Role
from armillary.accounts.service import AccountsService

Sign = Callable[..., dict[str, str]]


@pytest.fixture
def a_credential(http: TestClient, ada: Person, sign: Sign) -> Callable[..., dict[str, Any]]:
    """Makes an application credential of ada in m51."""

    def make(**wishes: Any) -> dict[str, Any]:
        answer = http.post(
            f"{V3}/users/{ada.id}/application_credentials",
            headers=sign("ada", in_project()),
            json={"application_credential": {"name": "cron"} | wishes},
        )
        assert answer.status_code == 201, answer.text
        return answer.json()["application_credential"]

    return make


def test_an_application_credential_signs_in_to_its_project(
    http: TestClient, m51: Project, a_credential: Callable[..., dict[str, Any]]
) -> None:
    made = a_credential(roles=[{"name": "reader"}], expires_at="2026-01-01T00:30:00")
    assert (made["project_id"], made["unrestricted"]) == (m51.id, False)
    assert made["expires_at"] == "2026-01-01T00:30:00.000000"
    token = http.post(f"{V3}/auth/tokens", json=by_credential(made)).json()["token"]
    assert (token["project"]["id"], token["methods"]) == (m51.id, ["application_credential"])
    assert [role["name"] for role in token["roles"]] == ["reader"]
    assert token["expires_at"] == "2026-01-01T00:30:00.000000Z"


def test_an_application_credential_reaches_no_other_project_and_makes_no_credentials(
    http: TestClient, ada: Person, spies: Project, accounts: AccountsService,
    a_credential: Callable[..., dict[str, Any]],
) -> None:  # fmt: skip
    accounts.set_role(spies.id, ada.id, Role.MEMBER)
    made = a_credential()
    other = by_credential(made, scope=in_project("spies"))
    assert http.post(f"{V3}/auth/tokens", json=other).status_code == 401
    secret = http.post(f"{V3}/auth/tokens", json=by_credential(made)).headers["X-Subject-Token"]
    rescope = {"identity": {"methods": ["token"], "token": {"id": secret}}, "scope": in_project("spies")}
    assert http.post(f"{V3}/auth/tokens", json={"auth": rescope}).status_code == 401
    url = f"{V3}/users/{ada.id}/application_credentials"
    wish = {"application_credential": {"name": "child"}}
    assert http.post(url, headers={"X-Auth-Token": secret}, json=wish).status_code == 403
    assert http.delete(f"{url}/{made['id']}", headers={"X-Auth-Token": secret}).status_code == 403


def test_an_unrestricted_credential_may_make_credentials(
    http: TestClient, ada: Person, a_credential: Callable[..., dict[str, Any]]
) -> None:
    made = a_credential(unrestricted=True)
    secret = http.post(f"{V3}/auth/tokens", json=by_credential(made)).headers["X-Subject-Token"]
    wish = {"application_credential": {"name": "child"}}
    url = f"{V3}/users/{ada.id}/application_credentials"
    assert http.post(url, headers={"X-Auth-Token": secret}, json=wish).status_code == 201


def test_credentials_are_listed_shown_without_secret_and_deleted_with_their_tokens(
    http: TestClient, ada: Person, sign: Sign, a_credential: Callable[..., dict[str, Any]]
) -> None:
    made, token = a_credential(), sign("ada")
    secret = http.post(f"{V3}/auth/tokens", json=by_credential(made)).headers["X-Subject-Token"]
    url = f"{V3}/users/{ada.id}/application_credentials"
    (listed,) = http.get(url, headers=token).json()["application_credentials"]
    shown = http.get(f"{url}/{made['id']}", headers=token).json()["application_credential"]
    assert listed == shown and "secret" not in shown
    assert http.get(f"{url}/cron", headers=token).status_code == 404
    assert http.delete(f"{url}/{made['id']}", headers=token).status_code == 204
    assert http.get(f"{V3}/auth/projects", headers={"X-Auth-Token": secret}).status_code == 401
    assert http.post(f"{V3}/auth/tokens", json=by_credential(made)).status_code == 401


@pytest.mark.parametrize(
    ("wishes", "status"),
    [
        ({"name": ""}, 400),
        ({"name": 7}, 400),
        ({"roles": [{"name": "admin"}]}, 400),
        ({"roles": [{"name": "king"}]}, 400),
        ({"roles": [{"id": "nothing"}]}, 404),
        ({"roles": "reader"}, 400),
        ({"roles": [7]}, 400),
        ({"expires_at": "yesterday"}, 400),
        ({"expires_at": "2020-01-01T00:00:00"}, 400),
        ({"unrestricted": "yes"}, 400),
        ({"access_rules": [{"path": "/"}]}, 400),
        ({"project_id": "other"}, 403),
    ],
)
def test_senseless_credentials_are_refused(
    http: TestClient, ada: Person, sign: Sign, wishes: dict[str, Any], status: int
) -> None:
    url = f"{V3}/users/{ada.id}/application_credentials"
    body = {"application_credential": {"name": "cron"} | wishes}
    answer = http.post(url, headers=sign("ada", in_project()), json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, status)
