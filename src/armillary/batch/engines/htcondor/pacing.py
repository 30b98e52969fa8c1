"""How many more jobs of a submit may go to the schedd: `max_materialize` and `max_idle`."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from sqlalchemy import Connection, and_, case, exists, func, select

from armillary.base.job_ads import COMPLETED, HELD, IDLE, REMOVED
from armillary.batch.store.pool_tables import pool_jobs
from armillary.batch.store.tables import clusters

UNBOUNDED = and_(clusters.c.max_materialize.is_(None), clusters.c.max_idle.is_(None))
"""Of submits: all their jobs go at once."""


def room(db: Connection) -> Mapping[int, int]:
    """Return it for each bounded submit that has jobs to send.

    HTCondor makes jobs of a submit as others end, and we send them so. One that is held makes room.
    """
    unsent = pool_jobs.alias()
    to_send = exists().where(
        unsent.c.cluster == clusters.c.id, unsent.c.schedd_cluster.is_(None), unsent.c.done.is_(False)
    )
    there = and_(
        pool_jobs.c.cluster == clusters.c.id,
        pool_jobs.c.schedd_cluster.is_not(None),
        pool_jobs.c.done.is_(False),
        pool_jobs.c.status.not_in((HELD, REMOVED, COMPLETED)),
    )
    query = (
        select(
            *(clusters.c.id, clusters.c.max_materialize, clusters.c.max_idle),
            func.count(pool_jobs.c.proc).label("there"),
            func.count(case((pool_jobs.c.status == IDLE, 1))).label("idle"),
        )
        .outerjoin(pool_jobs, there)
        .where(~UNBOUNDED, to_send)
        .group_by(clusters.c.id, clusters.c.max_materialize, clusters.c.max_idle)
    )
    return {
        row.id: min(_left(row.max_materialize, row.there), _left(row.max_idle, row.idle))
        for row in db.execute(query)
    }


def _left(at_most: int | None, taken: int) -> int:
    return sys.maxsize if at_most is None else max(0, at_most - taken)
