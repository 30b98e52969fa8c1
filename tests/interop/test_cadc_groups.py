"""The stock `cadc-groups` and `cadc-get-cert`, every subcommand, unmodified over TLS."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from space_clients import PASSWORD, Space, Terminal

pytestmark = pytest.mark.interop


# A certificate of less than some days makes the client warn among its results.
_LIFETIME = timedelta(days=10)


class Groups:
    """Somebody who types `cadc-groups` commands."""

    def __init__(self, *, terminal: Terminal, credential: list[str]) -> None:
        self._terminal = terminal
        self._credential = credential

    def __call__(self, command: str, *words: str, ok: bool = True) -> str:
        host = ("-k", "--host", self._terminal.space.host)
        # the subcommand comes first for this client, its options after
        done = self._terminal("cadc-groups", command, *host, *self._credential, *words, ok=ok, verified=True)
        return done.stdout

    def refused(self, command: str, *words: str) -> str:
        """What it says when it fails."""
        return self(command, *words, ok=False)


def by_certificate(terminal: Terminal, who: str) -> Groups:
    certificate = terminal.home / f"{who}.pem"
    certificate.write_bytes(terminal.space.authority.issue_client(who, _LIFETIME))
    return Groups(terminal=terminal, credential=["--cert", str(certificate)])


@pytest.fixture
def adas(terminal: Terminal) -> Groups:
    return by_certificate(terminal, "ada")


@pytest.fixture
def bobs(terminal: Terminal) -> Groups:
    return by_certificate(terminal, "bob")


def lines(text: str) -> dict[str, str]:
    """The fields of a shown group; several values stand on lines of their own."""
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        start, colon, rest = line.partition(": ")
        if colon:
            name = start.strip()
            found[name] = rest.strip()
        elif name:
            found[name] += " " + line.strip()
    return found


def test_a_group_is_created_got_listed_and_removed(adas: Groups, bobs: Groups) -> None:
    adas("create", "--description", "Spiral galaxies", "Spirals-1.0_a~b")
    shown = lines(adas("get", "Spirals-1.0_a~b"))
    assert (shown["ID"], shown["Description"], shown["Owner"]) == (
        "Spirals-1.0_a~b",
        "Spiral galaxies",
        "CN=ada",
    )
    assert adas("list", "--role", "owner").split() == ["Spirals-1.0_a~b"]
    assert adas("list", "--role", "admin").split() == ["Spirals-1.0_a~b"]
    assert adas("list").split() == ["m51"]
    assert "Unauthorized" in bobs.refused("get", "Spirals-1.0_a~b")
    assert "Unauthorized" in bobs.refused("remove", "Spirals-1.0_a~b")
    adas("remove", "Spirals-1.0_a~b")
    assert "Not found" in adas.refused("get", "Spirals-1.0_a~b")
    assert "another group" in adas.refused("create", "Spirals-1.0_a~b")


def test_members_come_and_go(adas: Groups, bobs: Groups, space: Space) -> None:
    for name in ("team", "pilots", "whole"):
        adas("create", name)
    adas("members", "--add-user", "bob", "team")
    adas("members", "--add-user", "CN=carl", "team")
    adas("members", "--add-group", "pilots", "team")
    adas("members", "--add-group", "m51", "team")
    shown = lines(adas("members", "team"))
    assert sorted(shown["User Members"].split(", ")) == ["bob (CN=bob)", "carl (CN=carl)"]
    assert sorted(shown["Group Members"].split(", ")) == ["m51", "pilots"]
    assert "team" in bobs("list").split()
    adas("members", "--add-group", "team", "whole")
    assert {"team", "whole"} <= space.accounts.groups_of(space.who("bob").person.id)
    assert "in itself" in adas.refused("members", "--add-group", "whole", "pilots")
    adas("members", "--remove-user", "bob", "team")
    adas("members", "--remove-group", "m51", "team")
    adas("members", "--remove-group", "pilots", "team")
    assert lines(adas("members", "team"))["User Members"] == "carl (CN=carl)"
    adas("members", "--clear", "team")
    assert lines(adas("members", "team")) == {"User Members": "", "Group Members": ""}
    assert "Not found" in adas.refused("members", "--add-user", "nobody", "team")
    assert "team" not in bobs("list").split()


def test_administrators_come_and_go(adas: Groups, bobs: Groups) -> None:
    for name in ("watch", "night"):
        adas("create", name)
    adas("admins", "--add-user", "bob", "watch")
    adas("admins", "--add-user", "cn=carl", "watch")
    adas("admins", "--add-group", "night", "watch")
    shown = lines(adas("admins", "watch"))
    assert sorted(shown["User Administrators"].split(", ")) == ["bob (CN=bob)", "carl (CN=carl)"]
    assert shown["Group Administrators"] == "night"
    bobs("members", "--add-user", "bob", "watch")
    assert "Unauthorized" in bobs.refused("remove", "watch")
    adas("admins", "--remove-user", "carl", "watch")
    adas("admins", "--remove-group", "night", "watch")
    assert lines(adas("admins", "watch")) == {
        "User Administrators": "bob (CN=bob)",
        "Group Administrators": "",
    }
    adas("admins", "--clear", "watch")
    assert "Unauthorized" in bobs.refused("members", "--add-user", "carl", "watch")
    assert lines(adas("members", "watch"))["User Members"] == "bob (CN=bob)"


def test_a_member_who_is_removed_loses_access_at_once(terminal: Terminal, adas: Groups, space: Space) -> None:
    space.put("/home/ada/shared-with-crew/x.txt", b"shared")
    for name in ("crew", "ship"):
        adas("create", name)
    adas("members", "--add-group", "crew", "ship")
    adas("members", "--add-user", "carl", "crew")
    terminal.sign_in("ada")
    terminal("vchmod", "g+r", "vos:home/ada/shared-with-crew/x.txt", "ship")
    terminal.sign_in("carl")
    assert terminal.out("vcat", "vos:home/ada/shared-with-crew/x.txt").rstrip() == "shared"
    adas("members", "--remove-user", "carl", "crew")
    terminal.refused("vcp", "vos:home/ada/shared-with-crew/x.txt", "x.txt")


def test_vchmod_with_a_group_that_is_none_says_so(ada: Terminal, space: Space) -> None:
    space.put("/home/ada/typing-error.txt", b"x")
    assert "There is no group typo" in ada.refused("vchmod", "g+r", "vos:home/ada/typing-error.txt", "typo")
    assert space.node("/home/ada/typing-error.txt").sharing.group_read == frozenset()


def test_the_groups_client_works_with_a_token(terminal: Terminal, space: Space) -> None:
    bobs = Groups(terminal=terminal, credential=["--token", space.token(who="bob")])
    bobs("create", "by-token")
    assert bobs("list", "--role", "owner").split() == ["by-token"]


def test_a_password_works_under_our_own_name(terminal: Terminal) -> None:
    """Under CADC's name this client logs in for a cookie that it keeps for CADC's own hosts."""
    terminal.netrc()
    adas = Groups(terminal=terminal, credential=["-n", "--resource-id", "ivo://armillary.example/gms"])
    adas("create", "by-password")
    assert "by-password" in adas("list", "--role", "owner").split()


def test_cadc_get_cert_brings_a_certificate_that_can_be_revoked(terminal: Terminal, space: Space) -> None:
    terminal.netrc()
    terminal("cadc-get-cert", "-n", "--host", space.host, "--days-valid", "7")
    pem = terminal.home / ".ssl" / "cadcproxy.pem"
    assert pem.stat().st_size > 0
    groups = Groups(terminal=terminal, credential=["--cert", str(pem)])
    assert groups("list").split() == ["m51"]
    ada = space.who("ada").person.id
    (noted, *_) = space.accounts.certificates_of(ada)
    space.accounts.revoke_certificate(ada, noted.serial)
    assert "authentication" in groups.refused("list")


def test_a_password_can_be_typed(terminal: Terminal, space: Space) -> None:
    done = terminal("cadc-get-cert", "-u", "ada", "--host", space.host, typed=f"{PASSWORD}\n", ok=None)
    assert "DONE" in done.stdout, done.stdout + done.stderr
    assert b"PRIVATE KEY" in Path(terminal.home / ".ssl" / "cadcproxy.pem").read_bytes()
