"""The durable queue: the `Engine` port in SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, func, select, update
from sqlalchemy import Engine as Database

from armillary.base.clock import Clock
from armillary.base.errors import Conflict
from armillary.base.ids import ClusterId, ProjectId, Sha512, WorkerId
from armillary.batch.core import states
from armillary.batch.engines.embedded import changing
from armillary.batch.engines.embedded.demanding import demands
from armillary.batch.engines.embedded.ledger import Ledger
from armillary.batch.engines.embedded.moments import moment
from armillary.batch.engines.embedded.submitting import Queueing
from armillary.batch.engines.embedded.terms import Terms
from armillary.batch.engines.embedded.waiting import waits_of
from armillary.batch.model import (
    Demand,
    Event,
    Group,
    JobId,
    JobState,
    Refusal,
    Resources,
    Selection,
    Submission,
    WorkerReport,
)
from armillary.batch.notices import book
from armillary.batch.store import policy_records
from armillary.batch.store.tables import attempts, clusters, events, workers


class EmbeddedQueue:
    """The `Engine` port over one database. Safe to use from many threads and processes."""

    def __init__(self, *, database: Database, clock: Clock, terms: Terms | None = None) -> None:
        self._database = database
        self._clock = clock
        self._terms = terms or Terms()

    # Engine

    def submit(self, submission: Submission) -> ClusterId:
        with self._database.begin() as db:
            earlier = _earlier(db, submission)
            if earlier is not None:
                return earlier
            now = moment(db, self._clock)
            cluster = Queueing(db, submission, now=now).queue()
            policy_records.note(db, cluster, submission.jobs)
            book.note(db, cluster, submission)
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
        return self._change(jobs, lambda state, _: states.hold(state), JobState.HELD, columns)

    def release(self, jobs: Selection, *, memory_mib: int | None = None) -> int:
        with self._database.begin() as db:
            if memory_mib is not None:
                changing.ask_memory(db, jobs, memory_mib)
            return changing.change(
                db,
                jobs,
                lambda state, _: states.release(state),
                JobState.IDLE,
                {},
                now=moment(db, self._clock),
            )

    def remove(self, jobs: Selection, *, reason: str) -> int:
        columns = {"reason": reason or "removed by its owner"}
        return self._change(jobs, lambda state, _: states.remove(state), JobState.REMOVED, columns)

    def retry(self, jobs: Selection) -> int:
        fresh = {"retried": 0, "lost": 0, "started_at": None, "finished_at": None, "committed_attempt": None}
        fresh |= {"exit_code": None, "signal": None, "succeeded": None}
        return self._change(
            jobs, lambda state, succeeded: states.retry(state, succeeded=succeeded), JobState.IDLE, fresh
        )

    def prioritize(self, chosen: Selection, priority: int) -> int:
        with self._database.begin() as db:
            return changing.prioritize(db, chosen, priority)

    def _change(self, chosen: Selection, check: changing.Check, to: JobState, columns: dict[str, Any]) -> int:
        with self._database.begin() as db:
            now = moment(db, self._clock)
            if to is JobState.REMOVED:
                columns = {**columns, "finished_at": now}
            return changing.change(db, chosen, check, to, columns, now=now)

    # Workforce

    def waits(self, job: JobId) -> list[Refusal]:
        """Return what in the queue itself keeps an idle job waiting; for people."""
        with self._reading() as db:
            return waits_of(db, job, limits=self._terms.limits, now=self._clock.now())

    def demand(self) -> list[Demand]:
        with self._reading() as db:
            return demands(db, limits=self._terms.limits, now=moment(db, self._clock))

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
        with self._database.begin() as db:
            now = moment(db, self._clock)
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
        with self._reading() as db:
            now = moment(db, self._clock)
            overdue = select(attempts.c.number).where(attempts.c.live.is_(True), attempts.c.lease_until < now)
            if db.execute(overdue.limit(1)).first() is None:
                return 0
        with self._database.begin() as db:
            why = f"its worker was silent for {int(self._terms.lease_kept.total_seconds())} s"
            return len(Ledger(db, now=now).lose_all(why=why, max_lost=self._terms.max_lost))

    def resume(self) -> None:
        """Give all live leases their full time again: after a restart, agents could not have renewed them."""
        with self._database.begin() as db:
            until = moment(db, self._clock) + self._terms.lease_kept
            db.execute(update(attempts).where(attempts.c.live.is_(True)).values(lease_until=until))

    def _reading(self) -> Connection:
        return self._database.execution_options(readonly=True).connect()


_FIGURES = ("cpus", "memory_mib", "disk_kib", "gpus")


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
