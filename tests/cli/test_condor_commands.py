"""HTCondor's names say what HTCondor says: programs that read its output read ours."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from terminal import Terminal
from whole_platform import FLAVOR, WholePlatform

from armillary.client.batch import Batch
from armillary.client.http import Armillary

SUBMIT = """\
executable = run.sh
arguments = $(Process) 'two words'
request_memory = 100
+VMImage = "my-snapshot"
+VMInstanceType = "{flavor}"
+Night = 12
log = jobs.log
queue {count}
"""


@pytest.fixture
def desk(vera: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("ARMILLARY_IMAGE", "ARMILLARY_FLAVOR"):
        monkeypatch.delenv(name, raising=False)
    place = tmp_path / "desk"
    place.mkdir()
    (place / "run.sh").write_text("#!/bin/sh\necho out $1\n")
    (place / "jobs.sub").write_text(SUBMIT.format(flavor=FLAVOR, count=3))
    vera.at(place)
    return place


@pytest.fixture
def cluster(vera: Terminal, desk: Path) -> Iterator[str]:
    result = vera("condor", "submit", "jobs.sub")
    found = re.search(r"^(\d+) job\(s\) submitted to cluster (\d+)\.$", result.stdout, re.MULTILINE)
    assert found, result.output
    assert found[1] == "3"
    assert result.stdout.startswith("Submitting job(s)...\n")
    yield found[2]
    vera("remove", found[2])


def ads(vera: Terminal, *arguments: str) -> list[dict[str, Any]]:
    return json.loads(vera("condor", *arguments, "-json").stdout)


def test_the_queue_as_json_has_htcondors_attributes(vera: Terminal, cluster: str):
    found = ads(vera, "q", cluster)
    assert [(ad["ClusterId"], ad["ProcId"], ad["JobStatus"]) for ad in found] == [
        (int(cluster), proc, 1) for proc in range(3)
    ]
    first = found[0]
    assert first["Owner"] == "vera"
    assert first["RequestMemory"] == 100
    assert isinstance(first["QDate"], int)
    assert [ad["ProcId"] for ad in ads(vera, "q", f"{cluster}.1")] == [1]
    assert ads(vera, "q", "-constraint", f"ClusterId == {cluster} && ProcId > 1")[0]["ProcId"] == 2
    assert ads(vera, "q", cluster, "-constraint", "Undefined > 1") == []


def test_chosen_attributes_come_one_job_to_a_line(vera: Terminal, cluster: str):
    assert vera("condor", "q", cluster, "-af:jr", "JobStatus", "Missing").stdout.splitlines() == [
        f"{cluster}.{proc} 1 undefined" for proc in range(3)
    ]
    assert vera("condor", "q", f"{cluster}.1", "-af", "ProcId + 1", "Owner").stdout == "2 vera\n"
    shown = vera("condor", "q", f"{cluster}.1", "-format", r"%d\n", "ProcId").stdout
    assert shown == "1\n"


def test_tables_and_totals(vera: Terminal, cluster: str):
    assert "3 idle, 0 running, 0 held" in vera("condor", "q", cluster, "-totals").stdout
    lines = vera("condor", "q", cluster, "-nobatch").stdout.splitlines()
    assert sum(line.startswith(f"{cluster}.") for line in lines) == 3
    assert f"ID: {cluster}" in vera("condor", "q").stdout
    assert f"{cluster}.0:  Job is idle." in vera("condor", "q", "-better-analyze", f"{cluster}.0").stdout


def test_a_cluster_is_analyzed_once_for_all_jobs_that_are_alike(vera: Terminal, cluster: str):
    for named in ([cluster], []):
        told = vera("condor", "q", "-better-analyze", *named).stdout
        assert told.count("Job is idle.") == 1
        assert f"{cluster}.0:  Job is idle. 2 more jobs are like it." in told
    vera("condor", "hold", f"{cluster}.1")
    assert "Job is held." in vera("condor", "q", "-better-analyze", cluster).stdout
    vera("condor", "rm", cluster)
    told = vera("condor", "q", "-better-analyze", cluster).stdout
    assert f"{cluster}:  No job of it waits or is held: 3 removed." in told


def test_kinds_of_jobs_that_are_not_told_of_are_counted(vera: Terminal, desk: Path):
    text = SUBMIT.format(flavor=FLAVOR, count=23).replace("= 100\n", "= 100 + $(Process)\n")
    (desk / "many.sub").write_text(text)
    cluster = vera("condor", "submit", "-terse", "many.sub").stdout.partition(".")[0]
    left = f"3 more job(s) wait or are held that are like none of these: name one, as {cluster}.0."
    assert left in vera("condor", "q", "-better-analyze", cluster).stdout
    assert left in vera("explain", cluster).stdout
    vera("condor", "rm", f"{cluster}.20-22")
    assert "like none" not in vera("condor", "q", "-better-analyze", cluster).stdout
    vera("condor", "rm", cluster)


def test_a_queue_of_many_small_submits_is_asked_for_by_pages(
    vera: Terminal, cluster: str, monkeypatch: pytest.MonkeyPatch
):
    more = [vera("condor", "submit", "-terse", "jobs.sub").stdout.partition(".")[0] for _ in range(9)]
    vera("condor", "rm", f"{more[0]}.1")
    asked: list[str] = []
    as_ever = Armillary.get

    def counted(self: Armillary, path: str, **more: Any) -> Any:
        asked.append(path)
        return as_ever(self, path, **more)

    monkeypatch.setattr(Armillary, "get", counted)
    lines = vera("condor", "q").stdout.splitlines()
    assert sum("ID: " in line for line in lines) == 10
    (line,) = (line for line in lines if f"ID: {more[0]}" in line)
    assert line.split()[5:10] == ["_", "_", "2", "_", "3"]
    assert sum("clusters" in path for path in asked) == 1
    for name in more:
        vera("condor", "rm", name)


def test_hold_release_and_remove_in_htcondors_words(vera: Terminal, cluster: str):
    held = vera("condor", "hold", f"{cluster}.0", "-reason", "wrong threshold").stdout
    assert held == f"Job {cluster}.0 held\n"
    (ad,) = ads(vera, "q", cluster, "-hold")
    assert (ad["JobStatus"], ad["HoldReason"], ad["HoldReasonCode"]) == (5, "wrong threshold", 1)
    assert "wrong threshold" in vera("condor", "q", "-hold", cluster).stdout
    assert vera("condor", "release", cluster).stdout == f"All jobs in cluster {cluster} have been released\n"
    removed = vera("condor", "rm", "-constraint", f"ClusterId == {cluster} && ProcId == 2").stdout
    assert "have been marked for removal" in removed
    assert [ad["ProcId"] for ad in ads(vera, "q", cluster)] == [0, 1]
    assert vera("condor", "rm", f"{cluster}.1").stdout == f"Job {cluster}.1 marked for removal\n"
    assert [ad["JobStatus"] for ad in ads(vera, "history", cluster)] == [3, 3]
    missing = vera("condor", "rm", "99999", status=1)
    assert missing.stderr == "Couldn't find/remove all jobs in cluster 99999\n"


def test_the_batches_of_a_queue_count_what_is_over(vera: Terminal, cluster: str):
    vera("condor", "hold", f"{cluster}.0")
    vera("condor", "rm", f"{cluster}.1")
    heads, line = (
        line
        for line in vera("condor", "q").stdout.splitlines()
        if "BATCH_NAME" in line or f"ID: {cluster}" in line
    )
    figures = ["_", "_", "1", "1", "3"]
    assert heads.split()[3:8] == ["DONE", "RUN", "IDLE", "HOLD", "TOTAL"]
    assert line.split()[5:10] == figures
    assert line.endswith(f"{cluster}.0 ... {cluster}.2")


def test_jobs_that_are_over_are_done_though_they_left_the_queue(
    vera: Terminal, cluster: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Batch, "cluster", lambda *_: {"states": {"completed": 4997, "removed": 2, "idle": 3}})
    (line,) = (line for line in vera("condor", "q").stdout.splitlines() if f"ID: {cluster}" in line)
    assert line.split()[5:10] == ["4997", "_", "3", "_", "5002"]


def test_jobs_of_a_constraint_are_changed_run_by_run(
    vera: Terminal, cluster: str, monkeypatch: pytest.MonkeyPatch
):
    calls: list[dict[str, Any]] = []
    as_ever = Batch.change_many

    def counted(self: Batch, action: str, selection: Any, **more: Any) -> int:
        calls.append(dict(selection))
        return as_ever(self, action, selection, **more)

    monkeypatch.setattr(Batch, "change_many", counted)
    vera("condor", "hold", "-constraint", f"ClusterId == {cluster}")
    assert calls == [{"job": f"{cluster}.0", "last_proc": 2}]
    assert [ad["JobStatus"] for ad in ads(vera, "q", cluster)] == [5, 5, 5]
    vera("condor", "release", "-constraint", f"ClusterId == {cluster} && ProcId != 1")
    assert calls[1:] == [{"job": f"{cluster}.0"}, {"job": f"{cluster}.2"}]
    assert [ad["JobStatus"] for ad in ads(vera, "q", cluster)] == [1, 5, 1]
    calls.clear()
    vera("condor", "prio", "+3", cluster)
    assert calls == [{"job": f"{cluster}.0", "last_proc": 2}]
    assert [ad["JobPrio"] for ad in ads(vera, "q", cluster)] == [3, 3, 3]


def test_priorities_to_a_value_and_by_a_step(vera: Terminal, cluster: str):
    vera("condor", "prio", "-p", "7", cluster)
    vera("condor", "prio", "+3", f"{cluster}.1")
    vera("condor", "prio", "-2", f"{cluster}.2")
    assert [ad["JobPrio"] for ad in ads(vera, "q", cluster)] == [7, 10, 5]
    vera("condor", "prio", "+1", f"{cluster}.0-1")
    assert [ad["JobPrio"] for ad in ads(vera, "q", cluster)] == [8, 11, 5]


def test_submitting_with_more_said_on_the_command_line(vera: Terminal, desk: Path):
    (desk / "bare.sub").write_text("executable = run.sh\narguments = $(word)\n")
    image = '+VMImage = "my-snapshot"'
    flavor = f'+VMInstanceType = "{FLAVOR}"'
    said = ["-terse", "word=hello", "-append", image, "-a", flavor, "bare.sub", "-queue", "2"]
    result = vera("condor", "submit", *said)
    first, _, last = result.stdout.strip().partition(" - ")
    assert last == first.replace(".0", ".1")
    cluster = first.partition(".")[0]
    assert ads(vera, "q", cluster)[0]["Args"] == "hello"
    vera("condor", "rm", cluster)


def test_a_submit_without_an_image_is_refused_with_status_1(vera: Terminal, desk: Path):
    (desk / "bare.sub").write_text("executable = run.sh\nqueue\n")
    result = vera("condor", "submit", "bare.sub", status=1)
    assert "ERROR: no image is named" in result.stderr
    (desk / "odd.sub").write_text("executable = run.sh\nrequst_memory = 3\nqueue\n")
    result = vera("condor", "submit", "-terse", "odd.sub", status=1)
    assert result.stdout == ""
    assert "requst_memory is no command" in result.stderr
    assert "ERROR: no image is named" in result.stderr


def test_unknown_options_are_refused_and_version_is_told(vera: Terminal):
    assert "ERROR:" in vera("condor", "q", "-sideways", status=1).stderr
    assert vera("condor", "q", "-version").stdout.startswith("$CondorVersion: ")


def test_jobs_that_ran_are_history_and_their_log_can_be_waited_for(
    vera: Terminal, cluster: str, desk: Path, platform: WholePlatform, tmp_path: Path
):
    process = platform.start_worker(tmp_path / "worker")
    try:
        assert vera("condor", "wait", "jobs.log", status=0).stdout == "All jobs done.\n"
    finally:
        process.terminate()
        process.wait(60)
    over = ads(vera, "history", cluster)
    assert [(ad["JobStatus"], ad["ExitCode"], ad["Night"]) for ad in over] == [(4, 0, "/Expr(12)/")] * 3
    assert vera("condor", "history", cluster, "-af", "Night").stdout == "12\n" * 3
    assert vera("condor", "tail", f"{cluster}.2").stdout == "out 2\n"
    log = (desk / "jobs.log").read_text()
    assert log.count("Job submitted from host") == log.count("(1) Normal termination (return value 0)") == 3
    assert vera("condor", "q", cluster, "-af", "ProcId").stdout == ""


def test_workers_are_the_pool(vera: Terminal):
    assert "Total Owner Claimed Unclaimed" in vera("condor", "status").stdout
    assert ads(vera, "status") == []


def test_the_commands_are_installed_where_they_are_wanted_and_hide_nothing(
    vera: Terminal, tmp_path: Path, platform: WholePlatform
):
    place = tmp_path / "bin"
    vera("condor", "install", str(place))
    vera("condor", "install", str(place))  # again, over our own
    answer = subprocess.run(
        [str(place / "condor_q"), "-af", "ClusterId"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ},
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    (place / "condor_rm").write_text("#!/bin/sh\n# HTCondor's own\n")
    assert "not ours" in vera("condor", "install", str(place), status=1).stderr


def test_a_dry_run_writes_the_ads_and_submits_nothing(vera: Terminal, desk: Path):
    before = vera.json("queue", "--all")
    result = vera("condor", "submit", "-dry-run", "ads.txt", "jobs.sub")
    assert result.stdout == "Dry-Run job(s)...\n3 job(s) dry-run to cluster 1.\n"
    ads_of = (desk / "ads.txt").read_text().split("\n\n")
    assert ["ProcId = 0" in ads_of[0], "RequestMemory = 100" in ads_of[1], "Night = 12" in ads_of[2]] == [
        True
    ] * 3
    assert vera.json("queue", "--all") == before


def test_a_job_that_wants_to_stay_in_the_queue_is_found_there_by_its_name(
    vera: Terminal, desk: Path, platform: WholePlatform, tmp_path: Path
):
    text = SUBMIT.format(flavor=FLAVOR, count=1).replace("queue 1", "leave_in_queue = true\nqueue 1")
    (desk / "stay.sub").write_text(text)
    cluster = vera("condor", "submit", "-terse", "stay.sub").stdout.partition(".")[0]
    process = platform.start_worker(tmp_path / "worker")
    try:
        vera("condor", "wait", "jobs.log", cluster)
    finally:
        process.terminate()
        process.wait(60)
    assert vera("condor", "q", cluster, "-af:jr", "JobStatus").stdout == f"{cluster}.0 4\n"
    assert cluster not in vera("condor", "q", "-af", "ClusterId").stdout.split()
