"""Submit, look, change, follow, fetch: over HTTP, against the real service and a real agent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from terminal import Terminal
from whole_platform import FLAVOR, WholePlatform

SUBMIT = ("--image", "my-snapshot", "--flavor", FLAVOR)

CATALOGUE = """\
executable = catalogue.sh
arguments = $(image) $(Cluster)
transfer_input_files = $(image).txt
output = $(image).out
error = $(image).err
log = jobs.log
transfer_output_remaps = "found.cat = $(image).cat"
queue image from (
  m51
  m101
)
"""


@pytest.fixture
def desk(vera: Terminal, tmp_path: Path) -> Path:
    """Where Vera stands, with a submit file and its inputs."""
    place = tmp_path / "desk"
    place.mkdir()
    (place / "catalogue.sh").write_text(
        '#!/bin/sh\nwc -c < "$1.txt" > found.cat\necho "catalogue of $1 in cluster $2"\n'
    )
    (place / "m51.txt").write_text("whirlpool")
    (place / "m101.txt").write_text("pinwheel galaxy")
    (place / "catalogue.sub").write_text(CATALOGUE)
    vera.at(place)
    return place


@pytest.fixture
def worker(platform: WholePlatform, tmp_path: Path) -> Iterator[None]:
    process = platform.start_worker(tmp_path / "worker")
    yield
    process.terminate()
    process.wait(60)


def remove(terminal: Terminal, cluster: str) -> None:
    terminal("job", "rm", cluster)


def test_submit_wait_runs_the_jobs_and_brings_their_outputs_back(
    vera: Terminal, desk: Path, worker: None, platform: WholePlatform
):
    result = vera("submit", "catalogue.sub", *SUBMIT, "--wait")
    cluster = re.search(r"cluster (\d+)", result.stderr)
    assert cluster
    assert (desk / "m51.cat").read_text().strip() == "9"
    assert (desk / "m101.cat").read_text().strip() == "15"
    assert (desk / "m51.out").read_text() == f"catalogue of m51 in cluster {cluster[1]}\n"
    assert (desk / "m51.err").read_text() == ""
    log = (desk / "jobs.log").read_text()
    number = f"{int(cluster[1]):03}"
    assert f"000 ({number}.000.000)" in log
    assert f"005 ({number}.001.000)" in log
    assert "(1) Normal termination (return value 0)" in log
    jobs = vera.json("jobs", cluster[1])
    assert [job["state"] for job in jobs] == ["completed", "completed"]
    assert {job["image_sha512"] for job in jobs} == {platform.image.sha512}
    assert jobs[0]["id"] == f"{cluster[1]}.0"
    shown = vera("job", "logs", jobs[1]["id"]).stdout
    assert shown == f"catalogue of m101 in cluster {cluster[1]}\n"
    assert "attempt" in vera("job", "show", jobs[0]["id"]).stdout.lower()

    # a file that was changed here is not trodden on
    (desk / "m51.cat").write_text("my own figure")
    (desk / "m101.cat").unlink()
    kept = vera("fetch", cluster[1], status=1)
    assert "was changed here" in kept.stderr
    assert (desk / "m51.cat").read_text() == "my own figure"
    assert (desk / "m101.cat").read_text().strip() == "15"
    vera("fetch", cluster[1], "--overwrite")
    assert (desk / "m51.cat").read_text().strip() == "9"
    vera("fetch", jobs[0]["id"], "--to", str(desk / "elsewhere"))
    assert (desk / "elsewhere" / "m51.cat").exists()


def test_a_failing_job_makes_wait_fail(vera: Terminal, desk: Path, worker: None):
    (desk / "fail.sub").write_text("executable = fail.sh\noutput = fail.out\nqueue\n")
    (desk / "fail.sh").write_text("#!/bin/sh\nexit 3\n")
    result = vera("submit", "fail.sub", *SUBMIT, "--wait", status=1)
    assert "1 failed" in result.stderr
    assert "exit code 3" in result.stderr


def test_submitting_sends_each_content_once(vera: Terminal, desk: Path):
    (desk / "m51.txt").write_text("once only")
    first = vera("submit", "catalogue.sub", *SUBMIT)
    second = vera("submit", "catalogue.sub", *SUBMIT)
    assert "sending" in first.stderr
    assert "sending" not in second.stderr
    for result in (first, second):
        cluster = re.search(r"cluster (\d+)", result.stderr)
        assert cluster
        remove(vera, cluster[1])


def test_hold_release_remove_retry_and_explain(vera: Terminal, desk: Path):
    cluster = str(vera.json("submit", "catalogue.sub", *SUBMIT)["cluster"])

    def states() -> list[str]:
        return [job["state"] for job in vera.json("jobs", cluster)]

    vera("job", "hold", f"{cluster}.0", "--reason", "wrong threshold")
    assert states() == ["held", "idle"]
    assert "wrong threshold" in vera("job", "explain", f"{cluster}.0").stdout
    assert [job["id"] for job in vera.json("jobs", "--state", "held")] == [f"{cluster}.0"]
    vera("job", "release", cluster)
    assert states() == ["idle", "idle"]
    assert vera("job", "explain", f"{cluster}.1").stdout.startswith(f"Job {cluster}.1 is idle.")
    vera("hold", f"{cluster}.1", "--reason", "clouds")
    told = vera("explain", cluster).stdout
    assert told.startswith(f"Cluster {cluster}: 1 idle, 1 held.\n\n1 job, {cluster}.0, is idle:\n- ")
    assert f"\n1 job, {cluster}.1, is held:\n- held " in told
    assert "clouds" in told
    assert [one["job"] for one in vera.json("explain", cluster)["kinds"]] == [f"{cluster}.0", f"{cluster}.1"]
    vera("job", "rm", cluster)
    assert states() == ["removed", "removed"]
    vera("job", "retry", f"{cluster}.1")
    assert states() == ["removed", "idle"]
    vera("job", "rm", cluster)
    assert vera("jobs").stderr == "There are no such jobs.\n"


def test_quiet_prints_identifiers_alone(vera: Terminal, desk: Path):
    cluster = vera("submit", "catalogue.sub", *SUBMIT, "--quiet").stdout.strip()
    assert vera("jobs", cluster, "--quiet").stdout.split() == [f"{cluster}.0", f"{cluster}.1"]
    remove(vera, cluster)


def test_an_image_that_no_cloud_has_is_refused_with_a_remedy(vera: Terminal, desk: Path):
    result = vera("submit", "catalogue.sub", "--image", "nothing", "--flavor", FLAVOR, status=1)
    assert result.stderr.count("error:") == 1
    assert "Traceback" not in result.output


def test_a_submit_file_that_cannot_be_read_names_its_line_and_is_status_2(vera: Terminal, desk: Path):
    (desk / "bad.sub").write_text("executable = catalogue.sh\nrequest_memory = lots\nqueue\n")
    result = vera("submit", "bad.sub", *SUBMIT, status=2)
    assert "line 2" in result.stderr


def test_a_dry_run_says_what_the_jobs_ask_for_without_a_platform(terminal: Terminal, tmp_path: Path):
    (tmp_path / "run.sh").write_text("true")
    (tmp_path / "big.fits").write_text("0123456789")
    text = "executable = run.sh\narguments = $(Process)\ntransfer_input_files = big.fits, vos:vera/m51.fits\n"
    (tmp_path / "a.sub").write_text(text + "request_cpus = 2\nqueue 3\n")
    terminal.at(tmp_path)
    total = terminal.json("submit", "a.sub", *SUBMIT, "--dry-run")
    assert {name: total[name] for name in ("jobs", "cores", "core_hours", "files", "addresses")} == {
        "jobs": 3, "cores": 6, "core_hours": None, "files": 2, "addresses": 3,
    }  # fmt: skip
    assert (total["input_bytes"], total["sent_bytes"]) == (42, 14)
    (tmp_path / "a.sub").write_text(text + "allowed_execute_duration = 3600\nqueue 3\n")
    total = terminal.json("submit", "a.sub", *SUBMIT, "--dry-run", "-v")
    assert (total["core_hours"], total["longest_hours"]) == (3.0, 1.0)
    assert [job["arguments"] for job in total["specs"]] == [["0"], ["1"], ["2"]]
    shown = terminal("submit", "a.sub", *SUBMIT, "--dry-run", "-v").stdout
    assert "at most 3" in shown
    assert "EXECUTABLE" in shown


def test_a_job_of_nobody_is_not_found(vera: Terminal):
    assert "error:" in vera("job", "show", "999999.0", status=1).stderr
    assert vera("fetch", "seven", status=2)


def test_workers_are_listed(vera: Terminal, platform: WholePlatform):
    vera("workers", "--gone")


def test_what_was_used_is_told_as_a_table_as_json_and_as_csv(
    vera: Terminal, desk: Path, worker: None
) -> None:
    vera("submit", "catalogue.sub", *SUBMIT, "--wait")
    shown = vera("usage", "--by", "owner", "--by", "image").stdout
    assert shown.splitlines()[0].split() == [
        "OWNER",
        "IMAGE",
        "JOBS",
        "FAILED",
        "CORE-H",
        "CPU-H",
        "WAIT",
        "FAILURES",
    ]
    assert "vera" in shown
    lines = vera.json("usage")
    assert {line["owner"] for line in lines} >= {"vera"}
    assert all(line["core_hours"] >= 0 for line in lines)
    head, first, *_ = vera("usage", "--csv", "--by", "day").stdout.splitlines()
    assert head == "day,jobs,failed,attempts,core_hours,cpu_hours,memory_gib_hours,wait_seconds,failures"
    assert int(first.split(",")[1]) >= 2
    assert vera("usage", "--project", "no-such").stdout == ""
