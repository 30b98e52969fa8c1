"""Jobs by a real agent, carried away, checked, run again, kept, and brought to a platform that knows nothing of them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from terminal import Terminal
from whole_platform import FLAVOR, PASSWORD, WholePlatform

from armillary.accounts.model import Principal
from armillary.provenance.disks import BREAKS

SUBMIT = """executable = count.sh
arguments = $(Process)
transfer_input_files = stars.txt
transfer_output_files = found.cat
output = $(Process).out
queue 12
"""
PROGRAM = """#!/bin/sh
echo "job $1"
awk -v n="$1" '{ print $1 * n, n }' stars.txt > found.cat
"""


@pytest.fixture
def working(platform: WholePlatform, tmp_path: Path) -> Iterator[None]:
    process = platform.start_worker(tmp_path / "worker")
    yield
    process.terminate()
    process.wait(60)


@pytest.fixture
def count(vera: Terminal, working: None, platform: WholePlatform, tmp_path: Path) -> Callable[[int], str]:
    """Makes a cluster of some jobs that are over."""
    platform.space.ensure_home(platform.vera)
    place = tmp_path / "here"
    place.mkdir()
    vera.at(place)
    (place / "count.sh").write_text(PROGRAM)
    (place / "stars.txt").write_text("1.5\n2.5\n")

    def run(jobs: int) -> str:
        (place / "count.sub").write_text(SUBMIT.replace("12", str(jobs)))
        found = vera.json("submit", "count.sub", "--image", "my-snapshot", "--flavor", FLAVOR)
        vera("watch", str(found["cluster"]), "--until-done")
        return str(found["cluster"])

    return run


@pytest.fixture
def another(tmp_path: Path) -> Iterator[Callable[[], WholePlatform]]:
    """Makes a fresh platform with the same people and the same image."""
    made: list[WholePlatform] = []

    def make() -> WholePlatform:
        folder = tmp_path / "another"
        folder.mkdir()
        made.append(WholePlatform(folder=folder))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_twelve_jobs_are_frozen_carried_away_and_make_the_same_on_a_fresh_platform(
    vera: Terminal,
    platform: WholePlatform,
    count: Callable[[int], str],
    another: Callable[[], WholePlatform],
    tmp_path: Path,
) -> None:
    counted = count(12)
    (key,) = platform.provenance.published_keys()
    frozen = vera.json("freeze", counted, "--title", "Counted")
    assert (frozen["image_kept"], frozen["path"]) == (["east"], f"/home/vera/frozen/cluster-{counted}")
    report = vera.json("export", counted, "--with-image", "-o", "counted.zip")
    assert (report["verdict"], len(report["jobs"])) == ("good", 12)
    with zipfile.ZipFile("counted.zip") as archive:
        assert archive.read("image/disk.qcow2") == b"bytes of the machine"
    assert vera("verify", "counted.zip", "--key", key.id).exit_code == 0
    assert vera.json("compare", "counted.zip", counted)["same"]
    vera("unfreeze", counted, "--yes")

    fresh = another()
    fresh.space.ensure_home(fresh.vera)
    fresh.east.delete(fresh.project, fresh.image.id)
    process = fresh.start_worker(tmp_path / "other-worker")
    try:
        vera("login", "vera", "--url", fresh.url, "--password-stdin", stdin=PASSWORD + "\n")
        vera("import", "counted.zip", "--key", "0" * 64, status=1)
        brought = vera.json("import", "counted.zip", "--key", key.id)
        assert (brought["image"]["cloud"], brought["image"]["sent"]) == ("east", True)
        (image,) = fresh.east.images(fresh.project)
        assert (image.sha512, image.name) == (platform.image.sha512, "my-snapshot")
        assert not vera.json("import", "counted.zip", "--key", key.id)["image"]["sent"]
        name = brought["name"]
        found = vera.json("rerun", name)
        assert found["same"]
        assert {one["outcome"] for one in found["files"]} == {"identical"}
        assert len({one["of"] for one in found["files"]}) == 12
    finally:
        process.terminate()
        process.wait(60)


def test_an_image_that_was_changed_does_not_leave_home_and_half_a_crate_is_none(
    vera: Terminal, platform: WholePlatform, count: Callable[[int], str]
) -> None:
    counted = count(1)
    vera("export", counted, "--with-image", "-o", "crate")
    (key,) = platform.provenance.published_keys()
    Path("crate/image/disk.qcow2").write_bytes(b"bytes of a machine!")
    found = vera.json("verify", "crate", status=1)
    assert [(one["what"], one["path"]) for one in found["findings"]] == [("image", "image/disk.qcow2")]
    assert "image: image/disk.qcow2" in vera("import", "crate", "--key", key.id, status=1).output
    vera("export", counted, "--with-image", "-o", "whole.zip")
    Path("half.zip").write_bytes(Path("whole.zip").read_bytes()[:-300])
    vera("import", "half.zip", "--key", key.id, status=2)
    platform.east.faults.breaks = [7, 0, *[0] * BREAKS]
    vera("export", counted, "--with-image", "-o", "broken.zip", status=3)
    assert not [place for place in Path().iterdir() if "broken" in place.name]
    platform.east.faults.breaks = [7, 0, 0]
    assert vera.json("export", counted, "--with-image", "-o", "mended.zip")["verdict"] == "good"


def test_a_cluster_is_frozen_with_its_image(
    vera: Terminal, platform: WholePlatform, count: Callable[[int], str]
) -> None:
    counted = count(1)
    frozen = vera.json("freeze", counted, "--with-image")
    assert frozen["image_included"]
    disk = platform.space.open_bytes(Principal(person=platform.vera), f"{frozen['path']}/image/disk.qcow2")
    assert b"".join(disk.chunks) == b"bytes of the machine"
    vera("unfreeze", counted, "--yes")


def test_what_is_changed_in_a_crate_is_named_and_each_part_of_it_can_be_had_alone(
    vera: Terminal, count: Callable[[int], str]
) -> None:
    counted = count(2)
    vera("export", counted, "-o", "crate")
    Path(f"crate/outputs/{counted}.1/found.cat").write_text("3 3\n")
    found = vera.json("verify", "crate", status=1)
    assert [(one["what"], one["jobs"]) for one in found["findings"]] == [("output", [f"{counted}.1"])]
    assert "found.cat: is not the output" in vera("verify", "crate", status=1).output
    assert "armillary verify crate" in vera("compare", counted, "crate", status=2).output
    prov = json.loads(vera("export", f"{counted}.0", "--format", "prov-json").stdout)
    assert list(prov["activity"]) == [f"job:{counted}.0"]
    vera("export", f"{counted}.1")
    with zipfile.ZipFile(f"crate-{counted}.1.zip") as archive:
        assert archive.testzip() is None
        assert archive.read(f"outputs/{counted}.1/found.cat") == b"1.5 1\n2.5 1\n"
