"""The keeper starts programs as they are planned: tried from a process of its own, as an agent is one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from armillary.guest.agent import launch

SOURCE = str(Path(launch.__file__).parents[3])
BEGIN = f"""
import json, os, sys, threading
sys.path.insert(0, {SOURCE!r})
from armillary.guest.agent.keeping import Keeping, NotStarted
from armillary.guest.agent.slots import FIRST
keeping = Keeping()
keeping.listen()
base = sys.argv[1]
plan = {{"environment": {{"PATH": "/usr/bin:/bin"}}, "directory": base, "stdin": "/dev/null", "grace": 1.0,
        "stdout": base + "/out", "stderr": base + "/err"}}
def run(command, *files, **more):
    ended = threading.Event()
    return keeping.start({{**plan, "command": command, **more}}, *files, ended=ended), ended
def wait(program, ended):
    while program.end is None:
        ended.wait(1.0)
        ended.clear()
    return program.end
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="armillary-test-", dir="/var/lib" if os.geteuid() == 0 else None))
    made.chmod(0o777)
    yield made
    shutil.rmtree(made)


def tried(script: str, folder: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", BEGIN + script + "\nkeeping.close()\n", str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_it_tells_how_a_program_ended(folder: Path):
    script = """
print(wait(*run(["/bin/sh", "-c", "exit 3"]))["status"], wait(*run(["/bin/sh", "-c", "kill -9 $$"]))["status"])
"""
    assert tried(script, folder) == ["3", "-9"]


def test_it_says_what_was_to_blame_when_a_program_does_not_start(folder: Path):
    script = """
for more in ({"command": ["/no/such"]}, {"command": ["/bin/true"], "stdin": "/no/such"},
             {"command": ["/bin/true"], "groups": ["/no/such/cgroup.procs"]}):
    try:
        run(**more)
    except NotStarted as error:
        print(error.stage)
"""
    assert tried(script, folder) == ["program", "input", "worker"]


def test_a_program_has_no_files_of_ours_and_ignores_no_signals(folder: Path):
    script = """
wait(*run(["/bin/sh", "-c", "ls /proc/self/fd | wc -l; grep SigIgn /proc/self/status"]))
print(open(base + "/out").read())
"""
    assert tried(script, folder) == ["4", "SigIgn:", "0" * 16]  # 0, 1, 2, and the directory that ls reads


def test_an_end_comes_by_deadline_without_a_word(folder: Path):
    script = """
from armillary.guest.agent.basics import now
end = wait(*run(["/bin/sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"], deadline=now() + 0.3))
print(end["status"], end["fenced"])
"""
    assert tried(script, folder) == ["-9", "True"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has mount namespaces to give")
def test_a_call_sees_what_the_job_sees_on_a_terminal_of_its_own(folder: Path):
    if not launch.may_mount():
        pytest.skip("no mount namespaces here")
    (folder / "tmp").mkdir(mode=0o777)
    (folder / "tmp").chmod(0o777)
    script = """
import pty
uid = {"uid": FIRST + 400, "gid": FIRST + 400}
views = {"private": True, "binds": [[base + "/tmp", "/tmp"]], "hidden": [], "fresh": ["/dev/shm"]}
os.umask(0)
job = run(["/bin/sh", "-c", "echo mine > /tmp/note; touch ready; sleep 60"], **uid, **views)
while not os.path.exists(base + "/ready"):
    job[1].wait(0.05)
ours, theirs = pty.openpty()
look = ["/bin/sh", "-c", "cat /tmp/note; tty; id -u; ls /dev/shm | wc -l"]
call = run(look, theirs, **uid, join=job[0].pid, owner=job[0].number, terminal=os.ttyname(theirs))
print(wait(*call)["status"])
print(os.read(ours, 4096).decode())
long = run(["/bin/sleep", "60"], **uid, join=job[0].pid, owner=job[0].number)
keeping.stop(job[0], number=15, grace=0)
print(wait(*job)["status"], wait(*long)["status"])
"""
    status, note, terminal, uid, shared, job, call = tried(script, folder)
    assert (status, note, uid, shared) == ("0", "mine", "61001", "0")
    assert terminal.startswith("/dev/pts/")
    assert (job, call) == ("-9", "-9")  # a call goes with its job
