"""Packages come from where this computer's own packages come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from armillary.recipes.mirror import sources_for
from armillary.recipes.model import AptSource, BuildFailed

MAIN = "http://mirror.example/debian"
SECURITY = "http://mirror.example/security"


def computer(root: Path, *, release: str = 'ID=debian\nVERSION_CODENAME="bookworm"', **files: str) -> Path:
    """A tree with an `/etc` of that release and those source files (`__` is a dot)."""
    parts = root / "etc/apt/sources.list.d"
    parts.mkdir(parents=True)
    (root / "etc/os-release").write_text(release + "\n")
    for name, text in files.items():
        path = root / "etc/apt/sources.list" if name == "sources__list" else parts / name.replace("__", ".")
        path.write_text(text)
    return root


def test_deb822_sources_are_read_with_all_their_suites(tmp_path: Path) -> None:
    text = (
        f"Types: deb\n# {MAIN}/old\nURIs: {MAIN}/\nSuites: bookworm bookworm-updates bookworm-backports\n"
        f"Components: main contrib\nSigned-By: /usr/share/keyrings/x.gpg\n\n"
        f"Types: deb deb-src\nURIs: {SECURITY}\nSuites:\n bookworm-security\nComponents: main\n"
    )
    assert sources_for("bookworm", root=computer(tmp_path, debian__sources=text)) == (
        AptSource(uri=MAIN, suites=("bookworm", "bookworm-updates"), components=("main",)),
        AptSource(uri=SECURITY, suites=("bookworm-security",), components=("main",)),
    )


def test_one_line_sources_are_read(tmp_path: Path) -> None:
    text = f"# comment\ndeb [signed-by=/x.gpg] {MAIN} bookworm main non-free # here\ndeb-src {MAIN} bookworm main\n"
    (source,) = sources_for("bookworm", root=computer(tmp_path, sources__list=text))
    assert source == AptSource(uri=MAIN, suites=("bookworm",), components=("main",))


def test_a_newer_debian_lends_its_mirror(tmp_path: Path) -> None:
    text = f"deb {MAIN} trixie main\ndeb {SECURITY} trixie-security main\n"
    root = computer(tmp_path, release="ID=debian\nVERSION_CODENAME=trixie", sources__list=text)
    assert [source.suites for source in sources_for("bookworm", root=root)] == [
        ("bookworm",),
        ("bookworm-security",),
    ]


def test_what_is_switched_off_or_of_others_is_left_alone(tmp_path: Path) -> None:
    text = (
        f"Types: deb\nURIs: {MAIN}\nSuites: bookworm\nComponents: main\nEnabled: no\n\n"
        "Types: deb\nURIs: http://other.example/\nSuites: nodistro\nComponents: main\n\n"
        "Types: deb\nURIs: cdrom:[Debian]/\nSuites: bookworm\nComponents: main\n"
    )
    with pytest.raises(BuildFailed, match="No network mirror") as refusal:
        sources_for("bookworm", root=computer(tmp_path, debian__sources=text))
    assert "ARMILLARY_DEBIAN_MIRROR" in refusal.value.remedy


def test_ubuntu_is_asked_for_a_debian_mirror(tmp_path: Path) -> None:
    root = computer(tmp_path, release="ID=ubuntu\nNAME=Ubuntu", sources__list=f"deb {MAIN} noble main")
    with pytest.raises(BuildFailed, match="Ubuntu") as refusal:
        sources_for("bookworm", root=root)
    assert refusal.value.code == "no_debian_mirror"
    assert "ARMILLARY_DEBIAN_MIRROR" in refusal.value.remedy


def test_on_another_system_mmdebstraps_own_mirrors_are_taken(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text('NAME="Ubuntu"\nID=ubuntu\n')
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/mmdebstrap").write_text(
        "    my $mirror    = 'http://mirror.example/debian';\n    my $secmirror = 'http://mirror.example/security';\n"
    )
    first, second = sources_for("bookworm", root=tmp_path)
    assert (first.uri, first.suites) == ("http://mirror.example/debian", ("bookworm", "bookworm-updates"))
    assert (second.uri, second.suites) == ("http://mirror.example/security", ("bookworm-security",))


def test_a_mirror_that_is_given_is_taken(tmp_path: Path) -> None:
    (source,) = sources_for("bookworm", root=tmp_path, mirror=MAIN)
    assert source == AptSource(uri=MAIN, suites=("bookworm", "bookworm-updates"), components=("main",))


def test_a_sources_file_that_is_given_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "my.sources"
    file.write_text(f"Types: deb\nURIs: {MAIN}\nSuites: bookworm\nComponents: main\n")
    (source,) = sources_for("bookworm", root=tmp_path, mirror=str(file))
    assert source.as_deb822("/k.gpg") == (
        f"Types: deb\nURIs: {MAIN}\nSuites: bookworm\nComponents: main\nSigned-By: /k.gpg\n"
    )
