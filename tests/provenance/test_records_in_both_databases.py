"""The clerk and what it keeps, in SQLite and in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier

import pytest
from recorded_world import Killed, World
from test_crates_of_jobs import crates_of

from armillary.accounts.model import Principal
from armillary.base.ids import ClusterId
from armillary.batch.model import JobId, Selection
from armillary.provenance.exporting import Target
from armillary.provenance.import_store import ImportStore
from armillary.provenance.model import Verdict
from outside_engines import ON_BOTH

pytestmark = ON_BOTH


@pytest.fixture
def world(records_url: str, tmp_path: Path) -> Iterator[World]:
    made = World(folder=tmp_path, url=records_url)
    yield made
    made.close()


def test_jobs_are_written_down_found_by_what_they_made_and_signed(world: World) -> None:
    world.write(world.ada, "/home/ada/in é", b"input")

    def act(who: Principal) -> None:
        world.read(who, "/home/ada/in é")
        world.read(who, "/home/ada/in é")
        world.write(who, "/home/ada/out", b"made")
        world.space.move(who, "/home/ada/out", "/home/ada/kept")

    world.submit(3)
    session = world.worker()
    done = world.run(session, act, files={"dir/é.txt": b"brought"})
    world.run(session, exit_code=3)
    world.remove(world.run(session, fault="its disk was full"))
    assert world.clerk.tick() == 3
    assert world.clerk.tick() == 0
    signed, cluster = world.provenance.record(world.ada, done)
    assert world.provenance.is_signed(signed) and world.provenance.is_signed(cluster)
    assert [(one.action, one.count) for one in signed.record.accesses][:1] == [("read", 2)]
    assert all(one.sha256 for one in signed.record.accesses if one.action != "delete")
    why = world.provenance.why(world.ada, "/home/ada/kept")
    assert (why.verdict, why.makers[0].job) == (Verdict.MADE, str(done))
    assert len(world.provenance.job_records(world.ada, ClusterId(done.cluster))) == 3
    assert world.space.witness.of_jobs([f"{done}.1"]) == []


def test_attempts_that_lost_their_machines_and_jobs_that_are_tried_again_are_told(world: World) -> None:
    world.submit()
    first = world.worker()
    [claimed] = world.agents.claim(first, first.whole).jobs
    assert claimed.credential
    world.write(world.by_certificate(claimed.credential), "/home/ada/partial", b"half")
    world.queue.lost(first.worker, "its cloud took it away")
    job = world.run(world.worker(), exit_code=1)
    world.clerk.tick()
    world.queue.retry(Selection(cluster=job.cluster, proc=0))
    world.run(world.worker())
    world.clerk.tick()
    failed, newest = world.store.job(job, 2), world.store.job(job)
    assert failed and newest
    assert [one.number for one in failed.record.earlier] == [1]
    assert [one.attempt for one in failed.record.accesses] == [1]
    assert (newest.attempt, [one.number for one in newest.record.earlier]) == (3, [1, 2])


def test_two_clerks_at_once_and_one_that_is_killed_write_each_job_once(world: World) -> None:
    world.submit(6)
    session = world.worker()
    for _ in range(6):
        job = world.run(session, lambda who: world.write(who, "/home/ada/out", b"made"))
    world.store.dies = True
    with pytest.raises(Killed):
        world.clerk.tick()
    lost = {one.signed.job: one.signed.document for one in world.store.last}
    world.restart()
    one = world.clerk
    world.restart()
    with ThreadPoolExecutor(2) as both:
        list(both.map(lambda clerk: clerk.tick(), [one, world.clerk]))
    kept = world.provenance.job_records(world.ada, ClusterId(job.cluster))
    assert {signed.job: signed.document for signed in kept} == lost
    assert world.store.makers(kept[0].record.writes[0].sha256 or "", limit=10) == [
        JobId(ClusterId(job.cluster), proc) for proc in (5, 4, 3, 2, 1, 0)
    ]


def test_the_same_that_is_imported_many_times_at_once_is_one_import(world: World) -> None:
    world.submit()
    job = world.run(world.worker(), lambda _who: None)
    crate = crates_of(world).exports.crate(world.ada, Target(cluster=job.cluster))
    store, begin, now = ImportStore(database=world.database), Barrier(8), datetime.now(UTC)

    def take(_: int) -> int:
        begin.wait(30)
        return store.add("ada", crate, now)

    with ThreadPoolExecutor(8) as pool:
        (number,) = set(pool.map(take, range(8)))
    assert store.add("eve", crate, now) != number
    assert [(one.number, one.jobs) for one in store.of("ada", limit=9)] == [(number, 1)]
