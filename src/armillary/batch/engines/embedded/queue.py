"""The durable queue: the `Engine` port in SQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update
from sqlalchemy import Engine as Database

from armillary.base.clock import Clock
from armillary.base.errors import Conflict, NotFound
from armillary.base.ids import ClusterId, ProjectId, Sha512, WorkerId
from armillary.batch.core import states
from armillary.batch.core.numbering import numbered, with_number
from armillary.batch.engines.embedded.ledger import Ledger
from armillary.batch.engines.embedded.terms import Terms
from armillary.batch.model import (
    Demand,
    Event,
    Group,
    JobId,
    JobState,
    Resources,
    Selection,
    Shape,
    Submission,
    WorkerReport,
    WrongState,
)
from armillary.batch.store import policy_records
from armillary.batch.store.selecting import selected
from armillary.batch.store.tables import attempts, clusters, events, jobs, workers


class EmbeddedQueue:
    """The `Engine` port over one database. Safe to use from many threads and processes."""

    def __init__(self, *, database: Database, clock: Clock, terms: Terms | None = None) -> None:
        self._database = database
        self._clock = clock
        self._terms = terms or Terms()

    # Engine

    def submit(self, submission: Submission) -> ClusterId:
        now = self._clock.now()
        group = submission.group
        with self._database.begin() as db:
            earlier = _earlier(db, submission)
            if earlier is not None:
                return earlier
            cluster = db.execute(
                insert(clusters)
                .values(
                    project=group.project,
                    project_name=submission.project_name,
                    owner=submission.owner,
                    owner_name=submission.owner_name,
                    batch_name=submission.batch_name,
                    image=group.image,
                    image_name=submission.image_name,
                    flavor=group.flavor,
                    submit_text=submission.submit_text,
                    submitted_at=now,
                    jobs=len(submission.jobs),
                    idempotency_key=submission.idempotency_key,
                    request_hash=submission.request_hash,
                    **asdict(submission.wishes),
                )
                .returning(clusters.c.id)
            ).scalar_one()
            name = numbered(submission.batch_name, cluster)
            if name != submission.batch_name:
                db.execute(update(clusters).where(clusters.c.id == cluster).values(batch_name=name))
            rows = [
                {
                    "cluster": cluster,
                    "proc": job.proc,
                    "project": group.project,
                    "owner": submission.owner,
                    "image": group.image,
                    "flavor": group.flavor,
                    "state": (JobState.HELD if job.on_hold else JobState.IDLE).value,
                    "entered_at": now,
                    "submitted_at": now,
                    "priority": job.priority,
                    "cpus": job.resources.cpus,
                    "memory_mib": job.resources.memory_mib,
                    "disk_kib": job.resources.disk_kib,
                    "gpus": job.resources.gpus,
                    "max_retries": job.max_retries,
                    "spec": dict(job.data),
                    "inputs": [[i.path, i.sha256, i.size, i.mode] for i in job.inputs],
                    "hold_code": "submitted_on_hold" if job.on_hold else None,
                    "reason": "submitted on hold" if job.on_hold else None,
                }
                for job in (with_number(one, cluster) for one in submission.jobs)
            ]
            db.execute(insert(jobs), rows)
            policy_records.note(db, cluster, submission.jobs)
            db.execute(
                insert(events),
                [
                    {"cluster": cluster, "proc": row["proc"], "at": now, "state": row["state"], "detail": {}}
                    for row in rows
                ],
            )
        return ClusterId(cluster)

    def changes(self, *, after: int, cluster: ClusterId | None = None, limit: int = 1000) -> list[Event]:
        query = select(events).where(events.c.seq > after).order_by(events.c.seq).limit(limit)
        if cluster is not None:
            query = query.where(events.c.cluster == cluster)
        with self._reading() as db:
            return [
                Event(
                    seq=row.seq,
                    job=JobId(ClusterId(row.cluster), row.proc),
                    at=row.at,
                    state=JobState(row.state),
                    attempt=row.attempt,
                    worker=WorkerId(row.worker) if row.worker else None,
                    detail=row.detail,
                )
                for row in db.execute(query)
            ]

    def hold(self, jobs: Selection, *, reason: str) -> int:
        columns = {"hold_code": "held_by_user", "reason": reason or "held by its owner"}
        return self._change(jobs, lambda row: states.hold(JobState(row.state)), JobState.HELD, columns)

    def release(self, jobs: Selection) -> int:
        return self._change(jobs, lambda row: states.release(JobState(row.state)), JobState.IDLE, {})

    def remove(self, jobs: Selection, *, reason: str) -> int:
        columns = {"reason": reason or "removed by its owner", "finished_at": self._clock.now()}
        return self._change(jobs, lambda row: states.remove(JobState(row.state)), JobState.REMOVED, columns)

    def retry(self, jobs: Selection) -> int:
        fresh: dict[str, Any] = {
            "retried": 0,
            "lost": 0,
            "started_at": None,
            "finished_at": None,
            "committed_attempt": None,
        }

        def wanted(row: Row[Any]) -> bool:
            return states.retry(JobState(row.state), succeeded=bool(row.succeeded))

        fresh |= {"exit_code": None, "signal": None, "succeeded": None}
        return self._change(jobs, wanted, JobState.IDLE, fresh)

    def prioritize(self, chosen: Selection, priority: int) -> int:
        with self._database.begin() as db:
            over = (JobState.COMPLETED.value, JobState.REMOVED.value)
            rows = _rows(db, chosen)
            if chosen.job is not None and rows[0].state in over:
                raise WrongState(
                    f"job {chosen.name} is {rows[0].state} already", facts={"state": rows[0].state}
                )
            changed = db.execute(
                update(jobs)
                .where(selected(chosen), jobs.c.state.not_in(over), jobs.c.priority != priority)
                .values(priority=priority)
            )
        return changed.rowcount

    # Workforce

    def demand(self) -> list[Demand]:
        shape = (jobs.c.cpus, jobs.c.memory_mib, jobs.c.disk_kib, jobs.c.gpus)
        kind = (jobs.c.project, jobs.c.image, jobs.c.flavor)
        query = (
            select(*kind, *shape, func.count().label("n"), func.min(jobs.c.entered_at).label("since"))
            .where(jobs.c.state == JobState.IDLE.value, jobs.c.live_attempt.is_(None))
            .group_by(*kind, *shape)
        )
        found: dict[Group, list[tuple[Shape, Any]]] = {}
        with self._reading() as db:
            for row in db.execute(query):
                group = Group(ProjectId(row.project), Sha512(row.image), row.flavor)
                asked = Resources(
                    cpus=row.cpus, memory_mib=row.memory_mib, disk_kib=row.disk_kib, gpus=row.gpus
                )
                found.setdefault(group, []).append((Shape(asked, row.n), row.since))
        demands = [
            Demand(
                group=group,
                shapes=tuple(sorted(shape for shape, _ in parts)),
                since=min(since for _, since in parts),
            )
            for group, parts in found.items()
        ]
        return sorted(demands, key=lambda demand: (demand.since, demand.group))

    def workers(self) -> list[WorkerReport]:
        used = (
            select(
                attempts.c.worker,
                func.count().label("jobs"),
                func.sum(attempts.c.cpus).label("cpus"),
                func.sum(attempts.c.memory_mib).label("memory_mib"),
                func.sum(attempts.c.disk_kib).label("disk_kib"),
                func.sum(attempts.c.gpus).label("gpus"),
            )
            .where(attempts.c.live.is_(True))
            .group_by(attempts.c.worker)
            .subquery()
        )
        query = (
            select(workers, used.c.jobs, *(used.c[n].label(f"used_{n}") for n in _FIGURES))
            .join_from(workers, used, used.c.worker == workers.c.id, isouter=True)
            .where(workers.c.registered_at.is_not(None), workers.c.lost_at.is_(None))
            .order_by(workers.c.registered_at, workers.c.id)
        )
        with self._reading() as db:
            return [_report(row) for row in db.execute(query)]

    def drain(self, worker: WorkerId) -> None:
        with self._database.begin() as db:
            db.execute(update(workers).where(workers.c.id == worker).values(draining=True))

    def lost(self, worker: WorkerId, reason: str) -> int:
        now = self._clock.now()
        with self._database.begin() as db:
            given_up = db.execute(
                update(workers)
                .where(workers.c.id == worker, workers.c.lost_at.is_(None))
                .values(lost_at=now, lost_reason=reason, session_hash=None, invite_hash=None)
            )
            if not given_up.rowcount:
                return 0
            gone = Ledger(db, now=now).lose_all(worker=worker, why=reason, max_lost=self._terms.max_lost)
        return len(gone)

    # of this engine only

    def expire(self) -> int:
        """Take back the jobs whose leases have run out; returns how many. Call it every few seconds."""
        now = self._clock.now()
        overdue = select(attempts.c.number).where(attempts.c.live.is_(True), attempts.c.lease_until < now)
        with self._reading() as db:
            if db.execute(overdue.limit(1)).first() is None:
                return 0
        with self._database.begin() as db:
            why = f"its worker was silent for {int(self._terms.lease_kept.total_seconds())} s"
            return len(Ledger(db, now=now).lose_all(why=why, max_lost=self._terms.max_lost))

    def resume(self) -> None:
        """Give all live leases their full time again: after a restart, agents could not have renewed them."""
        with self._database.begin() as db:
            until = self._clock.now() + self._terms.lease_kept
            db.execute(update(attempts).where(attempts.c.live.is_(True)).values(lease_until=until))

    def _change(
        self, jobs: Selection, wanted: Callable[[Row[Any]], bool], to: JobState, columns: dict[str, Any]
    ) -> int:
        with self._database.begin() as db:
            chosen: list[Row[Any]] = []
            for row in _rows(db, jobs):
                try:
                    if wanted(row):
                        chosen.append(row)
                except WrongState:
                    if jobs.job is not None:
                        raise
            ledger = Ledger(db, now=self._clock.now())
            ledger.stop(chosen)
            ledger.move(chosen, to, columns=columns, detail=_detail(columns))
        return len(chosen)

    def _reading(self) -> Connection:
        return self._database.execution_options(readonly=True).connect()


_FIGURES = ("cpus", "memory_mib", "disk_kib", "gpus")


def _detail(columns: dict[str, Any]) -> dict[str, Any]:
    return {key: columns[key] for key in ("reason", "hold_code") if columns.get(key)}


def _earlier(db: Connection, submission: Submission) -> ClusterId | None:
    if submission.idempotency_key is None:
        return None
    row = db.execute(
        select(clusters.c.id, clusters.c.request_hash).where(
            clusters.c.owner == submission.owner, clusters.c.idempotency_key == submission.idempotency_key
        )
    ).first()
    if row is None:
        return None
    if row.request_hash != submission.request_hash:
        raise Conflict(
            "this Idempotency-Key came with another submit before",
            code="idempotency_key_reused",
            facts={"cluster": row.id},
            remedy="Use a new key for each submit.",
        )
    return ClusterId(row.id)


def _rows(db: Connection, chosen: Selection) -> Sequence[Any]:
    query = (
        select(jobs.c.cluster, jobs.c.proc, jobs.c.state, jobs.c.live_attempt, jobs.c.succeeded)
        .where(selected(chosen))
        .with_for_update()
    )
    rows = db.execute(query).all()
    if not rows and chosen.cluster is not None:
        raise NotFound(f"there is no job {chosen.name}", facts={"job": chosen.name})
    return rows


def _report(row: Row[Any]) -> WorkerReport:
    whole = Resources(cpus=row.cpus, memory_mib=row.memory_mib, disk_kib=row.disk_kib, gpus=row.gpus)
    used = Resources(
        cpus=int(row.used_cpus or 0),
        memory_mib=int(row.used_memory_mib or 0),
        disk_kib=int(row.used_disk_kib or 0),
        gpus=int(row.used_gpus or 0),
    )
    return WorkerReport(
        id=WorkerId(row.id),
        group=Group(ProjectId(row.project), Sha512(row.image), row.flavor),
        registered_at=row.registered_at,
        last_seen_at=row.last_seen_at,
        idle_since=None if row.jobs else row.idle_since,
        free=whole - used,
        server_id=row.server_id,
        draining=bool(row.draining),
        left=row.left_at is not None,
        jobs=int(row.jobs or 0),
    )
