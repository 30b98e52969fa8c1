"""What Nextflow's executor `condor` writes, calls and reads is taken and given: its files, its commands, its way of reading.

Nextflow itself is not run: what PyPI has of that name loads the program from elsewhere when it is begun. The submit
file, the commands and how their output is read are those of `CondorExecutor.groovy`, `AbstractGridExecutor.groovy` and
`GridTaskHandler.groovy` in https://github.com/nextflow-io/nextflow; the settings are those of the how-to.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from terminal import Terminal
from whole_platform import FLAVOR, WholePlatform

CLUSTER_OPTIONS = f"""\
+VMImage = "my-snapshot"; +VMInstanceType = "{FLAVOR}"; getenv = false; transfer_output_files = ""
"""
"""`process.clusterOptions`, as in the how-to"""
LETTERS = frozenset("UIRXCHE")
"""states that it knows"""
WRAPPER = """\
#!/bin/bash
# as Nextflow's wrapper with `scratch = true`: all that counts goes to the task's directory by its whole name
on_exit() {{
  local status=$?
  printf -- $status > {work}/.exitcode
}}
trap on_exit EXIT
touch {work}/.command.begin
cd "$(mktemp -d)"
/bin/bash -ue {work}/.command.sh > .command.out || exit $?
cp .command.out made.txt {work}/
"""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task's directory, and what Nextflow does there."""

    work: Path
    path: str

    def write(self, script: str, *directives: str) -> None:
        """Write the wrapper, and the submit file with the `directives` that a process asks for."""
        (self.work / ".command.sh").write_text(script)
        wrapper = self.work / ".command.run"
        wrapper.write_text(WRAPPER.format(work=self.work))
        wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
        lines = [
            "universe = vanilla",
            "executable = .command.run",
            "log = .command.log",
            "getenv = true",
            *directives,
            "queue",
            "",
        ]
        (self.work / ".command.condor").write_text("\n".join(lines))

    def call(self, *command: str) -> tuple[int, str]:
        """Call a command as it does: in the task's directory, with both streams in one."""
        ran = subprocess.run(
            command,
            cwd=self.work,
            env={**os.environ, "PATH": self.path, "MY_TOKEN": "not for the job"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return ran.returncode, ran.stdout

    def submit(self) -> str:
        """Submit, and return what it takes for the job's name: the first word."""
        status, said = self.call("condor_submit", "--terse", ".command.condor")
        assert status == 0, said
        return said.replace("-", " ").split()[0]

    def queue(self) -> dict[str, str]:
        """Return the states by job: the sixth word of each line below the heading, up to an empty line."""
        status, said = self.call("condor_q", "-nobatch")
        assert status == 0, said
        lines = iter(said.splitlines())
        for line in lines:
            if line.startswith(" ID "):
                break
        found: dict[str, str] = {}
        for line in lines:
            if not line.strip():
                break
            words = line.split()
            found[words[0]] = words[5]
        return found

    def wait(self) -> str:
        """Wait until the job has left its exit status where Nextflow looks for it."""
        end, exit_file = time.monotonic() + 60, self.work / ".exitcode"
        while not (exit_file.exists() and exit_file.read_text().strip()):
            assert time.monotonic() < end, self.queue()
            threading.Event().wait(0.2)
        return exit_file.read_text()


@pytest.fixture
def task(vera: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    for name in ("ARMILLARY_IMAGE", "ARMILLARY_FLAVOR"):
        monkeypatch.delenv(name, raising=False)
    vera("condor", "install", str(tmp_path / "condor-bin"))
    work = tmp_path / "work" / "4f" / "1c8a0b"
    work.mkdir(parents=True)
    return Task(work=work, path=f"{tmp_path / 'condor-bin'}:{os.environ['PATH']}")


@pytest.fixture
def worker(platform: WholePlatform) -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="w") as short:
        process = platform.start_worker(Path(short) / "w")
        yield
        process.terminate()
        process.wait(20)


def options(text: str) -> Sequence[str]:
    """Split `clusterOptions` into lines, as it does."""
    return [part.strip() for part in text.replace("\n", ";").split(";") if part]


def test_a_task_with_all_its_directives_runs_and_leaves_what_nextflow_looks_for(
    vera: Terminal, task: Task, worker: None
) -> None:
    task.write(
        "echo told\necho ${MY_TOKEN:-nothing} > made.txt\n",
        "request_cpus = 2",
        "machine_count = 1",  # of which we warn, on a stream that it reads with the name
        "request_memory = 1 GB",
        "request_disk = 500 MB",
        "periodic_remove = (RemoteWallClockTime - CumulativeSuspensionTime) > 3600",
        *options(CLUSTER_OPTIONS),
    )
    name = task.submit()
    assert task.wait() == "0"
    assert (task.work / ".command.out").read_text() == "told\n"
    assert (task.work / "made.txt").read_text() == "nothing\n", "the environment stays with who submits"
    vera("condor", "wait", str(task.work / ".command.log"), name.partition(".")[0])
    assert name not in task.queue()
    (job,) = vera.json("jobs", name)
    assert (job["state"], job["exit_code"]) == ("completed", 0)
    (ad,) = json.loads(vera("condor", "history", name, "-json").stdout)
    assert (ad["RequestCpus"], ad["RequestMemory"], ad["RequestDisk"]) == (2, 1024, 500 * 1024)


def test_a_task_that_fails_leaves_its_status(task: Task, worker: None) -> None:
    task.write("exit 3\n", *options(CLUSTER_OPTIONS))
    task.submit()
    assert task.wait() == "3"


def test_tasks_that_wait_are_in_the_queue_and_are_killed(vera: Terminal, task: Task) -> None:
    task.write("true\n", *options(CLUSTER_OPTIONS))
    names = [task.submit(), task.submit()]
    seen = task.queue()
    assert [seen[name] for name in names] == ["I", "I"]
    assert set(seen.values()) <= LETTERS
    assert task.call("condor_rm", *names)[0] == 0
    assert not set(names) & set(task.queue())
    assert [vera.json("jobs", name)[0]["state"] for name in names] == ["removed"] * 2


def test_without_our_settings_it_is_refused_and_told_why(task: Task) -> None:
    """`getenv = true` is always in its file: what `clusterOptions` says of it comes later, and counts."""
    task.write("true\n", '+VMImage = "my-snapshot"')
    status, said = task.call("condor_submit", "--terse", ".command.condor")
    assert status == 1
    assert "getenv = true would copy your whole environment" in said
