"""Workflow systems drive us as they drive HTCondor, unmodified, by the commands of HTCondor's names."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from terminal import Terminal
from whole_platform import FLAVOR, WholePlatform
from workflow_tools import installed

pytestmark = [pytest.mark.interop, pytest.mark.timeout(900)]

WORKFLOW = """\
import sys
import parsl
from parsl import Config, bash_app, python_app
from parsl.executors import HighThroughputExecutor
from parsl.providers import CondorProvider

tools = sys.argv[1]
options = '+VMImage = "my-snapshot"\\n+VMInstanceType = "{flavor}"'
provider = CondorProvider(
    init_blocks=1, max_blocks=1, worker_init=f"export PATH={{tools}}:$PATH", scheduler_options=options
)
executor = HighThroughputExecutor(
    label="armillary", address="127.0.0.1", loopback_address="127.0.0.1", max_workers_per_node=2, provider=provider
)


@python_app
def count(text):
    return len(text)


@python_app
def total(*counts):
    import os

    return sum(counts), "_CONDOR_SCRATCH_DIR" in os.environ


with parsl.load(Config(executors=[executor], strategy="none")):
    print(total(*(count("m" * n) for n in range(5))).result(timeout=300))
    print("block", *provider.resources)
    provider._status()
    print(*(one["status"].state.name for one in provider.resources.values()))
"""


@pytest.fixture
def condor_path(vera: Terminal, tmp_path: Path) -> str:
    """A PATH that begins with our commands under HTCondor's names."""
    place = tmp_path / "condor-bin"
    vera("condor", "install", str(place))
    return f"{place}:{os.environ['PATH']}"


@pytest.fixture
def worker(platform: WholePlatform) -> Iterator[None]:
    # a short path: Python's processes meet at sockets in the job's directory
    with tempfile.TemporaryDirectory(prefix="w") as short:
        process = platform.start_worker(Path(short) / "w")
        yield
        process.terminate()
        process.wait(60)


def test_parsl_runs_its_blocks_as_our_jobs_and_removes_them_at_the_end(
    vera: Terminal, worker: None, condor_path: str, tmp_path: Path
):
    tools = installed("parsl", "2026.10.26")
    desk = tmp_path / "desk"
    desk.mkdir()
    (desk / "flow.py").write_text(WORKFLOW.format(flavor=FLAVOR))
    ran = subprocess.run(
        [str(tools / "python"), "flow.py", str(tools)],
        cwd=desk,
        env={**os.environ, "PATH": f"{tools}:{condor_path}"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    answer, block, status = ran.stdout.splitlines()[-3:]
    assert answer == "(10, True)"
    assert status == "RUNNING"
    job = block.split()[1]
    (shown,) = vera.json("jobs", job)
    assert shown["state"] == "removed"
    assert shown["executable"].endswith("bash")
