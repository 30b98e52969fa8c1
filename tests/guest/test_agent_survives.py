"""The agent under trouble: lost leases, a silent or failing platform, its own death."""

from __future__ import annotations

import errno
import signal

import pytest
from agent_process import AgentProcess
from platform_double import PlatformDouble

from armillary.guest.agent.basics import Fault, fault_of

ENDLESS = "trap 'touch {mark}; exit 9' TERM; echo up; while :; do sleep 0.05; done"


def test_a_lost_lease_kills_the_job_and_drops_its_results(agent: AgentProcess, platform: PlatformDouble):
    platform.put_job(ENDLESS.format(mark=agent.directory / "terminated"))
    agent.start()
    platform.wait_for(lambda: ("1.0", "stdout") in platform.logs)
    platform.lost, platform.renew = ["1.0"], True
    platform.put_job("echo next", job="2.0", request_cpus=2)
    platform.end_of("2.0")  # both cpus are free again only when the lost job is gone
    assert [end["job"] for end in platform.finished] == ["2.0"]
    assert (agent.directory / "terminated").exists()


def test_a_removed_job_is_ended_and_reported(agent: AgentProcess, platform: PlatformDouble):
    platform.put_job(ENDLESS.format(mark=agent.directory / "terminated"))
    agent.start()
    platform.wait_for(lambda: ("1.0", "stdout") in platform.logs)
    platform.remove, platform.renew = ["1.0"], True
    assert "removed" in platform.end_of("1.0")["error"]["message"]


def test_a_job_is_killed_when_nobody_renews_its_lease_in_time(agent: AgentProcess, platform: PlatformDouble):
    platform.lease_seconds = 2
    platform.put_job("trap '' TERM; echo up; while :; do sleep 0.05; done")
    platform.failures["renew"] = [503] * 1000
    agent.start()
    platform.lease_seconds = 60  # of the next one, which nobody renews either
    platform.put_job("echo next", job="2.0", request_cpus=2)
    platform.end_of("2.0")
    assert [end["job"] for end in platform.finished] == ["2.0"]


def test_results_are_sent_again_until_they_are_acknowledged(agent: AgentProcess, platform: PlatformDouble):
    platform.failures = {"register": [500], "claim": [502], "outputs": [503, 503], "finish": [500, 503]}
    platform.put_job("echo data > out")
    agent.start()
    assert platform.end_of("1.0")["exit_code"] == 0
    assert platform.output("1.0", "out") == b"data\n"


def test_the_results_of_a_stale_attempt_are_dropped(agent: AgentProcess, platform: PlatformDouble):
    platform.stale = {"1.0"}
    platform.put_job("echo late > out")
    platform.put_job("true", job="2.0", request_cpus=2)
    agent.start()
    platform.end_of("2.0")
    assert [end["job"] for end in platform.finished] == ["2.0"]
    assert not platform.outputs


def test_an_unknown_session_is_made_anew(agent: AgentProcess, platform: PlatformDouble):
    agent.start()
    platform.wait_for(lambda: platform.claims)
    platform.session_keys = set()
    platform.hang_up()
    platform.wait_for(lambda: len(platform.registrations) == 2)
    platform.put_job("true")
    assert platform.end_of("1.0")["exit_code"] == 0


def test_a_refused_bootstrap_token_ends_the_agent_with_status_3(
    agent: AgentProcess, platform: PlatformDouble
):
    platform.failures["register"] = [401]
    agent.start()
    status, talk = agent.wait()
    assert status == 3
    assert "refuses this worker" in talk


def test_a_restarted_agent_keeps_its_session_and_ends_what_was_left_running(
    agent: AgentProcess, platform: PlatformDouble
):
    platform.put_job("echo up; while :; do sleep 0.05; done")
    agent.start()
    platform.wait_for(lambda: ("1.0", "stdout") in platform.logs)
    agent.kill()
    platform.hang_up()
    agent.start()
    platform.put_job("true", job="2.0")
    platform.end_of("2.0")
    assert len(platform.registrations) == 1
    assert not (agent.scratch / "1.0-1").exists()
    assert [end["job"] for end in platform.finished] == ["2.0"]


def test_a_finished_job_is_reported_by_the_next_agent_when_this_one_dies(
    agent: AgentProcess, platform: PlatformDouble
):
    platform.failures["finish"] = [503] * 1000
    platform.put_job("echo data > out")
    agent.start()
    platform.wait_for(lambda: len(platform.failures["finish"]) < 1000)
    agent.kill()
    platform.failures["finish"] = []
    agent.start()
    assert platform.end_of("1.0")["outputs"] == [
        {k: v for k, v in entry.items() if k != "path"} for entry in platform.end_of("1.0")["outputs"]
    ]
    assert platform.output("1.0", "out") == b"data\n"


def test_a_stopped_agent_kills_its_jobs_gives_them_back_and_says_bye(
    agent: AgentProcess, platform: PlatformDouble
):
    platform.put_job(ENDLESS.format(mark=agent.directory / "terminated"))
    agent.start()
    platform.wait_for(lambda: ("1.0", "stdout") in platform.logs)
    agent.send(signal.SIGTERM)
    assert agent.wait()[0] == 0
    assert (agent.directory / "terminated").exists()
    assert platform.byes == 1
    (end,) = platform.finished
    assert end["error"]["retry"]


def error_of(agent: AgentProcess, platform: PlatformDouble) -> tuple[str, bool]:
    agent.start()
    error = platform.end_of("1.0")["error"]
    return error["code"], error["retry"]


@pytest.mark.parametrize(
    ("number", "code", "retry"),
    [
        (errno.ENOSPC, "disk_full", True),
        (errno.EDQUOT, "disk_full", True),
        (errno.EIO, "worker_fault", True),
        (errno.ENAMETOOLONG, "job_invalid", False),
    ],
)
def test_what_a_worker_ran_out_of_is_not_the_jobs_fault(number: int, code: str, retry: bool):
    record = fault_of(OSError(number, "so it is")).record
    assert (record["code"], record["retry"]) == (code, retry)


def test_a_reason_has_no_more_characters_than_the_platform_takes():
    assert len(Fault("input_fetch_failed", "x" * 100_000, retry=True).record["message"]) <= 4000


def test_an_input_that_cannot_be_reached_sends_the_job_back_at_once(
    agent: AgentProcess, platform: PlatformDouble
):
    platform.put_job("true", transfer_input_files=["http://127.0.0.1:1/m51.fits"])
    assert error_of(agent, platform) == ("input_fetch_failed", True)


def test_an_input_that_its_host_refuses_is_not_asked_for_again(agent: AgentProcess, platform: PlatformDouble):
    platform.put_job("true", transfer_input_files=[f"{platform.url}/agent/v1/blobs/m51.fits"])
    assert error_of(agent, platform) == ("input_fetch_failed", False)
    assert "401" in platform.end_of("1.0")["error"]["message"]


def test_an_end_that_the_platform_refuses_is_told_again_as_a_failure(
    agent: AgentProcess, platform: PlatformDouble
):
    platform.failures["finish"] = [400]
    platform.put_job("echo data > out")
    assert error_of(agent, platform) == ("finish_failed", True)
    assert "outputs" not in platform.end_of("1.0")


def test_an_output_that_the_platform_refuses_sends_the_job_back(
    agent: AgentProcess, platform: PlatformDouble
):
    platform.failures["outputs"] = [413]
    platform.put_job("echo data > out")
    assert error_of(agent, platform) == ("upload_failed", True)


@pytest.mark.parametrize("argument", ["a\0b", "x" * 200_000])
def test_a_job_that_no_machine_can_start_says_so(
    agent: AgentProcess, platform: PlatformDouble, argument: str
):
    platform.put_job("true", arguments=[argument])
    assert error_of(agent, platform) == ("job_invalid", False)


def test_a_file_whose_name_cannot_be_written_down_is_an_error_that_shows_it(
    agent: AgentProcess, platform: PlatformDouble
):
    platform.put_job("echo data > \"$(printf 'a\\377')\"")
    assert error_of(agent, platform) == ("output_invalid", False)
