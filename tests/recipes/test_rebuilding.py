"""Which images are made again, and what is said of how it went."""

from __future__ import annotations

from pathlib import Path

import pytest

from armillary.base.errors import Conflict, Forbidden, Invalid, NotFound
from armillary.base.ids import Sha512
from armillary.disks.comparing import compare, shape
from armillary.disks.reading import read_file, read_image
from armillary.recipes.debian import debian_12
from armillary.recipes.lock import PLACE, Lock
from armillary.recipes.rebuilding import Rebuilt, rebuild, workroom
from armillary.recipes.service import sha512_of, write_manifest
from small_images import DEBIAN, ext4

NEW = Sha512("cd" * 64)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three small systems: one that says nothing of its making, one with a lock of nonsense, one with another file."""
    folder = tmp_path_factory.mktemp("images")
    return {
        "plain": ext4(folder / "plain.raw"),
        "locked": ext4(folder / "locked.raw", {**DEBIAN, PLACE: "nonsense"}),
        "other": ext4(folder / "other.raw", {**DEBIAN, "etc/motd": "other\n"}),
    }


def built_here(cache: Path, image: Path) -> None:
    folder = cache / "images/debian-12-x"
    folder.mkdir(parents=True)
    write_manifest(folder / "manifest.json", {"sha512": sha512_of(image), "lock_sha256": "ab" * 32})


def test_a_recipe_that_was_not_built_here_cannot_be_made_again(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as refusal:
        rebuild("debian-12", cache=tmp_path)
    assert (refusal.value.code, refusal.value.remedy.split(",")[0]) == (
        "image_not_built",
        "armillary image build debian-12",
    )


def test_what_a_strangers_image_says_is_not_run_unasked(tmp_path: Path, images: dict[str, Path]) -> None:
    with pytest.raises(Forbidden) as refusal:
        rebuild(str(images["locked"]), cache=tmp_path)
    assert refusal.value.code == "image_not_trusted"
    built_here(tmp_path, images["locked"])
    with pytest.raises(Invalid) as known:
        rebuild(str(images["locked"]), cache=tmp_path)
    assert known.value.code == "not_a_lock", "it is known, and so it is read"


def test_what_was_imported_here_was_not_built_here(tmp_path: Path, images: dict[str, Path]) -> None:
    folder = tmp_path / "images/imported-x"
    folder.mkdir(parents=True)
    write_manifest(folder / "manifest.json", {"sha512": sha512_of(images["locked"]), "imported_from": "x"})
    with pytest.raises(Forbidden) as refusal:
        rebuild(str(images["locked"]), cache=tmp_path)
    assert refusal.value.code == "image_not_trusted"


def test_a_lock_that_is_not_the_one_of_the_build_is_not_run(tmp_path: Path) -> None:
    made = Lock(
        recipe=debian_12(), sources=(), apt="", epoch=1, snapshot=(), wheels=(), packages=(), tools={}
    )
    image = ext4(tmp_path / "image.raw", {**DEBIAN, PLACE: made.text})
    built_here(tmp_path, image)
    with pytest.raises(Conflict) as refusal:
        rebuild(str(image), cache=tmp_path)
    assert (refusal.value.code, refusal.value.facts["lock_sha256"]) == ("lock_differs", made.sha256)


def test_what_was_left_by_who_was_killed_goes_when_nobody_is_at_work(tmp_path: Path) -> None:
    (tmp_path / ".rebuilding-dead").mkdir()
    with workroom(tmp_path) as first:
        assert sorted(tmp_path.glob(".rebuilding-*")) == [first]
        (first / "disk.raw").write_bytes(b"x")
        with workroom(tmp_path) as second:
            assert (first / "disk.raw").exists() and second != first
    assert list(tmp_path.glob(".rebuilding-*")) == []


def test_an_image_that_says_nothing_of_its_making_is_refused(tmp_path: Path, images: dict[str, Path]) -> None:
    with pytest.raises(Invalid) as refusal:
        rebuild(str(images["plain"]), cache=tmp_path, trust=True)
    assert refusal.value.code == "not_a_lock"
    assert read_file(images["plain"], PLACE) == ""
    assert read_file(images["locked"], PLACE) == "nonsense"


def test_nothing_that_is_there_is_written_over(tmp_path: Path, images: dict[str, Path]) -> None:
    with pytest.raises(Conflict) as refusal:
        rebuild(str(images["locked"]), cache=tmp_path, output=images["plain"], trust=True)
    assert refusal.value.code == "output_exists"


@pytest.mark.parametrize(
    ("sha512", "other", "verdict"),
    [(NEW, "plain", "identical"), ("ab" * 64, "plain", "same files"), ("ab" * 64, "other", "different")],
)
def test_the_verdict_is_the_files_and_then_the_bytes(
    images: dict[str, Path], sha512: str, other: str, verdict: str
) -> None:
    found = shape(compare(read_image(images["plain"]), read_image(images[other])))
    rebuilt = Rebuilt(
        name="debian-12", lock_sha256="ab" * 32, sha512=sha512, again=NEW, same_tree=found["same_tree"],
        differences=found, tools={"mke2fs": ("mke2fs 1.47.0", "mke2fs 1.47.2")},
    )  # fmt: skip
    told = rebuilt.as_dict()
    assert told["verdict"] == verdict
    assert told["tools"] == {"mke2fs": {"was": "mke2fs 1.47.0", "is": "mke2fs 1.47.2"}}


def test_without_the_first_image_there_is_nothing_to_hold_it_against() -> None:
    rebuilt = Rebuilt(name="debian-12", lock_sha256="ab" * 32, sha512="", again=NEW, same_tree=None)
    assert rebuilt.verdict == "alone"
