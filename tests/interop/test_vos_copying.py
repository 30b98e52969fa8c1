"""`vcp` and `vcat`, every option, on both faces of the tree."""

import hashlib
import os

import pytest
from space_clients import Space, Terminal

pytestmark = pytest.mark.interop


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def test_a_file_goes_up_and_comes_back_the_same_in_processes_of_their_own(
    ada: Terminal, there: str, space: Space, folder: str
) -> None:
    data = os.urandom(70_001)
    ada.file("m51.fits", data)
    ada("vcp", "m51.fits", f"{there}/m51.fits", warm=False)
    assert space.node(f"{folder}/m51.fits").md5 == md5(data)
    ada("vcp", f"{there}/m51.fits", "back.fits", warm=False)
    assert (ada.home / "back.fits").read_bytes() == data


def test_a_file_over_five_mebibytes_is_compared_after_it_was_sent(
    ada: Terminal, there: str, space: Space, folder: str
) -> None:
    data = os.urandom(11 << 20)
    ada.file("big.fits", data)
    ada("vcp", "big.fits", f"{there}/big.fits")
    ada("vcp", f"{there}/big.fits", "back.fits")
    assert md5((ada.home / "back.fits").read_bytes()) == md5(data)


def test_empty_files_go_up_come_back_and_are_shown(
    ada: Terminal, there: str, space: Space, folder: str
) -> None:
    ada.file("empty", b"")
    ada.file("full", b"full")
    ada("vcp", "empty", f"{there}/e")
    ada("vcp", f"{there}/e", "back")
    assert (ada.home / "back").read_bytes() == b""
    assert ada.out("vcat", f"{there}/e").strip() == ""
    ada("vcp", "full", f"{there}/e")
    assert space.read(f"{folder}/e") == b"full"
    ada("vcp", "empty", f"{there}/e")
    assert space.read(f"{folder}/e") == b""


def test_what_is_there_already_is_not_sent_again_and_what_changed_is(
    ada: Terminal, there: str, space: Space, folder: str
) -> None:
    ada.file("a.txt", b"first")
    ada("vcp", "a.txt", f"{there}/a.txt")
    del space.requests[:]
    ada("vcp", "--quick", "--overwrite", "a.txt", f"{there}/a.txt")  # both options do nothing any more
    assert not [request for request in space.requests if request.startswith("PUT") or "synctrans" in request]
    ada.file("a.txt", b"other")
    ada("vcp", "a.txt", f"{there}/a.txt")
    assert space.read(f"{folder}/a.txt") == b"other"


def test_vcp_asks_before_it_overwrites(ada: Terminal, there: str, space: Space, folder: str) -> None:
    space.put(f"{folder}/a.txt", b"old")
    ada.file("a.txt", b"new")
    ada("vcp", "-i", "a.txt", f"{there}/a.txt", typed="n\n", ok=False)
    assert space.read(f"{folder}/a.txt") == b"old"
    ada("vcp", "-i", "a.txt", f"{there}/a.txt", typed="y\n")
    assert space.read(f"{folder}/a.txt") == b"new"


def test_directories_go_up_and_down_with_all_that_is_in_them(
    ada: Terminal, there: str, space: Space, folder: str
) -> None:
    files = {"one.txt": b"1", "two.fits": b"2" * 3000, ".dot": b"4", "deep/er/three.txt": b"3", "none": b""}
    for name, data in files.items():
        ada.file(f"night/{name}", data)
    (ada.home / "night" / "void").mkdir()
    ada("vcp", "night", f"{there}/")
    assert space.names(f"{folder}/night") == [".dot", "deep", "none", "one.txt", "two.fits", "void"]
    (ada.home / "out").mkdir()
    ada("vcp", f"{there}/night", "out")
    out = ada.home / "out" / "night"
    assert {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()} == files
    assert (out / "void").is_dir()


def test_local_links_are_followed_only_when_asked(
    ada: Terminal, there: str, space: Space, folder: str
) -> None:
    ada.file("night/one.txt", b"1")
    (ada.home / "night" / "link.txt").symlink_to("one.txt")
    ada("vcp", "night", f"{there}/plain")
    ada("vcp", "-L", "night", f"{there}/followed")
    assert space.names(f"{folder}/plain") == ["one.txt"]
    assert space.names(f"{folder}/followed") == ["link.txt", "one.txt"]


def test_some_files_can_be_left_out_or_alone_taken(
    ada: Terminal, there: str, space: Space, folder: str
) -> None:
    for name in ("a.txt", "b.fits", "c.cat"):
        ada.file(f"night/{name}", b"1")
    ada("vcp", "--exclude", ".txt,.cat", "night", f"{there}/without")
    ada("vcp", "--include", ".fits,.cat", "night", f"{there}/only")
    assert space.names(f"{folder}/without") == ["b.fits"]
    assert space.names(f"{folder}/only") == ["b.fits", "c.cat"]


def test_wildcards_choose_among_remote_files(ada: Terminal, there: str, space: Space, folder: str) -> None:
    for name in ("n1/a.txt", "n1/b.txt", "n1/c.fits", "n2/d.txt"):
        space.put(f"{folder}/{name}", name.encode())
    (ada.home / "out").mkdir()
    ada("vcp", f"{there}/n?/*.txt", f"{there}/n1/[c].fits", "out")
    assert sorted(path.name for path in (ada.home / "out").iterdir()) == ["a.txt", "b.txt", "c.fits", "d.txt"]


def test_several_files_go_into_one_container(ada: Terminal, there: str, space: Space, folder: str) -> None:
    ada.file("a.txt", b"1")
    ada.file("b.txt", b"2")
    ada("vcp", "a.txt", "b.txt", there)
    assert space.names(folder) == ["a.txt", "b.txt"]
    assert "ContainerNotFound" in ada.refused("vcp", "a.txt", f"{there}/nowhere/")
    assert "Can't access" in ada.refused("vcp", "missing.txt", f"{there}/m.txt")
    assert "NodeNotFound" in ada.refused("vcp", f"{there}/missing.txt", "m.txt")
    assert "VOSpace to VOSpace" in ada.refused(
        "vcp", f"{there}/a.txt", f"{there}/c.txt"
    )  # not in this client


def test_a_download_goes_on_where_it_was_broken_off(
    ada: Terminal, there: str, space: Space, folder: str
) -> None:
    data = os.urandom(900_000)
    space.put(f"{folder}/big.fits", data)
    (ada.home / f"big.fits-{md5(data)}.part").write_bytes(data[:400_000])
    ranges = space.ranges()
    ada("vcp", f"{there}/big.fits", "big.fits")
    assert (ada.home / "big.fits").read_bytes() == data
    assert space.ranges()[len(ranges) :] == ["bytes=400000-"]


def test_vcat_shows_files_one_after_the_other(ada: Terminal, there: str, space: Space, folder: str) -> None:
    space.put(f"{folder}/a.txt", b"hello, sky")
    space.put(f"{folder}/b.txt", b"hello, sea")
    assert ada.out("vcat", f"{there}/a.txt", f"{there}/b.txt").split("\n\n")[:2] == [
        "hello, sky",
        "hello, sea",
    ]
    assert "NodeNotFound" in ada.refused("vcat", f"{there}/nothing")
    assert ada.refused("vcat", "-q", f"{there}/nothing").strip() == ""
