"""Pre-authorised addresses: one node, one verb, a few minutes, and no longer than what they were given for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

import pytest
from starlette.testclient import TestClient

from armillary.accounts.model import Person, Principal
from armillary.base.clock import VirtualClock
from armillary.base.errors import Forbidden, NotFound, Unauthorized
from armillary.base.ids import PersonId
from armillary.vospace.core.permissions import Asker
from armillary.vospace.paths import VOSPath
from armillary.vospace.service import Grants, VOSpaceService

X = VOSPath.parse("/home/ada/x")
LIFETIME = timedelta(minutes=15)


class People:
    """Who signed in with what."""

    def __init__(self, *people: Person) -> None:
        self.people = {person.id: person for person in people}
        self.revoked: set[str] = set()

    def holder(self, person_id: PersonId, credential: str) -> Person:
        if credential in self.revoked or person_id not in self.people:
            raise Unauthorized("No longer.")
        return self.people[person_id]


@pytest.fixture
def people(ada: Principal, root: Principal) -> People:
    return People(ada.person, root.person)


@pytest.fixture
def grants(people: People, clock: VirtualClock) -> Grants:
    return Grants(
        key=b"k" * 32,
        clock=clock,
        groups=lambda person_id: frozenset({"m51"}),
        holder=people.holder,
        lifetime=LIFETIME,
    )


@pytest.fixture
def asker(space: VOSpaceService, a_token: Callable[..., Principal]) -> Asker:
    asker = space.access.asker(a_token("ada", "vospace:read"))
    assert asker is not None
    return asker


def test_a_slip_says_who_may_do_one_thing_to_one_node(grants: Grants, asker: Asker) -> None:
    grant = grants.read(grants.issue("read", X, asker), frozenset({"read"}))
    assert grant.path == X
    assert grant.asker is not None
    assert (grant.asker.user_name, grant.asker.may_read, grant.asker.may_write) == ("ada", True, False)
    with pytest.raises(Forbidden):
        grants.read(grants.issue("read", X, asker), frozenset({"write"}))


def test_a_slip_lasts_for_minutes(grants: Grants, asker: Asker, clock: VirtualClock) -> None:
    slip = grants.issue("read", X, asker)
    clock.advance(LIFETIME)
    grants.read(slip, frozenset({"read"}))
    clock.advance(timedelta(seconds=1))
    with pytest.raises(Forbidden) as refused:
        grants.read(slip, frozenset({"read"}))
    assert refused.value.code == "grant_expired"


def test_a_slip_ends_with_the_token_that_it_was_given_for(
    grants: Grants, asker: Asker, people: People
) -> None:
    slip = grants.issue("read", X, asker)
    people.revoked.add("token:another")
    grants.read(slip, frozenset({"read"}))
    people.revoked.add("token:t")
    with pytest.raises(Unauthorized):
        grants.read(slip, frozenset({"read"}))
    with pytest.raises(Unauthorized):
        grants.read(slip, frozenset({"read"}), expired=True)


def test_who_is_no_longer_an_administrator_is_none_by_a_slip_either(
    grants: Grants, space: VOSpaceService, root: Principal, people: People
) -> None:
    slip = grants.issue("read", X, space.access.asker(root))
    grant = grants.read(slip, frozenset({"read"}))
    assert grant.asker is not None and grant.asker.is_admin
    former = {**vars(root.person), "is_admin": False}
    people.people[root.person.id] = Person(**former)
    grant = grants.read(slip, frozenset({"read"}))
    assert grant.asker is not None and not grant.asker.is_admin


def test_a_slip_of_another_platform_is_unknown(grants: Grants, people: People, clock: VirtualClock) -> None:
    other = Grants(
        key=b"o" * 32, clock=clock, groups=lambda _: frozenset(), holder=people.holder, lifetime=LIFETIME
    )
    with pytest.raises(NotFound):
        grants.read(other.issue("read", X, None), frozenset({"read"}))


def test_no_log_says_an_address_and_no_page_is_told_it(
    http: TestClient, stranger: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    http.put("/arc/files/home/ada/x", content=b"x")
    url = http.get("/vault/files/home/ada/x").headers["location"]
    answer = stranger.get(url)
    assert answer.headers["referrer-policy"] == "no-referrer"
    stranger.put(url, content=b"x")
    slip = url.partition("grant:")[2].partition("/")[0]
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("armillary")]
    assert ours
    assert not [line for line in ours if slip in line]
    assert slip not in stranger.put(url, content=b"x").text
