"""Identity v3 as Keystone's clients and Keystone's own replies know it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from armillary.accounts.model import Allocation, Person, Project, Role, TokenKind
from armillary.accounts.service import AccountsService, AccountsStore, Passwords
from armillary.app.database import make_engine
from armillary.base.clock import VirtualClock
from armillary.base.units import GiB, MiB
from armillary.cloud.api.identity import Catalog, CatalogService, router

BASE = "http://cloud:9101"
V3 = "/identity/v3"
PASSWORD = "correct horse battery"
ALLOCATION = Allocation(cores=4, ram=MiB(8192), disk=GiB(40), storage=GiB(10), batch_cores=8)
DEFAULT = {"id": "default"}
Sign = Callable[..., dict[str, str]]
_JSON = {"Content-Type": "application/json"}
_NO_DOMAIN = {"name": "ada", "password": PASSWORD}


def _ascii(body: Any) -> str:
    """Write JSON that can carry half surrogates, which the client would refuse to send."""
    return json.dumps(body)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def accounts(tmp_path: Path, clock: VirtualClock) -> AccountsService:
    store = AccountsStore(engine=make_engine(f"sqlite:///{tmp_path}/accounts.db"))
    store.create_all()
    cheap = Passwords(time_cost=1, memory_cost=8, parallelism=1)
    return AccountsService(store=store, clock=clock, passwords=cheap)


@pytest.fixture
def http(accounts: AccountsService, clock: VirtualClock) -> Iterator[TestClient]:
    catalog = Catalog(
        region="RegionOne",
        services=(
            CatalogService(type="identity", name="keystone", url=f"{BASE}{V3}"),
            CatalogService(type="compute", name="nova", url=f"{BASE}/compute/v2.1"),
            CatalogService(type="volumev3", name="cinder", url=f"{BASE}/volume/v3/{{project_id}}"),
        ),
    )
    app = FastAPI()
    app.include_router(router(accounts=accounts, catalog=catalog, clock=clock), prefix="/identity")
    with TestClient(app, base_url=BASE, follow_redirects=False) as client:
        yield client


@pytest.fixture
def admin(accounts: AccountsService) -> Person:
    accounts.bootstrap_admin()
    person = accounts.person_named("admin")
    accounts.set_password(person.id, PASSWORD)
    return person


@pytest.fixture
def m51(accounts: AccountsService) -> Project:
    return accounts.create_project("m51", "", ALLOCATION)


@pytest.fixture
def ada(accounts: AccountsService, m51: Project) -> Person:
    """A member of m51."""
    person = accounts.create_person(user_name="ada", password=PASSWORD)
    accounts.set_role(m51.id, person.id, Role.MEMBER)
    return person


@pytest.fixture
def spies(accounts: AccountsService) -> Project:
    """A project that ada is not in; its administrator is eve."""
    project = accounts.create_project("spies", "", ALLOCATION)
    eve = accounts.create_person(user_name="eve", password=PASSWORD)
    accounts.set_role(project.id, eve.id, Role.ADMIN)
    return project


def an_auth(user: str = "ada", password: str = PASSWORD, *, scope: Any = None) -> dict[str, Any]:
    """Build the body of a sign-in with a password."""
    who = {"name": user, "domain": DEFAULT, "password": password}
    auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": who}}}
    return {"auth": auth | ({"scope": scope} if scope is not None else {})}


def in_project(name: str = "m51") -> dict[str, Any]:
    """Build a scope."""
    return {"project": {"name": name, "domain": {"name": "Default"}}}


@pytest.fixture
def sign(http: TestClient) -> Sign:
    """Signs somebody in and returns the header with their token."""

    def make(user: str = "ada", scope: Any = None) -> dict[str, str]:
        answer = http.post(f"{V3}/auth/tokens", json=an_auth(user, scope=scope))
        assert answer.status_code == 201, answer.text
        return {"X-Auth-Token": answer.headers["X-Subject-Token"]}

    return make


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
        {"auth": {"identity": {"methods": ["token"], "token": {"id": "nonsense"}}}},
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
    answer = http.post(f"{V3}/auth/tokens", content=_ascii(body), headers=_JSON)
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
        _ascii({"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": 1}}}}}),
        _ascii({"auth": {"identity": {"methods": ["password"], "password": {"user": _NO_DOMAIN}}}}),
        '{"auth": {"identity": {"methods": ["token"], "token": {"id": null}}}}',
        "[" * 5000,
    ],
)
def test_a_body_that_is_no_sign_in_answers_keystones_400(http: TestClient, body: str) -> None:
    answer = http.post(f"{V3}/auth/tokens", content=body, headers=_JSON)
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


def test_keystones_admin_is_an_administrator_of_the_platform_until_it_is_taken(
    http: TestClient, admin: Person, ada: Person, m51: Project, accounts: AccountsService, sign: Sign
) -> None:
    judge = sign("admin", {"system": {"all": True}})
    roles = {role["name"]: role["id"] for role in http.get(f"{V3}/roles", headers=judge).json()["roles"]}
    for path in (f"/projects/{m51.id}/users/{ada.id}", f"/system/users/{ada.id}"):
        grant = f"{V3}{path}/roles/{roles['admin']}"
        assert http.put(grant, headers=judge).status_code == 204
        assert accounts.person(ada.id).is_admin
        assert http.head(grant, headers=judge).status_code == 204
        assert http.get(f"{V3}/users", headers=sign("ada", in_project())).status_code == 200
        assert http.delete(grant, headers=judge).status_code == 204
        assert not accounts.person(ada.id).is_admin
        assert http.get(f"{V3}/users", headers=sign("ada", in_project())).status_code == 403
    last = f"{V3}/system/users/{admin.id}/roles/{roles['admin']}"
    assert http.delete(last, headers=judge).status_code == 409


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


def _by_credential(credential: dict[str, Any], **extra: Any) -> dict[str, Any]:
    proof = {"id": credential["id"], "secret": credential["secret"]}
    identity = {"methods": ["application_credential"], "application_credential": proof}
    return {"auth": {"identity": identity} | extra}


def test_an_application_credential_signs_in_to_its_project(
    http: TestClient, m51: Project, a_credential: Callable[..., dict[str, Any]]
) -> None:
    made = a_credential(roles=[{"name": "reader"}], expires_at="2026-01-01T00:30:00")
    assert (made["project_id"], made["unrestricted"]) == (m51.id, False)
    assert made["expires_at"] == "2026-01-01T00:30:00.000000"
    token = http.post(f"{V3}/auth/tokens", json=_by_credential(made)).json()["token"]
    assert (token["project"]["id"], token["methods"]) == (m51.id, ["application_credential"])
    assert [role["name"] for role in token["roles"]] == ["reader"]
    assert token["expires_at"] == "2026-01-01T00:30:00.000000Z"


def test_an_application_credential_reaches_no_other_project_and_makes_no_credentials(
    http: TestClient, ada: Person, spies: Project, accounts: AccountsService,
    a_credential: Callable[..., dict[str, Any]],
) -> None:  # fmt: skip
    accounts.set_role(spies.id, ada.id, Role.MEMBER)
    made = a_credential()
    other = _by_credential(made, scope=in_project("spies"))
    assert http.post(f"{V3}/auth/tokens", json=other).status_code == 401
    secret = http.post(f"{V3}/auth/tokens", json=_by_credential(made)).headers["X-Subject-Token"]
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
    secret = http.post(f"{V3}/auth/tokens", json=_by_credential(made)).headers["X-Subject-Token"]
    wish = {"application_credential": {"name": "child"}}
    url = f"{V3}/users/{ada.id}/application_credentials"
    assert http.post(url, headers={"X-Auth-Token": secret}, json=wish).status_code == 201


def test_credentials_are_listed_shown_without_secret_and_deleted_with_their_tokens(
    http: TestClient, ada: Person, sign: Sign, a_credential: Callable[..., dict[str, Any]]
) -> None:
    made, token = a_credential(), sign("ada")
    secret = http.post(f"{V3}/auth/tokens", json=_by_credential(made)).headers["X-Subject-Token"]
    url = f"{V3}/users/{ada.id}/application_credentials"
    (listed,) = http.get(url, headers=token).json()["application_credentials"]
    shown = http.get(f"{url}/{made['id']}", headers=token).json()["application_credential"]
    assert listed == shown and "secret" not in shown
    assert http.get(f"{url}/cron", headers=token).status_code == 404
    assert http.delete(f"{url}/{made['id']}", headers=token).status_code == 204
    assert http.get(f"{V3}/auth/projects", headers={"X-Auth-Token": secret}).status_code == 401
    assert http.post(f"{V3}/auth/tokens", json=_by_credential(made)).status_code == 401


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


def test_the_catalogs_parts_are_read_by_administrators(http: TestClient, admin: Person, sign: Sign) -> None:
    judge = sign("admin", in_project("admin"))
    services = http.get(f"{V3}/services?type=compute", headers=judge).json()["services"]
    assert [service["name"] for service in services] == ["nova"]
    query = f"service_id={services[0]['id']}&interface=public"
    (endpoint,) = http.get(f"{V3}/endpoints?{query}", headers=judge).json()["endpoints"]
    assert http.get(f"{V3}/endpoints/{endpoint['id']}", headers=judge).json()["endpoint"] == endpoint
    assert http.get(f"{V3}/endpoints/nothing", headers=judge).status_code == 404


@pytest.mark.parametrize("path", [f"{V3}/users/x/credentials/OS-EC2", f"{V3}/nothing", "/identity/v2.0"])
def test_what_is_not_here_is_not_found_in_keystones_shape(http: TestClient, path: str) -> None:
    answer = http.post(path)
    assert (answer.status_code, answer.json()["error"]["title"]) == (404, "Not Found")
