"""What jobs want to become of themselves: HTCondor's policies, over the whole queue."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from batch_world import SMALL, World

from armillary.base.errors import Invalid
from armillary.base.ids import ClusterId
from armillary.batch.core.states import Fault, Result
from armillary.batch.engines.embedded.parcels import LeaseKey
from armillary.batch.engines.embedded.register import Session
from armillary.batch.intake import check_fits
from armillary.batch.model import JobId, JobSpec, JobState, Resources, Selection
from armillary.batch.policy.evaluator import Evaluator, Question, Undecidable
from armillary.batch.policy.service import check_policies
from armillary.batch.views import JobDetail
from armillary.fleet.model import FleetFlavor
from outside_engines import ON_BOTH

JOB = JobId.parse("1.0")


def submit(world: World, policy: Mapping[str, Any] | None = None, count: int = 1, **spec: Any) -> Session:
    retries = spec.pop("max_retries", 0)
    world.submit(count, data={"policy": policy, **spec}, max_retries=retries)
    return world.worker()


def run(world: World, session: Session, result: Result, usage: Mapping[str, float] | None = None) -> JobState:
    """Let the job run for ten seconds and end so."""
    key = start(world, session)
    world.later(10)
    return world.leases.finish(session, key, result, usage=usage or {}, brought=[]).state


def start(world: World, session: Session) -> LeaseKey:
    key = world.claim_one(session)
    world.leases.renew(session, [key], fading=timedelta(0))
    return key


def exits(code: int) -> Result:
    return Result(exit_code=code)


def detail(world: World) -> JobDetail:
    return world.records.job(None, JOB)


def facts(world: World) -> Mapping[str, Any]:
    found = world.policy_records.job(JOB)
    assert found
    return found.job


# at the end of the program


@pytest.mark.parametrize(
    ("policy", "retries", "codes", "end"),
    [
        (None, 2, [1, 1, 0], JobState.COMPLETED),
        ({"success_exit_code": 3}, 2, [1, 0, 3], JobState.COMPLETED),
        ({"retry_until": "7"}, 5, [1, 7], JobState.COMPLETED),
        ({"retry_until": "ExitCode > 100"}, 5, [1, 2, 101], JobState.COMPLETED),
        ({"retry_until": "NoSuchThing > 3"}, 1, [1, 1], JobState.COMPLETED),
        ({"on_exit_remove": "ExitCode == 0"}, 0, [1, 1, 1, 0], JobState.COMPLETED),
        ({"on_exit_remove": "NumJobStarts >= 3"}, 0, [1, 1, 1], JobState.COMPLETED),
        ({"on_exit_remove": "ExitCode == 5"}, 4, [1, 5], JobState.COMPLETED),
        ({"on_exit_remove": "1"}, 0, [1], JobState.COMPLETED),
        ({"on_exit_remove": "RemoteWallClockTime > 15"}, 0, [1, 1], JobState.COMPLETED),
        ({"on_exit_hold": "ExitCode =!= 0"}, 0, [1], JobState.HELD),
        ({"on_exit_hold": "NumJobCompletions >= 2"}, 9, [1, 1], JobState.HELD),
        ({"on_exit_hold": "NoSuchThing"}, 0, [1], JobState.COMPLETED),
        ({"on_exit_hold": "1/0"}, 0, [0], JobState.COMPLETED),
        ({"on_exit_remove": "NoSuchThing"}, 0, [0], JobState.HELD),
    ],
)
def test_the_end_of_a_program_is_judged_as_htcondor_does(
    world: World, policy: Mapping[str, Any] | None, retries: int, codes: list[int], end: JobState
) -> None:
    session = submit(world, policy, max_retries=retries)
    became = [run(world, session, exits(code)) for code in codes]
    assert became == [JobState.IDLE] * (len(codes) - 1) + [end]


def test_a_signal_is_no_exit_code(world: World) -> None:
    session = submit(world, {"on_exit_hold": "ExitBySignal && ExitSignal == 11"})
    assert run(world, session, Result(signal=11)) is JobState.HELD


def test_a_hold_of_a_policy_carries_its_reason_and_numbers(world: World) -> None:
    policy = {
        "on_exit_hold": "ExitCode == 2",
        "on_exit_hold_reason": 'strcat("code ", ExitCode, " of ", Owner)',
        "on_exit_hold_subcode": "40 + ExitCode",
    }
    run(world, submit(world, policy), exits(2))
    view = detail(world).view
    assert (view.hold_code, view.reason) == ("policy_hold", "code 2 of ada")
    last = world.queue.changes(after=0, cluster=ClusterId(1))[-1]
    assert (last.detail["hold_code"], last.detail["hold_subcode"]) == ("policy_hold", 42)
    world.queue.release(Selection(cluster=ClusterId(1)))
    assert (facts(world)["hold_subcode"], facts(world)["holds"]) == (None, 1)


def test_a_job_that_was_ended_over_its_memory_is_tried_again_with_more(world: World) -> None:
    session = submit(world, {"retry_request_memory_mib": [1024, 600]})
    over = Result(error=Fault(code="memory_exceeded", message="it used 513 MiB of 512"))
    assert run(world, session, over) is JobState.IDLE
    assert facts(world)["memory_mib"] == 600
    (leased,) = world.leases.claim(session, Resources(cpus=1, memory_mib=2048, disk_kib=SMALL.disk_kib)).jobs
    assert leased.share.memory_mib == 600
    world.leases.finish(session, leased.key, over, usage={}, brought=[])
    assert facts(world)["memory_mib"] == 1024
    (leased,) = world.leases.claim(session, Resources(cpus=1, memory_mib=2048, disk_kib=SMALL.disk_kib)).jobs
    state = world.leases.finish(session, leased.key, over, usage={}, brought=[]).state
    assert (state, detail(world).view.hold_code) == (JobState.HELD, "memory_exceeded")


def test_memory_that_no_machine_of_the_flavor_has_is_refused_at_once() -> None:
    flavor = FleetFlavor(id="1", name="small", vcpus=1, ram=1024, disk=10, ephemeral=0)
    job = JobSpec(proc=0, resources=SMALL, data={"policy": {"retry_request_memory_mib": [600, 4096]}})
    with pytest.raises(Invalid, match="4096 MiB of memory, not 1024"):
        check_fits([job], flavor)


def test_a_job_that_ended_as_it_should_is_not_run_again_by_retry(world: World) -> None:
    session = submit(world, {"success_exit_code": 3})
    run(world, session, exits(3))
    assert world.queue.retry(Selection(cluster=ClusterId(1))) == 0


def test_what_a_job_used_and_its_own_attributes_are_seen(world: World) -> None:
    policy = {"on_exit_hold": "MemoryUsage > Ceiling && RemoteUserCpu > 2 && DiskUsage == 9"}
    session = submit(world, policy, attributes={"Ceiling": "RequestMemory / 2"})
    used = {"max_rss_kib": 300 * 1024, "user_seconds": 2.5, "disk_kib": 9}
    assert run(world, session, exits(0), used) is JobState.HELD


# once a minute


@pytest.mark.parametrize(
    ("policy", "state", "wait"),
    [
        ({"periodic_hold": "JobStatus == 1 && CurrentTime - QDate > 90"}, "held", 120),
        ({"periodic_remove": "CurrentTime - EnteredCurrentStatus >= 60"}, "removed", 60),
        ({"periodic_remove": "JobStatus == 2"}, "idle", 60),
        ({"periodic_hold": "NoSuchThing || JobStatus == 9"}, "idle", 60),
        ({"periodic_vacate": "true"}, "idle", 60),
    ],
)
def test_a_waiting_job_is_looked_at(world: World, policy: Mapping[str, Any], state: str, wait: float) -> None:
    submit(world, policy)
    assert world.policy_watch.tick() == 0 or wait == 0
    world.later(wait)
    world.policy_watch.tick()
    assert world.state("1.0") == state


def test_a_running_job_that_is_held_is_stopped_first(world: World) -> None:
    session = submit(world, {"periodic_hold": "JobStatus == 2 && CurrentTime - JobCurrentStartDate > 50"})
    key = start(world, session)
    world.later(60)
    world.leases.renew(session, [key], fading=timedelta(0))
    assert world.policy_watch.tick() == 1
    assert world.state("1.0") == "held"
    assert world.leases.renew(session, [key], fading=timedelta(0)).remove == (key,)


def test_the_time_that_a_job_runs_now_counts_with_that_of_its_earlier_attempts(world: World) -> None:
    limit = "(RemoteWallClockTime - CumulativeSuspensionTime) > 25"  # as Nextflow writes it for `time`
    session = submit(world, {"periodic_remove": limit, "on_exit_remove": "ExitCode == 0"})
    assert run(world, session, exits(1)) is JobState.IDLE
    world.later(60)
    assert world.policy_watch.tick() == 0, "it waited: that is no time of its program"
    key = start(world, session)
    world.later(10)
    assert world.policy_watch.tick() == 0
    world.later(10)
    assert world.policy_watch.tick() == 1
    assert world.state("1.0") == "removed"
    assert world.leases.renew(session, [key], fading=timedelta(0)).remove == (key,)


def test_a_vacated_job_runs_again_elsewhere(world: World) -> None:
    session = submit(world, {"periodic_vacate": "JobStatus == 2 && NumJobStarts == 1"})
    key = start(world, session)
    assert world.policy_watch.tick() == 1
    assert world.state("1.0") == "idle"
    assert world.leases.claim(session, SMALL).jobs == (), "while the first attempt may still run"
    stopped = Result(error=Fault(code="removed", message="stopped", retry=True))
    world.leases.finish(session, key, stopped, usage={}, brought=[])
    assert run(world, session, exits(0)) is JobState.COMPLETED


@ON_BOTH
def test_a_held_job_is_released_as_often_as_it_wants(world: World) -> None:
    policy = {"on_exit_hold": "ExitCode != 0", "periodic_release": "HoldReasonCode == 3 && NumHolds < 3"}
    session = submit(world, policy)
    for state in ["idle", "idle", "held"]:
        run(world, session, exits(1))
        world.policy_watch.tick()
        assert world.state("1.0") == state


def test_a_hold_by_a_person_stays(world: World) -> None:
    submit(world, {"periodic_release": "HoldReasonCode == 3", "periodic_hold": "true"})
    world.queue.hold(Selection(cluster=ClusterId(1)), reason="I want so")
    assert world.policy_watch.tick() == 0


def test_durations_are_kept_when_the_agent_does_not(world: World) -> None:
    session = submit(world, allowed_execute_seconds=100)
    key = start(world, session)
    for later, held in [(60, 0), (60, 0), (60, 1)]:
        world.later(later)
        world.leases.renew(session, [key], fading=timedelta(0))
        assert world.policy_watch.tick() == held
    assert detail(world).view.hold_code == "time_exceeded"


def test_time_on_a_worker_counts_from_the_claim(world: World) -> None:
    session = submit(world, allowed_job_seconds=10)
    key = world.claim_one(session)
    world.later(71)
    assert world.policy_watch.tick() == 1
    assert detail(world).view.hold_code == "job_time_exceeded"
    assert key.attempt == 1


def test_submits_without_periodic_policies_are_never_looked_at(world: World) -> None:
    submit(world, {"on_exit_hold": "false"})
    world.submit()
    assert world.policy_records.watched() == []


def test_a_submit_that_is_over_is_forgotten_until_a_job_of_it_is_retried(world: World) -> None:
    submit(world, {"periodic_hold": "false"}, count=3)
    assert world.policy_records.watched() == [1]
    world.queue.remove(Selection(cluster=ClusterId(1)), reason="")
    world.policy_watch.tick()
    assert world.policy_records.watched() == []
    world.queue.retry(Selection(cluster=ClusterId(1), proc=2))
    assert world.policy_records.watched() == [1]


@ON_BOTH
def test_many_jobs_are_looked_at_a_page_at_a_time(world: World) -> None:
    world.policy_page = 10
    world.restart()
    submit(world, {"periodic_remove": "ProcId % 2 == 1"}, count=45)
    assert world.policy_watch.tick() == 22
    assert sum(state == "idle" for state in world.states().values()) == 23


# expressions of strangers


def test_a_submit_with_an_expression_that_cannot_be_read_is_refused() -> None:
    for field, text in [("periodic_hold", "JobStatus =="), ("on_exit_remove", 'userHome("root") != ""')]:
        job = JobSpec(proc=4, resources=SMALL, data={"policy": {field: text}})
        with pytest.raises(Invalid) as refused:
            check_policies([job])
        assert refused.value.code == "bad_expression"
        assert (refused.value.facts["field"], refused.value.facts["proc"]) == (field, 4)


def test_the_words_inside_of_strings_are_no_calls() -> None:
    check_policies([JobSpec(proc=0, resources=SMALL, data={"rank": 'strcmp(A, "exec(1)") == 0'})])


def test_an_expression_that_takes_for_ever_says_nothing_and_the_next_is_answered() -> None:
    evaluator = Evaluator(seconds=0.3)
    doubling = {f"a{n}": f"strcat(a{n - 1}, a{n - 1})" for n in range(1, 64)} | {"a0": '"xxxxxxxx"'}
    fine = Question(ad={"ExitCode": 1}, ask={"it": "ExitCode == 1"})
    try:
        evaluator.ask([fine])
        with pytest.raises(Undecidable):
            evaluator.ask([Question(ad={}, also=doubling, ask={"it": "size(a63) > 0"})])
        assert evaluator.ask([fine]) == [{"it": True}]
    finally:
        evaluator.close()


def test_a_job_whose_policy_cannot_be_evaluated_is_held_and_not_run_for_ever(world: World) -> None:
    world.evaluator = Evaluator(seconds=0.3)
    world.restart()
    doubling = {f"a{n}": f"strcat(a{n - 1}, a{n - 1})" for n in range(1, 64)} | {"a0": '"xxxxxxxx"'}
    session = submit(world, {"on_exit_remove": "size(a63) > 0"}, attributes=doubling)
    world.evaluator.ask([Question(ad={}, ask={"it": "true"})])
    try:
        assert run(world, session, exits(0)) is JobState.HELD
    finally:
        world.evaluator.close()
    assert detail(world).view.hold_code == "policy_undefined"
