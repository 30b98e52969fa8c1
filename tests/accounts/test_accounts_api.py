"""The JSON API of accounts, as the command line and the portal see it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from armillary.accounts.model import Person, Project, Role, TokenKind
from armillary.accounts.service import AccountsService

Builder = Callable[..., Any]
ROOT = "/api/v1/accounts"


@pytest.fixture
def a_wire_form(a_form: Builder) -> Builder:
    """Builds the body of a registration."""

    def build(**changes: Any) -> dict[str, Any]:
        form = a_form()
        figures = asdict(form.pop("requested"))
        for name, unit in (("ram", "mib"), ("disk", "gib"), ("storage", "gib")):
            figures[f"{name}_{unit}"] = figures.pop(name)
        return form | {"requested": figures} | changes

    return build


@pytest.fixture
def bearer(accounts: AccountsService) -> Callable[..., dict[str, str]]:
    """Makes the header of a fresh token of a person."""

    def make(person: Person, **wishes: Any) -> dict[str, str]:
        wishes = {"kind": TokenKind.API, "lifetime": timedelta(hours=1)} | wishes
        return {"Authorization": f"Bearer {accounts.issue_token(person.id, **wishes).secret}"}

    return make


def test_the_whole_way_from_registration_to_a_project(
    http: TestClient, admin: Person, bearer: Builder, a_wire_form: Builder, password: str
) -> None:
    registered = http.post(f"{ROOT}/register", json=a_wire_form())
    assert registered.status_code == 201
    assert registered.json()["state"] == "waiting"

    issued = http.post(f"{ROOT}/login", json={"user_name": "ada", "password": password}).json()
    ada = {"Authorization": f"Bearer {issued['token']}"}
    me = http.get(f"{ROOT}/me", headers=ada).json()
    assert (me["person"]["user_name"], me["projects"]) == ("ada", [])
    assert [one["state"] for one in me["applications"]] == ["waiting"]

    judge = bearer(admin)
    waiting = http.get(f"{ROOT}/applications?state=waiting", headers=judge).json()
    assert [one["user_name"] for one in waiting] == ["ada"]
    granted = waiting[0]["requested"] | {"cores": 2}
    approve = f"{ROOT}/applications/{waiting[0]['id']}/approve"
    approved = http.post(approve, headers=judge, json={"granted": granted})
    assert (approved.status_code, approved.json()["decided_by"]) == (200, "admin")
    assert http.post(approve, headers=judge).status_code == 409

    projects = http.get(f"{ROOT}/projects", headers=ada).json()
    assert [(p["name"], p["role"], p["allocation"]["cores"]) for p in projects] == [("m51", "admin", 2)]


def test_a_declined_applicant_sees_the_reason(
    http: TestClient, admin: Person, bearer: Builder, a_wire_form: Builder, accounts: AccountsService
) -> None:
    made = http.post(f"{ROOT}/register", json=a_wire_form()).json()
    decline = f"{ROOT}/applications/{made['id']}/decline"
    assert http.post(decline, headers=bearer(admin), json={"reason": ""}).status_code == 400
    assert http.post(decline, headers=bearer(admin), json={"reason": "Too much."}).status_code == 200
    ada = accounts.person_named("ada")
    seen = http.get(f"{ROOT}/applications/{made['id']}", headers=bearer(ada)).json()
    assert (seen["state"], seen["decision_reason"]) == ("declined", "Too much.")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"user_name": "NO"}, "user_name"),
        ({"user_name": None}, "user_name"),
        ({"user_name": "\ud800"}, "user_name"),
        ({"user_name": ["ada"]}, "user_name"),
        ({"requested": {"cores": "many"}}, "requested.cores"),
        ({"requested": None}, "requested"),
        ({"is_admin": True}, "is_admin"),
    ],
)
def test_a_bad_field_answers_400_in_our_shape(
    http: TestClient, a_wire_form: Builder, changes: dict[str, Any], field: str
) -> None:
    answer = http.post(
        f"{ROOT}/register",
        content=json.dumps(a_wire_form(**changes)),
        headers={"Content-Type": "application/json"},
    )
    error = answer.json()["error"]
    assert (answer.status_code, error["status"], error["code"]) == (400, 400, "invalid_field")
    assert error["facts"]["field"] == field


@pytest.mark.parametrize("body", ["", "{", "[]", '"x"', '{"user_name": NaN}', "\x00"])
def test_a_body_that_is_no_form_answers_400(http: TestClient, body: str) -> None:
    answer = http.post(f"{ROOT}/register", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_field"


def test_a_huge_body_is_refused_before_it_is_read(http: TestClient) -> None:
    answer = http.post(f"{ROOT}/register", json={"user_name": "x" * 300_000})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


def test_a_huge_body_of_undeclared_length_is_refused_too(http: TestClient) -> None:
    chunks = (b"x" * 65536 for _ in range(100))
    answer = http.post(f"{ROOT}/register", content=chunks, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


def test_a_wrong_password_answers_401_and_then_says_how_long_to_wait(
    http: TestClient, a_wire_form: Builder
) -> None:
    http.post(f"{ROOT}/register", json=a_wire_form())
    wrong = {"user_name": "ada", "password": "not this one"}
    first = http.post(f"{ROOT}/login", json=wrong)
    assert (first.status_code, first.json()["error"]["code"]) == (401, "wrong_password")
    http.post(f"{ROOT}/login", json=wrong)
    third = http.post(f"{ROOT}/login", json=wrong)
    assert (third.status_code, third.json()["error"]["code"]) == (401, "too_many_attempts")
    assert int(third.headers["retry-after"]) == third.json()["error"]["facts"]["retry_after"] == 5


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic YWRhOndyb25n"},
        {"Authorization": "Digest x"},
        {"Cookie": "armillary_session=nonsense"},
    ],
)
def test_without_a_good_credential_nothing_opens(http: TestClient, headers: dict[str, str]) -> None:
    answer = http.get(f"{ROOT}/me", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["error"]["remedy"] or headers


def test_a_password_opens_by_basic(http: TestClient, a_wire_form: Builder, password: str) -> None:
    http.post(f"{ROOT}/register", json=a_wire_form())
    me = http.get(f"{ROOT}/me", auth=("ada", password)).json()
    assert (me["person"]["user_name"], me["method"]) == ("ada", "basic")


def test_a_session_cookie_opens_but_not_for_other_sites(
    http: TestClient, a_member: Builder, accounts: AccountsService, password: str
) -> None:
    ada, _ = a_member()
    issued = accounts.issue_token(ada.id, kind=TokenKind.SESSION, lifetime=timedelta(hours=1))
    http.cookies.set("armillary_session", issued.secret)
    assert http.get(f"{ROOT}/me").status_code == 200
    wish = {"label": "laptop"}
    for foreign in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        refused = http.post(f"{ROOT}/tokens", json=wish, headers=foreign)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "cross_site")
    for own in ({"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://portal"}, {}):
        assert http.post(f"{ROOT}/tokens", json=wish, headers=own).status_code == 201


def _with_certificate(app: FastAPI, certificate: bytes) -> TestClient:
    async def tls(scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["peer_certificate"] = certificate
        await app(scope, receive, send)

    return TestClient(tls)


def test_a_client_certificate_opens(app: FastAPI, a_member: Builder) -> None:
    a_member()
    me = _with_certificate(app, b"ada").get(f"{ROOT}/me").json()
    assert (me["person"]["user_name"], me["method"]) == ("ada", "x509")


@pytest.mark.parametrize(("certificate", "status"), [(b"forged", 401), (b"nobody", 401), (b"ada job", 403)])
def test_a_certificate_of_nobody_or_of_a_job_does_not_open_accounts(
    app: FastAPI, a_member: Builder, certificate: bytes, status: int
) -> None:
    a_member()
    assert _with_certificate(app, certificate).get(f"{ROOT}/me").status_code == status


def test_tokens_are_made_listed_without_secrets_and_revoked(
    http: TestClient, a_member: Builder, bearer: Builder
) -> None:
    ada, _ = a_member()
    mine = bearer(ada)
    made = http.post(f"{ROOT}/tokens", headers=mine, json={"label": "script", "project": "m51"}).json()
    listed = http.get(f"{ROOT}/tokens", headers=mine)
    assert "script" in [token["label"] for token in listed.json()]
    assert made["token"] not in listed.text
    new = {"Authorization": f"Bearer {made['token']}"}
    assert http.get(f"{ROOT}/me", headers=new).json()["project"] == "m51"
    assert http.delete(f"{ROOT}/tokens/{made['id']}", headers=mine).status_code == 204
    assert http.get(f"{ROOT}/me", headers=new).json()["error"]["code"] == "token_revoked"


def test_nobody_revokes_the_tokens_of_others(http: TestClient, a_member: Builder, bearer: Builder) -> None:
    ada, _ = a_member()
    eve, _ = a_member("eve", "spies")
    made = http.post(f"{ROOT}/tokens", headers=bearer(ada), json={}).json()
    assert http.delete(f"{ROOT}/tokens/{made['id']}", headers=bearer(eve)).status_code == 404
    assert http.post(f"{ROOT}/tokens", headers=bearer(eve), json={"project": "m51"}).status_code == 404


def test_signing_out_ends_the_token(http: TestClient, a_member: Builder, bearer: Builder) -> None:
    mine = bearer(a_member()[0])
    assert http.post(f"{ROOT}/logout", headers=mine).status_code == 204
    assert http.get(f"{ROOT}/me", headers=mine).status_code == 401


@pytest.mark.parametrize(
    "wishes", [{"kind": TokenKind.JOB}, {"scopes": frozenset({"vospace:read"})}], ids=["job", "scoped"]
)
def test_a_limited_token_cannot_mint_tokens(
    http: TestClient, a_member: Builder, bearer: Builder, wishes: dict[str, Any]
) -> None:
    answer = http.post(f"{ROOT}/tokens", headers=bearer(a_member()[0], **wishes), json={})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "limited_credential")


def test_a_token_with_scopes_gives_no_wider_ones(
    http: TestClient, a_member: Builder, bearer: Builder, accounts: AccountsService
) -> None:
    limited = bearer(a_member()[0], scopes=frozenset({"accounts", "vospace:read"}))
    assert http.post(f"{ROOT}/tokens", headers=limited, json={"scopes": ["batch"]}).status_code == 403
    made = http.post(f"{ROOT}/tokens", headers=limited, json={}).json()
    assert accounts.check_token(made["token"]).scopes == {"accounts", "vospace:read"}


def test_a_keystone_token_is_for_clouds_only(http: TestClient, a_member: Builder, bearer: Builder) -> None:
    answer = http.get(f"{ROOT}/me", headers=bearer(a_member()[0], kind=TokenKind.KEYSTONE))
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "wrong_token_kind")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/people"),
        ("GET", "/projects?all=true"),
        ("PATCH", "/people/ada"),
        ("POST", "/applications/x/approve"),
        ("POST", "/applications/x/decline"),
    ],
)
def test_what_is_for_administrators_is_refused_to_others(
    http: TestClient, a_member: Builder, bearer: Builder, method: str, path: str
) -> None:
    headers = bearer(a_member()[0])
    answer = http.request(
        method, ROOT + path, headers=headers, json={"reason": "x"} if "decline" in path else {}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "not_an_administrator")


def test_others_applications_and_projects_are_not_found(
    http: TestClient, a_member: Builder, bearer: Builder, accounts: AccountsService
) -> None:
    ada, _ = a_member()
    eve, _ = a_member("eve", "spies")
    application = accounts.applications_of(ada.id)[0]
    for path in (f"/applications/{application.id}", "/projects/m51", "/projects/m51/members"):
        assert http.get(ROOT + path, headers=bearer(eve)).status_code == 404
    put = http.put(f"{ROOT}/projects/m51/members/eve", headers=bearer(eve), json={"role": "admin"})
    assert put.status_code == 404


def test_members_come_change_and_go(http: TestClient, a_member: Builder, bearer: Builder) -> None:
    ada, _ = a_member()
    bob, _ = a_member("bob", "m31")
    members = f"{ROOT}/projects/m51/members"
    assert http.put(f"{members}/bob", headers=bearer(ada), json={"role": "reader"}).status_code == 200
    assert [m["role"] for m in http.get(members, headers=bearer(bob)).json()] == ["admin", "reader"]
    assert http.put(f"{members}/bob", headers=bearer(bob), json={"role": "admin"}).status_code == 403
    assert http.put(f"{members}/bob", headers=bearer(ada), json={"role": "king"}).status_code == 400
    assert http.delete(f"{members}/ada", headers=bearer(bob)).status_code == 403
    assert http.delete(f"{members}/ada", headers=bearer(ada)).status_code == 409
    assert http.delete(f"{members}/bob", headers=bearer(bob)).status_code == 204
    assert http.get(members, headers=bearer(bob)).status_code == 404


def test_a_manager_brings_in_members_but_makes_no_managers(
    http: TestClient, a_member: Builder, bearer: Builder, accounts: AccountsService
) -> None:
    _, project = a_member()
    bob, _ = a_member("bob", "m31")
    a_member("eve", "spies")
    accounts.set_role(project.id, bob.id, Role.MANAGER)
    members = f"{ROOT}/projects/m51/members"
    assert http.put(f"{members}/eve", headers=bearer(bob), json={"role": "member"}).status_code == 200
    assert http.put(f"{members}/eve", headers=bearer(bob), json={"role": "manager"}).status_code == 403
    assert http.put(f"{members}/ada", headers=bearer(bob), json={"role": "reader"}).status_code == 403


def test_a_new_password_ends_other_tokens_but_not_the_one_in_use(
    http: TestClient, a_member: Builder, bearer: Builder, password: str
) -> None:
    ada, _ = a_member()
    here, elsewhere = bearer(ada), bearer(ada)
    change = {"old_password": password, "new_password": "a newer battery"}
    assert http.post(f"{ROOT}/me/password", headers=here, json=change).status_code == 204
    assert http.get(f"{ROOT}/me", headers=here).status_code == 200
    assert http.get(f"{ROOT}/me", headers=elsewhere).status_code == 401


def test_unknown_routes_and_methods_answer_in_our_shape(http: TestClient) -> None:
    assert http.get("/api/v1/nothing").json()["error"]["code"] == "not_found"
    assert http.put(f"{ROOT}/login").json()["error"]["code"] == "method_not_allowed"
    assert "error" not in http.get("/a-page").json()


def test_a_project_shows_its_allocation_with_units(
    http: TestClient, a_member: Callable[..., tuple[Person, Project]], bearer: Builder
) -> None:
    ada, project = a_member()
    shown = http.get(f"{ROOT}/projects/m51", headers=bearer(ada)).json()
    assert shown["allocation"]["ram_mib"] == project.allocation.ram
