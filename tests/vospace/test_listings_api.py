"""Listings over HTTP: orders, pages, details, and what happens with very many children."""

from __future__ import annotations

import tracemalloc
from datetime import timedelta

import pytest
from space_talk import CORE, XML, Talk, uri
from starlette.testclient import TestClient

from armillary.accounts.model import Principal
from armillary.base.clock import VirtualClock
from armillary.vospace.model import NodeKind, Order, Page
from armillary.vospace.service import VOSpaceService
from armillary.vospace.xml import listing


@pytest.fixture
def ada(http: TestClient) -> Talk:
    return Talk(http)


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("", ["a", "b", "c"]),
        (CORE + "title", ["a", "b", "c"]),
        (CORE + "length", ["b", "c", "a"]),
        (CORE + "date", ["c", "a", "b"]),
        (CORE + "btime", ["c", "a", "b"]),
    ],
)
def test_listings_are_sorted_both_ways_and_in_pages(
    ada: Talk, clock: VirtualClock, sort: str, expected: list[str]
) -> None:
    for name, length in (("c", 5), ("a", 9), ("b", 0)):
        ada.write(f"/home/ada/{name}", b"x" * length)
        clock.advance(timedelta(seconds=1))
    by = {"sort": sort} if sort else {}
    assert ada.look("/home/ada", **by).names == expected
    assert ada.look("/home/ada", order="desc", **by).names == expected[::-1]
    second = uri(f"/home/ada/{expected[1]}")
    assert ada.look("/home/ada", uri=second, limit=1, **by).names == [expected[1]]
    assert ada.look("/home/ada", uri=second, order="desc", **by).names == expected[1::-1]


@pytest.mark.parametrize("detail", ["min", "max", "properties"])
def test_detail_says_how_much_is_told(ada: Talk, detail: str) -> None:
    ada.make("/home/ada/n", "DataNode")
    for node in (ada.look("/home/ada", detail=detail), ada.look("/home/ada", detail=detail).children[0]):
        parts = set(node.parts) - {"nodes"}
        wanted = {"min": set(), "properties": {"properties"}}
        assert parts == wanted.get(detail, {"properties", "accepts", "provides", "capabilities"})


def test_a_start_that_is_gone_is_told_where_its_place_is_not_known(ada: Talk) -> None:
    ada.make("/home/ada/n")
    gone = uri("/home/ada/m")
    assert ada.look("/home/ada", uri=gone).names == ["n"]
    assert ada.get("/home/ada", uri=gone, sort=CORE + "length").status_code == 404


def test_data_view_leads_to_the_bytes_and_others_are_refused(ada: Talk) -> None:
    ada.write("/home/ada/f", b"abc")
    answer = ada.get("/home/ada/f", view="data")
    assert answer.status_code == 303
    assert ada.http.get(answer.headers["location"], follow_redirects=True).content == b"abc"
    answer = ada.get("/home/ada/f", view="rss")
    assert (answer.status_code, answer.text.split()[0]) == (400, "ViewNotSupported")


def test_the_protocols_of_a_node_are_told(ada: Talk) -> None:
    body = '<vos:protocols xmlns:vos="http://www.ivoa.net/xml/VOSpace/v2.0"/>'
    answer = ada.http.post("/vault/nodes/home/ada", content=body, headers=XML)
    assert "httpsget" in answer.text
    assert ada.http.post("/vault/nodes/home/bob", content=body, headers=XML).status_code == 403


@pytest.fixture
def crowd(ada: Talk, space: VOSpaceService, root: Principal) -> int:
    """A container `/home/ada/many` with children for three pages."""
    ada.make("/home/ada/many")
    asker = space.access.asker(root)
    assert asker
    with space.records.writing() as tree:
        parent = tree.walk(space.node(root, "/home/ada/many").path)[-1]
        for index in range(2100):
            tree.add(space.new_node(asker, parent, parent.path / f"n{index:06}", NodeKind.DATA))
    return 2100


def test_a_listing_takes_the_same_memory_for_many_children_as_for_few(
    crowd: int, space: VOSpaceService, root: Principal
) -> None:
    def listed(limit: int) -> tuple[int, int]:
        node = space.node(root, "/home/ada/many")
        tracemalloc.start()
        pieces = listing(node, space.children(root, node.path, Page(limit=limit)), "armillary.example~vault")
        length = sum(len(piece) for piece in pieces)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return length, peak

    listed(10)
    few, many = listed(1000), listed(crowd)
    assert many[0] > 2 * few[0]
    assert many[1] < 1.2 * few[1]


@pytest.mark.parametrize("order", [Order.NAME, Order.LENGTH])
def test_a_listing_goes_on_while_the_container_changes(
    crowd: int, space: VOSpaceService, root: Principal, order: Order
) -> None:
    found: list[str] = []
    for child in space.children(root, "/home/ada/many", Page(limit=2**62, order=order)):
        found.append(child.name)
        if len(found) == 1000:
            # The place where the next page begins goes away, and something comes before it.
            space.delete(root, f"/home/ada/many/{child.name}")
            space.delete(root, "/home/ada/many/n001000")
            space.put_bytes(root, "/home/ada/many/a", [])
    assert found == [f"n{index:06}" for index in range(crowd) if index != 1000]


def test_pages_by_address_put_together_are_the_whole(ada: Talk, crowd: int) -> None:
    whole = ada.look("/home/ada/many", detail="min").names
    found, start = [], {}
    while len(page := ada.look("/home/ada/many", detail="min", limit=701, **start).names) > 1:
        found += page if not found else page[1:]
        start = {"uri": uri(f"/home/ada/many/{page[-1]}")}
    assert found == whole
    assert len(whole) == crowd
