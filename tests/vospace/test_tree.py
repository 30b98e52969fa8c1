"""The tree: making, finding, sharing, moving and deleting nodes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from armillary.accounts.model import Principal, TokenKind
from armillary.accounts.trail import gathering
from armillary.base.errors import Conflict, Forbidden, Invalid, NotFound, QuotaExceeded, Unauthorized
from armillary.base.units import GiB
from armillary.vospace.bytes import MemoryBytes
from armillary.vospace.model import Change, Order, Page
from armillary.vospace.service import VOSpaceService

ODD_NAMES = [
    "a b",
    "100%",
    "%41",
    "a#b",
    "a?b",
    "a+b",
    ".hidden",
    "...",
    "é" * 127,
    "x" * 255,
    "日本",
    "a&<>\"'b",
    "~",
]


def names(space: VOSpaceService, who: Principal | None, path: str, page: Page | None = None) -> list[str]:
    return [node.name for node in space.children(who, path, page)]


def test_a_home_is_made_once_and_is_private(space: VOSpaceService, ada: Principal, eve: Principal) -> None:
    again = space.ensure_home(ada.person)
    assert space.node(ada, "/home/ada").id == again.id
    with pytest.raises(Forbidden):
        space.node(eve, "/home/ada")
    with pytest.raises(Unauthorized):
        space.node(None, "/home/ada")


def test_home_lists_only_what_may_be_read(space: VOSpaceService, ada: Principal, root: Principal) -> None:
    assert names(space, ada, "/home") == ["ada"]
    assert names(space, root, "/home") == ["ada", "bob", "eve"]
    with pytest.raises(Unauthorized):
        space.children(None, "/home")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_are_kept_as_they_are(space: VOSpaceService, ada: Principal, name: str) -> None:
    space.put_bytes(ada, f"/home/ada/{name}", [b"x"])
    assert names(space, ada, "/home/ada") == [name]


@pytest.mark.parametrize("name", [".", "..", "a\x00b", "a\nb", "x" * 256, "é" * 128, "\ud800", "\x7f"])
def test_impossible_names_are_refused(space: VOSpaceService, ada: Principal, name: str) -> None:
    with pytest.raises(Invalid):
        space.put_bytes(ada, f"/home/ada/{name}", [b"x"])
    assert names(space, ada, "/home/ada") == []


def test_a_path_cannot_climb(space: VOSpaceService, ada: Principal) -> None:
    with pytest.raises(Invalid):
        space.node(ada, "/home/ada/../bob")


@pytest.mark.parametrize("path", ["/x", "/home/x"])
def test_nobody_writes_outside_of_the_homes(space: VOSpaceService, root: Principal, path: str) -> None:
    with pytest.raises(Forbidden):
        space.make_container(root, path)


@pytest.mark.parametrize("path", ["/", "/home", "/home/ada"])
def test_the_top_and_the_homes_stay(space: VOSpaceService, ada: Principal, path: str) -> None:
    with pytest.raises(Forbidden):
        space.delete(ada, path)
    with pytest.raises((Forbidden, Invalid)):
        space.move(ada, path, "/home/ada/x")


def test_what_does_not_exist_is_only_told_to_those_who_may_look(
    space: VOSpaceService, ada: Principal, eve: Principal
) -> None:
    with pytest.raises(NotFound):
        space.node(ada, "/home/ada/nothing")
    with pytest.raises(Forbidden):
        space.node(eve, "/home/ada/nothing")


def test_a_name_is_taken_once(space: VOSpaceService, ada: Principal) -> None:
    space.make_container(ada, "/home/ada/a")
    with pytest.raises(Conflict):
        space.make_container(ada, "/home/ada/a")
    with pytest.raises(Conflict):
        space.put_bytes(ada, "/home/ada/a", [b"x"])


def test_parents_are_made_on_demand(space: VOSpaceService, ada: Principal) -> None:
    space.make_container(ada, "/home/ada/a/b/c", parents=True)
    space.make_container(ada, "/home/ada/a/b/c", parents=True)
    assert names(space, ada, "/home/ada/a/b") == ["c"]


def test_a_group_reads_and_writes_what_is_shared_with_it(
    space: VOSpaceService, ada: Principal, bob: Principal, eve: Principal
) -> None:
    space.make_container(ada, "/home/ada/shared")
    space.put_bytes(ada, "/home/ada/shared/x", [b"x"])
    for path in ("/home/ada/shared", "/home/ada/shared/x"):
        space.set_properties(ada, path, Change(group_read=frozenset({"m51"})))
    assert names(space, bob, "/home/ada/shared") == ["x"]
    assert space.open_bytes(bob, "/home/ada/shared/x").node.length == 1
    with pytest.raises(Forbidden):
        space.put_bytes(bob, "/home/ada/shared/y", [b"y"])
    space.set_properties(ada, "/home/ada/shared", Change(group_write=frozenset({"m51"})))
    made = space.put_bytes(bob, "/home/ada/shared/y", [b"yy"])
    assert (made.owner_name, made.sharing.group_write) == ("bob", {"m51"})
    assert space.node(ada, "/home/ada").used == 3
    with pytest.raises(Forbidden):
        space.node(eve, "/home/ada/shared")
    with pytest.raises(Forbidden):
        space.set_properties(bob, "/home/ada/shared", Change(is_public=True))
    space.delete(ada, "/home/ada/shared/y")


def test_public_nodes_are_for_strangers_too(space: VOSpaceService, ada: Principal) -> None:
    space.put_bytes(ada, "/home/ada/x", [b"x"])
    space.set_properties(ada, "/home/ada/x", Change(is_public=True))
    assert b"".join(space.open_bytes(None, "/home/ada/x").chunks) == b"x"
    with pytest.raises(Unauthorized):
        space.put_bytes(None, "/home/ada/x", [b"y"])


def test_scopes_of_a_token_are_kept(space: VOSpaceService, a_token: Callable[..., Principal]) -> None:
    reader, other = a_token("ada", "vospace:read"), a_token("ada", "batch:submit")
    assert space.node(reader, "/home/ada").name == "ada"
    with pytest.raises(Forbidden):
        space.put_bytes(reader, "/home/ada/x", [b"x"])
    with pytest.raises(Forbidden):
        space.node(other, "/home/ada")


def test_a_job_reaches_its_owners_home_only(
    space: VOSpaceService, bob: Principal, a_token: Callable[..., Principal]
) -> None:
    space.make_container(bob, "/home/bob/shared", Change(group_write=frozenset({"m51"}), is_public=True))
    job = a_token("ada", "vospace:read", "vospace:write", kind=TokenKind.JOB)
    space.put_bytes(job, "/home/ada/x", [b"x"])
    for path in ("/home/bob", "/home/bob/shared"):
        with pytest.raises(Forbidden):
            space.node(job, path)
    with pytest.raises(Forbidden):
        space.put_bytes(job, "/home/bob/shared/x", [b"x"])


def test_listings_come_in_pages_and_orders(space: VOSpaceService, ada: Principal) -> None:
    for count, name in enumerate("edcba"):
        space.put_bytes(ada, f"/home/ada/{name}", [b"x" * count])
    assert names(space, ada, "/home/ada", Page(limit=2)) == ["a", "b"]
    assert names(space, ada, "/home/ada", Page(start="b", limit=2)) == ["b", "c"]
    assert names(space, ada, "/home/ada", Page(order=Order.LENGTH)) == ["e", "d", "c", "b", "a"]
    assert names(space, ada, "/home/ada", Page(order=Order.LENGTH, start="c", descending=True)) == [
        "c",
        "d",
        "e",
    ]
    assert names(space, ada, "/home/ada", Page(limit=0)) == []


def test_listings_longer_than_a_page_are_whole(space: VOSpaceService, ada: Principal) -> None:
    space.make_container(ada, "/home/ada/many")
    with space.records.writing() as tree:
        way = tree.walk(space.node(ada, "/home/ada/many").path)
        asker = space.access.asker(ada)
        assert asker is not None
        for index in range(1003):
            tree.add(space.new_node(asker, way[-1], way[-1].path / f"{index:05}", way[-1].kind))
    assert names(space, ada, "/home/ada/many") == [f"{index:05}" for index in range(1003)]
    assert space.delete(ada, "/home/ada/many") == 1004


def test_a_branch_moves_whole_and_counts_for_its_new_home(
    space: VOSpaceService, ada: Principal, root: Principal
) -> None:
    space.make_container(ada, "/home/ada/a/b", parents=True)
    space.put_bytes(ada, "/home/ada/a/b/x", [b"xyz"])
    assert str(space.move(ada, "/home/ada/a/b", "/home/ada/c").path) == "/home/ada/c"
    assert space.open_bytes(ada, "/home/ada/c/x").node.length == 3
    space.move(root, "/home/ada/c", "/home/bob")
    assert (space.node(root, "/home/ada").used, space.node(root, "/home/bob").used) == (0, 3)


def test_a_branch_cannot_move_into_itself_or_onto_another(space: VOSpaceService, ada: Principal) -> None:
    space.make_container(ada, "/home/ada/a/b", parents=True)
    space.put_bytes(ada, "/home/ada/x", [b"x"])
    with pytest.raises(Invalid):
        space.move(ada, "/home/ada/a", "/home/ada/a/b")
    with pytest.raises(Conflict):
        space.move(ada, "/home/ada/a", "/home/ada/x")
    with pytest.raises(Forbidden):
        space.move(ada, "/home/ada/a", "/home/bob/a")


def test_a_copy_stands_on_its_own(space: VOSpaceService, ada: Principal, store: MemoryBytes) -> None:
    space.make_container(ada, "/home/ada/a")
    space.put_bytes(ada, "/home/ada/a/x", [b"xyz"])
    space.copy(ada, "/home/ada/a", "/home/ada/b")
    assert space.node(ada, "/home/ada").used == 6
    space.delete(ada, "/home/ada/a")
    assert b"".join(space.open_bytes(ada, "/home/ada/b/x").chunks) == b"xyz"
    space.delete(ada, "/home/ada/b")
    assert list(store.published()) == []


def test_locked_nodes_are_neither_written_nor_deleted(space: VOSpaceService, ada: Principal) -> None:
    space.put_bytes(ada, "/home/ada/x", [b"x"])
    space.set_properties(ada, "/home/ada/x", Change(is_locked=True))
    for act in (
        lambda: space.put_bytes(ada, "/home/ada/x", [b"y"]),
        lambda: space.delete(ada, "/home/ada/x"),
        lambda: space.move(ada, "/home/ada/x", "/home/ada/y"),
    ):
        with pytest.raises(Conflict, match="locked"):
            act()


def test_links_lead_to_bytes_but_not_in_circles(space: VOSpaceService, ada: Principal) -> None:
    space.put_bytes(ada, "/home/ada/x", [b"x"])
    space.make_link(ada, "/home/ada/to-x", "vos://armillary.example~vault/home/ada/x")
    space.make_link(ada, "/home/ada/loop", "vos://armillary.example~vault/home/ada/loop")
    assert b"".join(space.open_bytes(ada, "/home/ada/to-x").chunks) == b"x"
    with pytest.raises(Invalid, match="links"):
        space.open_bytes(ada, "/home/ada/loop")
    with pytest.raises(Invalid):
        space.make_link(ada, "/home/ada/bad", "file:///etc/passwd")


def test_a_link_gives_no_access_to_its_target(space: VOSpaceService, ada: Principal, eve: Principal) -> None:
    space.put_bytes(ada, "/home/ada/x", [b"x"])
    space.make_link(eve, "/home/eve/x", "vos://armillary.example~vault/home/ada/x")
    with pytest.raises(Forbidden):
        space.open_bytes(eve, "/home/eve/x")


def test_a_quota_that_is_set_is_told_to_the_trail(
    space: VOSpaceService, ada: Principal, root: Principal
) -> None:
    space.ensure_home(ada.person)
    with gathering() as said:
        space.set_properties(root, "/home/ada", Change(quota=100))
        space.set_properties(root, "/home/ada", Change(quota=200))
        space.set_properties(root, "/home/ada", Change(drops_quota=True))
    assert said == ["/home/ada: quota:  → 100", "/home/ada: quota: 100 → 200", "/home/ada: quota: 200 → "]


def test_quota_counts_new_bytes_only(space: VOSpaceService, ada: Principal) -> None:
    space.put_bytes(ada, "/home/ada/x", [b"x" * 100])
    space.ensure_home(ada.person, quota=GiB(0))
    for length in (None, 101):
        with pytest.raises(QuotaExceeded) as refused:
            space.put_bytes(ada, "/home/ada/x", [b"y" * 101], length=length)
    largest = [{"path": "/home/ada/x", "folder": False, "bytes": 100}]
    said = {"home": "/home/ada", "quota": 0, "used": 100, "needed": 1, "largest": largest}
    assert refused.value.facts == said
    space.put_bytes(ada, "/home/ada/x", [b"y" * 100])
    space.put_bytes(ada, "/home/ada/x", [b"y" * 50])
    space.make_container(ada, "/home/ada/still-fine")
    with pytest.raises(QuotaExceeded):
        space.copy(ada, "/home/ada/x", "/home/ada/z")
    space.delete(ada, "/home/ada/x")
    assert space.node(ada, "/home/ada").used == 0
