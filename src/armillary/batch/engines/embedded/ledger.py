"""The only writer of jobs' states: every change is a row of events in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, Table, and_, bindparam, exists, insert, select, update

from armillary.batch.core import states
from armillary.batch.core.order import decayed
from armillary.batch.engines.embedded.changing import shape_like
from armillary.batch.engines.embedded.parcels import Held
from armillary.batch.engines.embedded.terms import digest
from armillary.batch.model import AttemptState, JobState, Resources
from armillary.batch.store.policy_records import watch_again
from armillary.batch.store.shapes import shares
from armillary.batch.store.swift import Swift
from armillary.batch.store.tables import attempts, events, jobs, workers
from armillary.batch.store.usage_records import NOTHING_SAID, Ended, record


def _given(table: Table, name: str, prefix: str = "_") -> Any:
    return bindparam(prefix + name, type_=table.c[name].type)


_THE_JOB = and_(jobs.c.cluster == bindparam("of_cluster"), jobs.c.proc == bindparam("of_proc"))
THE_ATTEMPT = and_(
    attempts.c.cluster == bindparam("of_cluster"),
    attempts.c.proc == bindparam("of_proc"),
    attempts.c.number == bindparam("of_number"),
)
UNBOUND: Mapping[str, Any] = {"live_attempt": None}
"""of a job whose attempt has ended"""
_THE_SHARE = and_(shares.c.project == bindparam("of_project"), shares.c.owner == bindparam("of_owner"))


@lru_cache(maxsize=100)
def _changing(names: tuple[str, ...], held: bool) -> Swift:
    values: dict[str, Any] = {name: _given(jobs, name) for name in names}
    if held:
        values["holds"] = jobs.c.holds + 1
    return Swift(update(jobs).where(_THE_JOB).values(values))


@lru_cache(maxsize=100)
def _ending(names: tuple[str, ...]) -> Swift:
    return Swift(update(attempts).where(THE_ATTEMPT).values({name: _given(attempts, name) for name in names}))


_EVENT = Swift(insert(events), "cluster", "proc", "at", "state", "attempt", "worker", "detail")
_LEASE = Swift(
    insert(attempts),
    *(
        "cluster",
        "proc",
        "number",
        "worker",
        "owner",
        "project",
        "state",
        "live",
        "secret_hash",
        "lease_until",
    ),
    *("cpus", "memory_mib", "disk_kib", "gpus", "claimed_at", "charged_at", "usage"),
    *("credential", "credential_expires"),
)
_CLAIM = Swift(
    update(jobs)
    .where(_THE_JOB)
    .values(
        state=JobState.CLAIMED.value,
        entered_at=bindparam("now", type_=jobs.c.entered_at.type),
        attempts=bindparam("next", type_=jobs.c.attempts.type),
        live_attempt=bindparam("next", type_=jobs.c.attempts.type),
        hold_code=None,
        hold_subcode=None,
        reason=None,
    )
)
_SHARE = Swift(select(shares.c.used, shares.c.at).where(_THE_SHARE))
_CHARGE = Swift(
    update(shares)
    .where(_THE_SHARE)
    .values(used=bindparam("now_used", type_=shares.c.used.type), at=bindparam("now", type_=shares.c.at.type))
)
_UNBIND = Swift(
    update(jobs).where(_THE_JOB, jobs.c.live_attempt == bindparam("of_number")).values(live_attempt=None)
)
_REST = Swift(
    update(workers)
    .where(
        workers.c.id == bindparam("of_worker"),
        workers.c.idle_since.is_(None),
        ~exists().where(attempts.c.worker == workers.c.id, attempts.c.live.is_(True)),
    )
    .values(idle_since=bindparam("now", type_=workers.c.idle_since.type))
)
_JOB = Swift(
    # without what it is to do, which may be long
    select(*(column for column in jobs.c if column.name not in {"spec", "inputs"}))
    .where(_THE_JOB)
    .with_for_update()
)


class Ledger:
    """One transaction's view of jobs and attempts at one moment."""

    def __init__(self, connection: Connection, *, now: datetime) -> None:
        self._db = connection
        self._now = now

    def move(
        self,
        rows: Sequence[Row[Any]],
        to: JobState,
        *,
        columns: Mapping[str, Any] | None = None,
        worker: str | None = None,
        attempt: int | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Bring jobs (rows with cluster, proc, state, live_attempt) into a state, and say so in the events.

        `columns` are set on every job. A reason and a hold code from before are cleared unless given.
        """
        if not rows:
            return
        columns = dict(columns or {})
        if "memory_mib" in columns:
            # it wishes for something else from now on
            shape = {row.shape for row in rows}.pop()
            columns["shape"] = shape_like(self._db, shape, memory_mib=columns["memory_mib"])
        for row in rows:
            if to not in states.MOVES[JobState(row.state)]:
                raise AssertionError(f"job {row.cluster}.{row.proc}: {row.state} -> {to}")
        values: dict[str, Any] = {"state": to.value, "entered_at": self._now}
        values |= {"hold_code": None, "hold_subcode": None, "reason": None}
        over = {row.cluster for row in rows if JobState(row.state) in {JobState.COMPLETED, JobState.REMOVED}}
        if over:
            watch_again(self._db, over)
        values |= columns
        given = {f"_{name}": value for name, value in values.items()}
        _changing(tuple(values), to is JobState.HELD).many(
            self._db, [{**given, "of_cluster": row.cluster, "of_proc": row.proc} for row in rows]
        )
        self._tell(
            [(row.cluster, row.proc, attempt or row.live_attempt) for row in rows],
            to,
            worker=worker,
            detail=detail,
        )

    def _tell(
        self,
        told: Sequence[tuple[int, int, int | None]],
        to: JobState,
        *,
        worker: str | None,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        _EVENT.many(
            self._db,
            [
                {
                    "cluster": cluster,
                    "proc": proc,
                    "at": self._now,
                    "state": to.value,
                    "attempt": attempt,
                    "worker": worker,
                    "detail": dict(detail or {}),
                }
                for cluster, proc, attempt in told
            ],
        )

    def lease(
        self,
        rows: Sequence[Row[Any]],
        secrets: Sequence[str],
        *,
        worker: str,
        share: Resources,
        until: datetime,
        held: Held | None = None,
    ) -> None:
        """Begin an attempt of each job, under a secret of its own; it acts with `held` from its beginning."""
        if not rows:
            return
        _LEASE.many(
            self._db,
            [
                {
                    "cluster": row.cluster,
                    "proc": row.proc,
                    "number": row.attempts + 1,
                    "worker": worker,
                    "owner": row.owner,
                    "project": row.project,
                    "state": AttemptState.LEASED.value,
                    "live": True,
                    "secret_hash": digest(secret),
                    "lease_until": until,
                    "cpus": share.cpus,
                    "memory_mib": share.memory_mib,
                    "disk_kib": share.disk_kib,
                    "gpus": share.gpus,
                    "claimed_at": self._now,
                    "charged_at": self._now,
                    "usage": {},
                    "credential": held.reference if held else None,
                    "credential_expires": held.expires if held else None,
                }
                for row, secret in zip(rows, secrets, strict=True)
            ],
        )
        _CLAIM.many(
            self._db,
            [
                {"of_cluster": row.cluster, "of_proc": row.proc, "next": row.attempts + 1, "now": self._now}
                for row in rows
            ],
        )
        told = [(row.cluster, row.proc, row.attempts + 1) for row in rows]
        self._tell(told, JobState.CLAIMED, worker=worker)

    def charge(self, attempt: Row[Any]) -> None:
        """Count what an attempt has used since it was last counted, for whose turn it is."""
        if attempt.charged_at is None or attempt.project is None:
            return
        used = attempt.cpus * max((self._now - attempt.charged_at).total_seconds(), 0.0)
        account = {"of_project": attempt.project, "of_owner": attempt.owner}
        row = _SHARE.first(self._db, **account)
        if row is None:
            values = {"project": attempt.project, "owner": attempt.owner, "used": used, "at": self._now}
            self._db.execute(insert(shares).values(**values, served_at=attempt.claimed_at))
        else:
            used += decayed(row.used, self._now - row.at)
            _CHARGE.run(self._db, **account, now_used=used, now=self._now)

    def stop(self, rows: Iterable[Row[Any]]) -> None:
        """Ask for the end of the live attempts of jobs; the jobs stay bound to them until they have ended."""
        for row in rows:
            if row.live_attempt is not None:
                self._db.execute(
                    update(attempts)
                    .where(
                        attempts.c.cluster == row.cluster,
                        attempts.c.proc == row.proc,
                        attempts.c.number == row.live_attempt,
                        attempts.c.live.is_(True),
                    )
                    .values(state=AttemptState.STOPPING.value)
                )

    def end(
        self, attempt: Row[Any], state: AttemptState, *, ended: Ended = NOTHING_SAID, **columns: Any
    ) -> None:
        """End an attempt and unbind its job, whatever state that is in."""
        self.close(attempt, state, ended=ended, **columns)
        _UNBIND.run(self._db, of_cluster=attempt.cluster, of_proc=attempt.proc, of_number=attempt.number)
        self.rest(attempt.worker)

    def close(
        self, attempt: Row[Any], state: AttemptState, *, ended: Ended = NOTHING_SAID, **columns: Any
    ) -> None:
        """End an attempt whose job is going to be moved `UNBOUND`, and whose worker may `rest` then."""
        self.charge(attempt)
        record(self._db, attempt, state, used=columns.get("usage") or {}, ended=ended, now=self._now)
        values = {"state": state.value, "live": False, "ended_at": self._now, **columns}
        place = {"of_cluster": attempt.cluster, "of_proc": attempt.proc, "of_number": attempt.number}
        _ending(tuple(values)).run(self._db, **place, **{f"_{name}": value for name, value in values.items()})

    def rest(self, worker: str) -> None:
        """Take note since when a worker has nothing to do, if it has not."""
        _REST.run(self._db, of_worker=worker, now=self._now)

    def lose(self, attempt: Row[Any], why: str, *, max_lost: int) -> bool:
        """Record that an attempt was lost. Returns whether its job went back to the queue."""
        job = self.job(attempt.cluster, attempt.proc)
        if attempt.state == AttemptState.STOPPING:
            self.end(attempt, AttemptState.REMOVED, error=why)
            return False
        outcome = states.after_loss(lost=job.lost + 1, max_lost=max_lost, why=why)
        self.close(attempt, outcome.attempt, error=why)
        self.move(
            [job],
            outcome.job,
            columns={
                **UNBOUND,
                "lost": job.lost + 1,
                "hold_code": outcome.hold_code,
                "reason": outcome.reason,
                "started_at": None,
            },
            worker=attempt.worker,
            detail={"reason": outcome.reason}
            | ({"hold_code": outcome.hold_code} if outcome.hold_code else {}),
        )
        self.rest(attempt.worker)
        return outcome.job is JobState.IDLE

    def lose_all(self, *, max_lost: int, why: str, worker: str | None = None) -> list[Row[Any]]:
        """Lose the attempts of a worker, or without one all whose lease has run out. Returns them."""
        chosen = attempts.c.lease_until < self._now if worker is None else attempts.c.worker == worker
        rows = self._db.execute(
            select(attempts).where(attempts.c.live.is_(True), chosen).limit(10_000).with_for_update()
        ).all()
        for row in rows:
            self.lose(row, why, max_lost=max_lost)
        return list(rows)

    def job(self, cluster: int, proc: int) -> Row[Any]:
        """Return a job's row, locked, without its spec and inputs."""
        return _JOB.all(self._db, of_cluster=cluster, of_proc=proc)[0]
