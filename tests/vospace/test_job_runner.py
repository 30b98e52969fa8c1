"""Jobs behind the requests: fair, durable, and ended when somebody wants it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta

import pytest
from uws_talk import ended_here

from armillary.accounts.model import Principal
from armillary.base.bell import Bell
from armillary.base.clock import VirtualClock
from armillary.base.errors import Forbidden
from armillary.vospace.job_model import Job, JobFilter, JobKind, Phase
from armillary.vospace.service import JobService
from armillary.vospace.service.runner import JobRunner, Running
from armillary.vospace.store import SqlJobRecords

LONG = timedelta(minutes=1)
MOST = 20


class Gate:
    """Work that goes on step by step, when it is let."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)
        self.steps = 3

    def run(self, running: Running) -> Mapping[str, str]:
        for number in range(self.steps):
            self.begun.release()
            assert self.go_on.acquire(timeout=20)
            running.step({"done": number + 1})
        return {"made": str(self.steps)}

    def counted(self, job: Job) -> Mapping[str, str]:
        return {"counted": str(dict(job.progress))}


@pytest.fixture
def gate() -> Gate:
    return Gate()


NewService = Callable[[], JobService]


@pytest.fixture
def process(job_records: SqlJobRecords, clock: VirtualClock, gate: Gate) -> Iterator[NewService]:
    """Starts a process of its own, with two workers, on the shared records."""
    made: list[JobService] = []

    def start() -> JobService:
        runner = JobRunner(records=job_records, clock=clock, bell=Bell(), work=gate, workers=2, each=2)
        made.append(JobService(records=job_records, clock=clock, runner=runner, each=MOST))
        return made[-1]

    yield start
    gate.go_on.release(1000)
    for service in made:
        service.close()


def queued(service: JobService, who: Principal, kind: JobKind = JobKind.DELETE) -> Job:
    return service.create(who, kind, "vos://x", run=True)


def test_workers_take_turns_between_people(
    job_records: SqlJobRecords, clock: VirtualClock, process: NewService, ada: Principal, bob: Principal
) -> None:
    idle = process()
    idle.close()  # nobody runs anything: the records alone decide
    mine: list[Job] = []
    for _ in range(3):
        mine.append(queued(idle, ada))
        clock.advance(timedelta(seconds=1))
    his = queued(idle, bob)
    taken = [job_records.claim("r", clock.now(), 2) for _ in range(4)]
    assert [job.id if job else None for job in taken] == [mine[0].id, his.id, mine[1].id, None]


def test_a_job_is_executed_by_one_of_many(
    job_records: SqlJobRecords, clock: VirtualClock, process: NewService, ada: Principal
) -> None:
    service = process()
    service.close()
    job = queued(service, ada)
    taken: list[Job | None] = []
    threads = [
        threading.Thread(target=lambda name=name: taken.append(job_records.claim(name, clock.now(), 2)))
        for name in "abcdefgh"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found.id for found in taken if found] == [job.id]


def test_a_job_shows_its_progress_and_ends(
    job_records: SqlJobRecords, process: NewService, ada: Principal, gate: Gate
) -> None:
    service = process()
    job = queued(service, ada)
    stepped(gate)
    assert gate.begun.acquire(timeout=20)
    running = service.job(ada, JobKind.DELETE, job.id)
    assert (running.phase, running.progress) == (Phase.EXECUTING, {"done": 1})
    gate.go_on.release()
    stepped(gate)
    ended = ended_here(service, ada, job)
    assert (ended.phase, ended.results) == (Phase.COMPLETED, {"made": "3"})
    assert ended.started_at is not None
    assert ended.ended_at is not None


def test_a_job_that_runs_is_aborted_at_its_next_step_and_says_what_it_has_done(
    process: NewService, ada: Principal, gate: Gate
) -> None:
    service = process()
    job = queued(service, ada)
    stepped(gate)
    assert gate.begun.acquire(timeout=20)
    assert service.abort(ada, JobKind.DELETE, job.id).phase is Phase.ABORTED
    gate.go_on.release()
    ended = ended_here(service, ada, job)
    assert (ended.phase, ended.results) == (Phase.ABORTED, {"counted": "{'done': 1}"})
    assert not gate.begun.acquire(blocking=False)


def test_a_job_is_aborted_from_another_process(process: NewService, ada: Principal, gate: Gate) -> None:
    here, there = process(), process()
    job = queued(here, ada)
    assert gate.begun.acquire(timeout=20)
    there.abort(ada, JobKind.DELETE, job.id)
    gate.go_on.release()
    assert ended_here(here, ada, job).phase is Phase.ABORTED
    assert not gate.begun.acquire(blocking=False)


def test_a_job_that_is_deleted_stops(process: NewService, ada: Principal, gate: Gate) -> None:
    service = process()
    job = queued(service, ada)
    assert gate.begun.acquire(timeout=20)
    service.delete(ada, JobKind.DELETE, job.id)
    gate.go_on.release()
    service.close()
    assert service.find(job.id) is None
    assert not gate.begun.acquire(blocking=False)


def test_a_job_that_was_killed_goes_on_in_another_process(
    job_records: SqlJobRecords, clock: VirtualClock, process: NewService, ada: Principal, gate: Gate
) -> None:
    dead = process()
    dead.close()
    job = queued(dead, ada)
    assert job_records.claim("killed", clock.now(), 2)
    other = process()
    other.tick()
    assert other.job(ada, JobKind.DELETE, job.id).runner == "killed"
    clock.advance(LONG)
    other.tick()
    gate.go_on.release(3)
    for _ in range(3):
        assert gate.begun.acquire(timeout=20)
    assert ended_here(other, ada, job).phase is Phase.COMPLETED


def test_a_transfer_that_was_killed_ends(
    job_records: SqlJobRecords, clock: VirtualClock, process: NewService, ada: Principal
) -> None:
    dead = process()
    dead.close()
    job = queued(dead, ada, JobKind.TRANSFER)
    assert job_records.claim("killed", clock.now(), 2)
    clock.advance(LONG)
    other = process()
    other.tick()
    ended = other.job(ada, JobKind.TRANSFER, job.id)
    assert ended.phase is Phase.ERROR
    assert ended.error.startswith("TransferFailed - The service was stopped")


def test_who_runs_a_job_that_was_taken_over_writes_nothing_more(
    clock: VirtualClock, process: NewService, ada: Principal, gate: Gate
) -> None:
    hung = process()
    job = queued(hung, ada)
    assert gate.begun.acquire(timeout=20)
    clock.advance(LONG)  # it says nothing all the while
    other = process()
    other.tick()
    assert gate.begun.acquire(timeout=20)  # the other one has begun anew
    gate.go_on.release(2)
    assert gate.begun.acquire(timeout=20)
    gate.go_on.release(2)
    ended = ended_here(other, ada, job)
    assert (ended.phase, ended.results) == (Phase.COMPLETED, {"made": "3"})


def test_a_process_that_lives_keeps_its_jobs(
    clock: VirtualClock, process: NewService, ada: Principal, gate: Gate
) -> None:
    busy, other = process(), process()
    job = queued(busy, ada)
    assert gate.begun.acquire(timeout=20)
    for _ in range(4):
        clock.advance(timedelta(seconds=20))
        busy.tick()
        other.tick()
    assert busy.job(ada, JobKind.DELETE, job.id).phase is Phase.EXECUTING
    assert not gate.begun.acquire(blocking=False)


def test_a_job_that_waited_at_a_stop_runs_after_the_start(
    process: NewService, ada: Principal, gate: Gate
) -> None:
    stopped = process()
    stopped.close()
    job = queued(stopped, ada)
    gate.go_on.release(3)
    started = process()
    started.tick()
    for _ in range(3):
        assert gate.begun.acquire(timeout=20)
    assert ended_here(started, ada, job).phase is Phase.COMPLETED


def test_a_stop_puts_down_what_can_go_on_later(
    process: NewService, ada: Principal, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = process()
    job = queued(service, ada)
    stepped(gate)
    assert gate.begun.acquire(timeout=20)
    told = threading.Event()
    stopping = Running.stop

    def stop(running: Running) -> None:
        stopping(running)
        told.set()

    monkeypatch.setattr(Running, "stop", stop)
    closing = threading.Thread(target=service.close)
    closing.start()
    assert told.wait(60)
    gate.go_on.release()
    closing.join()
    put_down = service.find(job.id)
    assert put_down is not None
    assert (put_down.phase, put_down.progress) == (Phase.QUEUED, {"done": 1})


def test_a_job_that_takes_too_long_ends(
    clock: VirtualClock, process: NewService, ada: Principal, gate: Gate
) -> None:
    service = process()
    job = service.create(ada, JobKind.DELETE, "vos://x")
    service.set_duration(ada, JobKind.DELETE, job.id, 10)
    service.start(ada, JobKind.DELETE, job.id)
    assert gate.begun.acquire(timeout=20)
    clock.advance(timedelta(seconds=11))
    gate.go_on.release()
    ended = ended_here(service, ada, job)
    assert ended.phase is Phase.ERROR
    assert "10 s that it may" in ended.error


def test_more_jobs_than_workers_all_run(
    process: NewService, ada: Principal, bob: Principal, gate: Gate
) -> None:
    gate.go_on.release(1000)
    service = process()
    made = [(who, queued(service, who)) for _ in range(6) for who in (ada, bob)]
    for _ in range(36):
        assert gate.begun.acquire(timeout=20)
    ended = [ended_here(service, who, job) for who, job in made]
    assert {job.phase for job in ended} == {Phase.COMPLETED}


def test_nobody_has_jobs_without_end(
    process: NewService, job_records: SqlJobRecords, ada: Principal, bob: Principal
) -> None:
    service = process()
    for _ in range(MOST):
        service.create(ada, JobKind.DELETE, "vos://x")
    with pytest.raises(Forbidden) as refusal:
        service.create(ada, JobKind.TRANSFER, "")
    assert refusal.value.code == "too_many_jobs"
    service.create(bob, JobKind.DELETE, "vos://x")
    assert len(service.jobs(ada, JobKind.DELETE, JobFilter(last=5))) == 5


def stepped(gate: Gate) -> None:
    """Let the work take one step."""
    assert gate.begun.acquire(timeout=20)
    gate.go_on.release()
