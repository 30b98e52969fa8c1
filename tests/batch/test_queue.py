"""The durable queue: what is promised holds after any crash, and stale attempts change nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from batch_world import SMALL, WHOLE, World

from armillary.accounts.model import Role
from armillary.base.errors import Conflict, Invalid, NotFound
from armillary.base.ids import ClusterId, WorkerId
from armillary.batch.core.states import Fault, Result
from armillary.batch.engines.embedded.parcels import LeaseKey, OutputRef
from armillary.batch.engines.embedded.register import Session
from armillary.batch.model import Group, JobId, JobState, Resources, Selection, StaleAttempt, WrongState

GOOD = Result(exit_code=0)
LEASE = timedelta(seconds=75)


def finish(
    world: World, session: Session, key: LeaseKey, result: Result = GOOD, **more: list[OutputRef]
) -> JobState:
    done = world.leases.finish(session, key, result, usage={}, brought=more.get("brought", []))
    return done.state


def test_a_job_goes_from_idle_over_claimed_and_running_to_completed(world: World) -> None:
    cluster = world.submit()
    session = world.worker()
    key = world.claim_one(session)
    assert world.state("1.0") == "claimed"
    world.leases.renew(session, [key], fading=timedelta(0))
    assert world.state("1.0") == "running"
    assert finish(world, session, key) is JobState.COMPLETED
    states = [event.state.value for event in world.queue.changes(after=0, cluster=ClusterId(cluster))]
    assert states == ["idle", "claimed", "running", "completed"]


def test_a_restart_at_every_point_loses_nothing(world: World) -> None:
    world.submit()
    world.restart()
    session = world.worker()
    world.restart()
    key = world.claim_one(session)
    world.restart()
    world.leases.renew(session, [key], fading=timedelta(0))
    world.restart()
    world.leases.add_output(session, key, OutputRef(name="a", sha256="0" * 64, size=1))
    world.restart()
    finish(world, session, key, brought=[OutputRef(name="a", sha256="0" * 64, size=1)])
    world.restart()
    detail = world.records.job(None, JobId.parse("1.0"))
    assert (detail.view.state, [output.name for output in detail.outputs]) == ("completed", ["a"])


def test_finishing_twice_gives_the_same_answer_and_counts_once(world: World) -> None:
    world.submit(max_retries=1)
    session = world.worker()
    key = world.claim_one(session)
    assert finish(world, session, key, Result(exit_code=1)) is JobState.IDLE
    assert finish(world, session, key, Result(exit_code=1)) is JobState.IDLE
    assert world.records.job(None, JobId.parse("1.0")).retried == 1


def test_an_expired_lease_sends_the_job_back_and_refuses_the_old_attempt(world: World) -> None:
    world.submit()
    first, second = world.worker("w1"), world.worker("w2")
    stale = world.claim_one(first)
    world.clock.advance(LEASE + timedelta(seconds=1))
    assert world.queue.expire() == 1
    fresh = world.claim_one(second)
    assert (stale.attempt, fresh.attempt) == (1, 2)
    with pytest.raises(StaleAttempt):
        finish(world, first, stale)
    with pytest.raises(StaleAttempt):
        world.leases.add_output(first, stale, OutputRef(name="a", sha256="0" * 64, size=1))
    assert world.leases.renew(first, [stale], fading=timedelta(0)).lost == (stale,)
    assert finish(world, second, fresh) is JobState.COMPLETED
    attempts = world.records.job(None, JobId.parse("1.0")).attempt_list
    assert [attempt.state for attempt in attempts] == ["lost", "finished"]


def test_a_renewed_lease_lives_on(world: World) -> None:
    world.submit()
    session = world.worker()
    key = world.claim_one(session)
    for _ in range(5):
        world.clock.advance(timedelta(seconds=50))
        world.leases.renew(session, [key], fading=timedelta(0))
        assert world.queue.expire() == 0


def test_the_queue_keeps_a_lease_for_longer_than_its_agent_believes_in_it(world: World) -> None:
    """An agent counts from when it asked, we from when we answered; what lies between must be in its favour."""
    told = world.agents.terms.lease
    world.submit()
    first, second = world.worker("w1"), world.worker("w2")
    key = world.claim_one(first)
    for renewals in range(2):
        world.clock.advance(told)
        assert world.queue.expire() == 0
        world.clock.advance(world.terms.grace)
        assert world.queue.expire() == 0, "given to others while clocks may still disagree"
        assert world.leases.claim(second, WHOLE).jobs == ()
        if renewals == 0:
            world.leases.renew(first, [key], fading=timedelta(0))
    world.clock.advance(timedelta(seconds=1))
    assert world.queue.expire() == 1
    assert world.terms.grace >= timedelta(seconds=5)


def test_the_agent_hears_the_lease_without_the_grace(world: World) -> None:
    world.submit()
    client = world.client()
    token = world.register.invite(WorkerId("w1"), world.group)
    free = {"cpus": 1, "memory_mib": 512, "disk_kib": 1024}
    told = {"bootstrap_token": token, "image_sha512": world.group.image, **free}
    registered = client.post("/agent/v1/register", json=told).json()
    client.headers["authorization"] = f"Bearer {registered['session_key']}"
    (job,) = client.post("/agent/v1/claim", json={"free": free}).json()["jobs"]
    lease = world.terms.lease_kept - world.terms.grace
    assert registered["lease_seconds"] == job["lease_seconds"] == lease.total_seconds()


def test_after_a_restart_agents_have_a_whole_lease_to_come_back(world: World) -> None:
    world.submit()
    session = world.worker()
    key = world.claim_one(session)
    world.clock.advance(timedelta(hours=1))
    world.restart()
    world.queue.resume()
    assert world.queue.expire() == 0
    assert finish(world, session, key) is JobState.COMPLETED


def test_a_secret_of_another_attempt_opens_nothing(world: World) -> None:
    world.submit(2)
    session = world.worker()
    first, second = (leased.key for leased in world.leases.claim(session, WHOLE).jobs)
    with pytest.raises(StaleAttempt):
        finish(world, session, LeaseKey(job=first.job, attempt=1, secret=second.secret))


def test_outputs_show_only_when_their_attempt_commits(world: World) -> None:
    world.submit(max_retries=1)
    session = world.worker()
    key = world.claim_one(session)
    old = OutputRef(name="cat", sha256="1" * 64, size=1)
    world.leases.add_output(session, key, old)
    assert world.records.job(None, JobId.parse("1.0")).outputs == []
    finish(world, session, key, Result(exit_code=1), brought=[old])
    assert world.records.job(None, JobId.parse("1.0")).outputs == []
    key = world.claim_one(session)
    new = OutputRef(name="cat", sha256="2" * 64, size=2)
    world.leases.add_output(session, key, new)
    finish(world, session, key, brought=[new])
    (output,) = world.records.job(None, JobId.parse("1.0")).outputs
    assert output.sha256 == "2" * 64


def test_finish_refuses_outputs_that_have_not_arrived_and_leaves_the_attempt_alive(world: World) -> None:
    world.submit()
    session = world.worker()
    key = world.claim_one(session)
    absent = OutputRef(name="cat", sha256="1" * 64, size=1)
    with pytest.raises(Invalid) as refusal:
        finish(world, session, key, brought=[absent])
    assert refusal.value.code == "output_missing"
    world.leases.add_output(session, key, absent)
    assert finish(world, session, key, brought=[absent]) is JobState.COMPLETED


def test_a_failing_program_is_retried_and_then_completed_with_its_exit_code(world: World) -> None:
    world.submit(max_retries=2)
    session = world.worker()
    ends = [finish(world, session, world.claim_one(session), Result(exit_code=3)) for _ in range(3)]
    assert ends == [JobState.IDLE, JobState.IDLE, JobState.COMPLETED]
    view = world.records.job(None, JobId.parse("1.0")).view
    assert (view.exit_code, view.attempts) == (3, 3)


def test_an_attempt_that_can_never_work_holds_the_job_with_its_reason(world: World) -> None:
    world.submit()
    session = world.worker()
    fault = Fault(code="executable_missing", message="there is no program sex on the worker")
    assert finish(world, session, world.claim_one(session), Result(error=fault)) is JobState.HELD
    view = world.records.job(None, JobId.parse("1.0")).view
    assert (view.hold_code, view.reason) == ("executable_missing", fault.message)


def test_a_job_that_takes_its_machines_down_is_held_in_the_end(world: World) -> None:
    world.submit()
    for number in range(5):
        session = world.worker(f"w{number}")
        world.claim_one(session)
        world.queue.lost(session.worker, "its server is gone")
    view = world.records.job(None, JobId.parse("1.0")).view
    assert (view.state, view.hold_code) == ("held", "lost_too_often")


def test_a_lost_worker_gives_its_jobs_back_at_once(world: World) -> None:
    world.submit(2)
    session = world.worker()
    world.leases.claim(session, WHOLE)
    assert world.queue.lost(session.worker, "gone") == 2
    assert world.queue.lost(session.worker, "gone") == 0
    assert set(world.states().values()) == {"idle"}
    assert world.queue.workers() == []


def test_holding_a_running_job_stops_it_before_it_can_run_again(world: World) -> None:
    world.submit()
    first, second = world.worker("w1"), world.worker("w2")
    key = world.claim_one(first)
    one = Selection(cluster=ClusterId(1), proc=0)
    assert world.queue.hold(one, reason="wait") == 1
    assert world.queue.release(one) == 1
    assert world.leases.claim(second, WHOLE).jobs == ()
    assert world.leases.renew(first, [key], fading=timedelta(0)).remove == (key,)
    assert finish(world, first, key, Result(error=Fault(code="removed", message="killed"))) is JobState.IDLE
    assert world.claim_one(second).attempt == 2


def test_a_removed_job_whose_agent_never_answers_is_free_when_the_lease_ends(world: World) -> None:
    world.submit()
    session = world.worker()
    world.claim_one(session)
    one = Selection(cluster=ClusterId(1))
    world.queue.remove(one, reason="")
    world.queue.retry(one)
    assert world.queue.demand() == []
    world.clock.advance(LEASE + timedelta(seconds=1))
    world.queue.expire()
    assert world.queue.demand()[0].jobs == 1
    assert world.records.job(None, JobId.parse("1.0")).lost == 0


def test_what_a_removed_job_brings_is_dropped(world: World) -> None:
    world.submit()
    session = world.worker()
    key = world.claim_one(session)
    world.queue.remove(Selection(cluster=ClusterId(1)), reason="wrong input")
    assert finish(world, session, key) is JobState.REMOVED
    assert world.records.job(None, JobId.parse("1.0")).committed_attempt is None


def test_changing_a_cluster_passes_by_what_is_over_and_a_single_job_says_so(world: World) -> None:
    world.submit(2)
    session = world.worker()
    finish(world, session, world.claim_one(session))
    assert world.queue.hold(Selection(cluster=ClusterId(1)), reason="") == 1
    with pytest.raises(WrongState):
        world.queue.hold(Selection(cluster=ClusterId(1), proc=0), reason="")
    with pytest.raises(WrongState):
        world.queue.retry(Selection(cluster=ClusterId(1), proc=0))
    with pytest.raises(NotFound):
        world.queue.hold(Selection(cluster=ClusterId(7)), reason="")


def test_the_same_idempotency_key_queues_once(world: World) -> None:
    assert world.submit(3, key="k") == world.submit(3, key="k")
    assert len(world.states()) == 3


def test_a_worker_takes_what_fits_and_a_request_for_the_whole_flavor_gets_the_machine(world: World) -> None:
    world.submit(5)
    little_less = Resources(cpus=2, memory_mib=1970, disk_kib=8 * 2**20)
    session = world.worker(whole=little_less)
    assert len(world.leases.claim(session, little_less).jobs) == 2
    other = world.worker("w2", whole=little_less)
    world.submit(resources=WHOLE, priority=5)
    (leased,) = world.leases.claim(other, little_less).jobs
    assert leased.share == little_less


def test_a_claim_whose_reply_was_lost_does_not_overfill_the_machine(world: World) -> None:
    world.submit(5)
    session = world.worker()
    assert len(world.leases.claim(session, WHOLE).jobs) == 2
    assert world.leases.claim(session, WHOLE).jobs == ()


def test_workers_see_only_jobs_of_their_project_image_and_flavor(world: World) -> None:
    other = world.people.add_project("others")
    eve = world.people.add("eve", other, Role.MEMBER)
    world.submit(who=eve, group=Group(other.id, world.group.image, world.group.flavor))
    world.submit(group=world.group._replace(flavor="c1-1gb-5"))
    assert world.leases.claim(world.worker(), WHOLE).jobs == ()


def test_people_take_turns_and_a_persons_own_priority_decides_between_her_jobs(world: World) -> None:
    bob = world.people.add("bob", world.project)
    world.submit(3)
    world.submit(1, priority=9)
    world.submit(2, who=bob)
    session = world.worker(whole=Resources(cpus=4, memory_mib=8192, disk_kib=2**20))
    claimed = world.leases.claim(session, Resources(cpus=4, memory_mib=8192, disk_kib=2**20))
    assert sorted(str(leased.key.job) for leased in claimed.jobs) == ["1.0", "2.0", "3.0", "3.1"]


def test_a_drained_worker_is_told_to_go_and_gets_nothing(world: World) -> None:
    session = world.worker()
    world.queue.drain(session.worker)
    world.submit()
    claimed = world.leases.claim(session, WHOLE)
    assert claimed.retire
    assert not claimed.jobs


def test_goodbye_gives_back_what_the_worker_still_had(world: World) -> None:
    world.submit()
    session = world.worker()
    world.claim_one(session)
    assert world.register.leave(session.worker) == 1
    assert world.state("1.0") == "idle"
    assert world.queue.workers()[0].left


def test_demand_counts_idle_jobs_by_shape(world: World) -> None:
    world.submit(3)
    world.submit(1, resources=WHOLE)
    world.submit(1, on_hold=True)
    (demand,) = world.queue.demand()
    assert demand.jobs == 4
    assert {(shape.resources, shape.jobs) for shape in demand.shapes} == {(SMALL, 3), (WHOLE, 1)}


def test_reusing_a_key_for_another_submit_is_refused(world: World) -> None:
    world.submit(key="k")
    with pytest.raises(Conflict):
        world.submit(key="k", request_hash="another")
