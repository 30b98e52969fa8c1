"""The agent as it is in a machine of its own: root, with users for jobs, private directories and control groups.

Root's tests: CI runs as root. They make users in the range that the agent keeps for itself, and take them away again.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from agent_process import AgentProcess
from platform_double import PlatformDouble

from armillary.guest.agent import groups, launch
from armillary.guest.agent.slots import FIRST, LAST

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root starts programs as other users"),
]
counted = groups.find() if os.geteuid() == 0 else None
has_groups = pytest.mark.skipif(
    counted is None or not counted.limits_memory, reason="this machine lends us no control groups of memory"
)
GREEDY = "head -c 200000000 /dev/zero | tail -n 1 > /dev/null"  # of which tail keeps all


@pytest.fixture
def agent(platform: PlatformDouble) -> Iterator[AgentProcess]:
    # One after the other: the users are the machine's, and an agent that starts ends whatever runs as one of them. So
    # is the lock, wherever who else runs these tests has its temporary files.
    lock = os.open("/run/armillary-test-slots.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    fcntl.flock(lock, fcntl.LOCK_EX)
    # Not below /tmp, which jobs have one of their own of.
    folder = Path(tempfile.mkdtemp(prefix="armillary-test-", dir="/var/lib"))
    folder.chmod(0o755)
    process = AgentProcess(directory=folder, platform=platform)
    process.settings |= {"users": True, "shut_out": False}
    yield process
    process.kill()
    shutil.rmtree(folder)
    for user in [user for user in pwd.getpwall() if FIRST <= user.pw_uid <= LAST]:
        subprocess.run(["userdel", user.pw_name], check=True, capture_output=True)
    os.close(lock)


def printed(platform: PlatformDouble, job: str = "1.0") -> list[str]:
    platform.end_of(job)
    return platform.output(job, "_condor_stdout").decode().split()


def test_a_job_is_nobody_else(agent: AgentProcess, platform: PlatformDouble):
    place = agent.directory / "meet"
    place.mkdir()
    place.chmod(0o777)
    meet = f"touch {place}/{{mine}}; until [ -e {place}/{{other}} ]; do sleep 0.05; done"
    platform.put_job("id -u; id -G; id -un; echo $USER; " + meet.format(mine=1, other=2))
    platform.put_job("id -u; " + meet.format(mine=2, other=1), job="2.0")
    agent.start()
    uid, group, name, user = printed(platform)
    assert FIRST <= int(uid) <= LAST
    assert name == user
    assert group != "0"
    assert printed(platform, "2.0") != [uid]


def test_a_job_cannot_read_what_is_the_agents(agent: AgentProcess, platform: PlatformDouble):
    secrets = [agent.state / "session.json", agent.directory / "agent.json"]
    platform.put_job(f"cat {secrets[0]}; ls {agent.scratch}; cat /proc/$PPID/environ; echo end")
    (agent.directory / "agent.json").touch(0o600)
    agent.start()
    assert printed(platform) == ["end"]


def test_a_job_leaves_nothing_in_the_machines_directories(agent: AgentProcess, platform: PlatformDouble):
    if not launch.may_mount():
        pytest.skip("no mount namespaces here")  # then jobs share /tmp, and the agent says so
    name = f"left-by-{os.getpid()}"
    platform.put_job(
        f"touch /tmp/{name} /dev/shm/{name} && ls /tmp; crontab -l; echo '* * * * * id' | crontab -"
    )
    agent.start()
    assert printed(platform) == [name]
    assert not Path("/tmp", name).exists()
    assert not Path("/dev/shm", name).exists()
    assert not list(Path("/var/spool/cron").glob("crontabs/slot*"))


def test_a_process_that_sheds_everything_still_dies_with_its_job(
    agent: AgentProcess, platform: PlatformDouble
):
    platform.put_job("setsid env -i sleep 1000 >/dev/null 2>&1 & echo $!")
    agent.start()
    (pid,) = printed(platform)
    assert not Path("/proc", pid, "exe").exists()


@has_groups
def test_the_kernel_ends_a_job_that_takes_too_much_memory(agent: AgentProcess, platform: PlatformDouble):
    platform.put_job(GREEDY, request_memory_mib=32)
    agent.start()
    error = platform.end_of("1.0")["error"]
    assert error == {
        "code": "memory_exceeded",
        "message": "used 32 MiB of 32 MiB of memory",
        "retry": False,
    }


@has_groups
def test_a_job_that_survives_the_loss_of_its_child_is_held_as_well(
    agent: AgentProcess, platform: PlatformDouble
):
    platform.put_job(f"({GREEDY}); echo went on", request_memory_mib=32)
    agent.start()
    assert platform.end_of("1.0")["error"]["code"] == "memory_exceeded"


@has_groups
def test_a_job_may_not_have_more_processes_than_there_are_for_one(
    agent: AgentProcess, platform: PlatformDouble
):
    platform.put_job("for i in 1 2 3 4 5 6 7 8 9; do sleep 20 & done; wait; exit 1")
    agent.start(pids_per_job=6)
    assert platform.end_of("1.0")["error"]["message"] == "used 6 of 6 processes"


@has_groups
def test_nothing_is_left_of_the_groups_of_jobs(agent: AgentProcess, platform: PlatformDouble):
    assert counted
    platform.put_job("echo up; while :; do sleep 0.05; done")
    agent.start()
    platform.wait_for(lambda: ("1.0", "stdout") in platform.logs)
    agent.kill()
    platform.hang_up()
    agent.start()
    platform.put_job("true", job="2.0", request_cpus=2)
    platform.end_of("2.0")
    agent.send(15)
    assert agent.wait()[0] == 0
    assert counted.leftovers() == []
