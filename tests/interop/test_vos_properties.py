"""`vchmod`, `vtag` and `vlock`, on both faces of the tree."""

import pytest
from space_clients import Space, Terminal

pytestmark = pytest.mark.interop


def test_vchmod_opens_a_file_to_everybody_and_closes_it(
    ada: Terminal, there: str, space: Space, folder: str
) -> None:
    space.put(f"{folder}/a.txt", b"1")
    ada("vchmod", "o+r", f"{there}/a.txt")
    assert space.service.node(None, f"{folder}/a.txt").sharing.is_public
    ada("vchmod", "o-r", f"{there}/a.txt")
    assert not space.node(f"{folder}/a.txt").sharing.is_public


def test_vchmod_gives_to_several_groups_and_takes_away(
    ada: Terminal, there: str, space: Space, folder: str
) -> None:
    space.put(f"{folder}/a.txt", b"1")

    def groups() -> tuple[set[str], set[str]]:
        sharing = space.node(f"{folder}/a.txt").sharing
        return set(sharing.group_read), set(sharing.group_write)

    ada("vchmod", "g+r", f"{there}/a.txt", "m51 ngc253")
    assert groups() == ({"m51", "ngc253"}, set())
    ada("vchmod", "g+rw", f"{there}/a.txt", "m51", "m51 ngc253")
    assert groups() == ({"m51"}, {"m51", "ngc253"})
    ada("vchmod", "g-r", f"{there}/a.txt")
    assert groups() == (set(), {"m51", "ngc253"})
    ada("vchmod", "og+r", f"{there}/a.txt", "m51")
    assert space.node(f"{folder}/a.txt").sharing.is_public
    ada("vchmod", "g-rw", f"{there}/a.txt")
    assert groups() == (set(), set())
    assert "required for rw" in ada.refused("vchmod", "g+rw", f"{there}/a.txt", "m51")


def test_vchmod_r_changes_all_below(ada: Terminal, there: str, space: Space, folder: str) -> None:
    space.put(f"{folder}/tree/deep/a.txt", b"1")
    ada("vchmod", "-R", "g+rw", f"{there}/tree", "m51", "m51")
    ada("vchmod", "-R", "o+r", f"{there}/tree")
    for path in ("tree", "tree/deep", "tree/deep/a.txt"):
        sharing = space.node(f"{folder}/{path}").sharing
        assert (sharing.group_read, sharing.group_write, sharing.is_public) == ({"m51"}, {"m51"}, True)
    ada("vchmod", "-R", "go-rw", f"{there}/tree")
    sharing = space.node(f"{folder}/tree/deep/a.txt").sharing
    assert not (sharing.group_read or sharing.group_write or sharing.is_public)


def test_a_member_of_the_group_reads_what_was_shared_and_a_stranger_does_not(
    ada: Terminal, there: str, space: Space, folder: str
) -> None:
    space.put(f"{folder}/a.txt", b"for the group")
    ada("vchmod", "g+r", f"{there}/a.txt", "m51")
    ada.sign_in("bob")
    assert ada.out("vcat", f"{there}/a.txt").strip() == "for the group"
    assert "PermissionDenied" in ada.refused("vchmod", "o+r", f"{there}/a.txt")
    ada.sign_in("carl")
    assert "PermissionDenied" in ada.refused("vls", f"{there}/a.txt")


def test_vtag_sets_shows_changes_and_removes(ada: Terminal, there: str, space: Space, folder: str) -> None:
    space.put(f"{folder}/a.txt", b"1")
    ada(
        "vtag",
        f"{there}/a.txt",
        "quality=good",
        "ivo://example.org/tags#seeing=0.7",
        "description=Ring, left",
    )
    assert ada.out("vtag", f"{there}/a.txt", "quality").strip() == "'good'"
    told = ada.out("vtag", f"{there}/a.txt")
    assert "'quality': 'good'" in told
    assert "'ivo://example.org/tags#seeing': '0.7'" in told
    assert "'description': 'Ring, left'" in told
    ada("vtag", f"{there}/a.txt", "quality=bad")
    assert ada.out("vtag", f"{there}/a.txt", "quality").strip() == "'bad'"
    ada("vtag", f"{there}/a.txt", "quality=")
    ada("vtag", "--remove", f"{there}/a.txt", "ivo://example.org/tags#seeing")
    told = ada.out("vtag", f"{there}/a.txt")
    assert "quality" not in told
    assert "seeing" not in told


def test_vtag_cannot_change_what_is_the_servers(ada: Terminal, there: str, space: Space, folder: str) -> None:
    space.put(f"{folder}/a.txt", b"1234")
    assert "read-only" in ada.refused("vtag", f"{there}/a.txt", "length=999")
    assert ada.out("vtag", f"{there}/a.txt", "length").strip() == "'4'"


def test_vtag_r_changes_all_below(ada: Terminal, there: str, space: Space, folder: str) -> None:
    space.put(f"{folder}/tree/deep/a.txt", b"1")
    ada("vtag", "-R", f"{there}/tree", "run=42")
    assert ada.out("vtag", f"{there}/tree/deep/a.txt", "run").strip() == "'42'"
    ada("vtag", "-R", "--remove", f"{there}/tree", "run")
    assert ada.out("vtag", f"{there}/tree/deep/a.txt", "run").strip() == "None"


def test_vlock_protects_from_writing_moving_and_deleting(
    ada: Terminal, there: str, space: Space, folder: str
) -> None:
    space.put(f"{folder}/a.txt", b"kept")
    path = f"{there}/a.txt"
    ada("vlock", path, ok=False)  # it answers by its status: not locked
    ada("vlock", "--lock", path)
    ada("vlock", path)
    assert "LOCKED" in ada.out("vls", "-l", path)
    ada.file("other.txt", b"other")
    assert "vlock" in ada.refused("vcp", "other.txt", path)
    assert "locked" in ada.refused("vmv", path, f"{there}/b.txt")
    assert "NodeLocked" in ada.refused("vrm", path)
    assert "NodeLocked" in ada.refused("vchmod", "o+r", path)
    assert "NodeLocked" in ada.refused("vtag", path, "quality=good")
    assert "failed count" in ada.refused("vrm", "-R", there)
    assert space.read(f"{folder}/a.txt") == b"kept"
    ada("vlock", "--unlock", path)
    ada("vrm", path)


def test_a_locked_container_takes_nothing_new(ada: Terminal, there: str, space: Space, folder: str) -> None:
    ada("vlock", "--lock", there)
    ada.file("new.txt", b"new")
    assert "vlock" in ada.refused("vcp", "new.txt", f"{there}/new.txt")
    assert "NodeLocked" in ada.refused("vmkdir", f"{there}/sub")
    ada("vlock", "--unlock", there)
    ada("vmkdir", f"{there}/sub")
    assert space.names(folder) == ["sub"]
