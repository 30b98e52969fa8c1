"""Brings ended jobs home: their files into our spool, their end into the records, once; then the schedd may forget them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import Connection, Row, and_, delete, insert, or_, select, update

from armillary.base.errors import ArmillaryError, Unavailable
from armillary.base.job_ads import COMPLETED, REMOVED
from armillary.batch.engines.embedded.ledger import Ledger
from armillary.batch.engines.embedded.moments import moment
from armillary.batch.engines.htcondor.following import begin_attempt, live_attempt
from armillary.batch.engines.htcondor.ports import Site
from armillary.batch.engines.htcondor.sight import PROJECTION, Sight, sight
from armillary.batch.engines.htcondor.staging import Staging, regular_files
from armillary.batch.engines.htcondor.translate import DONE, ERROR, OUTPUT, PLATFORM
from armillary.batch.logs import LogFolder
from armillary.batch.model import AttemptState, JobId, JobState
from armillary.batch.ports import Blob
from armillary.batch.store.pool_tables import pool_jobs
from armillary.batch.store.specs import whole_spec
from armillary.batch.store.tables import clusters, jobs, outputs
from armillary.batch.store.usage_records import Ended

log = logging.getLogger(__name__)

AT_ONCE = 100
_STREAMS = {OUTPUT: "stdout", ERROR: "stderr"}
_OVER = frozenset({COMPLETED, REMOVED})
_CHUNK = 2**20


class Collecting:
    """Call `collect` every few seconds, from one thread."""

    def __init__(self, *, site: Site, staging: Staging, logs: LogFolder) -> None:
        self._database = site.database
        self._clock = site.clock
        self._pool = site.pool
        self._staging = staging
        self._logs = logs
        self._platform = site.platform

    def collect(self) -> set[int]:
        """Bring home what has ended, up to a bound; returns the clusters of those jobs."""
        rows = self._ended()
        if not rows:
            return set()
        numbers = {row.schedd_cluster for row in rows}
        mine = f'{PLATFORM} == "{self._platform}" && ({" || ".join(f"ClusterId == {n}" for n in sorted(numbers))})'
        over = f"(JobStatus == {COMPLETED} || JobStatus == {REMOVED})"
        ads = (sight(ad) for ad in self._pool.query(f"{mine} && {over}", PROJECTION))
        ended = {(s.cluster, s.proc, s.turn): s for s in ads if s is not None and s.status in _OVER}
        found = [(row, ended[key]) for row in rows if (key := (row.cluster, row.proc, row.turn)) in ended]
        for row, _ in found:
            self._staging.outputs(row.cluster, row.proc)
        there = self._retrieve([seen for _, seen in found if seen.status == COMPLETED])
        home: list[tuple[Row[Any], Sight]] = []
        for row, seen in found:
            why = there.get(seen.name, "")
            if self._give_up(row, seen, why) if why else self._bring(row, seen):
                home.append((row, seen))
        # A crash from here on leaves jobs in the schedd's queue that nobody asks for; `dismiss` finds them.
        self._dismiss([seen for _, seen in home])
        for row, _ in home:
            self._staging.clear(row.cluster, row.proc)
        return {row.cluster for row, _ in home}

    def _retrieve(self, ended: Sequence[Sight]) -> dict[str, str]:
        """Bring the files of ended jobs; returns, of those whose files cannot be had, why. One keeps no other back."""
        if not ended:
            return {}
        try:
            self._pool.retrieve([seen.name for seen in ended])
        except Unavailable as error:
            self._pool.ping()  # raises when nobody is there: then we ask again later
            if len(ended) > 1:
                halves = ended[: len(ended) // 2], ended[len(ended) // 2 :]
                return {name: why for half in halves for name, why in self._retrieve(half).items()}
            return self._without_streams(ended[0], str(error.facts.get("reason") or error.message))
        return {}

    def _without_streams(self, seen: Sight, why: str) -> dict[str, str]:
        """Bring the files of a job that was tried again and said nothing.

        A machine sends back what has changed. An empty stream that came along with the files of the try before has
        not, and the schedd, which was promised one, finds none.
        """
        for stream in ("Out", "Err"):
            self._pool.edit([seen.name], stream, '"/dev/null"')
        try:
            self._pool.retrieve([seen.name])
        except Unavailable:
            self._pool.ping()
            return {seen.name: why}
        return {}

    def _give_up(self, row: Row[Any], seen: Sight, why: str) -> bool:
        """Put a job whose files are lost on hold; released, it runs again."""
        log.warning("job %s.%s: its files cannot be brought: %s", row.cluster, row.proc, why)
        with self._database.begin() as db:
            ledger = Ledger(db, now=moment(db, self._clock))
            _done(db, row)
            job = ledger.job(row.cluster, row.proc)
            live = live_attempt(db, job)
            if live is not None:
                ledger.end(live, AttemptState.FAILED, ended=Ended("output_missing"), error=why)
            if JobState(job.state).active:
                told = {
                    "hold_code": "output_missing",
                    "reason": f"its files cannot be had from the schedd: {why}",
                }
                ledger.move([ledger.job(row.cluster, row.proc)], JobState.HELD, columns=told, detail=told)
        return True

    def dismiss_leftovers(self) -> None:
        """Let the schedd forget jobs that were home before. Call it at the start, and now and then."""
        over = f"(JobStatus == {COMPLETED} || JobStatus == {REMOVED})"
        left: list[Sight] = []
        for ad in self._pool.query(f'{PLATFORM} == "{self._platform}" && {over}', PROJECTION):
            seen = sight(ad)
            if seen is not None and not self._wanted(seen):
                left.append(seen)
        self._dismiss(left)

    def _wanted(self, seen: Sight) -> bool:
        with self._reading() as db:
            here = and_(pool_jobs.c.cluster == seen.cluster, pool_jobs.c.proc == seen.proc)
            mine = and_(here, pool_jobs.c.turn == seen.turn, pool_jobs.c.done.is_(False))
            return db.execute(select(pool_jobs.c.proc).where(mine)).first() is not None

    def _dismiss(self, jobs: Sequence[Sight]) -> None:
        if jobs:
            self._pool.edit([seen.name for seen in jobs], DONE, "true")

    def _ended(self) -> Sequence[Row[Any]]:
        query = (
            select(pool_jobs)
            .where(
                pool_jobs.c.done.is_(False),
                pool_jobs.c.schedd_cluster.is_not(None),
                or_(*(pool_jobs.c.status == status for status in sorted(_OVER))),
            )
            .order_by(pool_jobs.c.entered, pool_jobs.c.cluster, pool_jobs.c.proc)
            .limit(AT_ONCE)
        )
        with self._reading() as db:
            return db.execute(query).all()

    def _bring(self, row: Row[Any], seen: Sight) -> bool:
        """Bring one job home. Returns False when that must be tried again."""
        if seen.status == REMOVED:
            with self._database.begin() as db:
                _done(db, row)
            return True
        folder = self._staging.outputs(row.cluster, row.proc)
        try:
            files = [(name, self._staging.keep(place)) for name, place in regular_files(folder)]
        except (ArmillaryError, OSError) as error:
            log.warning("job %s.%s: its files cannot be kept: %s", row.cluster, row.proc, error)
            return False
        number = self._finish(row, seen, [file for file in files if file[1].size or file[0] not in _STREAMS])
        if number is not None:
            self._show_streams(row, number, folder)
        return True

    def _finish(self, row: Row[Any], seen: Sight, files: Sequence[tuple[str, Blob]]) -> int | None:
        """End the job in one transaction; returns the attempt whose results it has, if it wants them."""
        with self._database.begin() as db:
            now = moment(db, self._clock)
            ledger = Ledger(db, now=now)
            _done(db, row)
            job = ledger.job(row.cluster, row.proc)
            live = live_attempt(db, job)
            if live is None and job.state == JobState.IDLE.value:
                # We had given its machine up, and it was well: the result is the only one there is.
                begin_attempt(ledger, job, seen)
                job = ledger.job(row.cluster, row.proc)
                live = live_attempt(db, job)
            if live is None:
                return None
            figures: dict[str, Any] = {"exit_code": seen.exit_code, "signal": seen.signal}
            if not JobState(job.state).on_worker:
                ledger.end(live, AttemptState.REMOVED, usage=dict(seen.usage), **figures)
                return None
            _record(db, live, files)
            succeeded = seen.exit_code == _success(db, job) and seen.signal is None
            how = f"signal {seen.signal}" if seen.signal is not None else f"exit code {seen.exit_code}"
            cause = None if succeeded else "exit_code" if seen.signal is None else "signal"
            ledger.end(
                live,
                AttemptState.FINISHED,
                ended=Ended(cause, completed=True),
                became=JobState.COMPLETED.value,
                usage=dict(seen.usage),
                **figures,
            )
            ledger.move(
                [ledger.job(row.cluster, row.proc)],
                JobState.COMPLETED,
                columns={
                    **figures,
                    "committed_attempt": live.number,
                    "succeeded": succeeded,
                    "finished_at": now,
                    "started_at": job.started_at or live.started_at or live.claimed_at,
                    "reason": None if succeeded else how,
                },
                worker=live.worker,
                attempt=live.number,
                detail={**{k: v for k, v in figures.items() if v is not None}, "usage": dict(seen.usage)},
            )
        return int(live.number)

    def _show_streams(self, row: Row[Any], attempt: int, folder: Any) -> None:
        """Keep what the job printed where people look for it. It is an output as well, so that a crash loses nothing."""
        job = JobId(row.cluster, row.proc)
        for name, stream in _STREAMS.items():
            place = folder / name
            if place.is_file():
                offset = 0
                with place.open("rb") as source:
                    while chunk := source.read(_CHUNK):
                        self._logs.append(job, attempt, stream, offset=offset, data=chunk)
                        offset += len(chunk)
        self._logs.sync(job, attempt)

    def _reading(self) -> Connection:
        return self._database.execution_options(readonly=True).connect()


def _success(db: Connection, job: Row[Any]) -> int:
    """Return the exit code by which the job says that all is well."""
    query = select(jobs.c.spec, clusters.c.common).join(clusters, clusters.c.id == jobs.c.cluster)
    spec = whole_spec(db.execute(query.where(jobs.c.cluster == job.cluster, jobs.c.proc == job.proc)).one())
    policy = cast("dict[str, Any]", spec.get("policy") or {})
    return int(policy.get("success_exit_code") or 0)


def _record(db: Connection, attempt: Row[Any], files: Sequence[tuple[str, Blob]]) -> None:
    place = {"cluster": attempt.cluster, "proc": attempt.proc, "attempt": attempt.number}
    db.execute(delete(outputs).where(*(outputs.c[name] == value for name, value in place.items())))
    if files:
        db.execute(
            insert(outputs),
            [{**place, "name": name, "sha256": b.sha256, "size": b.size} for name, b in files],
        )


def _done(db: Connection, row: Row[Any]) -> None:
    mine = and_(pool_jobs.c.cluster == row.cluster, pool_jobs.c.proc == row.proc)
    db.execute(update(pool_jobs).where(mine, pool_jobs.c.turn == row.turn).values(done=True))
