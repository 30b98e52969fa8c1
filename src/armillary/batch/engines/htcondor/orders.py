"""Tells the schedd what people and the scaler want: whatever differs between our records and what it said last.

Nothing is written down to be sent. The difference is the order, so that a crash, a lost reply or a pool that was away
loses none, and sending one twice does no harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, or_, select, tuple_, update

from armillary.base.job_ads import COMPLETED, HELD, IDLE, REMOVED
from armillary.batch.engines.htcondor.ports import Site
from armillary.batch.engines.htcondor.sight import ON_MACHINE, OURS
from armillary.batch.model import JobState
from armillary.batch.store.pool_tables import pool_jobs
from armillary.batch.store.tables import jobs

AT_ONCE = 2000
_REASONS = {
    "Remove": "removed by its owner",
    "Hold": "held by its owner",
    "Release": "released by its owner",
    "VacateFast": "to be started again",
}
_FIGURES = {"priority": "JobPrio", "memory_mib": "RequestMemory"}
"""The schedd's names of figures that people change."""


class Orders:
    """Call `send` every few seconds, from one thread."""

    def __init__(self, *, site: Site) -> None:
        self._database = site.database
        self._pool = site.pool

    def send(self) -> int:
        """Send what is to be sent, up to a bound; returns how many orders."""
        wanted: dict[str, list[str]] = {}
        figures: dict[tuple[str, int], list[Any]] = {}
        for row in self._differing():
            action = _order(row)
            if action:
                wanted.setdefault(action, []).append(f"{row.schedd_cluster}.{row.schedd_proc}")
            if row.priority != row.told:
                figures.setdefault(("priority", row.priority), []).append(row)
            if action == "Release" and row.memory_mib != row.asked_there:
                figures.setdefault(("memory_mib", row.memory_mib), []).append(row)
        # The figures first: a job that is released may run at once.
        for (figure, value), rows in figures.items():
            self._tell(figure, value, rows)
        for action, names in wanted.items():
            self._pool.act(action, names, OURS + _REASONS[action])
        return sum(map(len, wanted.values())) + sum(map(len, figures.values()))

    def _tell(self, figure: str, value: int, rows: Sequence[Any]) -> None:
        names = [f"{row.schedd_cluster}.{row.schedd_proc}" for row in rows]
        self._pool.edit(names, _FIGURES[figure], str(value))
        mine = tuple_(pool_jobs.c.cluster, pool_jobs.c.proc).in_([(row.cluster, row.proc) for row in rows])
        with self._database.begin() as db:
            db.execute(update(pool_jobs).where(mine).values({figure: value}))

    def _differing(self) -> Sequence[Any]:
        state, status = jobs.c.state, pool_jobs.c.status
        over = (JobState.COMPLETED.value, JobState.REMOVED.value)
        differs = or_(
            and_(state == JobState.REMOVED.value, status.not_in((REMOVED, COMPLETED))),
            and_(state == JobState.HELD.value, status.not_in((HELD, REMOVED, COMPLETED))),
            and_(state == JobState.IDLE.value, status == HELD),
            and_(state == JobState.IDLE.value, status.in_(sorted(ON_MACHINE))),
            and_(
                jobs.c.priority != pool_jobs.c.priority,
                state.not_in(over),
                status.not_in((REMOVED, COMPLETED)),
            ),
        )
        query = (
            select(
                *(jobs.c.cluster, jobs.c.proc, jobs.c.state, jobs.c.priority, jobs.c.memory_mib),
                *(pool_jobs.c.schedd_cluster, pool_jobs.c.schedd_proc, pool_jobs.c.status),
                pool_jobs.c.priority.label("told"),
                pool_jobs.c.memory_mib.label("asked_there"),
            )
            .join(pool_jobs, and_(pool_jobs.c.cluster == jobs.c.cluster, pool_jobs.c.proc == jobs.c.proc))
            .where(pool_jobs.c.done.is_(False), pool_jobs.c.schedd_cluster.is_not(None), differs)
            .limit(AT_ONCE)
        )
        with self._database.execution_options(readonly=True).connect() as db:
            return db.execute(query).all()


def _order(row: Any) -> str | None:
    """Return what the schedd is to do with a job, by our state and its status."""
    match JobState(row.state):
        case JobState.REMOVED:
            return "Remove" if row.status not in {REMOVED, COMPLETED} else None
        case JobState.HELD:
            return "Hold" if row.status == IDLE or row.status in ON_MACHINE else None
        case JobState.IDLE:
            if row.status == HELD:
                return "Release"
            # Its machine was given up, or it was held and released before the schedd heard of either.
            return "VacateFast" if row.status in ON_MACHINE else None
        case _:
            return None
