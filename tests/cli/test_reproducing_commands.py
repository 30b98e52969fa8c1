"""Jobs by a real agent, carried away, checked, run again, kept, and brought to a platform that knows nothing of them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from terminal import Terminal
from whole_platform import FLAVOR, PASSWORD, WholePlatform

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
    process.wait(30)


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
    report = vera.json("export", counted, "-o", "counted.zip")
    assert (report["verdict"], len(report["jobs"])) == ("good", 12)
    assert vera("verify", "counted.zip", "--key", key.id).exit_code == 0
    assert vera.json("compare", "counted.zip", counted)["same"]
    vera("unfreeze", counted, "--yes")

    fresh = another()
    fresh.space.ensure_home(fresh.vera)
    process = fresh.start_worker(tmp_path / "other-worker")
    try:
        vera("login", "vera", "--url", fresh.url, "--password-stdin", stdin=PASSWORD + "\n")
        vera("import", "counted.zip", "--key", "0" * 64, status=1)
        name = vera.json("import", "counted.zip", "--key", key.id)["name"]
        found = vera.json("rerun", name)
        assert found["same"]
        assert {one["outcome"] for one in found["files"]} == {"identical"}
        assert len({one["of"] for one in found["files"]}) == 12
    finally:
        process.terminate()
        process.wait(30)


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
