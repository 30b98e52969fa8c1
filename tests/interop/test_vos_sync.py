"""`vsync`, every option, on both faces of the tree."""

import os
import time
from pathlib import Path

import pytest
from space_clients import Space, Terminal

pytestmark = pytest.mark.interop


@pytest.fixture
def night(ada: Terminal) -> Path:
    """A directory with files and directories, an hour old: the client compares times by the second."""
    an_hour_ago = time.time() - 3600
    for name in ("a.txt", "b.fits", ".dot", "deep/c.txt", "deep/er/d.txt", "empty"):
        file = ada.file(f"night/{name}", name.encode() * (name != "empty"))
        os.utime(file, (an_hour_ago, an_hour_ago))
    return ada.home / "night"


@pytest.mark.usefixtures("night")
def test_vsync_sends_a_directory_with_those_below_it_when_asked(
    ada: Terminal, there: str, space: Space, folder: str
) -> None:
    ada("vsync", "night", there)
    assert space.names(f"{folder}/night") == [".dot", "a.txt", "b.fits", "empty"]
    ada("vsync", "-r", "night", there)
    assert space.read(f"{folder}/night/deep/er/d.txt") == b"deep/er/d.txt"
    assert space.names(f"{folder}/night") == [".dot", "a.txt", "b.fits", "deep", "empty"]


@pytest.mark.usefixtures("night")
def test_a_second_vsync_asks_once_for_each_file_and_sends_nothing(
    ada: Terminal, there: str, space: Space
) -> None:
    ada("vsync", "-r", "-n", "30", "night/", there)
    del space.requests[:]
    ada("vsync", "-r", "night/", there)
    looked = [request for request in space.requests if request.startswith("GET") and "/nodes/" in request]
    assert len(looked) <= 8  # six files and two looks at the goal
    sent = [request for request in space.requests if request.startswith("PUT") or "synctrans" in request]
    assert len(sent) == 2  # the containers, which are there already


@pytest.mark.usefixtures("night")
@pytest.mark.parametrize("face", ["vos"], indirect=True)
def test_the_cache_spares_the_questions(ada: Terminal, there: str, space: Space) -> None:
    cache = str(ada.file("cache/nodes.db", b"").with_name("other.db"))
    ada("vsync", "-r", "--cache_nodes", "--cache_filename", cache, "night/", there)
    del space.requests[:]
    ada("vsync", "-r", "--cache_nodes", "--cache_filename", cache, "night/", there)
    assert len([request for request in space.requests if "/nodes/" in request]) <= 4


def test_vsync_sends_what_changed(ada: Terminal, night: Path, there: str, space: Space, folder: str) -> None:
    ada("vsync", "-r", "night/", there)
    (night / "deep" / "c.txt").write_bytes(b"changed")
    ada("vsync", "-r", "night/", there)
    assert space.read(f"{folder}/deep/c.txt") == b"changed"
    stays = space.node(f"{folder}/a.txt").modified_at
    ada("vsync", "--ignore-checksum", "night/", there)  # by size and time
    assert space.node(f"{folder}/a.txt").modified_at == stays
    del space.requests[:]
    ada("vsync", "--overwrite", "night/", there)
    assert "a.txt" in " ".join(space.requests)
    assert space.node(f"{folder}/a.txt").modified_at > stays


@pytest.mark.usefixtures("night")
@pytest.mark.parametrize("face", ["vos"], indirect=True)
def test_vsync_leaves_out_and_takes_alone(ada: Terminal, there: str, space: Space, folder: str) -> None:
    space.mkdir(f"{folder}/only")
    space.mkdir(f"{folder}/without")
    ada("vsync", "-r", "--include", r"\.fits$", "night/", f"{there}/only")
    ada("vsync", "-r", "--exclude", "deep,.dot", "night/", f"{there}/without")
    assert space.names(f"{folder}/only") == ["b.fits"]
    assert space.names(f"{folder}/without") == ["a.txt", "b.fits", "empty"]


@pytest.mark.usefixtures("night")
def test_vsync_into_nothing_or_a_locked_container_says_so(ada: Terminal, there: str, space: Space) -> None:
    assert "NodeNotFound" in ada.refused("vsync", "night/", f"{there}/nothing")
    ada("vlock", "--lock", there)
    ada("vsync", "-r", "night/", there, ok=False)
    ada("vlock", "--unlock", there)
    ada("vsync", "-r", "night/", there)
    assert "not found" in ada.refused("vsync", "no-such-directory", there)
