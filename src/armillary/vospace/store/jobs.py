"""UWS job records in SQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Row, delete, func, insert, select, update

from armillary.base.ids import PersonId
from armillary.vospace.job_model import ACTIVE, Credential, Job, JobFilter, JobKind, Phase
from armillary.vospace.store.tables import jobs

_LISTED = [column for column in jobs.columns if column.name not in {"document", "results"}]


class SqlJobRecords:
    """See `job_ports.JobRecords`."""

    def __init__(self, engine: Engine) -> None:
        """Keep jobs in a database that `create_all` has prepared."""
        self._engine = engine
        self._reading = engine.execution_options(readonly=True)

    def add(self, job: Job) -> None:
        """See `job_ports.JobRecords`."""
        with self._engine.begin() as connection:
            connection.execute(insert(jobs).values(_values(job)))

    def job(self, job_id: str) -> Job | None:
        """See `job_ports.JobRecords`."""
        with self._reading.connect() as connection:
            row = connection.execute(select(jobs).where(jobs.c.id == job_id)).first()
        return _job(row) if row is not None else None

    def jobs(self, kind: JobKind, owner_id: PersonId, wanted: JobFilter) -> Sequence[Job]:
        """See `job_ports.JobRecords`."""
        query = select(*_LISTED).where(jobs.c.owner_id == owner_id, jobs.c.kind == kind.value)
        if wanted.phases:
            query = query.where(jobs.c.phase.in_([phase.value for phase in wanted.phases]))
        if wanted.after is not None:
            query = query.where(jobs.c.created_at > wanted.after)
        query = query.order_by(jobs.c.created_at.desc(), jobs.c.id).limit(wanted.last)
        with self._reading.connect() as connection:
            return [_job(row) for row in connection.execute(query)]

    def update(self, job: Job, *, among: Collection[Phase], runner: str | None = None) -> bool:
        """See `job_ports.JobRecords`."""
        statement = update(jobs).where(jobs.c.id == job.id, jobs.c.phase.in_([p.value for p in among]))
        if runner is not None:
            statement = statement.where(jobs.c.runner == runner)
        with self._engine.begin() as connection:
            return bool(connection.execute(statement.values(_values(job))).rowcount)

    def claim(self, runner: str, moment: datetime, at_most: int) -> Job | None:
        """See `job_ports.JobRecords`."""
        waiting = jobs.c.phase == Phase.QUEUED.value
        with self._reading.connect() as connection:
            if connection.execute(select(jobs.c.id).where(waiting).limit(1)).first() is None:
                return None
        busy = (
            select(jobs.c.owner_id, func.count().label("jobs"))
            .where(jobs.c.phase == Phase.EXECUTING.value)
            .group_by(jobs.c.owner_id)
            .subquery()
        )
        of_owner = func.coalesce(busy.c.jobs, 0)
        query = (
            select(jobs)
            .outerjoin(busy, busy.c.owner_id == jobs.c.owner_id)
            .where(waiting, of_owner < at_most)
            .order_by(of_owner, jobs.c.queued_at, jobs.c.id)
            .limit(1)
        )
        with self._engine.begin() as connection:
            # Two processes may see the same job; only one of them changes it.
            while (row := connection.execute(query).first()) is not None:
                found = _job(row)
                taken = replace(
                    found,
                    phase=Phase.EXECUTING,
                    runner=runner,
                    seen_at=moment,
                    started_at=found.started_at or moment,
                )
                statement = update(jobs).where(jobs.c.id == found.id, waiting).values(_values(taken))
                if connection.execute(statement).rowcount:
                    return taken
        return None

    def active(self, owner_id: PersonId) -> int:
        """See `job_ports.JobRecords`."""
        phases = jobs.c.phase.in_([phase.value for phase in ACTIVE])
        query = select(func.count()).select_from(jobs).where(jobs.c.owner_id == owner_id, phases)
        with self._reading.connect() as connection:
            return connection.execute(query).scalar_one()

    def beat(self, runner: str, moment: datetime, silent_since: datetime) -> Sequence[Job]:
        """See `job_ports.JobRecords`."""
        executing = jobs.c.phase == Phase.EXECUTING.value
        query = select(jobs.c.id, jobs.c.runner, jobs.c.seen_at).where(executing)
        with self._reading.connect() as connection:
            found = connection.execute(query).all()
        if any(row.runner == runner for row in found):
            with self._engine.begin() as connection:
                mine = update(jobs).where(executing, jobs.c.runner == runner)
                connection.execute(mine.values(seen_at=moment))
        dead = [r.id for r in found if r.runner != runner and (r.seen_at is None or r.seen_at < silent_since)]
        return [job for job in map(self.job, dead) if job is not None]

    def forget(self, *, job_id: str = "", before: datetime | None = None) -> None:
        """See `job_ports.JobRecords`."""
        if before is not None:
            with self._reading.connect() as connection:
                if connection.execute(select(jobs.c.id).where(jobs.c.destroy_at < before)).first() is None:
                    return
        which = jobs.c.id == job_id if before is None else jobs.c.destroy_at < before
        with self._engine.begin() as connection:
            connection.execute(delete(jobs).where(which))


def _values(job: Job) -> dict[str, Any]:
    return {
        **asdict(job),
        "kind": job.kind.value,
        "phase": job.phase.value,
        "credential": asdict(job.credential),
        "progress": dict(job.progress),
        "results": dict(job.results),
    }


def _job(row: Row[Any]) -> Job:
    return Job(
        id=row.id,
        kind=JobKind(row.kind),
        owner_id=row.owner_id,
        owner_name=row.owner_name,
        phase=Phase(row.phase),
        document=getattr(row, "document", ""),
        created_at=row.created_at,
        destroy_at=row.destroy_at,
        run_id=row.run_id,
        credential=Credential(**row.credential),
        duration_seconds=row.duration_seconds,
        queued_at=row.queued_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        seen_at=row.seen_at,
        runner=row.runner,
        progress=row.progress,
        results=getattr(row, "results", {}),
        error=row.error,
    )
