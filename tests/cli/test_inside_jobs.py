"""A person gets inside of a running job: the real agent, the real relay, the real command."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from terminal import Terminal
from whole_platform import FLAVOR, WholePlatform

from armillary.client.batch import Batch
from armillary.client.errors import Unreachable

SUBMIT = ("--image", "my-snapshot", "--flavor", FLAVOR)
SLEEPER = """\
#!/bin/sh
echo first line > fit.log
echo second line >> fit.log
echo begun
while [ ! -e stop ]; do sleep 0.2; done
echo ended
"""


@pytest.fixture
def job(vera: Terminal, platform: WholePlatform, tmp_path: Path) -> Iterator[str]:
    """A job of Vera's that runs until there is a file `stop` in its directory."""
    desk = tmp_path / "desk"
    desk.mkdir()
    (desk / "sleeper.sh").write_text(SLEEPER)
    (desk / "sleeper.sub").write_text("executable = sleeper.sh\nenvironment = NIGHT=12\nqueue\n")
    vera.at(desk)
    process = platform.start_worker(tmp_path / "worker")
    name = f"{vera.json('submit', 'sleeper.sub', *SUBMIT)['cluster']}.0"
    pause = threading.Event()
    for _ in range(600):
        if vera("logs", name).stdout == "begun\n":
            break
        pause.wait(0.1)
    else:
        raise AssertionError(vera("job", "show", name).output)
    yield name
    vera("remove", name.partition(".")[0])
    process.terminate()
    process.wait(60)


def armillary(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "armillary.app.main", *words],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def test_a_command_runs_beside_the_job_with_its_files_environment_and_exit_status(job: str):
    ran = armillary("ssh", job, "--", "sh", "-c", "cat fit.log; echo $NIGHT; echo oops >&2; exit 7")
    assert ran.stdout == "first line\nsecond line\n12\n"
    assert ran.stderr == "oops\n"
    assert ran.returncode == 7


def test_what_is_typed_goes_in_and_its_end_is_told(job: str):
    ran = armillary("ssh", job, "wc", "-c", stdin="x" * 300_000)
    assert (ran.returncode, ran.stdout.strip()) == (0, "300000")


def test_any_file_of_a_running_job_can_be_read(job: str):
    assert armillary("logs", job, "--file", "fit.log").stdout == "first line\nsecond line\n"
    assert armillary("logs", job, "--file", "fit.log", "-n", "1").stdout == "second line\n"
    missing = armillary("logs", job, "--file", "nothing.log")
    assert missing.returncode != 0
    assert "nothing.log" in missing.stderr


def test_a_shell_with_a_terminal(job: str):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "armillary.app.main", "ssh", job]
    shell = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "dumb"}
    )
    os.close(theirs)
    try:
        os.write(ours, b"stty size; tty; echo mark$((40+2)); exit 5\n")
        heard = b""
        with contextlib.suppress(OSError):  # EIO: the command has ended
            while b"mark42" not in heard:
                heard += os.read(ours, 1000)
        assert b"mark42" in heard, heard
        assert b"/dev/pts/" in heard
        assert shell.wait(60) == 5
    finally:
        shell.kill()
        shell.wait()
        os.close(ours)


def test_a_job_that_is_over_has_no_inside(vera: Terminal, job: str):
    assert armillary("ssh", job, "touch", "stop").returncode == 0
    pause = threading.Event()
    while vera.json("jobs", job)[0]["state"] == "running":
        pause.wait(0.1)
    refused = armillary("ssh", job, "true")
    assert refused.returncode == 1
    assert "not running" in refused.stderr
    assert vera("logs", job).stdout == "begun\nended\n"


def test_the_end_of_what_it_writes_under_htcondors_name(vera: Terminal, job: str):
    assert vera("condor", "tail", "-maxbytes", "3", job).stdout == "un\n"
    ran = armillary("condor", "ssh_to_job", job, "echo", "-n", "inside")
    assert (ran.returncode, ran.stdout) == (0, "inside")


def beginning(*words: str) -> tuple[subprocess.Popen[bytes], bytes]:
    """Start one of our commands, and return it with its first line, as it came while the command goes on."""
    command = [sys.executable, "-m", "armillary.app.main", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    return process, process.stdout.readline()


def test_what_a_job_writes_is_followed_until_it_ends(vera: Terminal, job: str):
    ours, first = beginning("logs", "-f", job)
    theirs, end_of_it = beginning("condor", "tail", "-f", "-maxbytes", "3", job)
    try:
        assert (first, end_of_it) == (b"begun\n", b"un\n")
        assert (ours.poll(), theirs.poll()) == (None, None)
        assert armillary("ssh", job, "touch", "stop").returncode == 0
        assert [ours.communicate(timeout=60), theirs.communicate(timeout=60)] == [(b"ended\n", b"")] * 2
        assert (ours.returncode, theirs.returncode) == (0, 0)
    finally:
        for process in (ours, theirs):
            process.kill()
            process.communicate()
    assert vera("logs", "-f", job).stdout == "begun\nended\n"


def test_who_follows_is_not_put_off_by_a_platform_that_is_away(
    vera: Terminal, job: str, monkeypatch: pytest.MonkeyPatch
):
    assert armillary("ssh", job, "touch", "stop").returncode == 0
    away, as_ever = iter([True, True]), Batch.log

    def log(self: Batch, job: str, **asked: Any) -> tuple[bytes, int, bool]:
        if next(away, False):
            raise Unreachable("the platform does not answer", code="unreachable")
        return as_ever(self, job, **asked)

    monkeypatch.setattr(Batch, "log", log)
    shortly = SimpleNamespace(sleep=lambda _seconds: threading.Event().wait(0.1))
    monkeypatch.setattr("armillary.cli.reading_logs.time", shortly)
    followed = vera("logs", "-f", job)
    assert followed.stdout == "begun\nended\n"
    assert followed.stderr.count("waiting for it") == 1
