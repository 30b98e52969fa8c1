"""The only writer of jobs' states: every change is a row of events in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, func, insert, select, update

from armillary.batch.core import states
from armillary.batch.core.order import decayed
from armillary.batch.engines.embedded.changing import shape_like
from armillary.batch.engines.embedded.terms import digest
from armillary.batch.model import AttemptState, JobState, Resources
from armillary.batch.store.policy_records import watch_again
from armillary.batch.store.shapes import shares
from armillary.batch.store.tables import attempts, clusters, events, jobs, workers
from armillary.batch.store.usage_records import NOTHING_SAID, Ended, record


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
        numbers: Mapping[tuple[int, int], int] | None = None,
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
        if to is JobState.HELD:
            values["holds"] = jobs.c.holds + 1
        over = {row.cluster for row in rows if JobState(row.state) in {JobState.COMPLETED, JobState.REMOVED}}
        if over:
            watch_again(self._db, over)
        self._db.execute(
            update(jobs)
            .where(jobs.c.cluster == bindparam("_cluster"), jobs.c.proc == bindparam("_proc"))
            .values({**values, **columns}),
            [{"_cluster": row.cluster, "_proc": row.proc} for row in rows],
        )
        self._db.execute(
            insert(events),
            [
                {
                    "cluster": row.cluster,
                    "proc": row.proc,
                    "at": self._now,
                    "state": to.value,
                    "attempt": attempt or (numbers or {}).get((row.cluster, row.proc)) or row.live_attempt,
                    "worker": worker,
                    "detail": dict(detail or {}),
                }
                for row in rows
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
    ) -> None:
        """Begin an attempt of each job, under a secret of its own."""
        if not rows:
            return
        self._db.execute(
            insert(attempts),
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
                }
                for row, secret in zip(rows, secrets, strict=True)
            ],
        )
        following = jobs.c.attempts + 1
        self.move(
            rows,
            JobState.CLAIMED,
            columns={"attempts": following, "live_attempt": following},
            worker=worker,
            numbers={(row.cluster, row.proc): row.attempts + 1 for row in rows},
        )

    def charge(self, attempt: Row[Any]) -> None:
        """Count what an attempt has used since it was last counted, for whose turn it is."""
        if attempt.charged_at is None or attempt.project is None:
            return
        used = attempt.cpus * max((self._now - attempt.charged_at).total_seconds(), 0.0)
        account = and_(shares.c.project == attempt.project, shares.c.owner == attempt.owner)
        row = self._db.execute(select(shares.c.used, shares.c.at).where(account)).first()
        if row is None:
            values = {"project": attempt.project, "owner": attempt.owner, "used": used, "at": self._now}
            self._db.execute(insert(shares).values(**values, served_at=attempt.claimed_at))
        else:
            used += decayed(row.used, self._now - row.at)
            self._db.execute(update(shares).where(account).values(used=used, at=self._now))

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
        self.charge(attempt)
        record(self._db, attempt, state, used=columns.get("usage") or {}, ended=ended, now=self._now)
        self._db.execute(
            update(attempts)
            .where(
                attempts.c.cluster == attempt.cluster,
                attempts.c.proc == attempt.proc,
                attempts.c.number == attempt.number,
            )
            .values(state=state.value, live=False, ended_at=self._now, **columns)
        )
        self._db.execute(
            update(jobs)
            .where(
                jobs.c.cluster == attempt.cluster,
                jobs.c.proc == attempt.proc,
                jobs.c.live_attempt == attempt.number,
            )
            .values(live_attempt=None)
        )
        busy = select(func.count()).where(attempts.c.worker == attempt.worker, attempts.c.live.is_(True))
        if not self._db.execute(busy).scalar_one():
            self._db.execute(
                update(workers).where(workers.c.id == attempt.worker).values(idle_since=self._now)
            )

    def lose(self, attempt: Row[Any], why: str, *, max_lost: int) -> bool:
        """Record that an attempt was lost. Returns whether its job went back to the queue."""
        job = self.job(attempt.cluster, attempt.proc)
        if attempt.state == AttemptState.STOPPING:
            self.end(attempt, AttemptState.REMOVED, error=why)
            return False
        outcome = states.after_loss(lost=job.lost + 1, max_lost=max_lost, why=why)
        self.end(attempt, outcome.attempt, error=why)
        self.move(
            [job],
            outcome.job,
            columns={
                "lost": job.lost + 1,
                "hold_code": outcome.hold_code,
                "reason": outcome.reason,
                "started_at": None,
            },
            worker=attempt.worker,
            detail={"reason": outcome.reason},
        )
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
        """Return a job's row, locked, with what all jobs of its submit share."""
        return self._db.execute(
            select(jobs, clusters.c.common, clusters.c.common_inputs)
            .join(clusters, clusters.c.id == jobs.c.cluster)
            .where(jobs.c.cluster == cluster, jobs.c.proc == proc)
            .with_for_update(of=jobs)
        ).one()
