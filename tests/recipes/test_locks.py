"""What an image was made of, written down so that it can be made again of just that."""

from __future__ import annotations

import hashlib
import json
import subprocess
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from armillary.base.errors import Invalid, NotFound
from armillary.recipes.debian import debian_12
from armillary.recipes.lock import Lock, Piece, lock_from, pieces_printed
from armillary.recipes.model import AptSource
from armillary.recipes.packages import fetch, mirror_of

MIRROR = "http://mirror.example/debian"
DIGEST = "ab" * 32


def lock(*packages: Piece, wheels: tuple[Piece, ...] = (), mirror: str = MIRROR) -> Lock:
    return Lock(
        recipe=debian_12(),
        sources=(AptSource(uri=mirror, suites=("bookworm", "bookworm-updates"), components=("main",)),),
        apt='Acquire::Check-Date "false";\n',
        epoch=1_700_000_000,
        snapshot=({"suite": "bookworm", "date": "2023-06-10T08:53:33Z", "sha256": DIGEST, "uri": mirror},),
        wheels=wheels,
        packages=packages,
        tools={"mke2fs": "mke2fs 1.47.0 (5-Feb-2023)"},
    )


def deb(folder: Path, name: str, version: str) -> Piece:
    """A package that has nothing, in a pool of its own, and what a lock says of it."""
    tree = folder / f"tree-{name}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: x\n"
    )
    path = folder / "pool" / f"{name}_{version}_all.deb"
    path.parent.mkdir(exist_ok=True)
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, path], check=True, capture_output=True)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Piece(file=path.name, sha256=digest, uri=f"file://{path}")


def test_a_lock_comes_back_from_its_text_whole() -> None:
    made = lock(Piece(file="a_1_all.deb", sha256=DIGEST, uri=f"{MIRROR}/pool/a_1_all.deb"))
    assert lock_from(made.text) == made
    assert lock_from(made.text).text == made.text


def test_a_lock_changes_with_every_package_and_file() -> None:
    made = lock(Piece(file="a_1_all.deb", sha256=DIGEST))
    other = replace(made, packages=(Piece(file="a_1_all.deb", sha256="cd" * 32),))
    assert len({made.sha256, other.sha256, replace(made, epoch=1).sha256}) == 3


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ('"suite": "bookworm"', '"suite": "trixie"'),  # in the recipe, whose digest stands beside it
        ("a_1_all.deb", "../a_1_all.deb"),
        ("a_1_all.deb", "a.deb"),
        ("a_1_all.deb", "a_1_all%5f.deb"),
        (DIGEST, "none"),
        ("armillary-image-lock/1", "armillary-image-lock/9"),
        ('"recipe"', '"other"'),
        ("{", "["),
    ],
)
def test_a_text_that_is_no_lock_or_was_changed_is_refused(was: str, becomes: str) -> None:
    text = lock(Piece(file="a_1_all.deb", sha256=DIGEST, uri="u")).text
    with pytest.raises(Invalid) as refusal:
        lock_from(text.replace(was, becomes))
    assert refusal.value.code == "not_a_lock"


def test_packages_are_read_from_what_apt_says_it_would_fetch() -> None:
    said = (
        f"'{MIRROR}/pool/main/s/shadow/passwd_4.13%2bdfsg1_amd64.deb' passwd_1%3a4.13+dfsg1_amd64.deb 97 "
        f"SHA256:{DIGEST}\n"
        f"'{MIRROR}/pool/main/a/adduser/adduser_3.134_all.deb' adduser_3.134_all.deb 18 SHA256:{DIGEST}\n"
        "W: something else\n"
    )
    first, second = pieces_printed(said)
    assert (first.package, second.package) == (("adduser", "3.134"), ("passwd", "1:4.13+dfsg1"))
    assert second.uri.endswith("passwd_4.13%2bdfsg1_amd64.deb")
    assert lock_from(lock(first, second).text).packages == (first, second)


def test_packages_are_fetched_by_digest_and_those_that_are_gone_are_named(tmp_path: Path) -> None:
    there = deb(tmp_path, "there", "1.0")
    gone = Piece(file="gone_1_all.deb", sha256=DIGEST, uri=f"file://{tmp_path}/pool/gone_1_all.deb")
    other = replace(deb(tmp_path, "other", "2"), sha256=DIGEST)
    folder = tmp_path / "kept"
    with pytest.raises(NotFound) as refusal:
        fetch(lock(there, gone, other), folder=folder, mirrors=[], progress=lambda _: None)
    assert refusal.value.code == "packages_gone"
    assert refusal.value.facts == {"gone": ["gone_1_all.deb", "other_2_all.deb"], "of": 3}
    assert hashlib.sha256((folder / there.file).read_bytes()).hexdigest() == there.sha256
    assert [path.name for path in folder.iterdir()] == [there.file]


def test_another_mirror_is_asked_for_what_has_moved(tmp_path: Path) -> None:
    piece = deb(tmp_path, "moved", "1.0")
    moved = replace(piece, uri=f"file:///nowhere/pool/{piece.file}")
    told: list[str] = []
    made = lock(moved, mirror="file:///nowhere")
    fetch(made, folder=tmp_path / "kept", mirrors=[f"file://{tmp_path}/"], progress=told.append)
    assert told == ["fetching 1 packages by their digests"]
    fetch(made, folder=tmp_path / "kept", mirrors=[], progress=told.append)
    assert len(told) == 1, "what is there with the right digest is not fetched"


def test_the_packages_are_served_with_an_index_of_them_alone(tmp_path: Path) -> None:
    piece = deb(tmp_path, "small", "1.0+b1")
    with mirror_of(lock(piece), folder=tmp_path / "pool", work=tmp_path) as line:
        address = line.split()[2]
        index = _get(f"{address}Packages").decode()
        fields = dict(field.split(": ", 1) for field in index.strip().splitlines())
        assert (fields["Package"], fields["Version"], fields["SHA256"]) == ("small", "1.0+b1", piece.sha256)
        content = _get(f"{address}{fields['Filename'].removeprefix('./')}")
        assert hashlib.sha256(content).hexdigest() == piece.sha256
        assert hashlib.sha256(index.encode()).hexdigest() in _get(f"{address}Release").decode()


def _get(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=60) as answer:
        return bytes(answer.read())


def test_the_lock_names_the_recipe_by_its_digest() -> None:
    made = lock()
    assert json.loads(made.text)["inputs_sha256"] == made.recipe.digest(made.sources)
