"""More for a project: asked for by members, decided by administrators, with advice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from armillary.accounts.core.suggesting import USUAL, Why, suggest
from armillary.accounts.model import Allocation, ApplicationState, Person, Project, Role
from armillary.accounts.service import AccountsService
from armillary.base.errors import Conflict, Forbidden, Invalid

Member = Callable[..., tuple[Person, Project]]


def test_a_project_gets_what_is_approved(
    accounts: AccountsService, admin: Person, a_member: Member, an_allocation: Callable[..., Allocation]
) -> None:
    ada, project = a_member()
    asked = accounts.request_more(ada.id, project.id, requested=an_allocation(cores=32), reason="A survey.")
    assert asked.is_more
    assert accounts.project(project.id).allocation.cores == 4

    changed = accounts.approve(asked.id, by=admin.id, granted=an_allocation(cores=16))

    assert (changed.id, changed.allocation.cores) == (project.id, 16)
    decided = accounts.application(asked.id)
    assert (decided.state, decided.granted) == (ApplicationState.APPROVED, changed.allocation)
    assert not decided.is_more
    assert [m.role for m in accounts.members(project.id)] == [Role.ADMIN]


def test_a_project_asks_once_at_a_time_and_for_something_else(
    accounts: AccountsService, admin: Person, a_member: Member, an_allocation: Callable[..., Allocation]
) -> None:
    ada, project = a_member()
    with pytest.raises(Invalid):
        accounts.request_more(ada.id, project.id, requested=project.allocation, reason="Why not.")
    asked = accounts.request_more(ada.id, project.id, requested=an_allocation(cores=32), reason="A survey.")
    with pytest.raises(Conflict) as refused:
        accounts.request_more(ada.id, project.id, requested=an_allocation(cores=64), reason="More.")
    assert refused.value.code == "more_is_asked"
    accounts.decline(asked.id, by=admin.id, reason="No room.")
    accounts.request_more(ada.id, project.id, requested=an_allocation(cores=8), reason="Less, then.")


def test_readers_and_strangers_ask_for_nothing(
    accounts: AccountsService, a_member: Member, an_allocation: Callable[..., Allocation]
) -> None:
    _, project = a_member()
    eve, _ = a_member("eve", "stars")
    for _ in range(2):
        with pytest.raises(Forbidden):
            accounts.request_more(eve.id, project.id, requested=an_allocation(cores=9), reason="Please.")
        accounts.set_role(project.id, eve.id, Role.READER)
    accounts.set_role(project.id, eve.id, Role.MEMBER)
    accounts.request_more(eve.id, project.id, requested=an_allocation(cores=9), reason="Please.")


def test_only_administrators_change_allocations(
    accounts: AccountsService, admin: Person, a_member: Member, an_allocation: Callable[..., Allocation]
) -> None:
    ada, project = a_member()
    with pytest.raises(Forbidden):
        accounts.change_allocation(project.id, an_allocation(cores=9), by=ada.id)
    with pytest.raises(Invalid):
        accounts.change_allocation(project.id, an_allocation(cores=0), by=admin.id)
    assert accounts.change_allocation(project.id, an_allocation(cores=9), by=admin.id).allocation.cores == 9


# advice


def advised(an_allocation: Callable[..., Allocation], cores: int, **known: Any) -> tuple[int, Why]:
    found = suggest(an_allocation(cores=cores), **known)
    return found.allocation.cores, found.why["cores"]


def test_a_new_project_begins_with_no_more_than_the_usual(an_allocation: Callable[..., Allocation]) -> None:
    assert advised(an_allocation, 8) == (8, Why.AS_ASKED)
    assert advised(an_allocation, 800) == (USUAL.cores, Why.USUAL)


def test_who_uses_little_gets_no_more(an_allocation: Callable[..., Allocation]) -> None:
    has = an_allocation(cores=32)
    assert advised(an_allocation, 64, present=has, used={"cores": 15}) == (32, Why.LITTLE_USED)
    assert advised(an_allocation, 64, present=has, used={"cores": 16}) == (64, Why.AS_ASKED)
    assert advised(an_allocation, 65, present=has, used={"cores": 30}) == (64, Why.DOUBLED)
    assert advised(an_allocation, 64, present=has) == (64, Why.AS_ASKED)


def test_less_is_never_refused(an_allocation: Callable[..., Allocation]) -> None:
    has = an_allocation(cores=32)
    assert advised(an_allocation, 2, present=has, used={"cores": 30}, free={"cores": 0}) == (2, Why.LESS)


def test_no_project_gets_more_than_half_of_what_is_free(an_allocation: Callable[..., Allocation]) -> None:
    has = an_allocation(cores=32)
    used = {"cores": 32}
    assert advised(an_allocation, 64, present=has, used=used, free={"cores": 20}) == (42, Why.CAPACITY)
    assert advised(an_allocation, 64, present=has, used=used, free={"cores": 0}) == (32, Why.CAPACITY)
    assert advised(an_allocation, 8, free={"cores": 0}) == (1, Why.CAPACITY)
