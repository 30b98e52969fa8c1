"""What attempts save for those after them: whole, or not at all, and only from the attempt that holds the lease."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, func, insert, or_, select, update
from sqlalchemy import Engine as Database

from armillary.base.clock import Clock
from armillary.base.errors import Invalid
from armillary.base.ids import ClusterId
from armillary.batch.engines.embedded.moments import moment
from armillary.batch.engines.embedded.parcels import LeaseKey, OutputRef
from armillary.batch.engines.embedded.register import Session
from armillary.batch.engines.embedded.terms import digest
from armillary.batch.model import InputFile, JobId, StaleAttempt
from armillary.batch.store.checkpoint_tables import checkpoints
from armillary.batch.store.tables import attempts

_AT_ONCE = 200


class Checkpoints:
    """One checkpoint for each job: the last that arrived whole. Every call is one transaction."""

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database = database
        self._reading = database.execution_options(readonly=True)
        self._clock = clock

    def check(self, session: Session, key: LeaseKey) -> None:
        """Raise StaleAttempt unless the attempt is live; one that is being stopped may still save its work."""
        with self._reading.connect() as db:
            self._live(db, session, key)

    def add(self, session: Session, key: LeaseKey, file: OutputRef) -> None:
        """Record a file that has arrived. It counts from `commit` on."""
        with self._database.begin() as db:
            self._live(db, session, key)
            place = {**_job(key), "attempt": key.attempt, "name": file.name, "sha256": file.sha256}
            same = and_(*(checkpoints.c[name] == value for name, value in place.items()))
            if db.execute(select(checkpoints.c.proc).where(same)).first() is None:
                db.execute(insert(checkpoints).values(**place, size=file.size, mode=0o644, committed=False))

    def commit(self, session: Session, key: LeaseKey, files: Sequence[InputFile]) -> None:
        """Make these files the job's checkpoint, in place of the one before. Repeating changes nothing.

        Raises StaleAttempt, or Invalid `output_missing` when one has not arrived.
        """
        mine = and_(*(checkpoints.c[name] == value for name, value in _job(key).items()))
        with self._database.begin() as db:
            self._live(db, session, key)
            here = select(checkpoints).where(mine, checkpoints.c.attempt == key.attempt)
            have = {(row.name, row.sha256, row.size) for row in db.execute(here)}
            missing = [file.path for file in files if (file.path, file.sha256, file.size) not in have]
            if missing:
                raise Invalid(
                    f"{len(missing)} file(s) of the checkpoint have not arrived",
                    code="output_missing",
                    facts={"missing": missing[:100]},
                    remedy="Send them again, then the checkpoint.",
                )
            named = {(file.path, file.sha256): file.mode for file in files}
            for row in db.execute(select(checkpoints).where(mine)).all():
                this = and_(
                    mine,
                    checkpoints.c.attempt == row.attempt,
                    checkpoints.c.name == row.name,
                    checkpoints.c.sha256 == row.sha256,
                )
                mode = named.get((row.name, row.sha256)) if row.attempt == key.attempt else None
                if mode is None:
                    db.execute(delete(checkpoints).where(this))
                else:
                    db.execute(update(checkpoints).where(this).values(mode=mode, committed=True))

    def of(self, jobs: Iterable[JobId]) -> dict[JobId, list[InputFile]]:
        """Return the files of the jobs' checkpoints, of those that have one."""
        wanted = list(jobs)
        found: dict[JobId, list[InputFile]] = {}
        if not wanted:
            return found
        with self._reading.connect() as db:
            for start in range(0, len(wanted), _AT_ONCE):
                these = [
                    and_(checkpoints.c.cluster == job.cluster, checkpoints.c.proc == job.proc)
                    for job in wanted[start : start + _AT_ONCE]
                ]
                query = select(checkpoints).where(checkpoints.c.committed.is_(True), or_(*these))
                for row in db.execute(query.order_by(checkpoints.c.name)):
                    job = JobId(ClusterId(row.cluster), row.proc)
                    file = InputFile(path=row.name, sha256=row.sha256, size=row.size, mode=row.mode)
                    found.setdefault(job, []).append(file)
        return found

    def may_read(self, session: Session, sha256: str) -> bool:
        """Return whether the blob belongs to the checkpoint of a job that the worker has now."""
        query = (
            select(func.count())
            .select_from(checkpoints)
            .join(
                attempts,
                and_(checkpoints.c.cluster == attempts.c.cluster, checkpoints.c.proc == attempts.c.proc),
            )
            .where(
                attempts.c.worker == session.worker,
                attempts.c.live.is_(True),
                checkpoints.c.committed.is_(True),
                checkpoints.c.sha256 == sha256,
            )
        )
        with self._reading.connect() as db:
            return bool(db.execute(query).scalar_one())

    def forget(self, job: JobId) -> None:
        """Drop what was saved of a job that is over."""
        mine = and_(checkpoints.c.cluster == job.cluster, checkpoints.c.proc == job.proc)
        with self._database.begin() as db:
            db.execute(delete(checkpoints).where(mine))

    def _live(self, db: Connection, session: Session, key: LeaseKey) -> Row[Any]:
        row = db.execute(
            select(attempts).where(
                attempts.c.cluster == key.job.cluster,
                attempts.c.proc == key.job.proc,
                attempts.c.number == key.attempt,
                attempts.c.worker == session.worker,
                attempts.c.secret_hash == digest(key.secret),
            )
        ).first()
        if row is None or not row.live or row.lease_until < moment(db, self._clock):
            raise StaleAttempt(str(key.job), key.attempt)
        return row


def _job(key: LeaseKey) -> dict[str, int]:
    return {"cluster": key.job.cluster, "proc": key.job.proc}
