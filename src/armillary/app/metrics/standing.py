"""How the records stand, looked up when somebody reads, at most once in a few seconds. All of it from small tables."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection, func, select
from sqlalchemy import Engine as Database

from armillary.base.clock import Clock
from armillary.batch.model import MachineState
from armillary.batch.store.shapes import STATES, shapes
from armillary.batch.store.tables import clusters, lanes, machines
from armillary.notices.tables import post
from armillary.provenance.gaps import gaps


class Standing(Collector):
    """Jobs, workers, boots, notices and the size of the database."""

    def __init__(self, *, database: Database, clock: Clock, seconds: float = 5) -> None:
        self._database = database.execution_options(readonly=True)
        self._clock = clock
        self._seconds = seconds
        self._lock = threading.Lock()
        self._kept: list[Metric] = []
        self._until = 0.0

    def collect(self) -> Iterable[Metric]:
        """Return the figures (prometheus_client)."""
        with self._lock:
            if time.monotonic() >= self._until:
                with self._database.connect() as db:
                    self._kept = [
                        *self._jobs(db),
                        _workers(db),
                        *_boots(db),
                        _notices(db),
                        _unrecorded(db),
                        _size(db),
                    ]
                self._until = time.monotonic() + self._seconds
            return self._kept

    def _jobs(self, db: Connection) -> Iterable[Metric]:
        names = (*STATES, "waiting")
        counts = db.execute(
            select(*(func.coalesce(func.sum(shapes.c[name]), 0).label(name) for name in names))
        ).one()
        by_state = GaugeMetricFamily("armillary_jobs", "Jobs in the records, by state.", labels=["state"])
        for name in STATES:
            by_state.add_metric([name], float(getattr(counts, name)))
        yield by_state
        waiting = float(counts.waiting)
        yield GaugeMetricFamily(
            "armillary_queue_jobs", "Idle jobs that a worker could take now.", value=waiting
        )
        oldest = db.execute(
            select(func.min(clusters.c.submitted_at)).where(
                clusters.c.id.in_(select(shapes.c.cluster).where(shapes.c.waiting > 0))
            )
        ).scalar()
        wait = max((self._clock.now() - oldest).total_seconds(), 0.0) if oldest else 0.0
        yield GaugeMetricFamily(
            "armillary_queue_oldest_seconds",
            "Since the first submit of which a job waits; 0 when none does.",
            value=wait,
        )


def _workers(db: Connection) -> Metric:
    found = GaugeMetricFamily(
        "armillary_workers",
        "Worker machines that are not gone, by state and cloud.",
        labels=["cloud", "state"],
    )
    alive = [state.value for state in MachineState if state.counts]
    query = (
        select(machines.c.cloud, machines.c.state, func.count().label("n"))
        .where(machines.c.state.in_(alive))
        .group_by(machines.c.cloud, machines.c.state)
    )
    for row in db.execute(query):
        found.add_metric([row.cloud, row.state], row.n)
    return found


def _boots(db: Connection) -> Iterable[Metric]:
    query = (
        select(
            lanes.c.cloud,
            func.max(lanes.c.failures).label("failures"),
            func.sum(lanes.c.boots).label("boots"),
        )
        .where(lanes.c.cloud != "")
        .group_by(lanes.c.cloud)
    )
    failing = GaugeMetricFamily(
        "armillary_boots_failing",
        "Boots that failed in a row on a cloud, of the project, image and flavor that fail most.",
        labels=["cloud"],
    )
    for row in db.execute(query):
        failing.add_metric([row.cloud], row.failures)
    yield failing


def _notices(db: Connection) -> Metric:
    found = GaugeMetricFamily(
        "armillary_notices", "Letters and POSTs to people, by how they stand.", labels=["state"]
    )
    for row in db.execute(select(post.c.state, func.count().label("n")).group_by(post.c.state)):
        found.add_metric([row.state], row.n)
    return found


def _unrecorded(db: Connection) -> Metric:
    return GaugeMetricFamily(
        "armillary_jobs_unrecorded",
        "Jobs that ended and of which no record can be made.",
        value=float(db.execute(select(func.count()).select_from(gaps)).scalar_one()),
    )


def _size(db: Connection) -> Metric:
    if db.dialect.name == "sqlite":
        pages = db.exec_driver_sql("PRAGMA page_count").scalar_one()
        size = pages * db.exec_driver_sql("PRAGMA page_size").scalar_one()
    else:
        size = db.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one()
    return GaugeMetricFamily("armillary_database_bytes", "Size of the platform's records.", value=float(size))
