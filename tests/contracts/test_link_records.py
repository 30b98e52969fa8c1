"""What the records of share links promise, in SQLite and in PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from armillary.base.ids import PersonId, new_hex
from armillary.vospace.link_model import ShareLink
from armillary.vospace.paths import VOSPath
from armillary.vospace.store import SqlLinkRecords, create_all
from outside_engines import ON_BOTH

pytestmark = ON_BOTH

NOW = datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)
DAY = timedelta(days=1)
ADA, BOB = PersonId("ada"), PersonId("bob")
PATH = VOSPath(("home", "ada", 'a "b" é/銀河'.replace("/", "_")))


@pytest.fixture
def records(database: Engine) -> SqlLinkRecords:
    create_all(database)
    return SqlLinkRecords(database)


def link(**changes: object) -> ShareLink:
    made = ShareLink(
        id=new_hex(),
        path=PATH,
        node_id=7,
        is_folder=False,
        owner_id=ADA,
        owner_name="ada",
        lists=True,
        made_at=NOW,
        expires_at=NOW + DAY,
    )
    return replace(made, **changes)  # pyright: ignore[reportArgumentType]


def test_a_link_comes_back_as_it_was(records: SqlLinkRecords) -> None:
    made = link(most=5)
    records.add_link(made)
    assert records.link(made.id) == made
    assert records.link("nothing") is None


def test_links_are_listed_by_maker_and_path_the_newest_first(records: SqlLinkRecords) -> None:
    old, new = link(), link(made_at=NOW + DAY, path=VOSPath(("home", "ada")))
    for one in (old, new, link(owner_id=BOB)):
        records.add_link(one)
    assert [one.id for one in records.links_of(ADA)] == [new.id, old.id]
    assert [one.id for one in records.links_of(ADA, PATH)] == [old.id]


def test_the_first_revocation_stays(records: SqlLinkRecords) -> None:
    made = link()
    records.add_link(made)
    records.revoke_link(made.id, NOW)
    records.revoke_link(made.id, NOW + DAY)
    assert records.link(made.id) == replace(made, revoked_at=NOW)
    assert not records.use_link(made.id, NOW)


def test_an_expired_link_is_not_used(records: SqlLinkRecords) -> None:
    made = link()
    records.add_link(made)
    assert records.use_link(made.id, NOW)
    assert not records.use_link(made.id, NOW + DAY)


def test_of_many_who_take_the_last_uses_no_more_get_one_than_there_are(records: SqlLinkRecords) -> None:
    made = link(most=3)
    records.add_link(made)
    with ThreadPoolExecutor(8) as threads:
        got = list(threads.map(lambda _: records.use_link(made.id, NOW), range(12)))
    assert sum(got) == 3
    assert records.link(made.id) == replace(made, used=3, used_at=NOW)


def test_what_ended_long_ago_is_forgotten_some_at_a_time(records: SqlLinkRecords) -> None:
    for one in (link(), link(), link(expires_at=NOW + 9 * DAY)):
        records.add_link(one)
    assert records.forget_links(NOW + 2 * DAY, 1) == 1
    assert records.forget_links(NOW + 2 * DAY, 5) == 1
    assert len(records.links_of(ADA)) == 1
