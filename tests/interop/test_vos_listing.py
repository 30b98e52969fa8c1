"""`vls`, every option, on both faces of the tree."""

import pytest
from space_clients import Space, Terminal

pytestmark = pytest.mark.interop


@pytest.fixture
def three(space: Space, folder: str) -> None:
    """Three files of different sizes, the last name written first, and a container."""
    for name, size in (("c.txt", 10), ("b.txt", 70_000), ("a.txt", 2_000)):
        space.put(f"{folder}/{name}", b"x" * size)
    space.mkdir(f"{folder}/d")


@pytest.mark.usefixtures("three")
def test_vls_lists_names_in_order(ada: Terminal, there: str) -> None:
    assert ada.out("vls", there).split() == ["a.txt", "b.txt", "c.txt", "d"]
    assert ada.out("vls", f"{there}/b.txt").split() == ["b.txt"]
    assert ada.out("vls", f"{there}/*.txt").split() == ["a.txt", "b.txt", "c.txt"]
    assert ada.out("vls", f"{there}/[bd]*").split() == ["b.txt", "d:"]  # and what is in d: nothing


@pytest.mark.usefixtures("three")
def test_vls_tells_sizes_owners_and_modes(ada: Terminal, there: str) -> None:
    lines = [line.split() for line in ada.out("vls", "-l", there).splitlines() if line]
    assert [(line[0], line[1], line[4], line[-1]) for line in lines] == [
        ("-rw-------", "ada", "2000", "a.txt"),
        ("-rw-------", "ada", "70000", "b.txt"),
        ("-rw-------", "ada", "10", "c.txt"),
        ("drw-------", "ada", "0", "d"),
    ]
    assert "68K" in ada.out("vls", "-l", "-h", there)


@pytest.mark.usefixtures("three")
def test_vls_sorts_by_size_and_by_time_either_way(ada: Terminal, there: str) -> None:
    assert ada.out("vls", "-S", there).split() == ["b.txt", "a.txt", "c.txt", "d"]
    assert ada.out("vls", "-S", "-r", there).split() == ["d", "c.txt", "a.txt", "b.txt"]
    assert ada.out("vls", "-t", there).split() == ["d", "a.txt", "b.txt", "c.txt"]
    assert ada.out("vls", "-t", "-r", there).split() == ["c.txt", "b.txt", "a.txt", "d"]


@pytest.mark.usefixtures("three")
def test_vls_shows_the_groups(ada: Terminal, there: str) -> None:
    ada("vchmod", "g+rw", f"{there}/a.txt", "m51", "m51 ngc253")
    line = next(line for line in ada.out("vls", "-g", there).splitlines() if line.endswith("a.txt"))
    assert line.split()[0] == "-rw-rw----"
    assert line.split()[1:4] == ["m51", "m51", "ngc253"]


def test_vls_shows_more_than_the_client_takes_for_one_page(ada: Terminal, space: Space) -> None:
    space.mkdir("/home/ada/many")
    for number in range(520):
        space.service.make_container(space.who(), f"/home/ada/many/{number:04}")
    assert len(ada.out("vls", "vos:home/ada/many").split()) == 520


def test_vls_of_nothing_says_so(ada: Terminal, there: str) -> None:
    assert "NodeNotFound" in ada.refused("vls", f"{there}/nothing")


def test_a_strangers_listing_of_a_home_is_refused(terminal: Terminal, face: str) -> None:
    assert "NotAuthenticated" in terminal.refused("vls", f"{face}:home/ada")


def test_the_top_and_the_homes_can_be_listed(ada: Terminal, face: str) -> None:
    assert ada.out("vls", f"{face}:").split() == ["home"]
    assert "ada" in ada.out("vls", f"{face}:home").split()
