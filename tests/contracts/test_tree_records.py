"""What the records of the tree promise, in SQLite and in PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Engine

from armillary.base.errors import Conflict, NotFound
from armillary.base.ids import PersonId, new_hex
from armillary.vospace.model import Node, NodeKind, Order, Page, Sharing
from armillary.vospace.paths import VOSPath
from armillary.vospace.store import SqlRecords, create_all
from outside_engines import ON_BOTH

pytestmark = ON_BOTH

NOW = datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)
HOMES = VOSPath(("home",))
MANY = [
    "a",
    "B",
    "b",
    "A",
    "é",
    "z",
    "Z",
    "_",
    "-",
    "1",
    "10",
    "2",
    ".hidden",
    "ä",
    "a b",
    "a-b",
    "ab",
    "銀河",
]


@pytest.fixture
def records(database: Engine) -> SqlRecords:
    create_all(database)
    return SqlRecords(database)


Maker = Callable[..., Node]


@pytest.fixture
def make(records: SqlRecords) -> Maker:
    """Adds a node below a parent, by default below /home."""

    def adder(name: str, parent: Node | None = None, **changes: object) -> Node:
        with records.writing() as tree:
            parent = parent or tree.walk(HOMES)[-1]
            return tree.add(replace(node_below(parent, name), **changes))

    return adder


def node_below(parent: Node, name: str) -> Node:
    return Node(
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


def read(records: SqlRecords, node: Node) -> Node:
    with records.reading() as tree:
        return tree.walk(node.path)[-1]


def names(records: SqlRecords, parent: Node, page: Page) -> list[str]:
    with records.reading() as tree:
        return [child.name for child in tree.children(parent, page)]


def test_all_of_a_node_is_read_back(records: SqlRecords, make: Maker) -> None:
    node = make(
        "m51 (deep) #1.fits",
        kind=NodeKind.DATA,
        length=2**40,
        md5="0" * 32,
        blob=new_hex(),
        content_type="application/fits",
        content_encoding="gzip",
        sharing=Sharing(is_public=True, group_read=frozenset({"m51", "é"}), group_write=frozenset({"x"})),
        is_locked=True,
        properties={"ivo://ivoa.net/vospace/core#title": 'quoted "text", \\ and \u2028 銀河'},
        quota=2**50,
        modified_at=NOW.astimezone(timezone(timedelta(hours=9))),
    )
    assert read(records, node) == node


def test_the_first_nodes_are_there_once_however_often_they_are_made(
    records: SqlRecords, database: Engine, make: Maker
) -> None:
    create_all(database)
    node = make("ada")
    create_all(database)
    with records.reading() as tree:
        assert [found.path for found in tree.walk(node.path)] == [VOSPath(), HOMES, node.path]


def test_names_are_ordered_by_their_bytes(records: SqlRecords, make: Maker) -> None:
    home = make("ada")
    for name in MANY:
        make(name, home)
    ordered = sorted(MANY, key=str.encode)
    assert names(records, home, Page()) == ordered
    assert names(records, home, Page(descending=True)) == ordered[::-1]
    for position, name in enumerate(ordered):
        assert names(records, home, Page(start=name, limit=3)) == ordered[position : position + 3]


@pytest.mark.parametrize("order", list(Order))
@pytest.mark.parametrize("descending", [False, True])
def test_pages_in_any_order_hold_each_child_once(
    records: SqlRecords, make: Maker, order: Order, descending: bool
) -> None:
    home = make("ada")
    for position, name in enumerate(MANY):
        moment = NOW + timedelta(microseconds=position % 3)
        make(
            name,
            home,
            length=position % 4,
            modified_at=moment,
            created_at=moment,
            content_type=MANY[position % 5],
        )
    whole = names(records, home, Page(order=order, descending=descending))
    assert sorted(whole) == sorted(MANY)
    taken: list[str] = []
    last: Node | None = None
    while True:
        with records.reading() as tree:
            page = tree.children(home, Page(order=order, descending=descending, limit=4, after=last))
        taken += [child.name for child in page]
        if len(page) < 4:
            break
        last = page[-1]
    assert taken == whole


def test_names_that_differ_in_case_or_form_are_different(records: SqlRecords, make: Maker) -> None:
    home = make("ada")
    for name in ("m51", "M51", "é", "e\u0301"):
        make(name, home)
    assert len(names(records, home, Page())) == 4
    assert read(records, replace(home, path=home.path / "M51")).name == "M51"


def test_a_name_is_taken_once_and_the_transaction_goes_on(records: SqlRecords, make: Maker) -> None:
    home = make("ada")
    make("twice", home)
    with records.writing() as tree:
        other = tree.add(node_below(home, "other"))
        with pytest.raises(Conflict) as refused:
            tree.add(node_below(home, "twice"))
        with pytest.raises(Conflict):
            tree.save(replace(other, path=home.path / "twice"))
        tree.add(node_below(home, "third"))
    assert refused.value.code == "duplicate_node"
    assert names(records, home, Page()) == ["other", "third", "twice"]


def test_after_an_error_nothing_of_a_transaction_holds(records: SqlRecords, make: Maker) -> None:
    home = make("ada")
    with pytest.raises(KeyError), records.writing() as tree:
        tree.add(node_below(home, "lost"))
        tree.charge(home, 5)
        raise KeyError
    assert names(records, home, Page()) == []
    assert read(records, home).used == 0


def test_writers_wait_for_each_other_and_none_is_lost(records: SqlRecords, make: Maker) -> None:
    home = make("ada")
    together = threading.Barrier(8)

    def write(number: int) -> None:
        together.wait(30)
        for turn in range(5):
            with records.writing() as tree:
                found = tree.walk(home.path)[-1]
                count = int(found.properties.get("count", "0"))
                tree.save(replace(found, properties={"count": str(count + 1)}))
                tree.add(node_below(home, f"{number}-{turn}"))
                tree.charge(home, 3)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(8)))
    found = read(records, home)
    assert (found.properties["count"], found.used) == ("40", 120)
    assert len(names(records, home, Page())) == 40


def test_of_two_who_make_the_same_name_at_once_one_wins(records: SqlRecords, make: Maker) -> None:
    home = make("ada")
    together = threading.Barrier(6)

    def write(_: int) -> bool:
        together.wait(30)
        try:
            with records.writing() as tree:
                tree.add(node_below(home, "one"))
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(write, range(6))) == 1


def test_a_reader_sees_one_moment_and_does_not_wait_for_a_writer(records: SqlRecords, make: Maker) -> None:
    home = make("ada")
    make("before", home)
    with records.reading() as reader:
        seen = [child.name for child in reader.children(home, Page())]
        with records.writing() as tree:
            tree.add(node_below(home, "meanwhile"))
            assert names(records, home, Page()) == ["before"]
        assert [child.name for child in reader.children(home, Page())] == seen == ["before"]
    assert names(records, home, Page()) == ["before", "meanwhile"]


def test_a_walk_over_a_branch_goes_on_while_it_is_written_to(records: SqlRecords, make: Maker) -> None:
    home = make("ada")
    for number in range(20):
        make(f"{number:02}", home)
    seen: list[str] = []
    with records.reading() as tree:
        for node in tree.below(home):
            seen.append(node.name)
            if node.name == "05":
                with records.writing() as writer:
                    writer.remove(writer.walk(home.path / "10")[-1])
                    writer.add(node_below(home, "15b"))
    assert seen == [f"{number:02}" for number in range(20)]


def test_what_is_removed_takes_all_below_it_and_its_bytes_along(records: SqlRecords, make: Maker) -> None:
    home = make("ada")
    folder = make("folder", home)
    blobs = [new_hex() for _ in range(3)]
    for blob in blobs:
        make(blob, make(f"in-{blob}", folder), kind=NodeKind.DATA, blob=blob)
    make("copy", home, kind=NodeKind.DATA, blob=blobs[0])
    with records.writing() as tree:
        tree.remove(folder)
    reaped: list[str] = []
    assert records.reap(reaped.append, 100) == 3
    assert sorted(reaped) == sorted(blobs[1:])
    assert records.blobs_in_use(blobs) == {blobs[0]}
    assert records.reap(reaped.append, 100) == 0


def test_a_blob_whose_deletion_fails_comes_again(records: SqlRecords, make: Maker) -> None:
    node = make("ada", kind=NodeKind.DATA, blob=new_hex())
    with records.writing() as tree:
        tree.save(replace(node, blob=None))

    def fail(_: str) -> None:
        raise OSError

    with pytest.raises(OSError):
        records.reap(fail, 100)
    reaped: list[str] = []
    assert records.reap(reaped.append, 100) == 1
    assert reaped == [node.blob]


def test_a_blob_that_loses_its_last_node_while_another_is_reaped_is_not_forgotten(
    records: SqlRecords, make: Maker
) -> None:
    shared, other = new_hex(), new_hex()
    first = make("first", kind=NodeKind.DATA, blob=shared)
    second = make("second", kind=NodeKind.DATA, blob=shared)
    third = make("third", kind=NodeKind.DATA, blob=other)
    with records.writing() as tree:
        tree.remove(first)
        tree.remove(third)

    def meanwhile(_: str) -> None:
        with records.writing() as tree:
            tree.remove(second)

    records.reap(meanwhile, 100)
    reaped: list[str] = []
    records.reap(reaped.append, 100)
    assert reaped == [shared]


def test_the_first_signing_key_stays(records: SqlRecords) -> None:
    assert records.signing_key(b"\x00first\xff") == b"\x00first\xff"
    assert records.signing_key(b"second") == b"\x00first\xff"


def test_properties_of_many_nodes_are_saved_at_once_and_nothing_else(
    records: SqlRecords, make: Maker
) -> None:
    home = make("ada")
    made = [
        make(f"f{number}", home, kind=NodeKind.DATA, blob=new_hex(), length=number) for number in range(3)
    ]
    new = [
        replace(
            node,
            sharing=Sharing(is_public=True, group_read=frozenset({"m51"}), inherits=False),
            is_locked=True,
            content_type="image/fits",
            properties={"ivo://x#y": "é"},
            modified_at=NOW + timedelta(days=1),
        )
        for node in made
    ]
    with records.writing() as tree:
        tree.save_properties([replace(node, length=99, blob=None) for node in new[:2]])
        tree.save_properties([])
    with records.reading() as tree:
        found = [tree.walk(node.path)[-1] for node in made]
        assert found == [*new[:2], made[2]]
        assert "ivo://x#y" in tree.property_names()


@pytest.mark.parametrize("order", list(Order))
@pytest.mark.parametrize("descending", [False, True])
def test_a_listing_goes_on_after_a_child_that_is_gone(
    records: SqlRecords, make: Maker, order: Order, descending: bool
) -> None:
    home = make("ada")
    for number, name in enumerate(MANY):
        make(name, home, length=number % 3, owner_name=f"owner {number % 2}")
    whole = names(records, home, Page(order=order, descending=descending))
    with records.writing() as tree:
        last = next(child for child in tree.children(home, Page()) if child.name == whole[7])
        tree.remove(last)
    page = Page(order=order, descending=descending, after=last)
    assert names(records, home, page) == whole[8:]
    if order is not Order.NAME:
        with pytest.raises(NotFound):
            names(records, home, Page(order=order, start=whole[7]))


def test_properties_in_use_are_noted_once(records: SqlRecords, make: Maker) -> None:
    for name in ("one", "two"):
        make(name, properties={"urn:b": "1", "urn:a": name})
    with records.writing() as tree:
        assert list(tree.property_names()) == ["urn:a", "urn:b"]


def test_the_deepest_path_is_found_in_one_walk(records: SqlRecords, make: Maker) -> None:
    node = make("ada")
    for _ in range(126):
        node = make("d", node)
    with records.reading() as tree:
        assert [found.path.name for found in tree.walk(node.path)] == ["", "home", "ada", *["d"] * 126]
        assert len(tree.walk(VOSPath(("home", "ada", "no", "d")))) == 3


def test_children_are_found_by_a_part_of_their_name(records: SqlRecords, make: Maker) -> None:
    for name in ("m51.fits", "M51.log", "100%", "1000", "a_b", "axb"):
        make(name)
    with records.reading() as tree:
        home = tree.walk(HOMES)[-1]
        found = {
            text: [node.name for node in tree.children(home, Page(match=text))]
            for text in ("m51", "0%", "a_")
        }
        assert found == {"m51": ["M51.log", "m51.fits"], "0%": ["100%"], "a_": ["a_b"]}
        page = Page(match="m51", start="N", order=Order.NAME)
        assert [node.name for node in tree.children(home, page)] == ["m51.fits"]


def test_what_fills_a_container_is_added_up_with_all_below(records: SqlRecords, make: Maker) -> None:
    small, large = make("small"), make("large")
    deep = make("deep", large)
    for number, parent in enumerate((small, large, deep, deep)):
        make(f"f{number}", parent, kind=NodeKind.DATA, length=10)
    with records.reading() as tree:
        home = tree.walk(HOMES)[-1]
        found = [(one.name, one.octets, one.nodes, one.is_container) for one in tree.weights(home, 100)]
        assert found == [("large", 30, 5, True), ("small", 10, 2, True)]
        assert sum(one.nodes for one in tree.weights(home, 4)) == 4
