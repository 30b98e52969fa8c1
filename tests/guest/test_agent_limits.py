"""What a job asked for is what it may take; what it needs for its end it is given."""

from __future__ import annotations

import sys

import pytest
from agent_process import AgentProcess
from platform_double import PlatformDouble

GREEDY = f"exec {sys.executable} -c 'held = bytearray(96 << 20); input()' < /dev/zero"
SAVES = "trap 'echo saved > state; exit 1' USR1; echo up; while :; do sleep 0.05; done"


def up(platform: PlatformDouble, job: str = "1.0") -> None:
    platform.wait_for(lambda: (job, "stdout") in platform.logs)


def test_a_job_that_runs_too_long_is_ended_with_the_figure(agent: AgentProcess, platform: PlatformDouble):
    platform.put_job("sleep 1000", allowed_execute_seconds=1)
    agent.start()
    end = platform.end_of("1.0")
    assert end["error"]["code"] == "time_exceeded"
    assert "of 1 s" in end["error"]["message"]
    assert not end["error"]["retry"]
    assert end["usage"]["wall_seconds"] >= 1


def test_a_job_that_writes_too_much_is_ended_with_the_figure(agent: AgentProcess, platform: PlatformDouble):
    platform.put_job("head -c 3000000 /dev/urandom > big; sleep 1000", request_disk_kib=1024)
    agent.start()
    end = platform.end_of("1.0")
    assert end["error"]["code"] == "disk_exceeded"
    assert "of 1,024 KiB" in end["error"]["message"]
    assert end["usage"]["disk_kib"] > 2000


def test_without_control_groups_memory_is_watched(agent: AgentProcess, platform: PlatformDouble):
    platform.put_job(GREEDY, request_memory_mib=64)
    agent.start()
    end = platform.end_of("1.0")
    assert end["error"]["code"] == "memory_exceeded"
    assert end["error"]["message"].endswith("MiB of 64 MiB of memory")
    assert end["usage"]["max_rss_kib"] > 90 << 10


def test_what_a_job_used_is_told(agent: AgentProcess, platform: PlatformDouble):
    platform.put_job("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo x > made")
    agent.start()
    usage = platform.end_of("1.0")["usage"]
    assert usage["user_seconds"] > 0
    assert usage["cpus"] == 1
    assert usage["disk_kib"] > 0


def test_a_job_gets_its_own_signal_and_time_to_save(agent: AgentProcess, platform: PlatformDouble):
    platform.put_job(
        "trap 'sleep 0.5; echo late; exit 0' USR1; echo up; while :; do sleep 0.05; done",
        kill_signal=10,
        kill_seconds=20,
    )
    agent.start()
    up(platform)
    platform.remove, platform.renew = ["1.0"], True
    assert platform.end_of("1.0")["error"]["code"] == "removed"
    assert b"late" in platform.logs["1.0", "stdout"]


def test_a_job_that_does_not_end_when_asked_is_killed(agent: AgentProcess, platform: PlatformDouble):
    platform.put_job("trap '' TERM; echo up; while :; do sleep 0.05; done", kill_seconds=0)
    agent.start()
    up(platform)
    platform.remove, platform.renew = ["1.0"], True
    assert platform.end_of("1.0")["error"]["code"] == "removed"


def test_an_evicted_job_saves_what_it_has_made(agent: AgentProcess, platform: PlatformDouble):
    platform.put_job(SAVES, kill_signal=10, when_to_transfer_output="ON_EXIT_OR_EVICT")
    agent.start()
    up(platform)
    platform.remove, platform.renew = ["1.0"], True
    platform.end_of("1.0")
    (saved,) = platform.checkpoints
    assert [file["name"] for file in saved["files"]] == ["state"]
    assert platform.output("1.0", "state") == b"saved\n"


def test_without_being_told_to_an_evicted_job_saves_nothing(agent: AgentProcess, platform: PlatformDouble):
    platform.put_job(SAVES, kill_signal=10)
    agent.start()
    up(platform)
    platform.remove, platform.renew = ["1.0"], True
    platform.end_of("1.0")
    assert platform.checkpoints == []


def test_a_job_that_checkpoints_itself_is_started_again_in_place(
    agent: AgentProcess, platform: PlatformDouble
):
    platform.put_job(
        "n=$(cat d/step 2>/dev/null || echo 0); n=$((n+1)); mkdir -p d; echo $n > d/step; echo step $n;"
        " [ $n -ge 3 ] || exit 85",
        checkpoint_exit_code=85,
        transfer_checkpoint_files=["d/step"],
    )
    agent.start()
    assert platform.end_of("1.0")["exit_code"] == 0
    assert [[file["name"] for file in saved["files"]] for saved in platform.checkpoints] == [["d/step"]] * 2
    assert platform.output("1.0", "_condor_stdout") == b"step 1\nstep 2\nstep 3\n"


def test_a_checkpoint_is_laid_where_it_was(agent: AgentProcess, platform: PlatformDouble):
    platform.put_job("cat d/step; [ -x d/step ] && echo runs", inputs={"d/step": b"2\n"})
    platform.waiting[0]["inputs"][1].update(checkpoint=True, mode=0o755)
    agent.start()
    platform.end_of("1.0")
    assert platform.output("1.0", "_condor_stdout") == b"2\nruns\n"


def test_on_success_a_failed_job_brings_nothing_but_what_it_said(
    agent: AgentProcess, platform: PlatformDouble
):
    platform.put_job("echo x > made; echo no; exit 1", when_to_transfer_output="ON_SUCCESS")
    agent.start()
    assert [out["name"] for out in platform.end_of("1.0")["outputs"]] == ["_condor_stdout"]


def test_paths_of_outputs_are_kept_when_asked(agent: AgentProcess, platform: PlatformDouble):
    platform.put_job(
        "mkdir -p a/b; echo 1 > a/b/c", transfer_output_files=["a/b/c"], preserve_relative_paths=True
    )
    agent.start()
    assert [out["name"] for out in platform.end_of("1.0")["outputs"]] == ["a/b/c"]


def test_the_next_job_comes_with_the_end_of_the_one_before(agent: AgentProcess, platform: PlatformDouble):
    platform.claim_with_finish = True
    for number in range(5):
        platform.put_job("true", job=f"1.{number}", request_cpus=2)
    agent.start()
    platform.end_of("1.4")
    assert platform.finished[0]["free"]["cpus"] == 2
    before = platform.claims[: platform.ended_after[-1]]
    assert len([claim for claim in before if claim["free"]["cpus"] == 2]) == 1


def test_graphics_cards_are_shared_out(agent: AgentProcess, platform: PlatformDouble):
    wait = 'echo "cards $CUDA_VISIBLE_DEVICES"; sleep 0.2'
    platform.put_job(wait, job="1.0", request_gpus=2)
    platform.put_job(wait, job="1.1")
    agent.start(gpus=2)
    platform.end_of("1.0")
    platform.end_of("1.1")
    assert platform.output("1.0", "_condor_stdout") == b"cards 0,1\n"
    assert platform.output("1.1", "_condor_stdout") == b"cards \n"
    assert platform.claims[0]["free"]["gpus"] == 2


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        ({"input": "missing.txt"}, "input_invalid"),
        (
            {"executable": "plain.txt", "inputs": {"plain.txt": b"#!/no/such/interpreter\n"}},
            "executable_missing",
        ),
    ],
)
def test_what_cannot_be_started_is_the_jobs_fault(
    agent: AgentProcess, platform: PlatformDouble, spec: dict, code: str
):
    platform.put_job("true", **spec)
    agent.start()
    error = platform.end_of("1.0")["error"]
    assert (error["code"], error["retry"]) == (code, False)
