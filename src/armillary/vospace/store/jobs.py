"""UWS job records in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Row, delete, insert, select, update

from armillary.base.ids import PersonId
from armillary.vospace.model import Job, JobKind, Phase
from armillary.vospace.store.tables import jobs


class SqlJobRecords:
    """See `ports.JobRecords`."""

    def __init__(self, engine: Engine) -> None:
        """Keep jobs in a database that `create_all` has prepared."""
        self._engine = engine
        self._reading = engine.execution_options(readonly=True)

    def save_job(self, job: Job) -> None:
        """See `ports.JobRecords`."""
        values = _values(job)
        with self._engine.begin() as connection:
            if not connection.execute(update(jobs).where(jobs.c.id == job.id).values(values)).rowcount:
                connection.execute(insert(jobs).values(values))

    def begin_job(self, job: Job) -> bool:
        """See `ports.JobRecords`."""
        pending = (jobs.c.id == job.id, jobs.c.phase == Phase.PENDING.value)
        with self._engine.begin() as connection:
            return bool(connection.execute(update(jobs).where(*pending).values(_values(job))).rowcount)

    def job(self, job_id: str) -> Job | None:
        """See `ports.JobRecords`."""
        with self._reading.connect() as connection:
            row = connection.execute(select(jobs).where(jobs.c.id == job_id)).first()
        return _job(row) if row is not None else None

    def jobs(self, kind: JobKind, owner_id: PersonId, limit: int) -> Sequence[Job]:
        """See `ports.JobRecords`."""
        query = select(jobs).where(jobs.c.kind == kind.value, jobs.c.owner_id == owner_id)
        with self._reading.connect() as connection:
            return [
                _job(row) for row in connection.execute(query.order_by(jobs.c.created_at.desc()).limit(limit))
            ]

    def end_interrupted(self, moment: datetime, error: str) -> int:
        """See `ports.JobRecords`."""
        running = update(jobs).where(jobs.c.phase == Phase.EXECUTING.value)
        with self._engine.begin() as connection:
            return connection.execute(
                running.values(phase=Phase.ERROR.value, ended_at=moment, error=error)
            ).rowcount

    def forget_jobs(self, before: datetime) -> None:
        """See `ports.JobRecords`."""
        with self._engine.begin() as connection:
            connection.execute(delete(jobs).where(jobs.c.destroy_at < before))


def _values(job: Job) -> dict[str, Any]:
    return {**asdict(job), "kind": job.kind.value, "phase": job.phase.value, "results": dict(job.results)}


def _job(row: Row[Any]) -> Job:
    return Job(
        id=row.id,
        kind=JobKind(row.kind),
        owner_id=row.owner_id,
        owner_name=row.owner_name,
        phase=Phase(row.phase),
        document=row.document,
        created_at=row.created_at,
        destroy_at=row.destroy_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        results=row.results,
        error=row.error,
    )
