"""Ends of jobs of which no record could be made, in SQL. Each stays until its record, or a later one of the job, is made."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    MetaData,
    Row,
    Table,
    Text,
    and_,
    delete,
    func,
    insert,
    select,
)
from sqlalchemy import Engine as Database

from armillary.base.errors import NotFound
from armillary.base.ids import ClusterId
from armillary.batch.model import JobId
from armillary.columns import Moment
from armillary.provenance.model import Gap

metadata = MetaData()
gaps = Table(
    "provenance_gaps",
    metadata,
    Column("cluster", BigInteger, primary_key=True, autoincrement=False),
    Column("proc", Integer, primary_key=True, autoincrement=False),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
    Column("reason", Text, nullable=False),
)


def keep(db: Connection, found: Sequence[Gap]) -> None:
    """Note gaps; of one that is known the newer reason stays, of a job the last end."""
    close(db, [(one.job, one.attempt) for one in found])
    rows = [
        {"cluster": one.job.cluster, "proc": one.job.proc, "attempt": one.attempt, "at": one.at, "reason": one.reason}
        for one in found
    ]  # fmt: skip
    if rows:
        db.execute(insert(gaps), rows)


def close(db: Connection, made: Collection[tuple[JobId, int]]) -> None:
    """Forget the gaps of attempts whose records are made, and of those before: the later record names them."""
    if not made or db.execute(select(gaps.c.cluster).limit(1)).first() is None:
        return
    for job, attempt in made:
        db.execute(
            delete(gaps).where(gaps.c.cluster == job.cluster, gaps.c.proc == job.proc, gaps.c.attempt <= attempt)
        )  # fmt: skip


def is_behind(cluster: Any, proc: Any, attempt: Any) -> Any:
    """Return in SQL whether a later attempt of the job in these columns has no record."""
    later = and_(gaps.c.cluster == cluster, gaps.c.proc == proc, gaps.c.attempt > attempt)
    return select(gaps.c.attempt).where(later).exists()


class Gaps:
    """Only reads."""

    def __init__(self, *, database: Database) -> None:
        self._reading = database.execution_options(readonly=True)

    def of(self, job: JobId) -> Gap | None:
        """Return the last end of a job of which no record could be made."""
        query = select(gaps).where(gaps.c.cluster == job.cluster, gaps.c.proc == job.proc)
        with self._reading.connect() as db:
            row = db.execute(query.order_by(gaps.c.attempt.desc()).limit(1)).first()
        return _gap(row) if row is not None else None

    def of_cluster(self, cluster: ClusterId, limit: int) -> list[Gap]:
        """Return those of a submit's jobs, in order."""
        query = (
            select(gaps).where(gaps.c.cluster == cluster).order_by(gaps.c.proc, gaps.c.attempt).limit(limit)
        )
        with self._reading.connect() as db:
            return [_gap(row) for row in db.execute(query)]

    def oldest(self, limit: int) -> list[Gap]:
        """Return gaps, the oldest first."""
        query = select(gaps).order_by(gaps.c.at, gaps.c.cluster, gaps.c.proc, gaps.c.attempt).limit(limit)
        with self._reading.connect() as db:
            return [_gap(row) for row in db.execute(query)]

    def count(self) -> int:
        """Return how many there are."""
        with self._reading.connect() as db:
            return int(db.execute(select(func.count()).select_from(gaps)).scalar_one())


def impossible(gap: Gap) -> NotFound:
    """Return the refusal of a record that cannot be made."""
    return NotFound(
        f"No record can be made of job {gap.job}: {gap.reason}",
        code="record_impossible",
        facts={"job": str(gap.job), "attempt": gap.attempt, "reason": gap.reason},
        remedy="Mend what is named in the submit file and run the job again, or ask an administrator: a newer version tries again when it starts.",
    )


def _gap(row: Row[Any]) -> Gap:
    return Gap(job=JobId(ClusterId(row.cluster), row.proc), attempt=row.attempt, reason=row.reason, at=row.at)
