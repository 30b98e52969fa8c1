"""The rules of groups by themselves, and membership beside a simple model of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from armillary.accounts.core.group_rules import STOCK_GMS, GroupAction, Place, Standing, group_name_in, may
from armillary.accounts.service import AccountsService, AccountsStore, Passwords
from armillary.app.database import make_engine
from armillary.base.clock import VirtualClock
from armillary.base.errors import Conflict, NotFound

STANDINGS = {
    "a stranger": Standing(),
    "a member": Standing(is_member=True),
    "an administrator": Standing(is_admin=True),
    "the owner": Standing(is_admin=True, is_owner=True),
    "the platform's administrator": Standing(is_operator=True),
}
MAY = {
    "a stranger": set[str](),
    "a member": {"see", "leave"},
    "an administrator": {"see", "leave", "change"},
    "the owner": {"see", "leave", "change", "delete"},
    "the platform's administrator": {"see", "leave", "change", "delete"},
}


@pytest.mark.parametrize("action", GroupAction)
@pytest.mark.parametrize("who", STANDINGS)
def test_who_may_do_what(who: str, action: GroupAction) -> None:
    assert may(STANDINGS[who], action, is_project=False) is (action.value in MAY[who])
    assert may(STANDINGS[who], action, is_project=True) is (action.value in MAY[who] & {"see"})


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("spirals", "spirals"),
        (f"{STOCK_GMS}?spirals", "spirals"),
        ("ivo://other.example/gms?spirals", None),
        ("ivo://cadc.nrc.ca/gms?", None),
        ("ivo://cadc.nrc.ca/gms?a b", None),
        ("a/b", None),
    ],
)
def test_groups_are_known_under_our_names_only(text: str, name: str | None) -> None:
    assert group_name_in(text, {STOCK_GMS}) == name


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AccountsService]:
    engine = make_engine(f"sqlite:///{tmp_path_factory.mktemp('arena')}/accounts.db", durable=False)
    store = AccountsStore(engine=engine)
    store.create_all()
    cheap = Passwords(time_cost=1, memory_cost=8, parallelism=1)
    yield AccountsService(store=store, clock=VirtualClock(), passwords=cheap, groups_each=10**6)
    engine.dispose()


NUMBERS = st.integers(0, 4)
STEPS = st.lists(
    st.tuples(st.sampled_from(["person", "group", "no person", "no group"]), NUMBERS, NUMBERS), max_size=25
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS)
def test_membership_is_what_a_simple_model_says(arena: AccountsService, steps: list[Any]) -> None:
    marks = f"r{len(arena.every_group())}-"
    people = [arena.create_person(user_name=f"{marks}p{n}") for n in range(5)]
    names = [arena.open_group(f"{marks}g{n}", by=people[0]).name for n in range(5)]
    inside: dict[int, set[int]] = {n: set() for n in range(5)}
    nested: dict[int, set[int]] = {n: set() for n in range(5)}

    def within(group: int) -> set[int]:
        """The groups in a group, with itself."""
        found = {group}
        while more := {inner for one in found for inner in nested[one]} - found:
            found |= more
        return found

    for what, where, which in steps:
        target, by = names[where], people[0]
        try:
            if what == "person":
                arena.put_into_group(target, Place.MEMBER, by=by, person=people[which].id)
                inside[where].add(which)
            elif what == "group":
                circle = where in within(which)
                arena.put_into_group(target, Place.MEMBER, by=by, group=names[which])
                assert not circle
                nested[where].add(which)
            elif what == "no person":
                there = which in inside[where]
                arena.take_out_of_group(target, Place.MEMBER, by=by, person=people[which].id)
                assert there
                inside[where].discard(which)
            else:
                there = which in nested[where]
                arena.take_out_of_group(target, Place.MEMBER, by=by, group=names[which])
                assert there
                nested[where].discard(which)
        except Conflict:
            assert what == "group"
            assert where in within(which)
        except NotFound:
            assert what.startswith("no ")
            assert which not in (inside if what == "no person" else nested)[where]
    for number, person in enumerate(people):
        expected = {names[g] for g in range(5) if any(number in inside[one] for one in within(g))}
        assert arena.groups_of(person.id) == expected
