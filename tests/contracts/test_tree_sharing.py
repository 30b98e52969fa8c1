"""What a tree remembers of sharing with groups, in SQLite and in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

from armillary.base.ids import PersonId
from armillary.vospace.model import Node, NodeKind, Sharing
from armillary.vospace.paths import VOSPath
from armillary.vospace.store import SqlRecords, create_all
from outside_engines import ON_BOTH

pytestmark = ON_BOTH

NOW = datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)
Maker = Callable[..., Node]


@pytest.fixture
def records(database: Engine) -> SqlRecords:
    create_all(database)
    return SqlRecords(database)


@pytest.fixture
def make(records: SqlRecords) -> Maker:
    """Adds a folder of ada's below /home."""

    def adder(name: str, **changes: object) -> Node:
        with records.writing() as tree:
            parent = tree.walk(VOSPath(("home",)))[-1]
            node = Node(
                id=0,
                parent_id=parent.id,
                path=parent.path / name,
                kind=NodeKind.CONTAINER,
                owner_id=PersonId("ada"),
                owner_name="ada",
                written_by="ada",
                created_at=NOW,
                modified_at=NOW,
            )
            return tree.add(replace(node, **changes))  # pyright: ignore[reportArgumentType]

    return adder


def test_what_was_shared_with_groups_is_found_by_group_and_by_owner_until_it_is_taken_back(
    records: SqlRecords, make: Maker
) -> None:
    both = make("both", sharing=Sharing(group_read=frozenset({"m51", "é"}), group_write=frozenset({"x"})))
    other = make("other", owner_id=PersonId("bob"), sharing=Sharing(group_read=frozenset({"m51"})))
    with records.writing() as tree:
        tree.note_sharing(both)
        tree.note_sharing(both)
        tree.note_sharing(other)
    with records.reading() as tree:
        assert list(tree.offered_to(["m51"], 10)) == [both.path, other.path]
        assert list(tree.offered_to(["x", "é", "m51"], 10)) == [both.path, other.path]
        assert list(tree.offered_to(["m51"], 1)) == [both.path]
        assert list(tree.offered_to(["m51"], 1, both.id + 1)) == [other.path]
        assert list(tree.offered_to(["m51"], 1, 0, PersonId("ada"))) == [other.path]
        assert list(tree.offered_by(PersonId("bob"), 10, other.id + 1)) == []
        assert list(tree.offered_to([], 10)) == []
        assert list(tree.offered_by(PersonId("bob"), 10)) == [other.path]
    with records.writing() as tree:
        tree.note_sharing(replace(both, sharing=Sharing(group_read=frozenset({"é"}))))
    with records.reading() as tree:
        assert list(tree.offered_to(["m51", "x"], 10)) == [other.path]
        assert list(tree.offered_to(["é"], 10)) == [both.path]
