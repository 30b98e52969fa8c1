"""Which jobs a selection means, in SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, or_, true

from armillary.batch.model import JobState, Selection
from armillary.batch.store.tables import jobs


def selected(chosen: Selection) -> ColumnElement[bool]:
    """Return the condition on `jobs` that holds for the chosen ones."""
    holds: list[Any] = [true()]
    if chosen.cluster is not None:
        holds.append(jobs.c.cluster == chosen.cluster)
    if chosen.proc is not None:
        last = chosen.proc if chosen.last_proc is None else chosen.last_proc
        holds.append(jobs.c.proc.between(chosen.proc, last))
    if chosen.owner is not None:
        holds.append(jobs.c.owner == chosen.owner)
    if chosen.projects is not None:
        holds.append(jobs.c.project.in_(chosen.projects))
    if chosen.states:
        holds.append(jobs.c.state.in_([state.value for state in chosen.states]))
    if chosen.failed:
        holds.append(and_(jobs.c.state == JobState.COMPLETED.value, jobs.c.succeeded.is_(False)))
    causes = [
        column.in_(wanted)
        for column, wanted in (
            (jobs.c.hold_code, chosen.hold_codes),
            (jobs.c.exit_code, chosen.exit_codes),
            (jobs.c.signal, chosen.signals),
        )
        if wanted
    ]
    if causes:
        holds.append(or_(*causes))
    return and_(*holds)
