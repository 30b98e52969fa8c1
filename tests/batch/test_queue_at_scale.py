"""A long queue costs no more than a short one: nothing that is asked all the time looks at the jobs that wait."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from batch_world import SMALL, WHOLE, World
from sqlalchemy import Engine, event

from armillary.base.ids import ClusterId
from armillary.batch.core.shared import SharedSpec
from armillary.batch.core.states import Result
from armillary.batch.engines.embedded.leases import Leases
from armillary.batch.engines.embedded.terms import Terms
from armillary.batch.model import JobId, JobSpec, Resources, Selection, Submission, Wishes
from armillary.batch.store.shapes import recount
from outside_engines import ON_BOTH


def submission(world: World, jobs: list[JobSpec], **wishes: Any) -> Submission:
    return Submission(
        group=world.group,
        owner=world.ada.person.id,
        owner_name="ada",
        project_name="galaxies",
        image_name="my-snapshot",
        batch_name="$(Cluster)",
        submit_text="queue",
        jobs=tuple(jobs),
        wishes=Wishes(**wishes),
    )


def specs(count: int, **fields: Any) -> list[JobSpec]:
    common = {"executable": "run.sh", **fields}
    return [
        JobSpec(
            proc=n, resources=SMALL, data=SharedSpec(common, {"proc": n, "arguments": [f"$(Cluster)-{n}"]})
        )
        for n in range(count)
    ]


def plans(engine: Engine, work: Any) -> list[str]:
    """Return how SQLite goes about each statement of some work."""
    asked: list[tuple[str, Any]] = []

    def listen(connection: Any) -> None:
        connection.set_trace_callback(lambda text: asked.append((text, None)))

    event.listen(engine, "checkout", lambda connection, *_: listen(connection))
    work()
    found: list[str] = []
    with engine.execution_options(readonly=True).connect() as db:
        db.connection.driver_connection.set_trace_callback(None)
        for text, _ in list(asked):
            if text.startswith(("SELECT", "UPDATE", "INSERT", "WITH")):
                found += [row[-1] for row in db.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
    return found


def test_claims_ends_and_demand_never_read_through_the_jobs(world: World) -> None:
    world.queue.submit(submission(world, specs(50)))
    session = world.worker()

    def work() -> None:
        key = world.claim_one(session)
        world.leases.finish(session, key, Result(exit_code=0), usage={}, brought=[], then=SMALL)
        world.queue.demand()
        world.records.clusters(None, limit=10)
        world.records.active(ClusterId(1))

    steps = plans(world.database, work)
    assert [step for step in steps if step.startswith("SCAN batch_jobs")] == []
    assert any("batch_jobs_waiting" in step for step in steps)
    assert any("batch_shapes_waiting" in step for step in steps)


def test_claims_and_ends_never_read_through_the_attempts_that_have_ended(world: World) -> None:
    world.queue.submit(submission(world, specs(3)))
    session = world.worker()
    claimed = world.agents.claim(session, SMALL)

    def work() -> None:
        key = claimed.jobs[0].leased.key
        _, following = world.agents.finish(
            session, key, Result(exit_code=0), usage={}, outputs=[], then=SMALL
        )
        before, now = claimed.jobs[0].credential, following.jobs[0].credential
        assert before and now
        assert now.reference == before.reference  # handed on
        world.leases.spent_credentials()

    of_all_ended = "SEARCH batch_attempts USING INDEX batch_attempts_live (live=?)"
    steps = [step for step in plans(world.database, work) if " batch_attempts" in step]
    assert [step for step in steps if step == of_all_ended or step.startswith("SCAN")] == []
    assert any("batch_attempts_by_credential" in step for step in steps)


def test_what_jobs_share_is_kept_once_and_read_whole(world: World) -> None:
    cluster = world.queue.submit(submission(world, specs(3, environment={"A": "$(Cluster)"})))
    with world.database.connect() as db:
        kept = db.exec_driver_sql("SELECT spec FROM batch_jobs WHERE proc = 2").scalar_one()
    assert kept == f'{{"proc": 2, "arguments": ["{cluster}-2"]}}'
    detail = world.records.job(None, JobId(ClusterId(cluster), 2))
    assert detail.spec == {
        "executable": "run.sh",
        "environment": {"A": str(cluster)},
        "proc": 2,
        "arguments": [f"{cluster}-2"],
    }
    (leased,) = world.leases.claim(world.worker(), SMALL).jobs
    assert leased.spec["arguments"] == [f"{cluster}-0"]


@ON_BOTH
def test_counts_stay_true_through_everything_that_happens_to_jobs(world: World) -> None:
    first = world.submit(6)
    world.submit(2, on_hold=True)
    session = world.worker(whole=replace(WHOLE, cpus=4, memory_mib=8192))
    a, b, c, _ = (
        leased.key
        for leased in world.leases.claim(session, Resources(cpus=4, memory_mib=8192, disk_kib=2**20)).jobs
    )
    world.leases.finish(session, a, Result(exit_code=0), usage={}, brought=[])
    world.leases.finish(session, b, Result(exit_code=1), usage={}, brought=[])
    world.queue.prioritize(Selection(cluster=ClusterId(first)), 5)
    world.queue.hold(Selection(cluster=ClusterId(first)), reason="")
    world.leases.finish(session, c, Result(signal=15), usage={}, brought=[])
    world.queue.release(Selection(owner=world.ada.person.id))
    world.queue.retry(Selection(cluster=ClusterId(first), failed=True))
    world.queue.remove(Selection(cluster=ClusterId(first), proc=5), reason="")
    world.queue.lost(session.worker, "gone")
    with world.database.connect() as db:
        assert recount(db) == 0
    counted = world.records.cluster(None, ClusterId(first)).states
    assert counted == {"idle": 4, "completed": 1, "removed": 1}
    assert sum(demand.jobs for demand in world.queue.demand()) == 6


@ON_BOTH
def test_at_most_so_many_jobs_of_a_submit_are_on_workers(world: World) -> None:
    world.queue.submit(submission(world, specs(5), max_materialize=1))
    assert [demand.jobs for demand in world.queue.demand()] == [1]
    session = world.worker()
    (leased,) = world.leases.claim(session, WHOLE).jobs
    assert world.queue.demand() == []
    assert world.leases.claim(session, SMALL).jobs == ()
    finished = world.leases.finish(session, leased.key, Result(exit_code=0), usage={}, brought=[], then=SMALL)
    assert [job.key.job.proc for job in finished.claimed.jobs] == [1]


@ON_BOTH
def test_at_most_so_many_idle_jobs_of_a_submit_ask_for_workers(world: World) -> None:
    world.queue.submit(submission(world, specs(5), max_idle=2))
    world.queue.submit(submission(world, specs(4), max_idle=3, max_materialize=1))
    world.queue.submit(submission(world, specs(6)))
    assert [demand.jobs for demand in world.queue.demand()] == [2 + 1 + 6]
    world.leases.claim(world.worker(whole=replace(WHOLE, cpus=4, memory_mib=8192)), WHOLE)
    assert [demand.jobs for demand in world.queue.demand()] == [
        2 + 1 + 6
    ]  # of the first submit, three are left


@pytest.mark.parametrize("name", ["IDL", "idl"])
def test_a_concurrency_limit_holds_for_all_jobs_together(world: World, name: str) -> None:
    world.terms = Terms(poll=world.terms.poll, limits={"idl": 1})
    world.restart()
    world.queue.submit(submission(world, specs(3, concurrency_limits={name: 1.0})))
    world.queue.submit(submission(world, specs(1, concurrency_limits={"free": 9.0})))
    assert [demand.jobs for demand in world.queue.demand()] == [2]
    taken = world.leases.claim(world.worker(whole=replace(WHOLE, cpus=4, memory_mib=8192)), WHOLE).jobs
    assert sorted(leased.key.job.cluster for leased in taken) == [1, 2]


def test_jobs_go_only_where_they_want_to(world: World) -> None:
    world.queue.submit(
        submission(world, specs(1, requirements='CloudName == "east"', attributes={"Foo": "1"}))
    )
    (demand,) = world.queue.demand()
    assert demand.shapes[0].wants == ('CloudName == "east"', "", "")
    choosy = Leases(
        database=world.database,
        clock=world.clock,
        terms=world.terms,
        accepts=lambda wants, _asked, session: session.worker == "east" and bool(wants.requirements),
    )
    assert choosy.claim(world.worker("west"), WHOLE).jobs == ()
    assert len(choosy.claim(world.worker("east"), WHOLE).jobs) == 1


def test_a_person_who_has_used_much_waits_for_one_who_has_not(world: World) -> None:
    bea = world.people.add("bea", world.project)
    world.submit(4)
    world.submit(4, who=bea)
    session = world.worker(whole=replace(WHOLE, cpus=1))
    first = world.claim_one(session)
    for _ in range(3):
        world.later(50)
        world.leases.renew(session, [first], fading=world.terms.poll)
    world.leases.finish(session, first, Result(exit_code=0), usage={}, brought=[])
    following = world.claim_one(session)
    assert (first.job.cluster, following.job.cluster) == (1, 2)
    assert world.queue.demand()[0].used == pytest.approx(150, rel=0.01)


def test_a_job_that_may_take_any_flavor_waits_for_a_large_enough_machine(world: World) -> None:
    any_flavor = world.group._replace(flavor="auto")
    world.submit(1, group=any_flavor, resources=replace(SMALL, cpus=4))
    world.submit(1, resources=replace(SMALL, cpus=4))
    assert world.leases.claim(world.worker("small", group=any_flavor), WHOLE).jobs == ()
    assert len(world.leases.claim(world.worker("named"), WHOLE).jobs) == 1
