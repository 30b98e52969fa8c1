"""A cluster is watched, its failures are told by cause, and just those run again; from anywhere, and after a break."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from terminal import Terminal
from whole_platform import FLAVOR, WholePlatform

from armillary.cli.completing import complete_flavors, complete_images, complete_projects, complete_targets

SUBMIT = """\
executable = run.sh
arguments = $(status)
output = out.$(Process)
transfer_output_files = found.cat
+VMImage = "my-snapshot"
+VMInstanceType = "{flavor}"
queue status in (0 3 0 4)
"""


@pytest.fixture
def desk(vera: Terminal, tmp_path: Path) -> Path:
    place = tmp_path / "desk"
    place.mkdir()
    (place / "run.sh").write_text("#!/bin/sh\necho found $1 > found.cat\nexit $1\n")
    (place / "jobs.sub").write_text(SUBMIT.format(flavor=FLAVOR))
    vera.at(place)
    return place


@pytest.fixture
def cluster(vera: Terminal, desk: Path) -> Iterator[str]:
    """Submitted by what the file says of image and flavor."""
    found = str(vera.json("submit", "jobs.sub")["cluster"])
    yield found
    vera("remove", found)


@pytest.fixture
def over(vera: Terminal, cluster: str, platform: WholePlatform, tmp_path: Path) -> Iterator[str]:
    """A cluster of which two jobs have failed; the worker is there still."""
    process = platform.start_worker(tmp_path / "worker")
    told = vera("watch", cluster, "--until-done", status=1).stderr
    assert f"cluster {cluster}: 2 of 4 job(s) well" in told
    assert "1 ended with exit code 3" in told
    assert f"armillary retry {cluster} --failed" in told
    yield cluster
    process.terminate()
    process.wait(60)


def test_the_queue_counts_and_the_history_lists(vera: Terminal, cluster: str):
    (waiting,) = [one for one in vera.json("queue", "--mine") if str(one["cluster"]) == cluster]
    assert (waiting["idle"], waiting["done"], waiting["jobs"]) == (4, 0, 4)
    assert vera("history", cluster).stderr == "No jobs are over.\n"
    vera("remove", f"{cluster}.1-2")
    assert [job["id"] for job in vera.json("history", cluster)] == [f"{cluster}.1", f"{cluster}.2"]
    assert [job["id"] for job in vera.json("jobs", f"{cluster}.2-3", "--mine")] == [
        f"{cluster}.2",
        f"{cluster}.3",
    ]
    vera("remove", cluster)
    assert cluster not in vera("queue").stdout.split()
    assert cluster in vera("queue", "--all").stdout.split()


def test_several_jobs_and_clusters_are_changed_on_one_line(vera: Terminal, cluster: str):
    other = str(vera.json("submit", "jobs.sub")["cluster"])
    held = vera("hold", f"{cluster}.0-1", other, "--reason", "wait")
    assert held.stderr == "6 job(s) held.\n"
    vera("priority", "-5", cluster)
    assert [job["priority"] for job in vera.json("jobs", cluster)] == [-5] * 4
    assert vera("release", "--mine", "--hold-code", "1").stderr == "6 job(s) released.\n"
    assert vera.json("remove", other)["changed"] == 4
    assert "no jobs are named" in vera("hold", status=2).stderr
    assert "names no jobs" in vera("hold", "twelve", status=2).stderr


def test_failed_jobs_run_again_by_their_cause_and_only_they(vera: Terminal, over: str):
    assert vera("retry", over, "--exit-code", "3").stderr == "1 job(s) will run again.\n"
    vera("watch", over, "--until-done", status=1)
    assert [job["attempts"] for job in vera.json("jobs", over)] == [1, 2, 1, 1]
    assert vera("logs", f"{over}.1", "--attempt", "1").exit_code == 0
    assert vera("retry", over, "--failed").stderr == "2 job(s) will run again.\n"
    vera("watch", over, "--until-done", status=1)
    assert [job["attempts"] for job in vera.json("jobs", over)] == [1, 3, 1, 2]


def test_outputs_of_failed_jobs_alone_are_brought_and_a_broken_fetch_goes_on(
    vera: Terminal, over: str, desk: Path
):
    brought = vera.json("fetch", over, "--failed", "--to", str(desk / "failed"))
    assert {one["job"] for one in brought} == {f"{over}.1", f"{over}.3"}
    whole = b"found 0\n"
    partial = desk / "good" / f".found.cat.{hashlib.sha256(whole).hexdigest()[:16]}.part"
    partial.parent.mkdir()
    partial.write_bytes(whole[:4])
    vera("fetch", f"{over}.0", "--to", str(partial.parent))
    assert (partial.parent / "found.cat").read_bytes() == whole
    assert not partial.exists()
    partial.write_bytes(whole)  # broke off after the last byte
    (partial.parent / "found.cat").unlink()
    vera("fetch", f"{over}.0", "--to", str(partial.parent))
    assert (partial.parent / "found.cat").read_bytes() == whole


def test_the_tab_key_knows_clusters_jobs_and_images_and_is_silent_about_trouble(
    vera: Terminal, cluster: str, monkeypatch: pytest.MonkeyPatch
):
    nothing: Any = (None, None)
    assert cluster in complete_targets(*nothing, cluster[:1])
    assert f"{cluster}.3" in complete_targets(*nothing, f"{cluster}.")
    assert complete_images(*nothing, "my-") == ["my-snapshot"]
    assert FLAVOR in complete_flavors(*nothing, "c2")
    assert complete_projects(*nothing, "") == ["rotation"]
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("ARMILLARY_URL", "http://127.0.0.1:1")
        assert complete_targets(*nothing, "") == []
