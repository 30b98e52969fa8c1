"""`vmkdir`, `vmv`, `vrm`, `vrmdir` and `vln`, on both faces of the tree."""

import pytest
from space_clients import Space, Terminal

pytestmark = pytest.mark.interop


def test_vmkdir_makes_a_container_and_with_p_those_above_it(
    ada: Terminal, there: str, space: Space, folder: str
) -> None:
    ada("vmkdir", f"{there}/one")
    assert "DuplicateNode" in ada.refused("vmkdir", f"{there}/one")
    assert "ContainerNotFound" in ada.refused("vmkdir", f"{there}/a/b/c")
    ada("vmkdir", "-p", f"{there}/a/b/c")
    ada("vmkdir", "-p", f"{there}/a/b/c")
    assert space.names(f"{folder}/a/b") == ["c"]


def test_vmv_renames_moves_into_a_container_and_takes_whole_trees(
    ada: Terminal, there: str, space: Space, folder: str
) -> None:
    space.put(f"{folder}/night/first.txt", b"1")
    space.mkdir(f"{folder}/shelf")
    ada("vmv", f"{there}/night/first.txt", f"{there}/night/second.txt")
    ada("vmv", f"{there}/night", f"{there}/shelf")
    assert space.read(f"{folder}/shelf/night/second.txt") == b"1"
    assert space.names(folder) == ["shelf"]


def test_vmv_refuses_what_would_lose_something_and_changes_nothing(
    ada: Terminal, there: str, space: Space, folder: str
) -> None:
    space.put(f"{folder}/left.txt", b"1")
    space.put(f"{folder}/right.txt", b"2")
    space.mkdir(f"{folder}/box/in")
    assert "right.txt exists already" in ada.refused("vmv", f"{there}/left.txt", f"{there}/right.txt")
    assert "into itself" in ada.refused("vmv", f"{there}/box", f"{there}/box/in")
    assert "does not exist" in ada.refused("vmv", f"{there}/nothing", f"{there}/box")
    face = there.partition(":")[0]
    assert "/home/bob" in ada.refused("vmv", f"{there}/left.txt", f"{face}:home/bob/left.txt")
    assert space.read(f"{folder}/left.txt") + space.read(f"{folder}/right.txt") == b"12"
    assert space.names(folder) == ["box", "left.txt", "right.txt"]


def test_vrm_deletes_files_but_no_container_that_holds_something(
    ada: Terminal, there: str, space: Space, folder: str
) -> None:
    for name in ("a.txt", "b.txt", "c.txt", "full/x.txt"):
        space.put(f"{folder}/{name}", b"1")
    ada("vrm", f"{there}/a.txt", f"{there}/b.txt")
    assert space.names(folder) == ["c.txt", "full"]
    assert "NodeNotFound" in ada.refused("vrm", f"{there}/a.txt")
    assert "NodeNotFound" in ada.refused("vrm", f"{there}/*.txt")  # the client has no wildcards here
    assert "is a directory" in ada.refused("vrm", f"{there}/full/")
    assert space.names(folder) == ["c.txt", "full"]


def test_vrm_r_deletes_whole_trees(ada: Terminal, there: str, space: Space, folder: str) -> None:
    for name in ("tree/x.txt", "tree/deep/y.txt", "z.txt"):
        space.put(f"{folder}/{name}", b"1")
    ada("vrm", "-R", f"{there}/tree", f"{there}/z.txt")
    assert space.names(folder) == []
    assert "NodeNotFound" in ada.refused("vrm", "-R", f"{there}/tree")


def test_vrmdir_deletes_containers_only(ada: Terminal, there: str, space: Space, folder: str) -> None:
    space.put(f"{folder}/full/x.txt", b"1")
    space.mkdir(f"{folder}/empty")
    space.put(f"{folder}/z.txt", b"1")
    assert "not a container" in ada.refused("vrmdir", f"{there}/z.txt")
    ada("vrmdir", f"{there}/empty", f"{there}/full")
    assert space.names(folder) == ["z.txt"]


def test_vln_links_to_files_and_containers_and_removing_the_link_leaves_them(
    ada: Terminal, there: str, space: Space, folder: str
) -> None:
    space.put(f"{folder}/box/real.txt", b"real")
    ada("vln", f"{there}/box/real.txt", f"{there}/link.txt")
    ada("vln", f"{there}/box", f"{there}/linked")
    assert ada.out("vcat", f"{there}/link.txt").strip() == "real"
    assert ada.out("vls", f"{there}/linked").split() == ["real.txt"]
    line = next(each for each in ada.out("vls", "-l", there).splitlines() if " link.txt" in each)
    assert line.startswith("l")
    assert line.endswith("/box/real.txt")
    ada("vrm", f"{there}/link.txt", f"{there}/linked")
    assert space.names(f"{folder}/box") == ["real.txt"]


def test_vcp_takes_what_links_point_to_only_when_asked(
    ada: Terminal, there: str, space: Space, folder: str
) -> None:
    space.put(f"{folder}/box/real.txt", b"real")
    ada("vln", f"{there}/box", f"{there}/linked")
    ada("vcp", f"{there}/linked", "out")
    assert not (ada.home / "out").exists()
    ada("vcp", "-L", f"{there}/linked", "out")
    assert (ada.home / "out" / "real.txt").read_bytes() == b"real"


def test_vln_points_to_the_web_and_to_nothing_else(
    ada: Terminal, there: str, space: Space, folder: str
) -> None:
    ada("vln", "https://example.org/x.fits", f"{there}/web")
    assert space.node(f"{folder}/web").target == "https://example.org/x.fits"
    assert "InvalidArgument" in ada.refused("vln", "file:///etc/passwd", f"{there}/local")
    assert "DuplicateNode" in ada.refused("vln", f"{there}/web", f"{there}/web")
