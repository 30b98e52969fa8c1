"""UWS jobs: transfers, recursive deletes and recursive property changes, asked for first and run later."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from armillary.accounts.model import Principal
from armillary.base.clock import Clock
from armillary.base.errors import ArmillaryError, Conflict, NotFound
from armillary.base.ids import new_hex
from armillary.vospace.model import Job, JobKind, Phase
from armillary.vospace.ports import JobRecords

LIFETIME = timedelta(days=7)


class JobService:
    """Keeps the jobs of each person; nobody sees another's."""

    def __init__(self, *, records: JobRecords, clock: Clock) -> None:
        """Keep jobs in `records`."""
        self._records = records
        self._clock = clock

    def create(self, who: Principal, kind: JobKind, document: str) -> Job:
        """Note a job; it waits for `run`."""
        now = self._clock.now()
        self._records.forget_jobs(now)
        job = Job(
            id=new_hex(),
            kind=kind,
            owner_id=who.person.id,
            owner_name=who.person.user_name,
            phase=Phase.PENDING,
            document=document,
            created_at=now,
            destroy_at=now + LIFETIME,
        )
        self._records.save_job(job)
        return job

    def job(self, who: Principal, kind: JobKind, job_id: str) -> Job:
        """Return one's own job."""
        job = self._records.job(job_id)
        if job is None or job.kind is not kind or job.owner_id != who.person.id:
            raise NotFound(
                "There is no such job.", code="job_not_found", facts={"job": job_id}, remedy="List your jobs."
            )
        return job

    def jobs(self, who: Principal, kind: JobKind, limit: int = 100) -> Sequence[Job]:
        """Return one's own newest jobs."""
        return self._records.jobs(kind, who.person.id, min(limit, 1000))

    def run(
        self, who: Principal, kind: JobKind, job_id: str, work: Callable[[Job], Mapping[str, str]]
    ) -> Job:
        """Run a waiting job by calling `work`, which returns its results. A refusal ends it in ERROR.

        Raises:
            Conflict: it is not waiting any more.
        """
        job = replace(self.job(who, kind, job_id), phase=Phase.EXECUTING, started_at=self._clock.now())
        if not self._records.begin_job(job):
            raise Conflict(
                "The job has been started already.",
                code="job_started",
                facts={"job": job_id},
                remedy="Make a new one.",
            )
        try:
            job = replace(job, results=work(job), phase=Phase.COMPLETED)
        except ArmillaryError as error:
            job = replace(
                job, phase=Phase.ERROR, error=f"{error.code}: {error.message} {error.remedy}".strip()
            )
        job = replace(job, ended_at=self._clock.now())
        self._records.save_job(job)
        return job

    def abort(self, who: Principal, kind: JobKind, job_id: str) -> Job:
        """Take back a job that waits; one that has ended stays as it is."""
        job = self.job(who, kind, job_id)
        if job.is_over:
            return job
        aborted = replace(job, phase=Phase.ABORTED, ended_at=self._clock.now())
        return aborted if self._records.begin_job(aborted) else self.job(who, kind, job_id)

    def recover(self) -> None:
        """End the jobs that a crash left running. Their transaction has happened wholly or not at all."""
        self._records.end_interrupted(self._clock.now(), "interrupted: The service was stopped. Ask again.")
