"""Groups that people share with: membership through groups and projects, who may do what, names that stay."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from armillary.accounts.core.group_rules import (
    Place,
    Places,
)
from armillary.accounts.model import GroupGrant, Person, Project, Role
from armillary.accounts.service import AccountsService
from armillary.base.errors import Conflict, Forbidden, Invalid, NotFound, QuotaExceeded
from armillary.base.ids import PersonId
from outside_engines import ON_BOTH

pytestmark = ON_BOTH

Member = Callable[..., tuple[Person, Project]]


@pytest.fixture
def ada(a_member: Member) -> Person:
    return a_member("ada", "m51")[0]


@pytest.fixture
def bob(accounts: AccountsService) -> Person:
    return accounts.create_person(user_name="bob")


@pytest.fixture
def eve(accounts: AccountsService) -> Person:
    return accounts.create_person(user_name="eve")


def test_a_new_group_has_its_maker_as_owner_and_nobody_in_it(accounts: AccountsService, ada: Person) -> None:
    made = accounts.open_group("spirals", by=ada, description="Spiral galaxies.")
    assert (made.owner, made.members, made.admins) == (ada, (), ())
    assert accounts.groups_of(ada.id) == {"m51"}
    assert [one.name for one in accounts.groups_in_role(ada, "owner")] == ["spirals"]


def test_who_is_put_in_is_in_and_who_leaves_is_out_at_once(
    accounts: AccountsService, ada: Person, bob: Person
) -> None:
    accounts.open_group("spirals", by=ada)
    accounts.put_into_group("spirals", Place.MEMBER, by=ada, person=bob.id)
    assert accounts.groups_of(bob.id) == {"spirals"}
    accounts.take_out_of_group("spirals", Place.MEMBER, by=bob, person=bob.id)
    assert accounts.groups_of(bob.id) == frozenset()


def test_members_of_inner_groups_and_of_projects_are_members(
    accounts: AccountsService, ada: Person, bob: Person
) -> None:
    for name in ("inner", "middle", "outer", "beside"):
        accounts.open_group(name, by=bob)
    accounts.put_into_group("middle", Place.MEMBER, by=bob, group="inner")
    accounts.put_into_group("outer", Place.MEMBER, by=bob, group="middle")
    accounts.put_into_group("inner", Place.MEMBER, by=bob, group="m51")
    assert accounts.groups_of(ada.id) == {"m51", "inner", "middle", "outer"}
    accounts.take_out_of_group("middle", Place.MEMBER, by=bob, group="inner")
    assert accounts.groups_of(ada.id) == {"m51", "inner"}


def test_a_closed_project_is_no_group(accounts: AccountsService, a_member: Member, bob: Person) -> None:
    ada, m51 = a_member("ada", "m51")
    accounts.open_group("outer", by=bob)
    accounts.put_into_group("outer", Place.MEMBER, by=bob, group="m51")
    accounts.update_project(m51.id, enabled=False)
    assert accounts.groups_of(ada.id) == frozenset()


def test_a_keystone_group_is_the_same_group(accounts: AccountsService, ada: Person, admin: Person) -> None:
    group = accounts.create_group("astronomers")
    accounts.add_to_group(group.id, ada.id)
    assert "astronomers" in accounts.groups_of(ada.id)
    accounts.take_out_of_group("astronomers", Place.MEMBER, by=admin, person=ada.id)
    assert accounts.group_members(group.id) == []
    assert accounts.group_detail("astronomers", by=admin).owner is None


@pytest.mark.parametrize("around", ["a", "b", "c"])
def test_a_group_cannot_be_in_itself(accounts: AccountsService, ada: Person, around: str) -> None:
    for name in ("a", "b", "c"):
        accounts.open_group(name, by=ada)
    accounts.put_into_group("b", Place.MEMBER, by=ada, group="a")
    accounts.put_into_group("c", Place.MEMBER, by=ada, group="b")
    with pytest.raises(Conflict) as refused:
        accounts.put_into_group("a", Place.MEMBER, by=ada, group=around)
    assert refused.value.code == "group_circle"


def test_two_who_nest_at_once_do_not_close_a_circle(accounts: AccountsService, ada: Person) -> None:
    for number in range(4):
        for name in ("left", "right"):
            accounts.open_group(f"{name}{number}", by=ada)
    start = threading.Barrier(8)

    def nest(number: int) -> bool:
        names = [f"left{number % 4}", f"right{number % 4}"]
        inner, outer = names if number < 4 else reversed(names)
        start.wait()
        try:
            accounts.put_into_group(outer, Place.MEMBER, by=ada, group=inner)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(nest, range(8)))
    assert [done[number] + done[number + 4] for number in range(4)] == [1, 1, 1, 1]


def test_members_of_an_administering_group_administer(
    accounts: AccountsService, ada: Person, bob: Person, eve: Person
) -> None:
    accounts.open_group("pilots", by=ada)
    accounts.put_into_group("pilots", Place.MEMBER, by=ada, person=bob.id)
    accounts.open_group("spirals", by=ada)
    accounts.put_into_group("spirals", Place.ADMIN, by=ada, group="pilots")
    accounts.put_into_group("spirals", Place.MEMBER, by=bob, person=eve.id)
    assert accounts.groups_of(eve.id) == {"spirals"}
    assert accounts.groups_of(bob.id) == {"pilots"}
    assert [one.name for one in accounts.groups_in_role(bob, "admin")] == ["spirals"]


def test_a_name_is_never_given_again(accounts: AccountsService, ada: Person, admin: Person) -> None:
    accounts.open_group("spirals", by=ada)
    accounts.close_group("spirals", by=ada)
    assert accounts.known_groups(frozenset({"spirals", "m51"})) == {"m51"}
    allocation = accounts.project_named("m51").allocation
    for again in (
        lambda: accounts.open_group("spirals", by=ada),
        lambda: accounts.create_group("spirals"),
        lambda: accounts.create_project("spirals", "", allocation),
    ):
        with pytest.raises(Conflict):
            again()
    accounts.delete_project(accounts.project_named("m51").id)
    with pytest.raises(Conflict) as refused:
        accounts.open_group("m51", by=ada)
    assert refused.value.code == "group_name_used"


def test_groups_and_projects_do_not_share_a_name(accounts: AccountsService, ada: Person) -> None:
    with pytest.raises(Conflict):
        accounts.open_group("m51", by=ada)
    accounts.open_group("m31", by=ada)
    with pytest.raises(Conflict):
        accounts.create_project("m31", "", accounts.project_named("m51").allocation)


def test_a_group_that_was_renamed_may_have_its_name_back(accounts: AccountsService, ada: Person) -> None:
    group = accounts.create_group("old")
    accounts.update_group(group.id, name="new")
    with pytest.raises(Conflict):
        accounts.open_group("old", by=ada)
    assert accounts.update_group(group.id, name="old").name == "old"


def test_a_person_owns_a_bounded_number_of_groups(
    accounts: AccountsService, ada: Person, admin: Person
) -> None:
    for number in range(100):
        accounts.open_group(f"g{number}", by=ada)
    with pytest.raises(QuotaExceeded):
        accounts.open_group("one-more", by=ada)
    accounts.open_group("for-all", by=admin)


def test_a_group_holds_a_bounded_number_of_groups(accounts: AccountsService, admin: Person) -> None:
    names = [accounts.open_group(f"g{number}", by=admin).name for number in range(201)]
    accounts.open_group("whole", by=admin, members=Places(groups=frozenset(names[:200])))
    with pytest.raises(Invalid) as refused:
        accounts.put_into_group("whole", Place.MEMBER, by=admin, group=names[200])
    assert refused.value.code == "group_full"
    accounts.put_into_group("whole", Place.ADMIN, by=admin, group=names[200])
    assert len(accounts.group_detail("whole", by=admin).member_groups) == 200


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a%b", "é", "x" * 129, "a?b", "a\n"])
def test_a_name_that_uris_cannot_carry_is_refused(accounts: AccountsService, ada: Person, name: str) -> None:
    with pytest.raises(Invalid):
        accounts.open_group(name, by=ada)


@pytest.mark.parametrize(
    "nobody", [Places(groups=frozenset({"nowhere"})), Places(people=frozenset({PersonId("nobody")}))]
)
def test_an_edit_that_fails_changes_nothing(
    accounts: AccountsService, ada: Person, bob: Person, nobody: Places
) -> None:
    accounts.open_group("spirals", by=ada, members=Places(people=frozenset({bob.id})))
    with pytest.raises(NotFound):
        accounts.edit_group("spirals", by=ada, description="new", members=nobody)
    kept = accounts.group_detail("spirals", by=ada)
    assert (kept.description, kept.members) == ("", (bob,))


def test_a_group_outlives_its_owner(
    accounts: AccountsService, ada: Person, bob: Person, admin: Person
) -> None:
    accounts.open_group("spirals", by=bob, members=Places(people=frozenset({ada.id})))
    accounts.delete_person(bob.id)
    assert accounts.groups_of(ada.id) == {"m51", "spirals"}
    assert accounts.group_detail("spirals", by=admin).owner is None


@pytest.mark.parametrize("who", ["stranger", "member"])
def test_others_change_nothing(
    accounts: AccountsService, ada: Person, bob: Person, eve: Person, who: str
) -> None:
    accounts.open_group("spirals", by=ada, members=Places(people=frozenset({bob.id})))
    by = {"stranger": eve, "member": bob}[who]
    for change in (
        lambda: accounts.put_into_group("spirals", Place.MEMBER, by=by, person=eve.id),
        lambda: accounts.put_into_group("spirals", Place.ADMIN, by=by, person=by.id),
        lambda: accounts.take_out_of_group("spirals", Place.MEMBER, by=by, person=ada.id),
        lambda: accounts.edit_group("spirals", by=by, description="mine"),
        lambda: accounts.close_group("spirals", by=by),
    ):
        with pytest.raises(Forbidden):
            change()


def test_a_projects_group_is_changed_in_the_project(
    accounts: AccountsService, ada: Person, bob: Person
) -> None:
    with pytest.raises(Forbidden) as refused:
        accounts.put_into_group("m51", Place.MEMBER, by=ada, person=bob.id)
    assert refused.value.code == "group_of_project"
    assert accounts.group_detail("m51", by=ada).members == (ada,)
    with pytest.raises(Forbidden):
        accounts.group_detail("m51", by=bob)


def test_an_older_versions_group_with_a_projects_name_opens_nothing(
    accounts: AccountsService, ada: Person, bob: Person, admin: Person
) -> None:
    twin = accounts.create_group("twin")
    accounts.add_to_group(twin.id, bob.id)
    project = accounts.create_project("other", "", accounts.project_named("m51").allocation)
    with accounts._store.write() as records:  # as an older version let it happen
        records.projects.change(project.id, name="twin")
    assert accounts.groups_of(bob.id) == frozenset()


def test_roles_in_a_project_go_to_the_people_of_a_group_alone(
    accounts: AccountsService, ada: Person, bob: Person, eve: Person, admin: Person
) -> None:
    """Keystone has no groups in groups; those are for sharing."""
    outer = accounts.create_group("outer")
    accounts.add_to_group(outer.id, eve.id)
    accounts.open_group("inner", by=ada, members=Places(people=frozenset({bob.id})))
    accounts.put_into_group("outer", Place.MEMBER, by=admin, group="inner")
    m51 = accounts.project_named("m51").id
    accounts.grant_to_group(GroupGrant(group_id=outer.id, project_id=m51, cloud_scope=None, role=Role.MEMBER))
    assert accounts.groups_of(eve.id) == {"outer", "m51"}
    assert accounts.groups_of(bob.id) == {"inner", "outer"}
