"""Snakemake, unmodified, runs its rules as our jobs by its generic executor and the commands of HTCondor's names."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from terminal import Terminal
from whole_platform import FLAVOR, WholePlatform
from workflow_tools import installed

pytestmark = [pytest.mark.interop, pytest.mark.timeout(900)]

SNAKEFILE = """\
rule all:
    input: "sum.txt"

rule count:
    output: "count_{n}.txt"
    shell: "test -d $_CONDOR_SCRATCH_DIR && seq {wildcards.n} | wc -l > {output}"

rule total:
    input: expand("count_{n}.txt", n=[3, 4])
    output: "sum.txt"
    shell: "awk '{{s += $1}} END {{print s}}' {input} > {output}"
"""
FAILING = """\
rule all:
    output: "never.txt"
    shell: "echo it went wrong >&2; exit 3"
"""
SUBMIT = """\
#!/bin/sh
condor_submit -terse - <<END | cut -d' ' -f1
executable = $1
request_memory = 512
+VMImage = "my-snapshot"
+VMInstanceType = "{flavor}"
queue
END
"""
STATUS = """\
#!/bin/sh
case $(condor_q "$1" -af JobStatus) in
1|2) echo running ;;
"") test "$(condor_history "$1" -af ExitCode)" = 0 && echo success || echo failed ;;
*) echo failed ;;
esac
"""


@pytest.fixture(scope="module")
def tools() -> Path:
    return installed("snakemake", "9.27.1", "snakemake-executor-plugin-cluster-generic==1.0.9")


@pytest.fixture
def desk(vera: Terminal, platform: WholePlatform, tools: Path, tmp_path: Path) -> Iterator[Path]:
    """A directory with the two scripts of the how-to, and a worker that sees it: Snakemake's jobs share their files."""
    vera("condor", "install", str(tmp_path / "condor-bin"))
    desk = tmp_path / "desk"
    desk.mkdir()
    for name, text in (("submit.sh", SUBMIT.format(flavor=FLAVOR)), ("status.sh", STATUS)):
        (desk / name).write_text(text)
        (desk / name).chmod(0o755)
    with tempfile.TemporaryDirectory(prefix="w") as short:
        process = platform.start_worker(Path(short) / "w")
        yield desk
        process.terminate()
        process.wait(60)


def snakemake(tools: Path, desk: Path, text: str) -> subprocess.CompletedProcess[str]:
    (desk / "Snakefile").write_text(text)
    command = ["snakemake", "--executor", "cluster-generic", "--jobs", "4", "--latency-wait", "20"]
    command += ["--cluster-generic-submit-cmd", "./submit.sh", "--cluster-generic-status-cmd", "./status.sh"]
    command += ["--cluster-generic-cancel-cmd", "condor_rm", "--seconds-between-status-checks", "1"]
    return subprocess.run(
        [str(tools / command[0]), *command[1:]],
        cwd=desk,
        env={**os.environ, "PATH": f"{tools}:{desk.parent / 'condor-bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def submitted(ran: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the names of our jobs that it was told of."""
    return re.findall(r"external jobid '(\d+\.\d+)'", ran.stderr)


def test_rules_become_jobs_in_their_order(vera: Terminal, tools: Path, desk: Path) -> None:
    ran = snakemake(tools, desk, SNAKEFILE)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (desk / "sum.txt").read_text().strip() == "7"
    jobs = [vera.json("jobs", name)[0] for name in submitted(ran)]
    assert [job["state"] for job in jobs] == ["completed"] * 3


def test_a_rule_that_fails_ends_the_workflow(vera: Terminal, tools: Path, desk: Path) -> None:
    ran = snakemake(tools, desk, FAILING)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert not (desk / "never.txt").exists()
    (name,) = submitted(ran)
    assert vera.json("jobs", name)[0]["exit_code"] == 1  # that of Snakemake inside of the job
