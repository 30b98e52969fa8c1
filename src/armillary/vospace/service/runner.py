"""Runs jobs behind the requests: a bounded number of workers, fair between people.

Every job is in the records before anybody hears of it, with who runs it and when that was last heard. A process
that is killed falls silent; another one, or the next, takes its jobs over. Whoever has lost a job learns it at
the next step, because the record is no longer its own, and stops without writing.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from armillary.base.bell import Bell
from armillary.base.clock import Clock
from armillary.base.errors import ArmillaryError, Unavailable
from armillary.base.ids import new_hex
from armillary.vospace.core.faults import fault_text, representation
from armillary.vospace.job_model import Job, JobKind, Phase
from armillary.vospace.job_ports import JobRecords

SILENCE = timedelta(seconds=30)
"""A runner that is not heard for this long is taken for dead."""
RESUMED = frozenset({JobKind.DELETE, JobKind.PROPERTIES})
"""Kinds that go on where they were: each of their steps can be done twice. Of a transfer nobody knows how far it
came, and the standard allows an endpoint to be used once."""

log = logging.getLogger("armillary")


class Stopped(Exception):
    """The job is not to go on."""


class Work(Protocol):
    """What jobs do."""

    def run(self, running: Running) -> Mapping[str, str]:
        """Do a job and return its results. Calls `running.step` now and then, at most some seconds apart."""
        ...

    def counted(self, job: Job) -> Mapping[str, str]:
        """Return the results of a job that was ended before it was done."""
        ...


class Running:
    """A job in the hands of a worker."""

    def __init__(self, *, job: Job, records: JobRecords, clock: Clock) -> None:
        """Follow a job that was claimed."""
        self.job = job
        self._records = records
        self._clock = clock
        self._stop = threading.Event()
        self._looked_at = clock.now()

    def stop(self) -> None:
        """Let the next step end the job. Callable from any thread."""
        self._stop.set()

    def note(self, **progress: int) -> None:
        """Say that the job goes on; cheap enough for every chunk of bytes. The same exceptions as `step`."""
        if self._stop.is_set():
            raise Stopped
        if self._clock.now() - self._looked_at >= timedelta(seconds=1):
            self.step(progress)

    def step(self, progress: Mapping[str, int]) -> None:
        """Note how far the job is.

        Raises:
            Stopped: it must not go on.
            Unavailable: it has taken longer than it may (code `job_timeout`).
        """
        if self._stop.is_set():
            raise Stopped
        self._looked_at = now = self._clock.now()
        self.job = replace(self.job, progress=dict(progress), seen_at=now)
        if not self._records.update(self.job, among={Phase.EXECUTING}, runner=self.job.runner):
            raise Stopped
        assert self.job.started_at is not None, "claimed jobs have started"
        limit = self.job.duration_seconds
        if limit and now - self.job.started_at >= timedelta(seconds=limit):
            raise Unavailable(
                f"The job has run for the {limit} s that it may.",
                code="job_timeout",
                facts={"seconds": limit},
                remedy="Make a new one with a longer EXECUTIONDURATION.",
            )


class JobRunner:
    """The workers of this process."""

    def __init__(
        self, *, records: JobRecords, clock: Clock, bell: Bell, work: Work, workers: int = 4, each: int = 2
    ) -> None:
        """Run at most `workers` jobs at a time, of one person at most `each` over all processes."""
        self.name = new_hex()
        self.bell = bell
        self._records = records
        self._clock = clock
        self._work = work
        self._workers = workers
        self._each = each
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="vospace-job")
        self._lock = threading.Lock()
        self._active = 0
        self._look_again = False
        self._running: dict[str, Running] = {}
        self._closed = False

    def wake(self) -> None:
        """Look for queued jobs, in a worker. Returns at once."""
        with self._lock:
            if self._closed:
                return
            if self._active >= self._workers:
                self._look_again = True
                return
            self._active += 1
            self._pool.submit(self._drain)

    def stop(self, job_id: str) -> None:
        """Let a job that runs here end at its next step."""
        with self._lock:
            running = self._running.get(job_id)
        if running is not None:
            running.stop()

    def tick(self) -> None:
        """Keep the promises: say that we live, take over from the dead, forget what is over, start what waits."""
        now = self._clock.now()
        for job in self._records.beat(self.name, now, now - SILENCE):
            self._take_over(job)
        self._records.forget(before=now)
        for _ in range(self._workers):
            self.wake()

    def close(self) -> None:
        """Stop. Jobs that can go on later are queued again; the others end."""
        with self._lock:
            self._closed = True
            running = list(self._running.values())
        for job in running:
            job.stop()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _drain(self) -> None:
        while True:
            found = False
            try:
                job = self._records.claim(self.name, self._clock.now(), self._each)
                if job is not None:
                    found = True
                    self._execute(job)
            except Exception:  # the records may be out of reach for a while: the next tick begins anew
                log.exception("cannot run jobs")
                found = False
            with self._lock:
                # a job that was queued while all workers were about to leave woke nobody
                if (found or self._look_again) and not self._closed:
                    self._look_again = False
                    continue
                self._active -= 1
                return

    def _execute(self, job: Job) -> None:
        running = Running(job=job, records=self._records, clock=self._clock)
        with self._lock:
            self._running[job.id] = running
        try:
            if self._closed:
                running.stop()
            self._end(running, Phase.COMPLETED, results=self._work.run(running))
        except Stopped:
            self._put_down(running)
        except ArmillaryError as error:
            self._end(running, Phase.ERROR, error=fault_text(error), results=self._work.counted(running.job))
        except Exception as error:  # a worker must outlive any one job, and the job must end
            log.exception("job %s failed", job.id)
            text = representation(
                "InternalFault", f"{type(error).__name__}. The log of the service says more."
            )
            self._end(running, Phase.ERROR, error=text, results=self._work.counted(running.job))
        finally:
            with self._lock:
                del self._running[job.id]
            self.bell.ring(("job", job.id))

    def _end(self, running: Running, phase: Phase, *, results: Mapping[str, str], error: str = "") -> None:
        job = replace(
            running.job, phase=phase, results=dict(results), error=error, ended_at=self._clock.now()
        )
        self._records.update(job, among={Phase.EXECUTING}, runner=self.name)

    def _put_down(self, running: Running) -> None:
        """Leave a job that was taken from us: aborted, deleted, taken over, or we are closing."""
        job = self._records.job(running.job.id)
        if job is None or job.runner != self.name:
            return
        if job.phase is Phase.EXECUTING:
            self._take_over(job)
        elif job.phase is Phase.ABORTED:
            counted = self._work.counted(replace(running.job, phase=Phase.ABORTED))
            self._records.update(replace(job, results=dict(counted)), among={Phase.ABORTED}, runner=self.name)

    def _take_over(self, job: Job) -> None:
        again = left_behind(job, self._clock.now())
        if self._records.update(again, among={Phase.EXECUTING}, runner=job.runner):
            self.bell.ring(("job", job.id))


def left_behind(job: Job, moment: datetime) -> Job:
    """Return what becomes of a job that nobody runs any more: it waits again, or it has ended."""
    if job.kind in RESUMED:
        return replace(job, phase=Phase.QUEUED, runner="", seen_at=None)
    text = representation(
        "TransferFailed", "The service was stopped meanwhile. Look what is there, and ask again."
    )
    return replace(job, phase=Phase.ERROR, error=text, ended_at=moment)
