"""What waits, by what it asks for: read from the counts, however many jobs there are."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, text

from armillary.base.ids import ProjectId, Sha512
from armillary.batch.core.order import decayed
from armillary.batch.model import Demand, Group, JobState, Resources, Shape, Wants
from armillary.batch.store.shapes import shapes, shares
from armillary.batch.store.tables import clusters, jobs

_KIND = (shapes.c.project, shapes.c.image, shapes.c.flavor)
_ASKED = (shapes.c.cpus, shapes.c.memory_mib, shapes.c.disk_kib, shapes.c.gpus)
_WANTED = (shapes.c.requirements, shapes.c.rank, shapes.c.attributes)
_SINCE = (
    select(jobs.c.entered_at)
    .where(jobs.c.shape == shapes.c.id, jobs.c.state == JobState.IDLE.value, jobs.c.live_attempt.is_(None))
    .order_by(jobs.c.proc)
    .limit(1)
    .scalar_subquery()
)
"""when the next job in line began to wait"""


def demands(db: Connection, *, limits: Mapping[str, float], now: datetime) -> list[Demand]:
    """Return what waits and may run now, by group, the longest waiting group first."""
    found: dict[Group, dict[tuple[Resources, Wants], tuple[int, datetime]]] = {}
    for row, count in (*_unbounded(db), *_bounded(db, limits)):
        if count <= 0:
            continue
        parts = found.setdefault(Group(ProjectId(row.project), Sha512(row.image), row.flavor), {})
        asked = Resources(cpus=row.cpus, memory_mib=row.memory_mib, disk_kib=row.disk_kib, gpus=row.gpus)
        key = (asked, Wants(row.requirements, row.rank, row.attributes))
        before, since = parts.get(key, (0, row.since))
        parts[key] = (before + count, min(since, row.since))
    used = _used(db, now)
    made = [
        Demand(
            group=group,
            shapes=tuple(sorted(Shape(asked, jobs, wants) for (asked, wants), (jobs, _) in parts.items())),
            since=min(since for _, since in parts.values()),
            used=used.get(group.project, 0.0),
        )
        for group, parts in found.items()
    ]
    return sorted(made, key=lambda demand: (demand.since, demand.group))


def _unbounded(db: Connection) -> list[tuple[Row[Any], int]]:
    """All shapes whose jobs may run as soon as there are machines, summed up where they are read."""
    each = (
        select(*_KIND, *_ASKED, *_WANTED, shapes.c.waiting, _SINCE.label("since"))
        .join(clusters, clusters.c.id == shapes.c.cluster)
        .where(
            text("batch_shapes.waiting > 0"),
            shapes.c.at_most.is_(None),
            text("batch_shapes.limits IS NULL"),
            clusters.c.max_idle.is_(None),
        )
        .subquery()
    )
    same = [each.c[column.name] for column in (*_KIND, *_ASKED, *_WANTED)]
    query = select(
        *same, func.sum(each.c.waiting).label("n"), func.min(each.c.since).label("since")
    ).group_by(*same)
    return [(row, int(row.n)) for row in db.execute(query)]


def _bounded(db: Connection, limits: Mapping[str, float]) -> list[tuple[Row[Any], int]]:
    """The other shapes: no worker is to boot for a job that could not run on it."""
    query = (
        select(shapes, clusters.c.max_idle, _SINCE.label("since"))
        .join(clusters, clusters.c.id == shapes.c.cluster)
        .where(
            text("batch_shapes.waiting > 0"),
            shapes.c.at_most.is_not(None)
            | text("batch_shapes.limits IS NOT NULL")
            | clusters.c.max_idle.is_not(None),
        )
    )
    rows = db.execute(query.order_by(shapes.c.cluster, shapes.c.id)).all()
    if not rows:
        return []
    left = left_of(db, limits)
    of_cluster: dict[int, int] = {}
    found: list[tuple[Row[Any], int]] = []
    for row in rows:
        count = row.waiting
        if row.cluster not in of_cluster:
            of_cluster[row.cluster] = _room_of(db, row)
        count = min(count, of_cluster[row.cluster])
        for name, amount in limits_of(row).items():
            if name in left and amount > 0:
                count = min(count, int((left[name] + 1e-9) / amount))
        count = max(count, 0)
        of_cluster[row.cluster] -= count
        for name, amount in limits_of(row).items():
            if name in left:
                left[name] -= count * amount
        found.append((row, count))
    return found


def _room_of(db: Connection, row: Row[Any]) -> int:
    """Return how many waiting jobs of a shape's submit may ask for workers at once, by its own bounds."""
    room = row.max_idle if row.max_idle is not None else sys.maxsize
    return room if row.at_most is None else min(room, row.at_most - live_of(db, row.cluster))


def limits_of(row: Row[Any]) -> dict[str, float]:
    """Return how much of which concurrency limit each job of a shape takes."""
    return dict(row.limits or {})


def live_of(db: Connection, cluster: int) -> int:
    """Return how many jobs of a submit are on workers."""
    return int(db.execute(select(func.sum(shapes.c.live)).where(shapes.c.cluster == cluster)).scalar() or 0)


def left_of(db: Connection, limits: Mapping[str, float]) -> dict[str, float]:
    """Return what is left of the concurrency limits. They count for all projects: a licence server knows none."""
    left = dict(limits)
    if left:
        busy = select(shapes.c.live, shapes.c.limits).where(
            text("batch_shapes.live > 0"), text("batch_shapes.limits IS NOT NULL")
        )
        for live, taken in db.execute(busy):
            for name in left.keys() & (taken or {}).keys():
                left[name] -= live * taken[name]
    return left


def _used(db: Connection, now: datetime) -> dict[str, float]:
    found: dict[str, float] = {}
    for row in db.execute(select(shares.c.project, shares.c.used, shares.c.at)):
        found[row.project] = found.get(row.project, 0.0) + decayed(row.used, now - row.at)
    return found
