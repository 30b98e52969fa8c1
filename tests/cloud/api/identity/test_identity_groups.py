"""Groups of users, and the roles that they have together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from identity_bodies import V3, in_project
from starlette.testclient import TestClient

from armillary.accounts.model import Person, Project
from armillary.accounts.service import AccountsService
from armillary.cloud.api.identity.roles import IDS

Sign = Callable[..., dict[str, str]]


@pytest.fixture
def judge(admin: Person, sign: Sign) -> dict[str, str]:
    return sign("admin", in_project("admin"))


@pytest.fixture
def team(http: TestClient, judge: dict[str, str]) -> dict[str, Any]:
    wish = {"group": {"name": "night shift", "description": "observers"}}
    return http.post(f"{V3}/groups", headers=judge, json=wish).json()["group"]


def test_a_group_is_made_found_changed_and_deleted(
    http: TestClient, judge: dict[str, str], team: dict[str, Any]
) -> None:
    assert (team["name"], team["domain_id"]) == ("night shift", "default")
    again = http.post(f"{V3}/groups", headers=judge, json={"group": {"name": "night shift"}})
    assert (again.status_code, again.json()["error"]["title"]) == (409, "Conflict")
    url = f"{V3}/groups/{team['id']}"
    changed = http.patch(url, headers=judge, json={"group": {"name": "day shift"}}).json()["group"]
    assert changed == team | {"name": "day shift"}
    listed = http.get(f"{V3}/groups?name=day shift", headers=judge).json()["groups"]
    assert listed == [changed] == [http.get(url, headers=judge).json()["group"]]
    assert http.delete(url, headers=judge).status_code == 204
    gone = http.get(url, headers=judge)
    assert gone.json()["error"]["message"] == f"Could not find group: {team['id']}."


@pytest.mark.parametrize("place", ["projects/{spies}", "domains/default", "system"])
def test_members_of_a_group_have_its_roles_while_they_are_in_it(
    http: TestClient,
    judge: dict[str, str],
    team: dict[str, Any],
    ada: Person,
    spies: Project,
    accounts: AccountsService,
    sign: Sign,
    place: str,
) -> None:
    scope: dict[str, Any] = {
        "projects/{spies}": in_project("spies"),
        "domains/default": {"domain": {"id": "default"}},
        "system": {"system": {"all": True}},
    }[place]
    inside = f"{V3}/groups/{team['id']}/users/{ada.id}"
    grant = f"{V3}/{place.format(spies=spies.id)}/groups/{team['id']}/roles/{IDS['member']}"
    assert http.head(inside, headers=judge).status_code == 404
    assert http.put(inside, headers=judge).status_code == 204
    assert http.head(inside, headers=judge).status_code == 204
    assert http.head(grant, headers=judge).status_code == 404
    assert http.put(grant, headers=judge).status_code == 204
    assert http.head(grant, headers=judge).status_code == 204
    mine = sign("ada", scope)
    shown = http.get(f"{V3}/auth/tokens", headers=mine | {"X-Subject-Token": mine["X-Auth-Token"]}).json()
    assert [role["name"] for role in shown["token"]["roles"]] == ["reader", "member"]
    groups = http.get(f"{V3}/users/{ada.id}/groups", headers=mine).json()["groups"]
    assert [group["name"] for group in groups] == ["night shift"]
    assert http.delete(inside, headers=judge).status_code == 204
    assert http.get(f"{V3}/users/{ada.id}/groups", headers=mine).status_code == 401
    assert http.delete(grant, headers=judge).status_code == 204
    assert http.delete(grant, headers=judge).status_code == 404


def test_who_is_in_a_project_by_a_group_is_a_member_everywhere(
    http: TestClient,
    judge: dict[str, str],
    team: dict[str, Any],
    ada: Person,
    spies: Project,
    accounts: AccountsService,
) -> None:
    http.put(f"{V3}/groups/{team['id']}/users/{ada.id}", headers=judge)
    http.put(f"{V3}/projects/{spies.id}/groups/{team['id']}/roles/{IDS['member']}", headers=judge)
    assert {m.project.name: m.role.value for m in accounts.projects_of(ada.id)} == {
        "m51": "member",
        "spies": "member",
    }
    assert ada in [m.person for m in accounts.members(spies.id)]
    accounts.delete_group(team["id"])
    assert [m.project.name for m in accounts.projects_of(ada.id)] == ["m51"]


def test_assignments_name_groups_or_in_effect_their_members(
    http: TestClient, judge: dict[str, str], team: dict[str, Any], ada: Person, spies: Project
) -> None:
    http.put(f"{V3}/groups/{team['id']}/users/{ada.id}", headers=judge)
    http.put(f"{V3}/projects/{spies.id}/groups/{team['id']}/roles/{IDS['reader']}", headers=judge)
    url = f"{V3}/role_assignments"
    (given,) = http.get(f"{url}?group.id={team['id']}&include_names=1", headers=judge).json()[
        "role_assignments"
    ]
    assert (given["group"]["name"], given["scope"]["project"]["name"]) == ("night shift", "spies")
    of_project = http.get(f"{url}?scope.project.id={spies.id}", headers=judge).json()["role_assignments"]
    assert given["group"]["id"] in [one.get("group", {}).get("id") for one in of_project]
    effective = http.get(f"{url}?scope.project.id={spies.id}&effective&user.id={ada.id}", headers=judge)
    assert [one["role"]["id"] for one in effective.json()["role_assignments"]] == [IDS["reader"]]
    senseless = http.get(f"{url}?group.id={team['id']}&effective", headers=judge)
    assert senseless.status_code == 400
