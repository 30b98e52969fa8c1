"""Moves our records as the schedd moves its jobs: the same states, events and attempts as with our own agents."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, func, select, tuple_, update

from armillary.base.ids import new_secret
from armillary.base.job_ads import HELD, IDLE, REMOVED
from armillary.batch.engines.embedded.ledger import Ledger
from armillary.batch.engines.embedded.moments import moment
from armillary.batch.engines.htcondor.ports import Site
from armillary.batch.engines.htcondor.sight import ON_MACHINE, OURS, PROJECTION, Sight, sight
from armillary.batch.engines.htcondor.translate import NOT_READY_HOLD, PLATFORM
from armillary.batch.model import AttemptState, JobState, Resources
from armillary.batch.store.pool_tables import pool_jobs
from armillary.batch.store.tables import attempts, jobs

OVERLAP = 5
"""seconds that are asked for twice: the schedd's clock has whole ones, and a job may change twice in one"""
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
"""when a lease that HTCondor looks after ends"""
_AT_ONCE = 500
_IN_ONE = 100
"""jobs in one transaction: others want to write too"""


class Follower:
    """Call `follow` every few seconds, from one thread."""

    def __init__(self, *, site: Site) -> None:
        self._database = site.database
        self._clock = site.clock
        self._pool = site.pool
        self._platform = site.platform
        self._asked: float | None = None
        """when it was asked last, by a clock that nobody sets"""

    def follow(self) -> set[int]:
        """Follow what has changed in the schedd's queue since the last time; returns the clusters that moved."""
        asked = time.monotonic()
        since = self._since(asked)
        changed = f"EnteredCurrentStatus >= {since} || JobCurrentStartExecutingDate >= {since}"
        ads = self._pool.query(f'{PLATFORM} == "{self._platform}" && ({changed})', PROJECTION)
        moved: set[int] = set()
        for n in range(0, len(ads), _AT_ONCE):
            sights = (sight(ad) for ad in ads[n : n + _AT_ONCE])
            news = self._news([one for one in sights if one is not None])
            for first in range(0, len(news), _IN_ONE):
                moved |= self._apply(news[first : first + _IN_ONE])
        self._asked = asked
        return moved

    def missing(self) -> int:
        """Look for jobs that the schedd has dropped without a word; they count as removed. Returns how many."""
        lost = 0
        after = (0, -1)
        while True:
            with self._reading() as db:
                rows = db.execute(
                    select(pool_jobs)
                    .where(
                        pool_jobs.c.done.is_(False),
                        pool_jobs.c.schedd_cluster.is_not(None),
                        (pool_jobs.c.schedd_cluster > after[0])
                        | and_(pool_jobs.c.schedd_cluster == after[0], pool_jobs.c.schedd_proc > after[1]),
                    )
                    .order_by(pool_jobs.c.schedd_cluster, pool_jobs.c.schedd_proc)
                    .limit(_AT_ONCE)
                ).all()
            if not rows:
                return lost
            after = (rows[-1].schedd_cluster, rows[-1].schedd_proc)
            between = f"ClusterId >= {rows[0].schedd_cluster} && ClusterId <= {after[0]}"
            there = {
                (ad["ClusterId"], ad["ProcId"])
                for ad in self._pool.query(
                    f'{PLATFORM} == "{self._platform}" && {between}', ["ClusterId", "ProcId"]
                )
            }
            for row in rows:
                if (row.schedd_cluster, row.schedd_proc) not in there:
                    lost += self._dropped(row)

    def _since(self, asked: float) -> str:
        """Return the moment from which changes are of interest, as the schedd's clock has it."""
        if self._asked is not None:
            return f"(time() - {int(asked - self._asked) + OVERLAP})"
        with self._reading() as db:
            newest = db.execute(select(func.max(pool_jobs.c.entered))).scalar() or 0
        return str(max(0, newest - OVERLAP))

    def _news(self, sights: list[Sight]) -> list[Sight]:
        """Leave out what we know: most of what is asked for twice."""
        names = [(one.cluster, one.proc) for one in sights]
        query = select(pool_jobs.c.cluster, pool_jobs.c.proc, pool_jobs.c.turn, pool_jobs.c.seen)
        with self._reading() as db:
            rows = db.execute(query.where(tuple_(pool_jobs.c.cluster, pool_jobs.c.proc).in_(names))).all()
        known = {(row.cluster, row.proc, row.turn, row.seen) for row in rows}
        return [one for one in sights if (one.cluster, one.proc, one.turn, one.mark) not in known]

    def _apply(self, news: list[Sight]) -> set[int]:
        moved: set[int] = set()
        with self._database.begin() as db:
            now = moment(db, self._clock)
            for seen in news:
                known = _row(db, seen)
                if known is None:
                    continue
                step = _Step(db, Ledger(db, now=now), seen, now)
                if not seen.dated(run=known.run, status=known.status):
                    continue
                step.take(known)
                db.execute(
                    update(pool_jobs)
                    .where(pool_jobs.c.cluster == seen.cluster, pool_jobs.c.proc == seen.proc)
                    .values(
                        seen=seen.mark,
                        status=seen.status,
                        entered=seen.entered,
                        memory_mib=seen.memory_mib or known.memory_mib,
                        run=seen.run if step.run_known else known.run,
                        completions=known.completions if step.failures is None else seen.completions,
                    )
                )
                moved.add(seen.cluster)
        return moved

    def _dropped(self, row: Row[Any]) -> int:
        with self._database.begin() as db:
            now = moment(db, self._clock)
            ledger = Ledger(db, now=now)
            job = ledger.job(row.cluster, row.proc)
            mine = and_(pool_jobs.c.cluster == row.cluster, pool_jobs.c.proc == row.proc)
            db.execute(update(pool_jobs).where(mine, pool_jobs.c.turn == row.turn).values(done=True))
            why = "the HTCondor pool's queue has it no more"
            live = live_attempt(db, job)
            if live is not None:
                ledger.end(live, AttemptState.REMOVED, error=why)
            if JobState(job.state) in {JobState.COMPLETED, JobState.REMOVED}:
                return 0
            ledger.move(
                [job],
                JobState.REMOVED,
                columns={"reason": why, "finished_at": now},
                detail={"reason": why},
            )
        return 1

    def _reading(self) -> Connection:
        return self._database.execution_options(readonly=True).connect()


class _Step:
    """One change of one job, in one transaction."""

    def __init__(self, db: Connection, ledger: Ledger, seen: Sight, now: Any) -> None:
        self._db = db
        self._ledger = ledger
        self._seen = seen
        self._now = now
        self.run_known = False
        self.failures: int | None = None
        """how often its program has failed since the last look, and it was to run again; None: not to be said yet"""

    def take(self, known: Row[Any]) -> None:
        seen = self._seen
        self.failures = seen.failures(counted=known.completions, run=known.run)
        job = self._retried(self._ledger.job(seen.cluster, seen.proc))
        if seen.run and seen.run != known.run:
            job = self._begin(job, known)
            self.run_known = True
        if seen.status in ON_MACHINE:
            self._runs(job)
        elif seen.status == IDLE:
            self._waits(job, known)
        elif seen.status == HELD:
            self._held(job, known)
        elif seen.status == REMOVED:
            self._removed(job)
        # COMPLETED: its files are brought first (`Collecting`)

    def _retried(self, job: Row[Any]) -> Row[Any]:
        """Count its retries, those included that began and ended between two looks."""
        if not self.failures:
            return job
        mine = and_(jobs.c.cluster == job.cluster, jobs.c.proc == job.proc)
        self._db.execute(update(jobs).where(mine).values(retried=max(0, job.retried + self.failures)))
        return self._ledger.job(job.cluster, job.proc)

    def _begin(self, job: Row[Any], known: Row[Any]) -> Row[Any]:
        """Record an attempt that we did not know of. That the one before had ended may not have been seen."""
        earlier = live_attempt(self._db, job)
        if earlier is not None:
            self._over(job, earlier, otherwise="it was started again elsewhere")
            job = self._ledger.job(job.cluster, job.proc)
        if (
            job.state == JobState.IDLE.value
        ):  # else a person has stopped it meanwhile, and the schedd will hear of it
            begin_attempt(self._ledger, job, self._seen)
        return self._ledger.job(job.cluster, job.proc)

    def _runs(self, job: Row[Any]) -> None:
        if self._seen.executing and job.state == JobState.CLAIMED.value:
            live, started = live_attempt(self._db, job), self._now
            if live is not None:
                started = live.started_at or started
                columns = {"state": AttemptState.RUNNING.value, "started_at": started}
                self._db.execute(update(attempts).where(_is(live)).values(columns))
            self._ledger.move(
                [job], JobState.RUNNING, columns={"started_at": started}, worker=self._seen.worker
            )

    def _waits(self, job: Row[Any], known: Row[Any]) -> None:
        live = live_attempt(self._db, job)
        if live is not None:
            self._over(job, live, otherwise=self._seen.reason or "it was put back")
        elif job.state == JobState.HELD.value and known.status == HELD and job.hold_code not in _BY_PEOPLE:
            self._ledger.move([job], JobState.IDLE)

    def _held(self, job: Row[Any], known: Row[Any]) -> None:
        live = live_attempt(self._db, job)
        if self._seen.reason.startswith(OURS):
            self._as_we_said(job, live)
            return
        reason = self._seen.reason
        if live is not None and live.error and self._seen.hold_subcode == NOT_READY_HOLD:
            reason = str(live.error)  # what stands beside the job has told us before
        finished = self._seen.ended and self._seen.completions > known.completions
        ended = AttemptState.FINISHED if finished else AttemptState.FAILED
        if live is not None:
            stopping = live.state == AttemptState.STOPPING
            state = AttemptState.REMOVED if stopping else ended
            self._ledger.end(live, state, error=reason, **self._figures())
        if not JobState(job.state).active:
            return
        self._ledger.move(
            [self._ledger.job(job.cluster, job.proc)],
            JobState.HELD,
            columns={
                "hold_code": self._seen.hold_code,
                "hold_subcode": self._seen.hold_subcode,
                "reason": reason,
                "started_at": None,
                **self._memory(),
            },
            worker=self._seen.worker or None,
            attempt=live.number if live is not None else None,
            detail={"reason": reason, "hold_code": self._seen.hold_code},
        )

    def _as_we_said(self, job: Row[Any], live: Row[Any] | None) -> None:
        """Take note that an order was followed; a person may want something else by now."""
        if live is not None:
            self._end(job, live, AttemptState.REMOVED, self._seen.reason)

    def _removed(self, job: Row[Any]) -> None:
        live = live_attempt(self._db, job)
        if self._seen.reason.startswith(OURS):
            self._as_we_said(job, live)
            return
        if live is not None:
            self._ledger.end(live, AttemptState.REMOVED, error=self._seen.reason, **self._figures())
        if JobState(job.state) in {JobState.COMPLETED, JobState.REMOVED}:
            return
        self._ledger.move(
            [self._ledger.job(job.cluster, job.proc)],
            JobState.REMOVED,
            columns={"reason": self._seen.reason, "finished_at": self._now},
            worker=self._seen.worker or None,
            detail={"reason": self._seen.reason},
        )

    def _over(self, job: Row[Any], live: Row[Any], *, otherwise: str) -> None:
        """End an attempt after which the job runs again: because its program failed, or for another reason."""
        if self.failures and self.failures > 0:
            self._end(job, live, AttemptState.FINISHED, f"tried again after {self._how()}")
        else:
            self._end(job, live, AttemptState.LOST, otherwise)

    def _end(self, job: Row[Any], live: Row[Any], state: AttemptState, why: str) -> None:
        """End an attempt after which the job waits again, unless a person wants otherwise."""
        stopping = live.state == AttemptState.STOPPING
        self._ledger.end(live, AttemptState.REMOVED if stopping else state, error=why, **self._figures())
        if not JobState(job.state).on_worker:
            return
        columns: dict[str, Any] = {"started_at": None, "reason": why, **self._memory()}
        if state is AttemptState.LOST:
            columns["lost"] = job.lost + 1
        self._ledger.move(
            [self._ledger.job(job.cluster, job.proc)],
            JobState.IDLE,
            columns=columns,
            worker=live.worker,
            attempt=live.number,
            detail={"reason": why},
        )

    def _memory(self) -> dict[str, int]:
        """What the job asks for now: `retry_request_memory` has it ask for more each time."""
        return {"memory_mib": self._seen.memory_mib} if self._seen.memory_mib else {}

    def _figures(self) -> dict[str, Any]:
        return {
            "usage": dict(self._seen.usage),
            "exit_code": self._seen.exit_code,
            "signal": self._seen.signal,
        }

    def _how(self) -> str:
        return (
            f"signal {self._seen.signal}"
            if self._seen.signal is not None
            else f"exit code {self._seen.exit_code}"
        )


_BY_PEOPLE = frozenset({"held_by_user", "submitted_on_hold"})
"""Holds that only a person of ours ends."""


def begin_attempt(ledger: Ledger, job: Row[Any], seen: Sight) -> None:
    """Record that a machine has the job. HTCondor itself fences attempts: a claim belongs to one shadow."""
    share = Resources(cpus=job.cpus, memory_mib=job.memory_mib, disk_kib=job.disk_kib, gpus=job.gpus)
    ledger.lease([job], [new_secret()], worker=seen.worker or "unknown", share=share, until=NEVER)


def live_attempt(db: Connection, job: Row[Any]) -> Row[Any] | None:
    """Return the attempt that the job is bound to, if there is one."""
    if job.live_attempt is None:
        return None
    here = (attempts.c.cluster == job.cluster, attempts.c.proc == job.proc)
    return db.execute(select(attempts).where(*here, attempts.c.number == job.live_attempt)).first()


def _is(row: Row[Any]) -> Any:
    return and_(
        attempts.c.cluster == row.cluster, attempts.c.proc == row.proc, attempts.c.number == row.number
    )


def _row(db: Connection, seen: Sight) -> Row[Any] | None:
    """Return what we know of the job that was seen, if it is still that one, and something has changed."""
    query = select(pool_jobs).where(
        pool_jobs.c.cluster == seen.cluster,
        pool_jobs.c.proc == seen.proc,
        pool_jobs.c.turn == seen.turn,
        pool_jobs.c.schedd_cluster == seen.schedd_cluster,
        pool_jobs.c.schedd_proc == seen.schedd_proc,
        pool_jobs.c.done.is_(False),
    )
    return db.execute(query.where(pool_jobs.c.seen != seen.mark)).first()
