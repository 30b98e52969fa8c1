"""Reads jobs that are over, many at a time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, func, or_, select
from sqlalchemy import Engine as Database

from armillary.base.errors import Invalid
from armillary.base.ids import ClusterId, PersonId, ProjectId
from armillary.batch.ended import EarlierAttempt, EndedAttempt, EndedCluster, EndedJob, Ending
from armillary.batch.model import JobId, JobState
from armillary.batch.store.hardware_records import hardware
from armillary.batch.store.specs import whole_inputs, whole_spec
from armillary.batch.store.tables import attempts, clusters, events, jobs, machines, outputs, workers
from armillary.batch.views import OutputView

_OVER = (JobState.COMPLETED.value, JobState.REMOVED.value)
REMEMBERED = 50
"""attempts of a job, the last ones, that records are made of"""
_WISHES = ("accounting_group", "max_materialize", "max_idle", "notification", "notify_user", "notify_url")


class EndedRecords:
    """Only reads."""

    def __init__(self, *, database: Database) -> None:
        self._database = database.execution_options(readonly=True)

    def endings(self, *, after: int, limit: int) -> list[Ending]:
        """Return what came to its end beyond a number, oldest first."""
        query = select(events.c.seq, events.c.cluster, events.c.proc).where(
            events.c.seq > after, events.c.state.in_(_OVER)
        )
        with self._database.connect() as db:
            rows = db.execute(query.order_by(events.c.seq).limit(limit))
            return [Ending(row.seq, JobId(ClusterId(row.cluster), row.proc)) for row in rows]

    def jobs(self, ids: Collection[JobId]) -> list[EndedJob]:
        """Return those of some jobs that are over."""
        if not ids:
            return []
        with self._database.connect() as db:
            rows = db.execute(_query().where(_these(ids), jobs.c.state.in_(_OVER))).all()
            brought = _outputs(db, rows)
            told = _hardware(db, {row.worker for row in rows if row.worker})
            before = _earlier(db, [row for row in rows if row.attempts > 1])
        return [
            _job(row, brought.get((row.cluster, row.proc), []), told, before.get((row.cluster, row.proc), []))
            for row in rows
        ]

    def at_work(self, name: str, owner: PersonId) -> bool:
        """Whether a credential's name, as `12.0.1`, is of a person's job that is not over, and of an attempt of late."""
        named, _, number = name.rpartition(".")
        try:
            job, attempt = JobId.parse(named), int(number)
        except (ValueError, Invalid):
            return False
        query = (
            select(attempts.c.number)
            .join(jobs, and_(jobs.c.cluster == attempts.c.cluster, jobs.c.proc == attempts.c.proc))
            .where(
                attempts.c.cluster == job.cluster,
                attempts.c.proc == job.proc,
                attempts.c.number == attempt,
                attempts.c.owner == owner,
                attempts.c.number > jobs.c.attempts - REMEMBERED,
                jobs.c.state.not_in(_OVER),
            )
        )
        with self._database.connect() as db:
            return db.execute(query).first() is not None

    def cluster(self, number: int) -> EndedCluster | None:
        """Return a submit."""
        with self._database.connect() as db:
            row = db.execute(select(clusters).where(clusters.c.id == number)).first()
        return _cluster(row) if row is not None else None

    def active(self, number: int) -> bool:
        """Whether a submit has jobs that are not over."""
        query = select(jobs.c.proc).where(jobs.c.cluster == number, jobs.c.state.not_in(_OVER)).limit(1)
        with self._database.connect() as db:
            return db.execute(query).first() is not None


def _these(ids: Collection[JobId]) -> Any:
    procs: dict[int, list[int]] = {}
    for job in ids:
        procs.setdefault(job.cluster, []).append(job.proc)
    return or_(*(and_(jobs.c.cluster == cluster, jobs.c.proc.in_(of)) for cluster, of in procs.items()))


def _query() -> Any:
    counted = func.coalesce(jobs.c.committed_attempt, jobs.c.attempts)
    its = and_(
        attempts.c.cluster == jobs.c.cluster, attempts.c.proc == jobs.c.proc, attempts.c.number == counted
    )
    return (
        select(
            jobs,
            *(clusters.c.common, clusters.c.common_inputs),
            *(
                attempts.c.number,
                attempts.c.worker,
                attempts.c.claimed_at,
                attempts.c.error,
                attempts.c.usage,
            ),
            attempts.c.started_at.label("attempt_started_at"),
            attempts.c.ended_at.label("attempt_ended_at"),
            attempts.c.exit_code.label("attempt_exit_code"),
            attempts.c.signal.label("attempt_signal"),
            *(attempts.c[name].label(f"share_{name}") for name in ("cpus", "memory_mib", "disk_kib", "gpus")),
            *(machines.c.cloud, machines.c.server_id, machines.c.size_flavor),
            machines.c.flavor.label("machine_flavor"),
            workers.c.agent_version,
            func.coalesce(workers.c.image, machines.c.image).label("machine_image"),
        )
        .join(clusters, clusters.c.id == jobs.c.cluster)
        .outerjoin(attempts, its)
        .outerjoin(machines, machines.c.id == attempts.c.worker)
        .outerjoin(workers, workers.c.id == attempts.c.worker)
    )


def _outputs(db: Connection, rows: Sequence[Row[Any]]) -> dict[tuple[int, int], list[OutputView]]:
    committed = [(row.cluster, row.proc, row.committed_attempt) for row in rows if row.committed_attempt]
    found: dict[tuple[int, int], list[OutputView]] = {}
    for first in range(0, len(committed), 200):
        some = [
            and_(outputs.c.cluster == cluster, outputs.c.proc == proc, outputs.c.attempt == attempt)
            for cluster, proc, attempt in committed[first : first + 200]
        ]
        for row in db.execute(select(outputs).where(or_(*some)).order_by(outputs.c.name)):
            brought = OutputView(name=row.name, sha256=row.sha256, size=row.size)
            found.setdefault((row.cluster, row.proc), []).append(brought)
    return found


def _earlier(db: Connection, rows: Sequence[Row[Any]]) -> dict[tuple[int, int], list[EarlierAttempt]]:
    """Return the last attempts of some jobs but for the ones that count."""
    found: dict[tuple[int, int], list[EarlierAttempt]] = {}
    for first in range(0, len(rows), 200):
        some = [
            and_(
                attempts.c.cluster == row.cluster, attempts.c.proc == row.proc,
                attempts.c.number != row.number, attempts.c.number > row.attempts - REMEMBERED,
            )
            for row in rows[first : first + 200]
        ]  # fmt: skip
        query = (
            select(attempts, machines.c.cloud, machines.c.server_id,
                   func.coalesce(workers.c.image, machines.c.image).label("machine_image"))
            .outerjoin(machines, machines.c.id == attempts.c.worker)
            .outerjoin(workers, workers.c.id == attempts.c.worker)
            .where(or_(*some))
            .order_by(attempts.c.number)
        )  # fmt: skip
        for row in db.execute(query):
            one = EarlierAttempt(
                number=row.number, worker=row.worker, cloud=row.cloud, server=row.server_id,
                image=row.machine_image, started_at=row.started_at or row.claimed_at, ended_at=row.ended_at,
                exit_code=row.exit_code, signal=row.signal, error=row.error,
            )  # fmt: skip
            found.setdefault((row.cluster, row.proc), []).append(one)
    return found


def _hardware(db: Connection, names: set[str]) -> dict[str, list[tuple[datetime, Mapping[str, Any]]]]:
    found: dict[str, list[tuple[datetime, Mapping[str, Any]]]] = {}
    query = select(hardware).where(hardware.c.worker.in_(names)).order_by(hardware.c.since)
    for row in db.execute(query) if names else ():
        found.setdefault(row.worker, []).append((row.since, row.facts))
    return found


def _job(
    row: Row[Any],
    brought: Sequence[OutputView],
    told: Mapping[str, list[tuple[datetime, Mapping[str, Any]]]],
    earlier: Sequence[EarlierAttempt],
) -> EndedJob:
    return EndedJob(
        id=JobId(ClusterId(row.cluster), row.proc),
        state=row.state,
        succeeded=bool(row.succeeded),
        reason=row.reason,
        owner=PersonId(row.owner),
        attempts=row.attempts,
        submitted_at=row.submitted_at,
        finished_at=row.finished_at or row.entered_at,
        exit_code=row.exit_code,
        signal=row.signal,
        spec=whole_spec(row),
        inputs=whole_inputs(row),
        attempt=_attempt(row, told.get(row.worker or "", [])) if row.number else None,
        outputs=brought,
        earlier=earlier,
    )


def _attempt(row: Row[Any], told: Sequence[tuple[datetime, Mapping[str, Any]]]) -> EndedAttempt:
    end = row.attempt_ended_at
    # What its machine said with this attempt, or before; a machine that said nothing until later has not changed since.
    then = [facts for since, facts in told if end is None or since <= end] or [facts for _, facts in told[:1]]
    return EndedAttempt(
        number=row.number,
        worker=row.worker,
        claimed_at=row.claimed_at,
        started_at=row.attempt_started_at,
        ended_at=end,
        exit_code=row.attempt_exit_code,
        signal=row.attempt_signal,
        error=row.error,
        usage=row.usage or {},
        cpus=row.share_cpus,
        memory_mib=row.share_memory_mib,
        disk_kib=row.share_disk_kib,
        gpus=row.share_gpus,
        cloud=row.cloud,
        flavor=row.size_flavor or row.machine_flavor,
        server=row.server_id,
        agent_version=row.agent_version or None,
        image=row.machine_image,
        hardware=then[-1] if then else {},
    )


def _cluster(row: Row[Any]) -> EndedCluster:
    return EndedCluster(
        id=row.id,
        batch_name=row.batch_name,
        owner=PersonId(row.owner),
        owner_name=row.owner_name,
        project=ProjectId(row.project),
        project_name=row.project_name,
        submitted_at=row.submitted_at,
        submit_text=row.submit_text,
        jobs=row.jobs,
        flavor=row.flavor,
        image=row.image,
        image_name=row.image_name,
        wishes={name: getattr(row, name) for name in _WISHES if getattr(row, name) not in (None, "NEVER")},
    )
