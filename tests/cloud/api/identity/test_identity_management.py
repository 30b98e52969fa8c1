"""People, projects and roles through Identity, and who may touch them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from identity_bodies import PASSWORD, V3, an_auth, in_project
from starlette.testclient import TestClient

from armillary.accounts.model import Person, Project, Role
from armillary.accounts.service import AccountsService

Sign = Callable[..., dict[str, str]]


@pytest.mark.parametrize(
    ("method", "path", "action"),
    [
        ("GET", "/projects", "identity:list_projects"),
        ("GET", "/projects?name=m51", "identity:list_projects"),
        ("GET", "/projects/m51", "identity:get_project"),
        ("GET", "/projects/{spies}", "identity:get_project"),
        ("POST", "/projects", "identity:create_project"),
        ("DELETE", "/projects/{m51}", "identity:delete_project"),
        ("PATCH", "/projects/{m51}", "identity:update_project"),
        ("GET", "/users", "identity:list_users"),
        ("GET", "/users/nobody", "identity:get_user"),
        ("POST", "/users", "identity:create_user"),
        ("DELETE", "/users/{ada}", "identity:delete_user"),
        ("GET", "/roles", "identity:list_roles"),
        ("GET", "/role_assignments", "identity:list_role_assignments"),
        ("GET", "/domains", "identity:list_domains"),
        ("PUT", "/projects/{m51}/users/{ada}/roles/x", "identity:create_grant"),
        ("PUT", "/system/users/{ada}/roles/x", "identity:create_system_grant_for_user"),
        ("GET", "/services", "identity:list_services"),
        ("GET", "/endpoints", "identity:list_endpoints"),
        ("GET", "/users/{eve}/projects", "identity:list_user_projects"),
        ("GET", "/users/{eve}/application_credentials", "identity:list_application_credentials"),
        ("POST", "/users/{eve}/application_credentials", "identity:create_application_credential"),
    ],
)
def test_a_member_is_refused_in_keystones_words(
    http: TestClient, ada: Person, m51: Project, spies: Project, sign: Sign,
    accounts: AccountsService, method: str, path: str, action: str,
) -> None:  # fmt: skip
    eve = accounts.person_named("eve")
    url = V3 + path.format(ada=ada.id, eve=eve.id, m51=m51.id, spies=spies.id)
    answer = http.request(method, url, headers=sign("ada", in_project()), json={})
    assert answer.status_code == 403
    message = f"You are not authorized to perform the requested action: {action}."
    assert answer.json() == {"error": {"code": 403, "message": message, "title": "Forbidden"}}


def test_a_member_reads_what_is_theirs(http: TestClient, ada: Person, m51: Project, sign: Sign) -> None:
    token = sign("ada", in_project())
    assert http.get(f"{V3}/users/{ada.id}", headers=token).json()["user"]["name"] == "ada"
    assert http.get(f"{V3}/projects/{m51.id}", headers=token).json()["project"]["name"] == "m51"
    assert http.get(f"{V3}/domains/default", headers=token).json()["domain"]["name"] == "Default"
    assert http.get(f"{V3}/regions", headers=token).json()["regions"][0]["id"] == "RegionOne"
    for path in (f"/users/{ada.id}/projects", "/auth/projects"):
        assert [p["id"] for p in http.get(V3 + path, headers=token).json()["projects"]] == [m51.id]
    catalog = http.get(f"{V3}/auth/catalog", headers=token).json()["catalog"]
    assert {service["type"] for service in catalog} == {"identity", "compute", "volumev3"}


def test_projects_people_and_roles_as_tempest_makes_them(http: TestClient, admin: Person, sign: Sign) -> None:
    judge = sign("admin", in_project("admin"))
    roles = {role["name"]: role["id"] for role in http.get(f"{V3}/roles", headers=judge).json()["roles"]}
    assert set(roles) == {"admin", "manager", "member", "reader", "service"}
    assert http.get(f"{V3}/domains?name=Default", headers=judge).json()["domains"][0]["id"] == "default"

    wish = {"name": "tempest-Servers-77", "description": "tempest", "domain_id": "default"}
    made = http.post(f"{V3}/projects", headers=judge, json={"project": wish})
    project = made.json()["project"]
    assert (made.status_code, project["domain_id"], project["is_domain"]) == (201, "default", False)
    assert http.post(f"{V3}/projects", headers=judge, json={"project": wish}).status_code == 409

    person = {"name": "tempest-Servers-77-member", "password": PASSWORD, "email": "t@example.org"}
    user = http.post(f"{V3}/users", headers=judge, json={"user": person}).json()["user"]
    assert http.post(f"{V3}/users", headers=judge, json={"user": person}).status_code == 409
    stranger = http.post(f"{V3}/auth/tokens", json=an_auth(person["name"], scope=in_project(wish["name"])))
    assert stranger.status_code == 401

    grant = f"{V3}/projects/{project['id']}/users/{user['id']}/roles/{roles['member']}"
    assert http.head(grant, headers=judge).status_code == 404
    assert [http.put(grant, headers=judge).status_code for _ in range(2)] == [204, 204]
    assert http.head(grant, headers=judge).status_code == 204
    sign(person["name"], in_project(wish["name"]))
    assert http.delete(grant, headers=judge).status_code == 204
    assert http.delete(grant, headers=judge).status_code == 404

    changed = http.patch(
        f"{V3}/projects/{project['id']}", headers=judge, json={"project": {"enabled": False}}
    )
    assert changed.json()["project"]["enabled"] is False
    assert http.delete(f"{V3}/users/{user['id']}", headers=judge).status_code == 204
    assert http.delete(f"{V3}/projects/{project['id']}", headers=judge).status_code == 204
    gone = http.get(f"{V3}/projects/{project['id']}", headers=judge)
    assert (gone.status_code, gone.json()["error"]["message"]) == (
        404,
        f"Could not find project: {project['id']}.",
    )


def role_ids(http: TestClient, judge: dict[str, str]) -> dict[str, str]:
    return {role["name"]: role["id"] for role in http.get(f"{V3}/roles", headers=judge).json()["roles"]}


@pytest.mark.parametrize(
    ("place", "scope"),
    [
        ("projects/{m51}", in_project()),
        ("domains/default", {"domain": {"id": "default"}}),
        ("system", {"system": {"all": True}}),
    ],
)
def test_keystones_admin_administers_the_cloud_in_its_scope_and_until_it_is_taken(
    http: TestClient,
    admin: Person,
    ada: Person,
    m51: Project,
    accounts: AccountsService,
    sign: Sign,
    place: str,
    scope: dict[str, Any],
) -> None:
    judge = sign("admin", {"system": {"all": True}})
    grant = f"{V3}/{place.format(m51=m51.id)}/users/{ada.id}/roles/{role_ids(http, judge)['admin']}"
    assert http.head(grant, headers=judge).status_code == 404
    assert http.put(grant, headers=judge).status_code == 204
    assert http.head(grant, headers=judge).status_code == 204
    mine = sign("ada", scope)
    shown = http.get(f"{V3}/auth/tokens", headers=mine | {"X-Subject-Token": mine["X-Auth-Token"]})
    assert [role["name"] for role in shown.json()["token"]["roles"]] == [
        "reader",
        "member",
        "manager",
        "admin",
    ]
    assert http.get(f"{V3}/users", headers=mine).status_code == 200
    assert http.get(f"{V3}/users", headers=sign("ada")).status_code == 403
    assert not accounts.person(ada.id).is_admin
    assert http.delete(grant, headers=judge).status_code == 204
    assert http.get(f"{V3}/users", headers=mine).status_code in {401, 403}


def test_an_administrator_by_role_cannot_change_one_of_the_platform(
    http: TestClient, admin: Person, ada: Person, m51: Project, accounts: AccountsService, sign: Sign
) -> None:
    accounts.grant(m51.id, ada.id, Role.CLOUD_ADMIN)
    mine = sign("ada", in_project())
    url = f"{V3}/users/{admin.id}"
    for wish in ({"password": "a password of mine"}, {"enabled": False}, {"name": "mallory"}):
        assert http.patch(url, headers=mine, json={"user": wish}).status_code == 403
    assert http.delete(url, headers=mine).status_code == 403
    office = f"{V3}/system/users/{admin.id}/roles/{role_ids(http, mine)['admin']}"
    assert http.delete(office, headers=mine).status_code == 403


def test_a_reader_of_the_system_reads_everything_and_changes_nothing(
    http: TestClient, admin: Person, ada: Person, m51: Project, sign: Sign
) -> None:
    judge = sign("admin", {"system": {"all": True}})
    grant = f"{V3}/system/users/{ada.id}/roles/{role_ids(http, judge)['reader']}"
    assert http.put(grant, headers=judge).status_code == 204
    mine = sign("ada", {"system": {"all": True}})
    for path in ("users", "projects", "roles", "role_assignments", "services", "endpoints", "domains"):
        assert http.get(f"{V3}/{path}", headers=mine).status_code == 200, path
    assert http.post(f"{V3}/projects", headers=mine, json={"project": {"name": "p"}}).status_code == 403
    assert http.put(grant, headers=mine).status_code == 403


def test_a_service_has_its_role_and_no_other(
    http: TestClient, admin: Person, m51: Project, accounts: AccountsService, sign: Sign
) -> None:
    judge = sign("admin", in_project("admin"))
    program = accounts.create_person(user_name="program", password=PASSWORD)
    grant = f"{V3}/projects/{m51.id}/users/{program.id}/roles/{role_ids(http, judge)['service']}"
    assert http.put(grant, headers=judge).status_code == 204
    body = http.post(f"{V3}/auth/tokens", json=an_auth("program", scope=in_project())).json()
    assert [role["name"] for role in body["token"]["roles"]] == ["service"]
    assert accounts.members(m51.id) == []


def test_role_assignments_are_listed_with_and_without_names(
    http: TestClient, admin: Person, ada: Person, m51: Project, spies: Project, sign: Sign
) -> None:
    judge = sign("admin", in_project("admin"))
    url = f"{V3}/role_assignments?scope.project.id={m51.id}"
    (plain,) = http.get(url, headers=judge).json()["role_assignments"]
    assert plain["user"] == {"id": ada.id} and plain["scope"] == {"project": {"id": m51.id}}
    named = http.get(f"{url}&include_names=True&effective", headers=judge).json()["role_assignments"]
    assert [one["role"]["name"] for one in named] == ["reader", "member"]
    assert named[0]["scope"]["project"]["domain"]["name"] == "Default"
    everything = http.get(f"{V3}/role_assignments", headers=judge).json()["role_assignments"]
    assert {"system": {"all": True}} in [one["scope"] for one in everything]


def test_people_change_their_password_with_the_old_one(http: TestClient, ada: Person, sign: Sign) -> None:
    token = sign("ada")
    url = f"{V3}/users/{ada.id}/password"
    wrong = {"user": {"original_password": "not it at all", "password": "a newer battery"}}
    assert http.post(url, headers=token, json=wrong).status_code == 401
    same = {"user": {"original_password": PASSWORD, "password": PASSWORD}}
    assert http.post(url, headers=token, json=same).status_code == 400
    right = {"user": {"original_password": PASSWORD, "password": "a newer battery"}}
    assert http.post(url, headers=token, json=right).status_code == 204
    assert http.get(f"{V3}/auth/projects", headers=token).status_code == 401
    assert http.post(f"{V3}/auth/tokens", json=an_auth(password="a newer battery")).status_code == 201
    assert http.post(f"{V3}/users/nobody/password", json=right).status_code == 401


def test_the_catalogs_parts_are_read_by_administrators(http: TestClient, admin: Person, sign: Sign) -> None:
    judge = sign("admin", in_project("admin"))
    services = http.get(f"{V3}/services?type=compute", headers=judge).json()["services"]
    assert [service["name"] for service in services] == ["nova"]
    query = f"service_id={services[0]['id']}&interface=public"
    (endpoint,) = http.get(f"{V3}/endpoints?{query}", headers=judge).json()["endpoints"]
    assert http.get(f"{V3}/endpoints/{endpoint['id']}", headers=judge).json()["endpoint"] == endpoint
    assert http.get(f"{V3}/endpoints/nothing", headers=judge).status_code == 404


@pytest.mark.parametrize("path", [f"{V3}/OS-TRUST/trusts", f"{V3}/nothing", "/identity/v2.0"])
def test_what_is_not_here_is_not_found_in_keystones_shape(http: TestClient, path: str) -> None:
    answer = http.post(path)
    assert (answer.status_code, answer.json()["error"]["title"]) == (404, "Not Found")
