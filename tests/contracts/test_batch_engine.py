"""The contract of the batch `Engine` port, for every engine.

An engine's bench says how its workers take and end jobs; what a person and the scaler see is tested here.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest
from sqlalchemy import Engine as Database

from armillary.base.clock import VirtualClock
from armillary.base.errors import NotFound
from armillary.base.ids import ClusterId, PersonId, ProjectId, Sha512, WorkerId
from armillary.batch.core.states import Result
from armillary.batch.engines.embedded.leases import Leases
from armillary.batch.engines.embedded.queue import EmbeddedQueue
from armillary.batch.engines.embedded.register import Register
from armillary.batch.model import Group, JobSpec, Resources, Selection, Submission, WrongState
from armillary.batch.ports import Engine
from armillary.batch.store.tables import create_all
from condor_bench import WHOLE, condor_bench

pytestmark = pytest.mark.parametrize(
    ("bench", "records_url"),
    [
        pytest.param("embedded", "sqlite"),
        pytest.param("embedded", "postgresql", marks=pytest.mark.engines),
        pytest.param("htcondor", "sqlite", marks=[pytest.mark.engines, pytest.mark.timeout(300)]),
        pytest.param("htcondor", "postgresql", marks=[pytest.mark.engines, pytest.mark.timeout(300)]),
    ],
    indirect=True,
)

SMALL = Resources(cpus=1, memory_mib=512, disk_kib=1024)
GROUP = Group(ProjectId("p" * 32), Sha512("a" * 128), "c2-2gb-10")


class Bench(Protocol):
    """An engine with workers that a test can move."""

    engine: Engine
    group: Group

    def spec(self, proc: int) -> dict[str, Any]:
        """What a job is to the engine's workers."""
        ...

    def worker_comes(self, name: str) -> None: ...

    def takes(self, worker: str) -> list[str]:
        """The worker takes what fits; returns the jobs' names."""
        ...

    def ends(self, worker: str, job: str, *, exit_code: int) -> None: ...

    def drain_is_known(self, worker: str) -> None:
        """Wait until whoever gives out jobs knows that the worker takes none."""
        ...

    def told_to_go(self, worker: str) -> bool: ...

    def stops_what_it_was_told_to(self, worker: str) -> None: ...


class EmbeddedBench:
    group = GROUP

    def __init__(self, database: Database) -> None:
        self.clock = VirtualClock()
        self.database = database
        create_all(self.database)
        self.engine = EmbeddedQueue(database=self.database, clock=self.clock)
        self.register = Register(database=self.database, clock=self.clock)
        self.leases = Leases(database=self.database, clock=self.clock)
        self.sessions: dict[str, Any] = {}
        self.keys: dict[str, Any] = {}

    def spec(self, proc: int) -> dict[str, Any]:
        return {"executable": "x"}

    def worker_comes(self, name: str) -> None:
        token = self.register.invite(WorkerId(name), GROUP)
        _, key = self.register.register(token, server_id=name, image=GROUP.image, whole=WHOLE, version="1")
        self.sessions[name] = self.register.session(key)

    def takes(self, worker: str) -> list[str]:
        jobs = self.leases.claim(self.sessions[worker], WHOLE).jobs
        self.keys |= {str(leased.key.job): leased.key for leased in jobs}
        return [str(leased.key.job) for leased in jobs]

    def ends(self, worker: str, job: str, *, exit_code: int) -> None:
        result = Result(exit_code=exit_code)
        self.leases.finish(self.sessions[worker], self.keys[job], result, usage={}, brought=[])

    def drain_is_known(self, worker: str) -> None:
        pass  # it is when `drain` returns

    def told_to_go(self, worker: str) -> bool:
        return self.leases.claim(self.sessions[worker], WHOLE).retire

    def stops_what_it_was_told_to(self, worker: str) -> None:
        session = self.sessions[worker]
        for key in self.leases.renew(session, list(self.keys.values()), fading=timedelta(0)).remove:
            self.leases.finish(session, key, Result(signal=15), usage={}, brought=[])


@pytest.fixture
def bench(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> Iterator[Bench]:
    if request.param == "embedded":
        yield EmbeddedBench(database)
        return
    with condor_bench(database, request.getfixturevalue("htcondor_pool"), tmp_path) as made:
        yield made


def submit(bench: Bench, count: int, *, key: str | None = None, **job: Any) -> ClusterId:
    jobs = tuple(JobSpec(proc=n, resources=SMALL, data=bench.spec(n), **job) for n in range(count))
    return bench.engine.submit(
        Submission(
            group=bench.group,
            owner=PersonId("o" * 32),
            owner_name="ada",
            project_name="galaxies",
            image_name="my-snapshot",
            batch_name=None,
            submit_text="",
            jobs=jobs,
            idempotency_key=key,
            request_hash="h",
        )
    )


def states(bench: Bench, cluster: ClusterId) -> dict[str, str]:
    """The state that the changes end in."""
    return {str(e.job): e.state.value for e in bench.engine.changes(after=0, cluster=cluster)}


def waiting(bench: Bench) -> int:
    return sum(demand.jobs for demand in bench.engine.demand())


def test_submitted_jobs_are_demanded_in_their_group(bench: Bench) -> None:
    submit(bench, 3)
    (demand,) = bench.engine.demand()
    assert (demand.group, demand.jobs, demand.shapes[0].resources) == (bench.group, 3, SMALL)


def test_a_submission_is_queued_once_for_its_key(bench: Bench) -> None:
    assert submit(bench, 2, key="k") == submit(bench, 2, key="k")
    assert waiting(bench) == 2


def test_changes_come_in_order_and_go_on_where_they_were_left(bench: Bench) -> None:
    cluster = submit(bench, 1)
    first = bench.engine.changes(after=0, cluster=cluster)
    bench.worker_comes("w1")
    (job,) = bench.takes("w1")
    bench.ends("w1", job, exit_code=0)
    rest = bench.engine.changes(after=first[-1].seq, cluster=cluster)
    assert [e.state.value for e in first] == ["idle"]
    assert rest[-1].state.value == "completed"
    assert [e.seq for e in rest] == sorted({e.seq for e in rest})


def test_held_jobs_wait_until_released(bench: Bench) -> None:
    cluster = submit(bench, 2)
    assert bench.engine.hold(Selection(cluster=cluster), reason="wait") == 2
    assert waiting(bench) == 0
    assert bench.engine.hold(Selection(cluster=cluster), reason="wait") == 0
    assert bench.engine.release(Selection(cluster=cluster, proc=0)) == 1
    assert waiting(bench) == 1


def test_a_job_submitted_on_hold_is_not_demanded(bench: Bench) -> None:
    submit(bench, 1, on_hold=True)
    assert waiting(bench) == 0


def test_a_stopped_job_is_demanded_again_only_after_it_has_stopped(bench: Bench) -> None:
    cluster = submit(bench, 1)
    bench.worker_comes("w1")
    bench.takes("w1")
    bench.engine.hold(Selection(cluster=cluster), reason="")
    bench.engine.release(Selection(cluster=cluster))
    assert waiting(bench) == 0
    bench.stops_what_it_was_told_to("w1")
    assert waiting(bench) == 1


def test_removed_jobs_are_over_and_may_be_retried(bench: Bench) -> None:
    cluster = submit(bench, 1)
    assert bench.engine.remove(Selection(cluster=cluster, proc=0), reason="wrong") == 1
    assert states(bench, cluster) == {f"{cluster}.0": "removed"}
    with pytest.raises(WrongState):
        bench.engine.release(Selection(cluster=cluster, proc=0))
    assert bench.engine.retry(Selection(cluster=cluster)) == 1
    assert waiting(bench) == 1


def test_a_failed_job_may_be_retried_and_a_good_one_not(bench: Bench) -> None:
    cluster = submit(bench, 2)
    bench.worker_comes("w1")
    good, bad = bench.takes("w1")
    bench.ends("w1", good, exit_code=0)
    bench.ends("w1", bad, exit_code=2)
    assert bench.engine.retry(Selection(cluster=cluster)) == 1
    with pytest.raises(WrongState):
        bench.engine.retry(Selection(cluster=cluster, proc=0))


def test_what_is_not_there_cannot_be_changed(bench: Bench) -> None:
    for act in (bench.engine.release, bench.engine.retry):
        with pytest.raises(NotFound):
            act(Selection(cluster=ClusterId(99)))


def test_workers_tell_what_is_free_and_since_when_they_are_idle(bench: Bench) -> None:
    submit(bench, 1)
    bench.worker_comes("w1")
    assert bench.engine.workers()[0].idle_since is not None
    (job,) = bench.takes("w1")
    (report,) = bench.engine.workers()
    assert (report.jobs, report.free.cpus, report.idle_since) == (1, 1, None)
    bench.ends("w1", job, exit_code=0)
    assert bench.engine.workers()[0].idle_since is not None


def test_a_drained_worker_ends_its_jobs_and_goes(bench: Bench) -> None:
    submit(bench, 3)
    bench.worker_comes("w1")
    first, second = bench.takes("w1")
    bench.engine.drain(WorkerId("w1"))
    bench.engine.drain(WorkerId("w1"))
    bench.drain_is_known("w1")
    for job in (first, second):
        bench.ends("w1", job, exit_code=0)
    assert bench.told_to_go("w1")
    assert waiting(bench) == 1, bench.engine.changes(after=0)


def test_a_lost_workers_jobs_are_demanded_at_once(bench: Bench) -> None:
    submit(bench, 2)
    bench.worker_comes("w1")
    bench.takes("w1")
    assert waiting(bench) == 0
    assert bench.engine.lost(WorkerId("w1"), "its server is gone") == 2
    assert bench.engine.lost(WorkerId("w1"), "its server is gone") == 0
    assert bench.engine.lost(WorkerId("unknown"), "x") == 0
    assert waiting(bench) == 2
    assert bench.engine.workers() == []
