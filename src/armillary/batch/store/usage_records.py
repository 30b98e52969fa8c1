"""What was used, as sums by day, project, person, cloud and image, kept up with each attempt that ends.

A report reads sums, of which there are few, and never the attempts, of which there may be millions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from math import isfinite
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Table, and_, bindparam, func, or_, select, true
from sqlalchemy import Engine as Database
from sqlalchemy.dialects import postgresql, sqlite

from armillary.base.ids import PersonId
from armillary.batch.core.hold_codes import HOLD_CODES
from armillary.batch.model import AttemptState
from armillary.batch.store.records import Scope
from armillary.batch.store.swift import Swift
from armillary.batch.store.tables import clusters, failures, jobs, machines, usage

DIMENSIONS = ("day", "project", "owner", "cloud", "image")
_SUMS = tuple(column.name for column in usage.c if not column.primary_key)
_SLOTS = 8
"""Workers add to different rows of the same sum, so that in PostgreSQL they do not wait for each other."""
_CAUSES = {
    *HOLD_CODES,
    "lost",
    "removed",
    "exit_code",
    "signal",
    "disk_full",
    "worker_fault",
    "worker_stopped",
}
"""Agents name causes, and an agent is in its user's hands: what is not here is `other`."""
UNKNOWN = "unknown"
_MOST_CORES = 1024
"""that one machine may have"""


_WHERE = Swift(
    select(jobs.c.project, jobs.c.image, jobs.c.submitted_at, machines.c.cloud)
    .outerjoin(machines, machines.c.id == bindparam("of_worker"))
    .where(jobs.c.cluster == bindparam("of_cluster"), jobs.c.proc == bindparam("of_proc"))
)


class Ended(NamedTuple):
    """How an attempt ended, as far as reports tell."""

    cause: str | None = None
    """why it did not do well; None when it did"""
    completed: bool = False
    """its job is completed with it"""


NOTHING_SAID = Ended()


def record(
    db: Connection,
    attempt: Row[Any],
    state: AttemptState,
    *,
    used: Mapping[str, float],
    ended: Ended,
    now: datetime,
) -> None:
    """Add an attempt that has ended to the sums, in the transaction that ends it."""
    row = _WHERE.all(db, of_worker=attempt.worker, of_cluster=attempt.cluster, of_proc=attempt.proc)[0]
    cause = {AttemptState.LOST: "lost", AttemptState.REMOVED: "removed"}.get(state, ended.cause)
    wall = max((now - attempt.claimed_at).total_seconds(), 0.0)
    first = attempt.number == 1
    key = {
        "day": now.date().isoformat(),
        "project": row.project,
        "owner": attempt.owner,
        "cloud": row.cloud or UNKNOWN,
        "image": row.image,
        "slot": hash(attempt.worker) % _SLOTS,
    }
    sums: dict[str, float] = {
        "attempts": 1,
        "jobs": int(ended.completed),
        "failed": int(ended.completed and cause is not None),
        "wall_seconds": wall,
        "core_seconds": wall * attempt.cpus,
        "cpu_seconds": _worked(used, wall),
        "memory_mib_seconds": wall * attempt.memory_mib,
        "waits": int(first),
        "wait_seconds": max((attempt.claimed_at - row.submitted_at).total_seconds(), 0.0) if first else 0.0,
    }
    _add(db, usage, key, sums)
    if cause is not None:
        known = cause if cause in _CAUSES else "other"
        _add(db, failures, key | {"cause": known}, {"count": 1})


def _worked(used: Mapping[str, float], wall: float) -> float:
    """Return the processor time that an agent tells, within reason: an agent is in its user's hands."""
    told = used.get("user_seconds", 0.0) + used.get("system_seconds", 0.0)
    return min(max(told, 0.0), wall * _MOST_CORES) if isfinite(told) else 0.0


def _add(db: Connection, table: Table, key: Mapping[str, Any], sums: Mapping[str, float]) -> None:
    _adding(db.dialect.name, table, tuple(key), tuple(sums)).run(db, **key, **sums)


@lru_cache(maxsize=20)
def _adding(dialect_name: str, table: Table, key: tuple[str, ...], sums: tuple[str, ...]) -> Swift:
    dialect: Any = sqlite if dialect_name == "sqlite" else postgresql
    adding = dialect.insert(table)
    grown = {name: table.c[name] + adding.excluded[name] for name in sums}
    return Swift(adding.on_conflict_do_update(index_elements=list(key), set_=grown), *key, *sums)


@dataclass(frozen=True, kw_only=True)
class UsageFilter:
    """Which use is asked about: days `since` to `until`, both included; names or ids; None: any."""

    since: date | None = None
    until: date | None = None
    project: str | None = None
    owner: str | None = None
    cloud: str | None = None
    image: str | None = None


@dataclass(frozen=True, kw_only=True)
class UsageRow:
    """Sums of what `key` (by dimension) used, and how many attempts failed by which cause."""

    key: Mapping[str, str]
    sums: Mapping[str, float]
    failures: Mapping[str, int]


class UsageRecords:
    """Reads the sums."""

    def __init__(self, *, database: Database) -> None:
        self._reading = database.execution_options(readonly=True)

    def report(
        self, scope: Scope, who: PersonId | None, chosen: UsageFilter, *, by: Sequence[str], limit: int
    ) -> list[UsageRow]:
        """Return sums by the dimensions asked for, in their order.

        What may be seen are the projects of the `scope`, and what `who` has used anywhere.
        """
        with self._reading.connect() as db:
            wanted = _conditions(db, scope, who, chosen, usage)
            keys = [usage.c[name] for name in by]
            totals = [func.coalesce(func.sum(usage.c[name]), 0).label(name) for name in _SUMS]
            rows = db.execute(
                select(*keys, *totals).where(wanted).group_by(*keys).order_by(*keys).limit(limit)
            ).all()
            causes = _failures(db, scope, who, chosen, by)
        found: list[UsageRow] = []
        for row in rows:
            key = tuple(getattr(row, name) for name in by)
            if not by and not row.attempts:
                continue  # the sum of nothing
            found.append(
                UsageRow(
                    key=dict(zip(by, key, strict=True)),
                    sums={name: float(getattr(row, name)) for name in _SUMS},
                    failures=causes.get(key, {}),
                )
            )
        return found


def _failures(
    db: Connection, scope: Scope, who: PersonId | None, chosen: UsageFilter, by: Sequence[str]
) -> dict[tuple[str, ...], dict[str, int]]:
    keys = [failures.c[name] for name in by]
    query = (
        select(*keys, failures.c.cause, func.sum(failures.c.count).label("n"))
        .where(_conditions(db, scope, who, chosen, failures))
        .group_by(*keys, failures.c.cause)
        .order_by(func.sum(failures.c.count).desc(), failures.c.cause)
    )
    found: dict[tuple[str, ...], dict[str, int]] = {}
    for row in db.execute(query):
        found.setdefault(tuple(getattr(row, name) for name in by), {})[row.cause] = int(row.n)
    return found


def _conditions(db: Connection, scope: Scope, who: PersonId | None, chosen: UsageFilter, table: Table) -> Any:
    parts: list[Any] = []
    if scope is not None:
        mine = [table.c.project.in_(scope)]
        parts.append(or_(*mine, table.c.owner == who) if who is not None else mine[0])
    if chosen.since is not None:
        parts.append(table.c.day >= chosen.since.isoformat())
    if chosen.until is not None:
        parts.append(table.c.day <= chosen.until.isoformat())
    for name, text in (("project", chosen.project), ("owner", chosen.owner)):
        if text is not None:
            ids = select(clusters.c[name]).where(clusters.c[f"{name}_name"] == text).distinct()
            parts.append(table.c[name].in_([text, *db.execute(ids).scalars()]))
    if chosen.cloud is not None:
        parts.append(table.c.cloud == chosen.cloud)
    if chosen.image is not None:
        parts.append(table.c.image.startswith(chosen.image, autoescape=True))
    return and_(true(), *parts)
