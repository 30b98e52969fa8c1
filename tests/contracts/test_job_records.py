"""What the records of jobs promise, in SQLite and in PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from armillary.base.ids import PersonId, new_hex
from armillary.vospace.job_model import Credential, Job, JobFilter, JobKind, Phase
from armillary.vospace.store import SqlJobRecords, create_all
from outside_engines import ON_BOTH

pytestmark = ON_BOTH

NOW = datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ADA, BOB = PersonId("ada"), PersonId("bob")


@pytest.fixture
def records(database: Engine) -> SqlJobRecords:
    create_all(database)
    return SqlJobRecords(database)


def job(owner: PersonId = ADA, phase: Phase = Phase.QUEUED, late: int = 0, **changes: object) -> Job:
    moment = NOW + late * SECOND
    made = Job(
        id=new_hex(),
        kind=JobKind.DELETE,
        owner_id=owner,
        owner_name=owner,
        phase=phase,
        document="vos://x~y/ä & <b>",
        created_at=moment,
        destroy_at=moment + timedelta(days=1),
        queued_at=moment,
    )
    return replace(made, **changes)  # pyright: ignore[reportArgumentType]


def added(records: SqlJobRecords, *made: Job) -> list[str]:
    for one in made:
        records.add(one)
    return [one.id for one in made]


def test_a_job_comes_back_as_it_went_in(records: SqlJobRecords) -> None:
    whole = job(
        run_id="mine",
        credential=Credential(name="t", is_admin=True, may_write=False),
        duration_seconds=7,
        started_at=NOW,
        ended_at=NOW,
        seen_at=NOW,
        runner="r",
        progress={"done": 2**40},
        results={"a": "b"},
        error="InternalFault - é",
    )
    records.add(whole)
    assert records.job(whole.id) == whole
    assert records.job("nothing") is None


def test_jobs_are_listed_newest_first_and_chosen(records: SqlJobRecords) -> None:
    made = added(records, job(), job(late=1, phase=Phase.ERROR), job(late=2), job(BOB, late=3))
    added(records, job(kind=JobKind.TRANSFER))

    def listed(**wanted: object) -> list[str]:
        chosen = JobFilter(**wanted)  # pyright: ignore[reportArgumentType]
        return [found.id for found in records.jobs(JobKind.DELETE, ADA, chosen)]

    assert listed() == [made[2], made[1], made[0]]
    assert listed(last=2) == [made[2], made[1]]
    assert listed(last=0) == []
    assert listed(phases=frozenset({Phase.ERROR, Phase.ABORTED})) == [made[1]]
    assert listed(after=NOW) == [made[2], made[1]]
    assert records.active(ADA) == 3
    assert records.active(PersonId("nobody")) == 0


def test_a_job_is_written_only_where_it_was_left(records: SqlJobRecords) -> None:
    mine = job(phase=Phase.EXECUTING, runner="r")
    records.add(mine)
    done = replace(mine, phase=Phase.COMPLETED, results={"a": "b"})
    assert not records.update(done, among={Phase.PENDING, Phase.QUEUED})
    assert not records.update(done, among={Phase.EXECUTING}, runner="other")
    assert records.job(mine.id) == mine
    assert records.update(done, among={Phase.EXECUTING}, runner="r")
    assert records.job(mine.id) == done
    assert not records.update(replace(done, id="nothing"), among={Phase.COMPLETED})


def test_the_next_job_is_of_who_has_the_fewest_running(records: SqlJobRecords) -> None:
    made = added(records, job(), job(late=1), job(late=2), job(BOB, late=9), job(phase=Phase.PENDING))
    taken = [records.claim("r", NOW, 2) for _ in range(4)]
    assert [one.id if one else "" for one in taken] == [made[0], made[3], made[1], ""]
    first = taken[0]
    assert first is not None
    assert (first.phase, first.runner, first.seen_at, first.started_at) == (Phase.EXECUTING, "r", NOW, NOW)
    assert records.job(first.id) == first
    records.update(replace(first, phase=Phase.COMPLETED), among={Phase.EXECUTING})
    last = records.claim("r", NOW + SECOND, 2)
    assert last is not None
    assert last.id == made[2]


def test_no_job_is_given_to_two(records: SqlJobRecords) -> None:
    made = added(records, *(job(PersonId(f"p{number}")) for number in range(12)))
    with ThreadPoolExecutor(6) as many:
        taken = list(many.map(lambda number: records.claim(f"r{number}", NOW, 1), range(18)))
    assert sorted(one.id for one in taken if one) == sorted(made)


def test_a_runner_is_dead_when_it_is_silent(records: SqlJobRecords) -> None:
    jobs = [
        job(phase=Phase.EXECUTING, runner=runner, seen_at=seen)
        for runner, seen in (("me", NOW), ("dead", NOW), ("alive", NOW + 20 * SECOND), ("old", None))
    ]
    added(records, *jobs, job())
    now = NOW + 30 * SECOND
    dead = records.beat("me", now, now - 15 * SECOND)
    assert {one.id for one in dead} == {jobs[1].id, jobs[3].id}
    mine = records.job(jobs[0].id)
    assert mine is not None
    assert mine.seen_at == now


def test_jobs_are_forgotten(records: SqlJobRecords) -> None:
    made = added(records, job(), job(late=1), job(late=90_000))
    records.forget(job_id=made[1])
    records.forget(before=NOW + timedelta(days=1, seconds=2))
    assert [records.job(one) is None for one in made] == [True, True, False]
