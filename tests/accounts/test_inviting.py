"""Links into groups: for one or many, for a time, taken back at a word."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from starlette.testclient import TestClient

from armillary.accounts.core.group_rules import Place
from armillary.accounts.model import Person, Project
from armillary.accounts.service import AccountsService
from armillary.base.clock import VirtualClock
from armillary.base.errors import Forbidden, Invalid, NotFound

Member = Callable[..., tuple[Person, Project]]


@pytest.fixture
def ada(a_member: Member, accounts: AccountsService) -> Person:
    """The owner of the group `radio`."""
    person, _ = a_member()
    accounts.open_group("radio", by=person)
    return person


@pytest.fixture
def eve(a_member: Member) -> Person:
    return a_member("eve", "stars")[0]


@pytest.fixture
def vera(a_member: Member) -> Person:
    return a_member("vera", "rotation")[0]


def test_a_link_lets_one_person_in(accounts: AccountsService, ada: Person, eve: Person, vera: Person) -> None:
    made, secret = accounts.invite("radio", by=ada)
    assert (made.group, made.uses_left) == ("radio", 1)
    assert accounts.invitation(secret).made_by == "ada"
    assert accounts.accept_invitation(secret, who=eve) == "radio"
    assert "radio" in accounts.groups_of(eve.id)
    with pytest.raises(NotFound) as refused:
        accounts.accept_invitation(secret, who=vera)
    assert refused.value.code == "invitation_over"
    assert "radio" not in accounts.groups_of(vera.id)


def test_who_is_in_already_uses_nothing_up(
    accounts: AccountsService, ada: Person, eve: Person, vera: Person
) -> None:
    _, secret = accounts.invite("radio", by=ada, uses=2)
    for _ in range(3):
        accounts.accept_invitation(secret, who=eve)
    accounts.accept_invitation(secret, who=vera)
    with pytest.raises(NotFound):
        accounts.invitation(secret)


def test_a_link_for_many_makes_administrators_until_it_expires(
    accounts: AccountsService, ada: Person, eve: Person, vera: Person, clock: VirtualClock
) -> None:
    _, secret = accounts.invite("radio", by=ada, place=Place.ADMIN, lifetime=timedelta(days=2), uses=None)
    accounts.accept_invitation(secret, who=eve)
    clock.advance(timedelta(days=1))
    accounts.accept_invitation(secret, who=vera)
    assert [person.user_name for person in accounts.group_detail("radio", by=eve).admins] == ["eve", "vera"]
    clock.advance(timedelta(days=1))
    with pytest.raises(NotFound):
        accounts.accept_invitation(secret, who=eve)
    assert accounts.invitations("radio", by=ada) == []


def test_a_link_that_is_taken_back_or_whose_group_is_gone_leads_nowhere(
    accounts: AccountsService, ada: Person, eve: Person
) -> None:
    made, secret = accounts.invite("radio", by=ada)
    accounts.take_back_invitation("radio", made.id, by=ada)
    _, other = accounts.invite("radio", by=ada)
    accounts.close_group("radio", by=ada)
    for dead in (secret, other, "nonsense", "\udc80"):
        with pytest.raises(NotFound):
            accounts.accept_invitation(dead, who=eve)


def test_only_who_looks_after_a_group_invites(accounts: AccountsService, ada: Person, eve: Person) -> None:
    accounts.put_into_group("radio", Place.MEMBER, by=ada, person=eve.id)
    made, _ = accounts.invite("radio", by=ada)
    for act in (
        lambda: accounts.invite("radio", by=eve),
        lambda: accounts.invitations("radio", by=eve),
        lambda: accounts.take_back_invitation("radio", made.id, by=eve),
        lambda: accounts.invite("m51", by=ada),
    ):
        with pytest.raises(Forbidden):
            act()
    accounts.open_group("optical", by=eve)
    with pytest.raises(NotFound):
        accounts.take_back_invitation("optical", made.id, by=eve)


def test_a_link_is_bounded(accounts: AccountsService, ada: Person) -> None:
    for wrong in ({"lifetime": timedelta(days=91)}, {"lifetime": timedelta(0)}, {"uses": 0}, {"uses": 10**6}):
        with pytest.raises(Invalid):
            accounts.invite("radio", by=ada, **wrong)


def test_links_go_over_the_api(
    accounts: AccountsService, ada: Person, eve: Person, http: TestClient, password: str
) -> None:
    mine, hers = ("ada", password), ("eve", password)
    body = {"place": "members", "days": 1, "uses": 1}
    assert http.post("/api/v1/accounts/groups/radio/invitations", json=body, auth=hers).status_code == 403
    made = http.post("/api/v1/accounts/groups/radio/invitations", json=body, auth=mine).json()
    secret = made["path"].removeprefix("/join/")
    [listed] = http.get("/api/v1/accounts/groups/radio/invitations", auth=mine).json()
    assert (listed["id"], listed["uses_left"]) == (made["id"], 1)
    assert secret not in str(listed)
    accepted = http.post("/api/v1/accounts/invitations/accept", json={"secret": secret}, auth=hers)
    assert accepted.json() == {"group": "radio"}
    again = http.post("/api/v1/accounts/invitations/accept", json={"secret": secret}, auth=mine)
    assert again.status_code == 404
    other = http.post("/api/v1/accounts/groups/radio/invitations", json=body, auth=mine).json()
    taken = http.delete(f"/api/v1/accounts/groups/radio/invitations/{other['id']}", auth=mine)
    assert taken.status_code == 204


def test_more_is_asked_for_over_the_api(ada: Person, eve: Person, http: TestClient, password: str) -> None:
    figures = {"cores": 9, "ram": 8192, "disk": 40, "storage": 10, "batch_cores": 8}
    body = {"requested": figures, "reason": "A survey."}
    asked = http.post("/api/v1/accounts/projects/m51/more", json=body, auth=("ada", password))
    assert (asked.status_code, asked.json()["state"]) == (201, "waiting")
    assert (
        http.post("/api/v1/accounts/projects/m51/more", json=body, auth=("eve", password)).status_code == 404
    )
