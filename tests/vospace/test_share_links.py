"""Links for people without an account: what they open, for how long, and what they never open."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from armillary.accounts.model import Person, Principal
from armillary.base.clock import VirtualClock
from armillary.base.errors import Forbidden, Invalid, NotFound, Unauthorized
from armillary.base.ids import PersonId
from armillary.vospace.model import Change
from armillary.vospace.paths import VOSPath
from armillary.vospace.service import Links, VOSpaceService
from armillary.vospace.store import SqlLinkRecords

TOP = VOSPath()
WEEK = timedelta(days=7)


@pytest.fixture
def people(ada: Principal, bob: Principal) -> dict[str, Person]:
    """Who is still there."""
    return {who.person.id: who.person for who in (ada, bob)}


@pytest.fixture
def links(space: VOSpaceService, engine: Engine, ada: Principal, people: dict[str, Person]) -> Links:
    def holder(person_id: PersonId) -> Person:
        if person_id not in people:
            raise Unauthorized("This account is gone.")
        return people[person_id]

    space.ensure_home(ada.person)
    space.make_container(ada, "/home/ada/run")
    space.put_bytes(ada, "/home/ada/run/a.fits", [b"abc"])
    space.put_bytes(ada, "/home/ada/secret", [b"secret"])
    return Links(space=space, records=SqlLinkRecords(engine), holder=holder)


@pytest.fixture
def read(links: Links) -> Callable[..., bytes]:
    """Reads by a link."""

    def read(secret: str, *below: str) -> bytes:
        return b"".join(links.fetch(secret, VOSPath(below)).chunks)

    return read


def test_a_link_opens_its_file_and_counts(links: Links, ada: Principal, read: Callable[..., bytes]) -> None:
    link = links.make(ada, "/home/ada/run/a.fits", lifetime=WEEK, most=2)
    secret = links.secret(link)
    assert [read(secret), read(secret)] == [b"abc"] * 2
    with pytest.raises(NotFound, match="not any more"):
        read(secret)
    assert [(one.used, one.is_open(one.made_at)) for one in links.mine(ada)] == [(2, False)]


def test_the_rest_of_a_broken_download_does_not_count(links: Links, ada: Principal) -> None:
    link = links.make(ada, "/home/ada/run/a.fits", lifetime=WEEK, most=1)
    links.fetch(links.secret(link), TOP)
    with pytest.raises(NotFound):
        links.fetch(links.secret(link), TOP)
    few = links.make(ada, "/home/ada/run/a.fits", lifetime=WEEK, most=1)
    assert b"".join(links.fetch(links.secret(few), TOP, 1).chunks) == b"bc"
    with pytest.raises(NotFound):  # or one byte less would be had without end
        links.fetch(links.secret(few), TOP, 1)
    more = links.make(ada, "/home/ada/run/a.fits", lifetime=WEEK)
    assert b"".join(links.fetch(links.secret(more), TOP, 1).chunks) == b"bc"
    assert [one.used for one in links.mine(ada) if one.id == more.id] == [0]


def test_a_link_to_a_folder_reaches_what_is_in_it_and_nothing_else(
    links: Links, space: VOSpaceService, ada: Principal, read: Callable[..., bytes]
) -> None:
    secret = links.secret(links.make(ada, "/home/ada/run", lifetime=WEEK))
    assert read(secret, "a.fits") == b"abc"
    for below in (["secret"], ["a.fits", "b"], []):
        with pytest.raises(NotFound):
            read(secret, *below)
    with pytest.raises(Invalid):
        read(secret, "..", "secret")
    space.make_link(ada, "/home/ada/run/out", "vos://armillary.example~vault/home/ada/secret")
    space.make_link(ada, "/home/ada/run/up", "vos://armillary.example~vault/home/ada")
    for below in (["out"], ["up", "secret"]):
        with pytest.raises(NotFound):
            read(secret, *below)


def test_without_its_list_a_folder_is_only_fetched_whole(
    links: Links, ada: Principal, read: Callable[..., bytes]
) -> None:
    secret = links.secret(links.make(ada, "/home/ada/run", lifetime=WEEK, lists=False))
    with pytest.raises(NotFound):
        read(secret, "a.fits")
    node, asker = links.fetch_folder(secret, TOP)
    assert (str(node.path), asker.may_write) == ("/home/ada/run", False)


def test_guessed_and_forged_links_open_nothing(links: Links, ada: Principal) -> None:
    link = links.make(ada, "/home/ada/run/a.fits", lifetime=WEEK)
    secret = links.secret(link)
    other = links.secret(links.make(ada, "/home/ada/secret", lifetime=WEEK))
    forged = [
        "",
        ".",
        link.id,
        f"{link.id}.",
        f"{link.id}.{other[33:]}",
        secret[:-1],
        "é.é",
        f"{'0' * 32}.{secret[33:]}",
    ]
    for text in forged:
        with pytest.raises(NotFound):
            links.look(text)


def test_revoked_and_expired_links_open_nothing(
    links: Links, ada: Principal, bob: Principal, clock: VirtualClock
) -> None:
    gone = links.make(ada, "/home/ada/run/a.fits", lifetime=WEEK)
    late = links.make(ada, "/home/ada/run/a.fits", lifetime=WEEK)
    with pytest.raises(NotFound):
        links.revoke(bob, gone.id)
    links.look(links.secret(gone))
    links.revoke(ada, gone.id)
    links.revoke(ada, gone.id)
    with pytest.raises(NotFound):
        links.look(links.secret(gone))
    clock.advance(WEEK)
    with pytest.raises(NotFound):
        links.look(links.secret(late))
    links.sweep()
    assert len(links.mine(ada)) == 2
    clock.advance(timedelta(days=31))
    links.sweep()
    assert links.mine(ada) == []


def test_a_link_does_what_its_maker_may_do_now(
    links: Links,
    space: VOSpaceService,
    ada: Principal,
    bob: Principal,
    people: dict[str, Person],
    memberships: dict[str, set[str]],
) -> None:
    space.make_container(ada, "/home/ada/team", Change(group_write=frozenset({"m51"})))
    space.put_bytes(bob, "/home/ada/team/of-bob", [b"1"])
    secret = links.secret(links.make(bob, "/home/ada/team/of-bob", lifetime=WEEK))
    links.look(secret)
    del people[bob.person.id]
    with pytest.raises(NotFound):
        links.look(secret)


def test_another_file_in_the_old_place_is_not_meant(
    links: Links, space: VOSpaceService, ada: Principal, read: Callable[..., bytes]
) -> None:
    secret = links.secret(links.make(ada, "/home/ada/run/a.fits", lifetime=WEEK))
    space.put_bytes(ada, "/home/ada/run/a.fits", [b"newer"])
    assert read(secret) == b"newer"
    space.delete(ada, "/home/ada/run/a.fits")
    space.put_bytes(ada, "/home/ada/run/a.fits", [b"private"])
    with pytest.raises(NotFound):
        read(secret)


def test_only_owners_share_and_not_for_ever(
    links: Links, space: VOSpaceService, ada: Principal, bob: Principal
) -> None:
    space.set_properties(ada, "/home/ada/run/a.fits", Change(is_public=True))
    with pytest.raises(Forbidden):
        links.make(bob, "/home/ada/run/a.fits", lifetime=WEEK)
    for path in ("/home/ada/nothing", "/nowhere"):
        with pytest.raises(NotFound):
            links.make(ada, path, lifetime=WEEK)
    with pytest.raises(Forbidden):
        links.make(ada, "/home", lifetime=WEEK)
    for days in (0, 367):
        with pytest.raises(Invalid):
            links.make(ada, "/home/ada/run", lifetime=timedelta(days=days))
    with pytest.raises(Invalid):
        links.make(ada, "/home/ada/run", lifetime=WEEK, most=0)
