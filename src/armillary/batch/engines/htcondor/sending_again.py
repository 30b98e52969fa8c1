"""Jobs that are to run once more have another turn at the schedd."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, exists, true, update

from armillary.batch.model import JobState
from armillary.batch.store.pool_tables import pool_jobs
from armillary.batch.store.tables import jobs


def send_again(db: Connection, numbers: Collection[int] | None) -> None:
    """Note jobs that are to run once more, after the schedd's own job of that name is over, as ones to be sent.

    `numbers` are the clusters that are looked at; None: all.
    """
    waits = exists().where(
        jobs.c.cluster == pool_jobs.c.cluster,
        jobs.c.proc == pool_jobs.c.proc,
        jobs.c.state == JobState.IDLE.value,
    )
    db.execute(
        update(pool_jobs)
        .where(
            pool_jobs.c.done.is_(True), waits, true() if numbers is None else pool_jobs.c.cluster.in_(numbers)
        )
        .values(
            done=False,
            turn=pool_jobs.c.turn + 1,
            schedd_cluster=None,
            schedd_proc=None,
            sending_since=None,
            seen="",
            status=1,
            entered=0,
            run=0,
            completions=0,
            memory_mib=None,
        )
    )
