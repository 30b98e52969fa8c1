"""Signing in to Identity, as Keystone's clients and Keystone's own replies know it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from identity_bodies import BASE, JSON, PASSWORD, V3, an_auth, in_ascii, in_project
from starlette.testclient import TestClient

from armillary.accounts.model import Person, Project, TokenKind
from armillary.accounts.service import AccountsService
from armillary.base.clock import VirtualClock

Sign = Callable[..., dict[str, str]]
_NO_DOMAIN = {"name": "ada", "password": PASSWORD}


@pytest.mark.parametrize("path", ["/identity", "/identity/"])
def test_the_root_offers_its_version_with_300(http: TestClient, path: str) -> None:
    answer = http.get(path)
    assert (answer.status_code, answer.headers["location"]) == (300, f"{BASE}{V3}/")
    (version,) = answer.json()["versions"]["values"]
    assert (version["id"], version["status"]) == ("v3.14", "stable")
    assert version["links"] == [{"rel": "self", "href": f"{BASE}{V3}/"}]


@pytest.mark.parametrize("path", [V3, f"{V3}/"])
def test_the_version_describes_itself_without_a_token(http: TestClient, path: str) -> None:
    answer = http.get(path)
    assert (answer.status_code, answer.json()["version"]["id"]) == (200, "v3.14")
    assert answer.headers["vary"] == "X-Auth-Token"
    assert answer.headers["x-openstack-request-id"].startswith("req-")


def test_a_password_and_a_project_give_a_token_of_keystones_shape(
    http: TestClient, ada: Person, m51: Project
) -> None:
    answer = http.post(f"{V3}/auth/tokens", json=an_auth(scope=in_project()))
    assert answer.status_code == 201
    token = answer.json()["token"]
    assert set(token) == {
        *("methods", "user", "audit_ids", "expires_at", "issued_at"),
        *("project", "is_domain", "roles", "catalog"),
    }
    assert token["methods"] == ["password"]
    domain = {"id": "default", "name": "Default"}
    assert token["user"] == {"domain": domain, "id": ada.id, "name": "ada", "password_expires_at": None}
    assert token["project"] == {"domain": domain, "id": m51.id, "name": "m51"}
    assert (token["issued_at"], token["expires_at"]) == (
        "2026-01-01T00:00:00.000000Z",
        "2026-01-01T01:00:00.000000Z",
    )
    assert [len(audit_id) for audit_id in token["audit_ids"]] == [22]
    assert {role["name"] for role in token["roles"]} == {"reader", "member"}
    catalog = {service["type"]: service for service in token["catalog"]}
    assert set(catalog["compute"]) == {"id", "type", "name", "endpoints"}
    assert {e["interface"] for e in catalog["compute"]["endpoints"]} == {"public", "internal", "admin"}
    assert set(catalog["compute"]["endpoints"][0]) == {"id", "interface", "region", "region_id", "url"}
    assert catalog["volumev3"]["endpoints"][0]["url"] == f"{BASE}/volume/v3/{m51.id}"


def test_without_a_scope_there_are_no_roles_and_no_catalog(http: TestClient, ada: Person) -> None:
    for scope in (None, "unscoped", {"unscoped": {}}):
        token = http.post(f"{V3}/auth/tokens", json=an_auth(scope=scope)).json()["token"]
        assert not {"project", "roles", "catalog"} & set(token)


def test_ids_and_nocatalog_are_understood(http: TestClient, ada: Person, m51: Project) -> None:
    body = an_auth(scope={"project": {"id": m51.id}})
    body["auth"]["identity"]["password"]["user"] = {"id": ada.id, "password": PASSWORD}
    token = http.post(f"{V3}/auth/tokens?nocatalog", json=body).json()["token"]
    assert (token["project"]["id"], "catalog" in token) == (m51.id, False)


def test_a_projects_administrator_is_keystones_manager_and_not_the_clouds_admin(
    http: TestClient, spies: Project, sign: Sign
) -> None:
    eve = sign("eve", in_project("spies"))
    token = http.get(f"{V3}/auth/tokens", headers=eve | {"X-Subject-Token": eve["X-Auth-Token"]}).json()
    assert {role["name"] for role in token["token"]["roles"]} == {"reader", "member", "manager"}
    assert http.get(f"{V3}/projects", headers=eve).status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        an_auth(password="wrong password"),
        an_auth(user="nobody"),
        an_auth(user="ada\x00"),
        an_auth(user="\ud800"),
        an_auth(scope=in_project("spies")),
        an_auth(scope=in_project("nothing")),
        an_auth(scope={"project": {"id": "nothing"}}),
        an_auth(scope={"project": {"name": "m51", "domain": {"name": "Other"}}}),
        an_auth(scope={"system": {"all": True}}),
        an_auth(scope={"domain": {"id": "default"}}),
        an_auth(scope={"OS-TRUST:trust": {"id": "x"}}),
        {"auth": {"identity": {"methods": ["saml2"], "saml2": {}}}},
        {"auth": {"identity": {"methods": []}}},
        {
            "auth": {
                "identity": {
                    "methods": ["password"],
                    "password": {"user": {"id": "nobody", "password": PASSWORD}},
                }
            }
        },
        {
            "auth": {
                "identity": {
                    "methods": ["application_credential"],
                    "application_credential": {"id": "nothing", "secret": "x"},
                }
            }
        },
    ],
)
def test_a_sign_in_that_fails_answers_keystones_401_whatever_was_wrong(
    http: TestClient, ada: Person, spies: Project, body: dict[str, Any]
) -> None:
    answer = http.post(f"{V3}/auth/tokens", content=in_ascii(body), headers=JSON)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == f'Keystone uri="{BASE}{V3}"'
    assert answer.json() == {
        "error": {
            "code": 401,
            "message": "The request you have made requires authentication.",
            "title": "Unauthorized",
        }
    }


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "",
        "[]",
        '"auth"',
        "{}",
        '{"auth": {}}',
        '{"auth": []}',
        '{"auth": {"identity": {}}}',
        '{"auth": {"identity": {"methods": "password"}}}',
        '{"auth": {"identity": {"methods": [1]}}}',
        '{"auth": {"identity": {"methods": ["password"]}}}',
        '{"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "ada"}}}}}',
        in_ascii({"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": 1}}}}}),
        in_ascii({"auth": {"identity": {"methods": ["password"], "password": {"user": _NO_DOMAIN}}}}),
        '{"auth": {"identity": {"methods": ["token"], "token": {"id": null}}}}',
        "[" * 5000,
    ],
)
def test_a_body_that_is_no_sign_in_answers_keystones_400(http: TestClient, body: str) -> None:
    answer = http.post(f"{V3}/auth/tokens", content=body, headers=JSON)
    assert answer.status_code == 400
    assert (answer.json()["error"]["code"], answer.json()["error"]["title"]) == (400, "Bad Request")


def test_a_huge_sign_in_is_refused(http: TestClient) -> None:
    answer = http.post(f"{V3}/auth/tokens", json=an_auth(user="x" * 200_000))
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, 413)


def test_wrong_passwords_in_a_row_lock_for_a_while(
    http: TestClient, ada: Person, clock: VirtualClock
) -> None:
    for _ in range(2):
        http.post(f"{V3}/auth/tokens", json=an_auth(password="wrong password"))
    locked = http.post(f"{V3}/auth/tokens", json=an_auth())
    assert (locked.status_code, locked.headers["retry-after"]) == (401, "5")
    clock.advance(timedelta(seconds=5))
    assert http.post(f"{V3}/auth/tokens", json=an_auth()).status_code == 201


def test_a_token_gives_a_token_for_a_project_that_ends_no_later(
    http: TestClient, ada: Person, sign: Sign, clock: VirtualClock
) -> None:
    unscoped = sign("ada")["X-Auth-Token"]
    clock.advance(timedelta(minutes=30))
    identity = {"methods": ["token"], "token": {"id": unscoped}}
    answer = http.post(
        f"{V3}/auth/tokens", json={"auth": {"identity": identity, "scope": in_project()}}
    ).json()["token"]
    assert set(answer["methods"]) == {"password", "token"}
    assert answer["project"]["name"] == "m51"
    assert answer["expires_at"] == "2026-01-01T01:00:00.000000Z"


def test_a_token_is_shown_checked_and_revoked_by_its_owner(
    http: TestClient, ada: Person, spies: Project, admin: Person, sign: Sign
) -> None:
    ada_token, eve, judge = sign("ada", in_project()), sign("eve"), sign("admin", in_project("admin"))
    subject = {"X-Subject-Token": ada_token["X-Auth-Token"]}
    url = f"{V3}/auth/tokens"
    assert http.get(url, headers=eve | subject).status_code == 403
    assert http.delete(url, headers=eve | subject).status_code == 403
    for asker in (ada_token, judge):
        assert http.get(url, headers=asker | subject).json()["token"]["user"]["name"] == "ada"
        assert http.head(url, headers=asker | subject).status_code == 200
    assert http.delete(url, headers=ada_token | subject).status_code == 204
    assert http.get(url, headers=judge | subject).status_code == 404
    assert http.head(url, headers=judge | subject).status_code == 404
    assert http.get(f"{V3}/auth/projects", headers=ada_token).status_code == 401


@pytest.mark.parametrize("headers", [{}, {"X-Auth-Token": ""}, {"X-Auth-Token": "nonsense"}])
def test_without_a_good_token_nothing_opens(http: TestClient, headers: dict[str, str]) -> None:
    for path in ("/projects", "/users", "/auth/tokens", "/auth/catalog", "/roles", "/endpoints"):
        answer = http.get(V3 + path, headers=headers)
        assert (answer.status_code, answer.json()["error"]["title"]) == (401, "Unauthorized")
        assert answer.headers["www-authenticate"] == f'Keystone uri="{BASE}{V3}"'


def test_an_expired_token_or_one_of_another_kind_does_not_open(
    http: TestClient, ada: Person, accounts: AccountsService, sign: Sign, clock: VirtualClock
) -> None:
    issued = accounts.issue_token(ada.id, kind=TokenKind.JOB, lifetime=timedelta(hours=9))
    assert http.get(f"{V3}/auth/projects", headers={"X-Auth-Token": issued.secret}).status_code == 401
    token = sign("ada")
    clock.advance(timedelta(hours=1))
    assert http.get(f"{V3}/auth/projects", headers=token).status_code == 401


def test_signing_in_with_a_token_that_is_none_finds_nothing(http: TestClient) -> None:
    body = {"auth": {"identity": {"methods": ["token"], "token": {"id": "nonsense"}}}}
    answer = http.post(f"{V3}/auth/tokens", json=body)
    assert (answer.status_code, answer.json()["error"]["title"]) == (404, "Not Found")
