"""Odd names through the stock clients.

Names typed after a short name such as `vos:` are checked by the client itself, which refuses blanks, parentheses,
brackets, braces, quotes and per cent signs before it asks anybody, and takes `#` and `?` for the end of a path.
After a whole URI, `vos://AUTHORITY~SERVICE/…`, it checks nothing, and `%23`, `%3F` and `%25` are those three.
"""

import pytest
from space_clients import Space, Terminal

pytestmark = pytest.mark.interop

PLAIN = ["été.txt", "日本.fits", "p+q.txt", ".dot", "a;b,c.txt", "a&b=c.txt", "~t.txt"]
ONLY_IN_WHOLE_URIS = ["a b.txt", "(x).txt", "a{b}.txt", "it's.txt", 'say "x".txt', "100%.txt"]
ESCAPED = {"h#1.txt": "h%231.txt", "q?.txt": "q%3F.txt", "a%20b.txt": "a%2520b.txt"}
"""names, and how they are written in URIs, and how the client calls the files that it fetches"""


def through_every_command(ada: Terminal, space: Space, folder: str, path: str, name: str) -> None:
    """Take a file of this name through its life."""
    ada.file("local", name.encode())
    ada("vcp", "local", path)
    assert space.read(f"{folder}/{name}") == name.encode()
    assert ada.out("vls", path).rstrip("\n").split("\n") == [
        path.rpartition("/")[2].replace("100%.", "100%25.")
    ]
    ada("vcat", path)
    ada("vcp", path, "back")
    assert (ada.home / "back").read_bytes() == name.encode()
    ada("vchmod", "o+r", path)
    ada("vtag", path, "q=1")
    ada("vlock", "--lock", path)
    ada("vlock", "--unlock", path)
    node = space.node(f"{folder}/{name}")
    assert (node.sharing.is_public, node.is_locked) == (True, False)
    assert "1" in node.properties.values()
    ada("vln", path, f"{path}-link")
    ada("vmkdir", f"{path}-dir")
    ada("vmv", path, f"{path}-dir")
    assert space.names(f"{folder}/{name}-dir") == [name]
    ada("vmv", f"{path}-dir/{path.rpartition('/')[2]}", path)
    ada("vrm", f"{path}-link", path)
    ada("vrmdir", f"{path}-dir")
    assert space.names(folder) == []


@pytest.mark.parametrize(
    "face", ["vos"], indirect=True
)  # the names are the client's matter, not the service's
@pytest.mark.parametrize("name", ["é日本;p+q.txt"])
def test_these_names_go_through_every_command(
    name: str, ada: Terminal, there: str, space: Space, folder: str
) -> None:
    through_every_command(ada, space, folder, f"{there}/{name}", name)


@pytest.mark.parametrize(
    "face", ["vos"], indirect=True
)  # the names are the client's matter, not the service's
@pytest.mark.parametrize("name", ["(a b's) 100%.txt"])
def test_these_go_through_every_command_after_a_whole_uri(
    name: str, ada: Terminal, whole: str, space: Space, folder: str
) -> None:
    through_every_command(ada, space, folder, f"{whole}/{name}", name)


@pytest.mark.parametrize(
    "face", ["vos"], indirect=True
)  # the names are the client's matter, not the service's
@pytest.mark.parametrize("name", ["h#?%20.txt"])
def test_these_go_through_every_command_when_they_are_escaped(
    name: str, ada: Terminal, whole: str, space: Space, folder: str
) -> None:
    through_every_command(ada, space, folder, f"{whole}/h%23%3F%2520.txt", name)


def test_directories_with_odd_names_go_up_and_down_after_a_whole_uri(
    ada: Terminal, whole: str, space: Space, folder: str
) -> None:
    for name in (*PLAIN, *ONLY_IN_WHOLE_URIS, *ESCAPED):
        space.put(f"{folder}/there/{name}", name.encode())
    ada("vcp", f"{whole}/there", "here")
    local = {path.name: path.read_bytes().decode() for path in (ada.home / "here").iterdir()}
    assert local == {
        **{name: name for name in (*PLAIN, *ONLY_IN_WHOLE_URIS) if "%" not in name},
        "100%25.txt": "100%.txt",
        **{escaped: name for name, escaped in ESCAPED.items()},
    }
    ada("vcp", "here", f"{whole}/again")
    assert space.names(f"{folder}/again") == space.names(f"{folder}/there")


@pytest.mark.parametrize("face", ["vos"], indirect=True)
def test_the_client_refuses_these_after_a_short_name_without_asking(
    ada: Terminal, there: str, space: Space
) -> None:
    ada("vls", there)
    del space.requests[:]
    for name in ONLY_IN_WHOLE_URIS:
        assert "Illegal vospace container name" in ada.refused("vls", f"{there}/{name}")
    assert space.requests == []
