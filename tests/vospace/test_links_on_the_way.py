"""Links in the middle of a path: reading goes on at their targets, writing does not."""

from __future__ import annotations

import pytest

from armillary.accounts.model import Principal
from armillary.base.errors import Forbidden, Invalid
from armillary.vospace.service import VOSpaceService

TREE = "vos://armillary.example~vault"


@pytest.fixture
def linked(space: VOSpaceService, ada: Principal) -> VOSpaceService:
    """`/home/ada/link` points to `/home/ada/box`, which holds a file and a link to itself."""
    space.make_container(ada, "/home/ada/box")
    space.put_bytes(ada, "/home/ada/box/x.txt", [b"1"])
    space.make_link(ada, "/home/ada/box/again", f"{TREE}/home/ada/box")
    space.make_link(ada, "/home/ada/link", f"{TREE}/home/ada/box")
    return space


def test_a_node_and_its_bytes_are_found_behind_links(linked: VOSpaceService, ada: Principal) -> None:
    node = linked.node(ada, "/home/ada/link/again/x.txt")
    assert str(node.path) == "/home/ada/box/x.txt"
    assert b"".join(linked.open_bytes(ada, "/home/ada/link/x.txt").chunks) == b"1"


def test_writing_and_deleting_behind_a_link_is_refused(linked: VOSpaceService, ada: Principal) -> None:
    for refused in (
        lambda: linked.put_bytes(ada, "/home/ada/link/new.txt", [b"1"]),
        lambda: linked.make_container(ada, "/home/ada/link/new"),
        lambda: linked.delete(ada, "/home/ada/link/x.txt"),
    ):
        with pytest.raises(Invalid) as caught:
            refused()
        assert caught.value.code in {"link_found", "container_not_found"}


def test_links_in_a_circle_end(space: VOSpaceService, ada: Principal) -> None:
    space.make_link(ada, "/home/ada/one", f"{TREE}/home/ada/two/deep")
    space.make_link(ada, "/home/ada/two", f"{TREE}/home/ada/one/deep")
    with pytest.raises(Invalid) as caught:
        space.node(ada, "/home/ada/one/x")
    assert caught.value.code in {"link_found", "invalid_uri"}


def test_a_link_on_the_way_gives_no_access(linked: VOSpaceService, eve: Principal) -> None:
    linked.make_link(eve, "/home/eve/mine", f"{TREE}/home/ada/box")
    with pytest.raises(Forbidden):
        linked.node(eve, "/home/eve/mine/x.txt")
