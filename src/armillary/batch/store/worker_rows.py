"""Worker machines as people see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from armillary.batch.store.tables import attempts, machines, workers
from armillary.batch.views import WorkerView


def worker_query() -> Any:
    """Return what selects machines with what the engine knows of them."""
    told = (
        workers.c.cpus,
        workers.c.memory_mib.label("memory"),
        workers.c.last_seen_at,
        workers.c.idle_since,
    )
    return select(machines, *told).outerjoin(workers, workers.c.id == machines.c.id)


def jobs_of(db: Connection, names: Sequence[str]) -> dict[str, list[str]]:
    """Return the jobs that workers have now, by worker."""
    query = (
        select(attempts.c.worker, attempts.c.cluster, attempts.c.proc)
        .where(attempts.c.worker.in_(names), attempts.c.live.is_(True))
        .order_by(attempts.c.cluster, attempts.c.proc)
    )
    found: dict[str, list[str]] = {}
    for row in db.execute(query):
        found.setdefault(row.worker, []).append(f"{row.cluster}.{row.proc}")
    return found


def worker_view(row: Row[Any], busy: list[str]) -> WorkerView:
    """Return a row of `worker_query` as people see it."""
    return WorkerView(
        worker=row.id,
        cloud=row.cloud,
        project=row.project_name,
        image_sha512=row.image,
        flavor=row.flavor,
        state=row.state,
        reason=row.reason,
        server_id=row.server_id,
        jobs=busy,
        cpus=row.cpus,
        memory_mib=row.memory,
        created_at=row.created_at,
        booted_at=row.booted_at,
        registered_at=row.registered_at,
        last_seen_at=row.last_seen_at,
        idle_since=row.idle_since,
        ended_at=row.ended_at,
    )
