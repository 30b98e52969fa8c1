"""The only writer of jobs' states: every change is a row of events in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, select, update

from armillary.batch.core import states
from armillary.batch.model import AttemptState, JobState
from armillary.batch.store.policy_records import watch_again
from armillary.batch.store.tables import attempts, events, jobs, workers


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
            .values({**values, **(columns or {})}),
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
                    "attempt": attempt or row.live_attempt,
                    "worker": worker,
                    "detail": dict(detail or {}),
                }
                for row in rows
            ],
        )

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

    def end(self, attempt: Row[Any], state: AttemptState, **columns: Any) -> None:
        """End an attempt and unbind its job, whatever state that is in."""
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
        """Return a job's row, locked."""
        return self._db.execute(
            select(jobs).where(jobs.c.cluster == cluster, jobs.c.proc == proc).with_for_update()
        ).one()
