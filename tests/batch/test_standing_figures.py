"""How the records stand, for Prometheus: from small tables, whatever number of jobs there is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from batch_world import World

from armillary.app.metrics.standing import Standing
from armillary.base.ids import ClusterId
from armillary.batch.core.states import Result
from armillary.batch.model import JobId, Selection
from armillary.provenance import gaps
from armillary.provenance.model import Gap
from outside_engines import ON_BOTH

Key = tuple[str, tuple[str, ...]]


@pytest.fixture(autouse=True)
def unrecorded(world: World) -> None:
    """The table of jobs without records, which batch does not make."""
    gaps.metadata.create_all(world.database)


def figures(world: World, *, seconds: float = 0) -> dict[Key, float]:
    return read(Standing(database=world.database, clock=world.clock, seconds=seconds))


def read(standing: Standing) -> dict[Key, float]:
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for metric in standing.collect()
        for sample in metric.samples
    }


@ON_BOTH
def test_jobs_are_counted_by_state_and_the_oldest_wait_is_known(world: World) -> None:
    world.submit(3)
    world.later(100)
    world.submit(2, on_hold=True)
    session = world.worker()
    key = world.claim_one(session)
    found = figures(world)
    assert found["armillary_jobs", ("idle",)] == 2
    assert found["armillary_jobs", ("claimed",)] == 1
    assert found["armillary_jobs", ("held",)] == 2
    assert found["armillary_jobs", ("completed",)] == 0
    assert found["armillary_queue_jobs", ()] == 2
    assert found["armillary_queue_oldest_seconds", ()] == 100
    world.leases.finish(session, key, Result(exit_code=0), usage={}, brought=[])
    world.queue.remove(Selection(cluster=ClusterId(1)), reason="")
    found = figures(world)
    assert (found["armillary_jobs", ("completed",)], found["armillary_jobs", ("removed",)]) == (1, 2)
    assert found["armillary_queue_oldest_seconds", ()] == 0


def test_workers_are_counted_by_cloud_and_state(world: World) -> None:
    world.submit(1)
    world.scaler.tick()
    world.scaler.tick()
    found = {key: count for key, count in figures(world).items() if key[0] == "armillary_workers"}
    assert sum(found.values()) == 1
    ((_, (cloud, state)),) = found
    assert cloud in {"east", "west"}
    assert state in {"planned", "booting"}


@ON_BOTH
def test_jobs_of_which_no_record_can_be_made_are_counted(world: World) -> None:
    assert figures(world)["armillary_jobs_unrecorded", ()] == 0
    gap = Gap(job=JobId(ClusterId(1), 0), attempt=1, reason="", at=world.clock.now())
    with world.database.begin() as db:
        gaps.keep(db, [gap, replace(gap, job=JobId(ClusterId(1), 1))])
    assert figures(world)["armillary_jobs_unrecorded", ()] == 2


@ON_BOTH
def test_the_size_of_the_records_is_known(world: World) -> None:
    assert figures(world)["armillary_database_bytes", ()] > 10_000


def test_many_readers_cost_one_look(world: World) -> None:
    world.submit(1)
    standing = Standing(database=world.database, clock=world.clock, seconds=3600)
    assert read(standing)["armillary_queue_jobs", ()] == 1
    world.submit(1)
    assert read(standing)["armillary_queue_jobs", ()] == 1
    assert figures(world)["armillary_queue_jobs", ()] == 2


@pytest.mark.parametrize("jobs", [1, 400])
def test_a_look_reads_no_jobs(world: World, jobs: int) -> None:
    world.submit(jobs)
    asked: list[str] = []
    from sqlalchemy import event

    def note(*args: object) -> None:
        asked.append(str(args[2]))

    event.listen(world.database, "before_cursor_execute", note)
    figures(world)
    event.remove(world.database, "before_cursor_execute", note)
    assert asked
    assert not any("batch_jobs" in statement or "batch_attempts" in statement for statement in asked)
