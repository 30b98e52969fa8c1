"""Access rules of application credentials, pairs of keys, tags, and default projects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from identity_bodies import PASSWORD, V3, an_auth, by_credential, in_project
from starlette.requests import Request
from starlette.testclient import TestClient

from armillary.accounts.model import AccessRule, Person, Project, Role
from armillary.accounts.service import AccountsService
from armillary.base.ids import PersonId
from armillary.cloud.api.access_rules import permitted
from armillary.cloud.api.auth import KeystoneAuth, install_authentication_required

Sign = Callable[..., dict[str, str]]
SERVERS = {"service": "compute", "method": "GET", "path": "/v2.1/servers"}


def a_rule(path: str, service: str = "compute", method: str = "GET") -> AccessRule:
    return AccessRule(id="1", person_id=PersonId("1"), service=service, method=method, path=path)


@pytest.mark.parametrize(
    ("rule", "method", "path", "passes"),
    [
        (a_rule("/v2.1/servers"), "GET", "/compute/v2.1/servers", True),
        (a_rule("/v2.1/servers"), "POST", "/compute/v2.1/servers", False),
        (a_rule("/v2.1/servers"), "GET", "/compute/v2.1/servers/1", False),
        (a_rule("/v2.1/servers/*"), "GET", "/compute/v2.1/servers/1", True),
        (a_rule("/v2.1/servers/*"), "GET", "/compute/v2.1/servers/1/ips", False),
        (a_rule("/v2.1/servers/{id}/ips"), "GET", "/compute/v2.1/servers/1/ips", True),
        (a_rule("/v2.1/**"), "GET", "/compute/v2.1/servers/1/ips", True),
        (a_rule("/v2.1/servers.*"), "GET", "/compute/v2.1/serversX", False),
        (a_rule("/v2/images", "image"), "GET", "/compute/v2/images", False),
        (a_rule("/v2/images", "image"), "GET", "/image/v2/images", True),
        (a_rule("/v3/1/volumes", "block-storage"), "GET", "/volume/v3/1/volumes", True),
    ],
)
def test_an_access_rule_names_a_service_a_method_and_a_pattern_of_paths(
    rule: AccessRule, method: str, path: str, passes: bool
) -> None:
    assert permitted([rule], method=method, path=path) is passes


def made(http: TestClient, mine: dict[str, str], person: Person, **wish: Any) -> Any:
    url = f"{V3}/users/{person.id}/application_credentials"
    return http.post(url, headers=mine, json={"application_credential": {"name": "c"} | wish})


def test_a_credential_with_access_rules_opens_what_they_name_and_nothing_else(
    http: TestClient, ada: Person, accounts: AccountsService, sign: Sign
) -> None:
    credential = made(http, sign("ada", in_project()), ada, access_rules=[SERVERS]).json()
    issued = http.post(f"{V3}/auth/tokens", json=by_credential(credential["application_credential"]))
    limits = issued.json()["token"]["application_credential"]
    assert limits["restricted"] is True and limits["access_rules"][0]["path"] == SERVERS["path"]
    token = {"X-Auth-Token": issued.headers["X-Subject-Token"]}
    assert http.get(f"{V3}/auth/projects", headers=token).status_code == 401

    auth, service = KeystoneAuth(accounts=accounts), FastAPI()
    install_authentication_required(service)

    @service.get("/compute/{rest:path}")
    async def answer(request: Request) -> str:  # pyright: ignore[reportUnusedFunction]
        return (await auth.principal(request)).person.user_name

    with TestClient(service) as nova:
        assert nova.get("/compute/v2.1/servers", headers=token).json() == "ada"
        assert nova.get("/compute/v2.1/flavors", headers=token).status_code == 401


def test_who_validates_a_token_with_rules_must_say_that_it_knows_them(
    http: TestClient, ada: Person, sign: Sign
) -> None:
    mine = sign("ada", in_project())
    credential = made(http, mine, ada, access_rules=[SERVERS]).json()["application_credential"]
    issued = http.post(f"{V3}/auth/tokens", json=by_credential(credential))
    asked = mine | {"X-Subject-Token": issued.headers["X-Subject-Token"]}
    assert http.get(f"{V3}/auth/tokens", headers=asked).status_code == 404
    knowing = asked | {"OpenStack-Identity-Access-Rules": "1.0"}
    assert http.get(f"{V3}/auth/tokens", headers=knowing).status_code == 200


def test_access_rules_are_shared_listed_and_deleted_when_nothing_uses_them(
    http: TestClient, ada: Person, sign: Sign
) -> None:
    mine = sign("ada", in_project())
    credential = made(http, mine, ada, access_rules=[SERVERS]).json()["application_credential"]
    (rule,) = credential["access_rules"]
    again = made(http, mine, ada, name="d", access_rules=[SERVERS]).json()["application_credential"]
    by_id = made(http, mine, ada, name="e", access_rules=[{"id": rule["id"]}]).json()[
        "application_credential"
    ]
    assert again["access_rules"] == by_id["access_rules"] == [rule]
    rules = f"{V3}/users/{ada.id}/access_rules"
    (listed,) = http.get(rules, headers=mine).json()["access_rules"]
    assert listed == http.get(f"{rules}/{rule['id']}", headers=mine).json()["access_rule"]
    refused = http.delete(f"{rules}/{rule['id']}", headers=mine)
    assert refused.status_code == 403
    assert refused.json()["error"]["message"].startswith("May not delete access rule in use")
    for one in (credential, again, by_id):
        http.delete(f"{V3}/users/{ada.id}/application_credentials/{one['id']}", headers=mine)
    assert http.delete(f"{rules}/{rule['id']}", headers=mine).status_code == 204
    gone = http.get(f"{rules}/{rule['id']}", headers=mine)
    assert gone.json()["error"]["message"] == f"Could not find Access Rule: {rule['id']}."


@pytest.mark.parametrize(
    ("rule", "status"),
    [
        (SERVERS | {"method": "SING"}, 400),
        (SERVERS | {"path": "no slash"}, 400),
        ({"path": "/x"}, 400),
        ({"id": "0" * 32}, 404),
        ("x", 400),
    ],
)
def test_an_access_rule_that_says_nothing_is_refused(
    http: TestClient, ada: Person, sign: Sign, rule: Any, status: int
) -> None:
    assert made(http, sign("ada", in_project()), ada, access_rules=[rule]).status_code == status


def test_a_pair_of_keys_is_made_shown_and_deleted_by_its_user(
    http: TestClient, ada: Person, m51: Project, spies: Project, sign: Sign
) -> None:
    mine, url = sign("ada", in_project()), f"{V3}/users/{ada.id}/credentials/OS-EC2"
    made = http.post(url, headers=mine, json={"tenant_id": m51.id})
    pair = made.json()["credential"]
    assert made.status_code == 201 and pair["user_id"] == ada.id and pair["trust_id"] is None
    assert http.get(url, headers=mine).json()["credentials"] == [pair]
    assert http.get(f"{url}/{pair['access']}", headers=mine).json()["credential"] == pair
    assert http.get(f"{url}/{pair['access']}", headers=sign("eve")).status_code == 403
    assert http.post(url, headers=mine, json={"tenant_id": spies.id}).status_code == 403
    assert http.post(url, headers=mine, json={}).status_code == 404
    assert http.delete(f"{url}/{pair['access']}", headers=mine).status_code == 204
    assert http.delete(f"{url}/{pair['access']}", headers=mine).status_code == 404


def test_projects_are_found_by_their_tags(http: TestClient, admin: Person, sign: Sign) -> None:
    judge = sign("admin", in_project("admin"))
    wish = {"project": {"name": "tagged", "tags": ["hot", "new"]}}
    project = http.post(f"{V3}/projects", headers=judge, json=wish).json()["project"]
    url = f"{V3}/projects/{project['id']}/tags"
    assert http.put(f"{url}/far", headers=judge).status_code == 201
    assert http.delete(f"{url}/new", headers=judge).status_code == 204
    assert http.head(f"{url}/new", headers=judge).status_code == 404
    assert http.get(url, headers=judge).json()["tags"] == ["hot", "far"]

    def found(query: str) -> list[str]:
        listed = http.get(f"{V3}/projects?{query}", headers=judge).json()["projects"]
        return [one["name"] for one in listed]

    assert found("tags=hot,far") == found("tags-any=far,cold") == ["tagged"]
    assert found("tags=hot,cold") == []
    assert "tagged" not in found("not-tags-any=far,cold") and "tagged" in found("not-tags=hot,cold")
    assert http.put(url, headers=judge, json={"tags": ["a/b"]}).status_code == 400
    assert http.put(url, headers=judge, json={"tags": ["one"]}).json()["tags"] == ["one"]
    assert http.delete(url, headers=judge).status_code == 204


def test_without_a_scope_a_token_is_for_the_default_project_if_that_is_open(
    http: TestClient, m51: Project, accounts: AccountsService
) -> None:
    vera = accounts.create_person(user_name="vera", password=PASSWORD, default_project_id=m51.id)
    body = http.post(f"{V3}/auth/tokens", json=an_auth("vera")).json()["token"]
    assert "project" not in body
    accounts.set_role(m51.id, vera.id, Role.MEMBER)
    body = http.post(f"{V3}/auth/tokens", json=an_auth("vera")).json()["token"]
    assert body["project"]["name"] == "m51"
    body = http.post(f"{V3}/auth/tokens", json=an_auth("vera", scope="unscoped")).json()["token"]
    assert "project" not in body


def test_what_else_clients_write_beside_users_and_projects_is_kept(
    http: TestClient, admin: Person, sign: Sign
) -> None:
    judge = sign("admin", in_project("admin"))
    for kind in ("user", "project"):
        wish = {kind: {"name": "extra", "colour": "red", "depth": 3}}
        made = http.post(f"{V3}/{kind}s", headers=judge, json=wish).json()[kind]
        assert (made["colour"], made["depth"]) == ("red", 3)
        url = f"{V3}/{kind}s/{made['id']}"
        http.patch(url, headers=judge, json={kind: {"colour": None, "name": "other"}})
        shown = http.get(url, headers=judge).json()[kind]
        assert (shown.get("colour"), shown["depth"], shown["name"]) == (None, 3, "other")


def test_a_projects_name_is_as_long_as_keystone_has_it(http: TestClient, admin: Person, sign: Sign) -> None:
    judge = sign("admin", in_project("admin"))
    for length, status in ((64, 201), (65, 400)):
        wish = {"project": {"name": "a" * length}}
        assert http.post(f"{V3}/projects", headers=judge, json=wish).status_code == status


@pytest.mark.parametrize("thing", ["regions", "services", "endpoints", "domains", "roles"])
def test_what_is_fixed_is_refused_to_administrators_too(
    http: TestClient, admin: Person, ada: Person, sign: Sign, thing: str
) -> None:
    assert http.post(f"{V3}/{thing}", headers=sign("ada", in_project()), json={}).status_code == 403
    refused = http.post(f"{V3}/{thing}", headers=sign("admin", in_project("admin")), json={})
    assert refused.status_code == 403
    assert "fixed" in refused.text or "stays as it is" in refused.text


def test_keystones_own_limits_are_none(http: TestClient, ada: Person, sign: Sign) -> None:
    mine = sign("ada", in_project())
    for name in ("limits", "registered_limits"):
        assert http.get(f"{V3}/{name}", headers=mine).json()[name] == []
    assert http.get(f"{V3}/limits/model", headers=mine).json()["model"]["name"] == "flat"
