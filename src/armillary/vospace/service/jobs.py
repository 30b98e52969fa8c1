"""UWS jobs: asked for first, run behind the requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from armillary.accounts.model import Principal
from armillary.base.bell import Bell
from armillary.base.clock import Clock
from armillary.base.errors import Forbidden, NotFound
from armillary.base.ids import new_hex
from armillary.vospace.job_model import Credential, Job, JobFilter, JobKind, Phase
from armillary.vospace.job_ports import JobRecords
from armillary.vospace.service.runner import JobRunner

LIFETIME = timedelta(days=7)
MAX_LIFETIME = timedelta(days=30)
DURATION_SECONDS = 86_400
MAX_DURATION_SECONDS = 7 * 86_400
MAX_ACTIVE = 1000
"""Jobs of one person that are not over."""


class JobService:
    """Keeps the jobs of each person; nobody sees another's."""

    def __init__(
        self, *, records: JobRecords, clock: Clock, runner: JobRunner, each: int = MAX_ACTIVE
    ) -> None:
        """Keep jobs in `records`; `runner` runs them. Nobody has more than `each` that are not over."""
        self._each = each
        self._records = records
        self._clock = clock
        self._runner = runner

    @property
    def bell(self) -> Bell:
        """Rings for `("job", id)` when a job changes its phase in this process."""
        return self._runner.bell

    def create(
        self, who: Principal, kind: JobKind, document: str, *, run_id: str = "", run: bool = False
    ) -> Job:
        """Note a job. It waits for `start`, or with `run` for a worker.

        Raises:
            Forbidden: one has too many jobs that are not over (code `too_many_jobs`).
        """
        if self._records.active(who.person.id) >= self._each:
            raise Forbidden(
                f"You have {self._each} jobs that are not over.",
                code="too_many_jobs",
                facts={"limit": self._each},
                remedy="Wait for them, or delete those that you do not need.",
            )
        now = self._clock.now()
        job = Job(
            id=new_hex(),
            kind=kind,
            owner_id=who.person.id,
            owner_name=who.person.user_name,
            phase=Phase.QUEUED if run else Phase.PENDING,
            document=document,
            created_at=now,
            destroy_at=now + LIFETIME,
            run_id=run_id,
            credential=_credential(who),
            duration_seconds=DURATION_SECONDS,
            queued_at=now if run else None,
        )
        self._records.add(job)
        if run:
            self._runner.wake()
        return job

    def job(self, who: Principal, kind: JobKind, job_id: str) -> Job:
        """Return one's own job.

        Raises:
            NotFound, Forbidden: there is none, or it is somebody else's (code `job_not_found`).
        """
        job = self._records.job(job_id)
        if job is None or job.kind is not kind:
            raise NotFound(
                "There is no such job.", code="job_not_found", facts={"job": job_id}, remedy="List your jobs."
            )
        if job.owner_id != who.person.id:
            raise Forbidden("This job is somebody else's.", code="permission_denied", facts={"job": job_id})
        return job

    def find(self, job_id: str) -> Job | None:
        """Return a job that its owner was seen to ask for."""
        return self._records.job(job_id)

    def jobs(self, who: Principal, kind: JobKind, wanted: JobFilter) -> Sequence[Job]:
        """Return one's own jobs, newest first, without their documents and results."""
        return self._records.jobs(kind, who.person.id, wanted)

    def start(self, who: Principal, kind: JobKind, job_id: str) -> Job:
        """Let a job run, with the rights of who starts it.

        Raises:
            Forbidden: it has been started already (code `job_started`).
        """
        job = replace(
            self.job(who, kind, job_id),
            phase=Phase.QUEUED,
            queued_at=self._clock.now(),
            credential=_credential(who),
        )
        if not self._records.update(job, among={Phase.PENDING}):
            raise Forbidden(
                "The job has been started already.",
                code="job_started",
                facts={"job": job_id},
                remedy="Make a new one.",
            )
        self._runner.wake()
        return job

    def abort(self, who: Principal, kind: JobKind, job_id: str) -> Job:
        """End a job, also one that runs: within a batch of nodes. One that is over stays as it is."""
        job = self.job(who, kind, job_id)
        while not job.is_over:
            aborted = replace(job, phase=Phase.ABORTED, ended_at=self._clock.now())
            if self._records.update(aborted, among={job.phase}):
                self._runner.stop(job_id)
                self.bell.ring(("job", job_id))
                return aborted
            job = self.job(who, kind, job_id)
        return job

    def delete(self, who: Principal, kind: JobKind, job_id: str) -> None:
        """Forget a job; one that runs is aborted first."""
        self.abort(who, kind, job_id)
        self._records.forget(job_id=job_id)

    def set_duration(self, who: Principal, kind: JobKind, job_id: str, seconds: int) -> Job:
        """Say how long a job may run; 0 and more than a week mean a week."""
        allowed = min(seconds or MAX_DURATION_SECONDS, MAX_DURATION_SECONDS)
        return self._change(who, kind, job_id, duration_seconds=allowed)

    def set_destruction(self, who: Principal, kind: JobKind, job_id: str, moment: datetime) -> Job:
        """Say when a job is forgotten: thirty days from now at the latest."""
        return self._change(who, kind, job_id, destroy_at=min(moment, self._clock.now() + MAX_LIFETIME))

    def tick(self) -> None:
        """See `JobRunner.tick`."""
        self._runner.tick()

    def close(self) -> None:
        """Stop the workers. What they do not finish is done after the next start."""
        self.bell.close()
        self._runner.close()

    def _change(
        self,
        who: Principal,
        kind: JobKind,
        job_id: str,
        *,
        duration_seconds: int | None = None,
        destroy_at: datetime | None = None,
    ) -> Job:
        """Change the limits of a job. While it runs it is its runner's to write: that one keeps the old ones."""
        job = self.job(who, kind, job_id)
        changed = replace(
            job,
            duration_seconds=job.duration_seconds if duration_seconds is None else duration_seconds,
            destroy_at=destroy_at or job.destroy_at,
        )
        among = {job.phase} - {Phase.EXECUTING}
        return (
            changed if among and self._records.update(changed, among=among) else self.job(who, kind, job_id)
        )


def _credential(who: Principal) -> Credential:
    return Credential(
        name=who.credential,
        is_admin=who.person.is_admin,
        may_read=who.allows("vospace:read"),
        may_write=who.allows("vospace:write"),
        confined=who.of_job,
        job=who.job,
    )
