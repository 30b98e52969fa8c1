"""No job runs on without its lease, whatever has become of the agent; no result is lost, and none is told twice."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

from agent_process import AgentProcess
from platform_double import PATIENCE, PlatformDouble

ENDLESS = "trap '' TERM; echo $$; while :; do sleep 0.05; done"


def until(found: Callable[[], bool]) -> None:
    """Wait for something that nobody tells us of."""
    pause = threading.Event()
    for _ in range(int(PATIENCE / 0.02)):
        if found():
            return
        pause.wait(0.02)
    raise AssertionError("it did not come to pass in time")


def pid_of_job(platform: PlatformDouble) -> int:
    platform.wait_for(lambda: ("1.0", "stdout") in platform.logs)
    return int(platform.logs["1.0", "stdout"])


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def keeper_of(agent: AgentProcess) -> int:
    assert agent.process
    pid = agent.process.pid
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


def test_the_job_of_an_agent_that_is_stopped_ends_before_its_lease(
    agent: AgentProcess, platform: PlatformDouble
):
    platform.lease_seconds = 4
    platform.put_job(ENDLESS)
    agent.start()
    pid = pid_of_job(platform)
    agent.send(signal.SIGSTOP)  # nobody renews; the keeper knows until when it may run
    until(lambda: gone(pid))
    platform.lease_seconds = 60
    platform.put_job("true", job="2.0")
    agent.send(signal.SIGCONT)
    platform.end_of("2.0")
    assert [end["job"] for end in platform.finished] == ["2.0"]


def test_jobs_die_with_their_agent(agent: AgentProcess, platform: PlatformDouble):
    platform.put_job(ENDLESS)
    agent.start()
    pid = pid_of_job(platform)
    agent.send(signal.SIGKILL)
    until(lambda: gone(pid))


def test_jobs_die_with_the_keeper_and_go_back_to_the_queue(agent: AgentProcess, platform: PlatformDouble):
    platform.put_job(ENDLESS)
    agent.start()
    pid = pid_of_job(platform)
    os.kill(keeper_of(agent), signal.SIGKILL)
    error = platform.end_of("1.0")["error"]
    assert (error["code"], error["retry"]) in [("worker_fault", True), ("worker_stopped", True)]
    status, talk = agent.wait()
    assert status == 1  # so that systemd starts it anew
    assert "keeper" in talk
    assert gone(pid)


def test_a_process_without_a_trace_of_its_job_dies_with_it(agent: AgentProcess, platform: PlatformDouble):
    platform.put_job(
        "setsid sh -c 'echo $$; touch up; exec sleep 1000' & until [ -e up ]; do sleep 0.05; done"
    )
    agent.start()
    pid = pid_of_job(platform)
    platform.end_of("1.0")
    assert gone(pid)


def test_a_platform_that_is_away_for_longer_than_the_lease_costs_the_job_and_nothing_else(
    agent: AgentProcess, platform: PlatformDouble
):
    platform.lease_seconds = 2
    platform.put_job(ENDLESS)
    agent.start()
    pid = pid_of_job(platform)
    for name in ("renew", "logs", "finish", "claim"):
        platform.failures[name] = [503] * 1000
    until(lambda: gone(pid))
    for name in platform.failures:
        platform.failures[name] = []
    platform.lease_seconds = 60
    platform.put_job("true", job="2.0", request_cpus=2)
    platform.end_of("2.0")
    assert [end["job"] for end in platform.finished] == ["2.0"]


def test_a_copy_of_a_worker_forgets_who_it_was(agent: AgentProcess, platform: PlatformDouble):
    platform.failures["finish"] = [503] * 1000
    platform.put_job("echo data > out")
    agent.start()
    platform.wait_for(lambda: len(platform.failures["finish"]) < 1000)
    agent.kill()
    platform.hang_up()
    platform.failures["finish"] = []
    agent.start(bootstrap_token="another worker's")
    platform.wait_for(lambda: len(platform.registrations) == 2)
    platform.put_job("true", job="2.0")
    platform.end_of("2.0")
    assert [end["job"] for end in platform.finished] == ["2.0"]
    assert "copy of another worker" in finish(agent)


def finish(agent: AgentProcess) -> str:
    agent.send(signal.SIGTERM)
    return agent.wait()[1]


def test_systemd_hears_that_agent_and_keeper_live(agent: AgentProcess, platform: PlatformDouble, monkeypatch):
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0armillary-test-" + str(os.getpid()))
        systemd.settimeout(PATIENCE)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@armillary-test-{os.getpid()}")
        agent.start()
        assert systemd.recv(100) == b"WATCHDOG_USEC=60000000"
        assert systemd.recv(100) == b"WATCHDOG=1"
