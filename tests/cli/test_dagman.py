"""HTCondor's DAGMan, unmodified, runs a DAG whose nodes are our jobs: no schedd is near, and none is needed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from terminal import Terminal
from whole_platform import FLAVOR, WholePlatform

from htcondor_root import root_of

pytestmark = [pytest.mark.engines, pytest.mark.timeout(300)]

CONFIG = """\
CONDOR_HOST = 127.0.0.1
COLLECTOR_HOST = 127.0.0.1:1
NETWORK_INTERFACE = 127.0.0.1
NETWORK_HOSTNAME = localhost
ENABLE_IPV6 = False
LOG = {folder}
SPOOL = {folder}
LOCK = {folder}
RUN = {folder}
EXECUTE = {folder}
# it warns of files in /tmp
DAGMAN_USE_STRICT = 0
DAGMAN_USER_LOG_SCAN_INTERVAL = 1
"""
DAGMAN = """\
#!/bin/sh
# The program of a Debian that is not this one, with the libraries of that.
root={root}
libraries=$root/usr/lib/x86_64-linux-gnu:$root/usr/lib:$root/usr/lib/condor
exec "$root/lib64/ld-linux-x86-64.so.2" --library-path "$libraries" "$root/usr/bin/condor_dagman" "$@"
"""
NODE = """\
executable = {name}.sh
arguments = $(WORD:nothing)
{files}
output = {name}.out
error = {name}.err
request_memory = 64M
+VMImage = "my-snapshot"
+VMInstanceType = "{flavor}"
queue
"""
DAG = """\
JOB first first.sub
JOB second second.sub
VARS first WORD="hello"
RETRY second 1
PARENT first CHILD second
"""


@pytest.fixture(scope="module")
def root() -> Path:
    """Found before a test puts its person into an empty home."""
    return root_of("trixie")


@pytest.fixture
def desk(
    vera: Terminal, platform: WholePlatform, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A directory to work in, a DAGMan on the path, and a worker."""
    bin_, desk = tmp_path / "bin", tmp_path / "desk"
    bin_.mkdir()
    desk.mkdir()
    (bin_ / "condor_dagman").write_text(DAGMAN.format(root=root))
    (bin_ / "condor_dagman").chmod(0o755)
    (tmp_path / "condor_config").write_text(CONFIG.format(folder=tmp_path))
    monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")
    monkeypatch.setenv("CONDOR_CONFIG", str(tmp_path / "condor_config"))
    monkeypatch.setenv("CONDOR_IDS", f"{os.getuid()}.{os.getgid()}")
    vera.at(desk)
    with tempfile.TemporaryDirectory(prefix="w") as short:
        process = platform.start_worker(Path(short) / "w")
        yield desk
        process.terminate()
        process.wait(60)


def node(desk: Path, name: str, script: str, files: str = "") -> None:
    (desk / f"{name}.sh").write_text(f"#!/bin/sh\n{script}\n")
    (desk / f"{name}.sub").write_text(NODE.format(name=name, files=files, flavor=FLAVOR))


def log_of(desk: Path) -> str:
    return "\n".join(
        file.read_text()
        for file in (desk / "flow.dag.dagman.out", desk / "flow.dag.nodes.log")
        if file.exists()
    )


def test_nodes_are_jobs_in_their_order_and_one_reads_what_another_made(vera: Terminal, desk: Path) -> None:
    node(desk, "first", 'echo "$1" > made.txt')
    node(desk, "second", "tr a-z A-Z < made.txt", files="transfer_input_files = made.txt")
    (desk / "flow.dag").write_text(DAG)
    ran = vera("condor", "submit_dag", "flow.dag")
    assert ran.exit_code == 0, log_of(desk)
    assert (desk / "second.out").read_text() == "HELLO\n"
    names = {f"{int(number)}.0" for number in re.findall(r"^000 \((\d+)\.", log_of(desk), re.MULTILINE)}
    assert [vera.json("jobs", name)[0]["state"] for name in sorted(names)] == ["completed"] * 2


def test_a_node_that_fails_is_tried_again_and_then_leaves_a_rescue(vera: Terminal, desk: Path) -> None:
    node(desk, "first", "echo done > made.txt")
    node(desk, "second", "exit 3", files="transfer_input_files = made.txt")
    (desk / "flow.dag").write_text(DAG)
    assert vera("condor", "submit_dag", "flow.dag", status=1)
    assert (desk / "flow.dag.nodes.log").read_text().count("return value 3") == 2, log_of(desk)
    node(desk, "second", "echo well", files="transfer_input_files = made.txt")
    vera("condor", "submit_dag", "flow.dag")  # the rescue goes on after what was done
    assert (desk / "second.out").read_text() == "well\n"
    assert (desk / "flow.dag.nodes.log").read_text().count("DAG Node: first") == 0, log_of(desk)


def test_who_interrupts_a_dag_removes_its_jobs_and_has_a_rescue(vera: Terminal, desk: Path) -> None:
    node(desk, "first", "sleep 300")
    node(desk, "second", "true")
    (desk / "flow.dag").write_text(DAG)
    command = [sys.executable, "-m", "armillary.cli.condor", "condor_submit_dag", "flow.dag"]
    log, pause = desk / "flow.dag.nodes.log", threading.Event()
    with subprocess.Popen(command) as running:
        while running.poll() is None and not (log.exists() and "Job executing" in log.read_text()):
            pause.wait(0.2)
        running.send_signal(signal.SIGINT)
        assert running.wait(120) != 0, log_of(desk)
    assert (desk / "flow.dag.rescue001").exists(), log_of(desk)
    (number,) = re.findall(r"^000 \((\d+)\.", log.read_text(), re.MULTILINE)
    assert vera.json("jobs", f"{int(number)}.0")[0]["state"] == "removed"
