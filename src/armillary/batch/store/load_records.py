"""How busy workers were, a row for each minute, project and cloud; bounded: after a day each quarter of an hour is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Integer, String, Table, delete, func, select
from sqlalchemy import Engine as Database
from sqlalchemy.dialects import postgresql, sqlite

from armillary.batch.model import MachineState
from armillary.batch.store.columns import metadata
from armillary.batch.store.records import Scope, within
from armillary.batch.store.tables import attempts, machines

MINUTE = 60
KEPT_MINUTES = 24 * 60
"""minutes of which each is kept"""
QUARTER = 15
KEPT_DAYS = 30

load = Table(
    "batch_load",
    metadata,
    Column("minute", BigInteger, primary_key=True, autoincrement=False),  # since 1970
    Column("project", String(64), primary_key=True),
    Column("cloud", String(255), primary_key=True),
    Column("workers", Integer, nullable=False),
    Column("cores", Integer, nullable=False),
    Column("busy", Integer, nullable=False),  # cores that jobs have asked for
    Column("jobs", Integer, nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class LoadPoint:
    """The average of a stretch of time on one cloud."""

    at: datetime
    cloud: str
    workers: float
    cores: float
    busy: float
    jobs: float


class LoadRecords:
    """Writes a row a minute, and reads them as series."""

    def __init__(self, *, database: Database) -> None:
        self._database = database
        self._reading = database.execution_options(readonly=True)

    def sample(self, now: datetime) -> int:
        """Keep how it is at this minute, unless somebody has; returns how many rows that makes."""
        minute = int(now.timestamp()) // MINUTE
        rows = [{"minute": minute, "project": p, "cloud": c, **sums} for (p, c), sums in self._now().items()]
        with self._database.begin() as db:
            dialect: Any = sqlite if db.dialect.name == "sqlite" else postgresql
            if rows:
                db.execute(dialect.insert(load).on_conflict_do_nothing(), rows)
            if minute % QUARTER == 0:
                old = load.c.minute < minute - KEPT_MINUTES
                db.execute(delete(load).where(old, load.c.minute % QUARTER != 0))
                db.execute(delete(load).where(load.c.minute < minute - KEPT_DAYS * 24 * 60))
        return len(rows)

    def series(self, scope: Scope, *, since: datetime, minutes: int) -> list[LoadPoint]:
        """Return averages of so many minutes each, cloud by cloud, oldest first."""
        first = int(since.timestamp()) // MINUTE
        names = ("workers", "cores", "busy", "jobs")
        each = (
            select(load.c.minute, load.c.cloud, *(func.sum(load.c[name]).label(name) for name in names))
            .where(within(load.c.project, scope), load.c.minute >= first)
            .group_by(load.c.minute, load.c.cloud)
            .subquery()
        )
        step = (each.c.minute - each.c.minute % minutes).label("step")
        query = (
            select(step, each.c.cloud, *(func.avg(each.c[name]).label(name) for name in names))
            .group_by(step, each.c.cloud)
            .order_by(step, each.c.cloud)
        )
        with self._reading.connect() as db:
            return [
                LoadPoint(
                    at=datetime.fromtimestamp(int(row.step) * MINUTE, UTC),
                    cloud=row.cloud,
                    **{name: float(getattr(row, name)) for name in names},
                )
                for row in db.execute(query)
            ]

    def now(self, scope: Scope) -> Mapping[str, Mapping[str, int]]:
        """Return how it is at this moment, by cloud."""
        found: dict[str, dict[str, int]] = {}
        for (project, cloud), sums in self._now().items():
            if scope is None or project in scope:
                total = found.setdefault(cloud, dict.fromkeys(sums, 0))
                for name, value in sums.items():
                    total[name] += value
        return found

    def _now(self) -> dict[tuple[str, str], dict[str, int]]:
        there = (
            select(
                machines.c.project,
                machines.c.cloud,
                func.count().label("workers"),
                func.sum(machines.c.vcpus).label("cores"),
            )
            .where(machines.c.state != MachineState.GONE.value)
            .group_by(machines.c.project, machines.c.cloud)
        )
        used = (
            select(
                machines.c.project,
                machines.c.cloud,
                func.sum(attempts.c.cpus).label("busy"),
                func.count().label("jobs"),
            )
            .join(machines, machines.c.id == attempts.c.worker)
            .where(attempts.c.live.is_(True))
            .group_by(machines.c.project, machines.c.cloud)
        )
        found: dict[tuple[str, str], dict[str, int]] = {}
        with self._reading.connect() as db:
            for row in db.execute(there):
                found[row.project, row.cloud] = {
                    "workers": int(row.workers), "cores": int(row.cores), "busy": 0, "jobs": 0,
                }  # fmt: skip
            for row in db.execute(used):
                if (row.project, row.cloud) in found:
                    found[row.project, row.cloud] |= {"busy": int(row.busy), "jobs": int(row.jobs)}
        return found
