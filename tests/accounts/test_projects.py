"""Projects and the roles in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from armillary.accounts.model import CloudScope, GroupGrant, Person, Project, Role
from armillary.accounts.service import AccountsService
from armillary.accounts.trail import gathering
from armillary.base.errors import Conflict, Invalid, NotFound
from armillary.base.ids import PersonId, ProjectId
from outside_engines import ON_BOTH

pytestmark = ON_BOTH

Builder = Callable[..., Any]
Member = Callable[..., tuple[Person, Project]]


def test_a_role_is_given_changed_and_taken(accounts: AccountsService, a_member: Member) -> None:
    ada, project = a_member()
    bob, _ = a_member("bob", "m31")
    accounts.set_role(project.id, bob.id, Role.READER)
    accounts.set_role(project.id, bob.id, Role.MEMBER)
    members = [(m.person, m.role) for m in accounts.members(project.id)]
    assert members == [(ada, Role.ADMIN), (bob, Role.MEMBER)]
    assert accounts.groups_of(bob.id) == {"m51", "m31"}
    accounts.remove_member(project.id, bob.id)
    assert accounts.groups_of(bob.id) == {"m31"}
    with pytest.raises(NotFound):
        accounts.remove_member(project.id, bob.id)


def test_roles_that_keystone_gives_and_takes_are_told_to_the_trail(
    accounts: AccountsService, a_member: Member
) -> None:
    ada, project = a_member()
    bob, _ = a_member("bob", "m31")
    group = accounts.create_group("dishes")
    given = GroupGrant(group_id=group.id, project_id=project.id, cloud_scope=None, role=Role.READER)
    with gathering() as said:
        accounts.grant(project.id, bob.id, Role.READER)
        accounts.grant(project.id, bob.id, Role.MEMBER)
        accounts.revoke_grant(project.id, bob.id, Role.READER)
        accounts.grant_cloud_role(CloudScope.SYSTEM, ada.id, Role.READER)
        accounts.revoke_cloud_role(CloudScope.SYSTEM, ada.id, Role.READER)
        accounts.grant_to_group(given)
        accounts.grant_to_group(given)
        accounts.revoke_from_group(given)
    assert said == [
        "m51: role of bob:  → reader",
        "m51: role of bob: reader → member, reader",
        "m51: role of bob: member, reader → member",
        "system: role of ada:  → reader",
        "system: role of ada: reader → ",
        "m51: role of the group dishes:  → reader",
        "m51: role of the group dishes: reader → ",
    ]


def test_a_project_keeps_an_administrator(accounts: AccountsService, a_member: Member) -> None:
    ada, project = a_member()
    bob, _ = a_member("bob", "m31")
    with pytest.raises(Conflict):
        accounts.set_role(project.id, ada.id, Role.MEMBER)
    with pytest.raises(Conflict):
        accounts.remove_member(project.id, ada.id)
    accounts.set_role(project.id, bob.id, Role.ADMIN)
    accounts.remove_member(project.id, ada.id)
    assert [m.person for m in accounts.members(project.id)] == [bob]


@pytest.mark.parametrize("role", [Role.CLOUD_ADMIN, Role.SERVICE])
def test_a_project_cannot_give_keystones_own_roles(
    accounts: AccountsService, a_member: Member, role: Role
) -> None:
    ada, project = a_member()
    with pytest.raises(Invalid) as refusal:
        accounts.set_role(project.id, ada.id, role)
    assert refusal.value.code == "role_not_ours"


def test_stronger_roles_imply_weaker_ones(accounts: AccountsService, a_member: Member) -> None:
    _, project = a_member()
    bob, _ = a_member("bob", "m31")
    accounts.set_role(project.id, bob.id, Role.MEMBER)
    principal = accounts.principal(bob.id, project.id)
    assert principal.has(Role.READER) and principal.has(Role.MEMBER) and not principal.has(Role.MANAGER)


def test_keystone_may_grant_several_roles_of_which_the_strongest_counts(
    accounts: AccountsService, a_member: Member
) -> None:
    _, project = a_member()
    bob, _ = a_member("bob", "m31")
    for role in (Role.MEMBER, Role.READER, Role.READER):
        accounts.grant(project.id, bob.id, role)
    assert [m.role for m in accounts.members(project.id) if m.person == bob] == [Role.MEMBER]
    accounts.revoke_grant(project.id, bob.id, Role.MEMBER)
    assert [m.role for m in accounts.members(project.id) if m.person == bob] == [Role.READER]
    with pytest.raises(NotFound):
        accounts.revoke_grant(project.id, bob.id, Role.MEMBER)


def test_a_project_is_made_changed_and_deleted(
    accounts: AccountsService, a_member: Member, an_allocation: Builder
) -> None:
    ada, _ = a_member()
    made = accounts.create_project("Survey_2026", "", an_allocation())
    accounts.set_role(made.id, ada.id, Role.ADMIN)
    changed = accounts.update_project(made.id, name="survey", allocation=an_allocation(cores=9))
    assert (changed.name, changed.allocation.cores, changed.created_at) == ("survey", 9, made.created_at)
    assert accounts.project_named("survey") == accounts.project(made.id) == changed
    accounts.delete_project(made.id)
    assert accounts.groups_of(ada.id) == {"m51"}
    with pytest.raises(NotFound):
        accounts.project_named("survey")


def test_two_projects_never_share_a_name(
    accounts: AccountsService, a_member: Member, an_allocation: Builder
) -> None:
    _, project = a_member()
    with pytest.raises(Conflict):
        accounts.create_project("m51", "", an_allocation())
    other = accounts.create_project("m52", "", an_allocation())
    with pytest.raises(Conflict):
        accounts.update_project(other.id, name="m51")
    assert accounts.update_project(project.id, name="m51") == project


@pytest.mark.parametrize("name", ["", "a/b", "x" * 256, "a b", "..", "é"])
def test_bad_project_names_are_refused(accounts: AccountsService, an_allocation: Builder, name: str) -> None:
    with pytest.raises(Invalid):
        accounts.create_project(name, "", an_allocation())


@pytest.mark.parametrize("wrong", ["", "nope", "\0", "\ud800"])
def test_unknown_people_and_projects_are_not_found(
    accounts: AccountsService, a_member: Member, wrong: str
) -> None:
    ada, project = a_member()
    for look in (
        lambda: accounts.person(PersonId(wrong)),
        lambda: accounts.person_named(wrong),
        lambda: accounts.project(ProjectId(wrong)),
        lambda: accounts.project_named(wrong),
        lambda: accounts.members(ProjectId(wrong)),
        lambda: accounts.set_role(ProjectId(wrong), ada.id, Role.READER),
        lambda: accounts.set_role(project.id, PersonId(wrong), Role.READER),
        lambda: accounts.remove_member(project.id, PersonId(wrong)),
    ):
        with pytest.raises(NotFound):
            look()
