"""Changes of many jobs by a person, in few statements: a million jobs are held without one of them being read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ColumnElement, Connection, and_, exists, insert, literal, select, update

from armillary.base.errors import NotFound
from armillary.batch.model import AttemptState, JobState, Selection, WrongState
from armillary.batch.store.policy_records import watch_again
from armillary.batch.store.selecting import selected
from armillary.batch.store.shapes import shapes
from armillary.batch.store.tables import attempts, events, jobs
from armillary.columns import Moment

_OVER = (JobState.COMPLETED, JobState.REMOVED)
_COUNTS = {*(state.value for state in JobState), "live", "waiting", "id"}

Check = Callable[[JobState, bool], bool]
"""(state, whether it succeeded) -> whether a change changes anything; raises WrongState when it must not be"""


def change(
    db: Connection,
    chosen: Selection,
    check: Check,
    to: JobState,
    columns: dict[str, Any],
    *,
    now: datetime,
) -> int:
    """Bring all chosen jobs that may be into a state, say so in the events, and have what runs for them stopped."""
    look_up(db, chosen, check)
    wanted = and_(selected(chosen), _movable(check))
    values: dict[str, Any] = {"state": to.value, "entered_at": now}
    values |= {"hold_code": None, "hold_subcode": None, "reason": None, **columns}
    if to is JobState.HELD:
        values["holds"] = jobs.c.holds + 1
    if to is JobState.IDLE:
        over = jobs.c.state.in_([state.value for state in _OVER])
        watch_again(db, db.execute(select(jobs.c.cluster).where(wanted, over).distinct()).scalars())
    detail = {key: columns[key] for key in ("reason", "hold_code") if columns.get(key)}
    db.execute(
        insert(events).from_select(
            ["cluster", "proc", "at", "state", "attempt", "detail"],
            select(
                jobs.c.cluster,
                jobs.c.proc,
                literal(now, Moment),
                literal(to.value),
                jobs.c.live_attempt,
                literal(detail, JSON),
            ).where(wanted),
        )
    )
    running = and_(
        jobs.c.cluster == attempts.c.cluster,
        jobs.c.proc == attempts.c.proc,
        jobs.c.live_attempt == attempts.c.number,
    )
    db.execute(
        update(attempts)
        .where(attempts.c.live.is_(True), exists().where(running, wanted))
        .values(state=AttemptState.STOPPING.value)
    )
    return db.execute(update(jobs).where(wanted).values(values)).rowcount


def prioritize(db: Connection, chosen: Selection, priority: int) -> int:
    """Give all chosen jobs that are not over another priority: they wish for something else from now on."""
    look_up(db, chosen, _may_wait)
    wanted = and_(selected(chosen), _movable(_may_wait), jobs.c.priority != priority)
    return _reshape(db, wanted, priority=priority)


def ask_memory(db: Connection, chosen: Selection, memory_mib: int) -> int:
    """Have all chosen jobs that are held ask for so much memory."""
    held = jobs.c.state == JobState.HELD.value
    return _reshape(db, and_(selected(chosen), held, jobs.c.memory_mib != memory_mib), memory_mib=memory_mib)


def _reshape(db: Connection, wanted: ColumnElement[bool], **wish: int) -> int:
    """Have jobs wish for something else, and count them where others wish for the same."""
    changed = 0
    for shape in db.execute(select(jobs.c.shape).where(wanted).distinct()).scalars().all():
        values = {**wish, "shape": shape_like(db, shape, **wish)}
        changed += db.execute(update(jobs).where(wanted, jobs.c.shape == shape).values(values)).rowcount
    return changed


def shape_like(db: Connection, shape: int, **changes: Any) -> int:
    """Return the shape, of the same submit, that differs from one just so; it is made if there is none yet."""
    row = db.execute(select(shapes).where(shapes.c.id == shape)).mappings().one()
    values = {name: value for name, value in row.items() if name not in _COUNTS} | changes
    for other in db.execute(select(shapes).where(shapes.c.cluster == row["cluster"])).mappings():
        if all(other[name] == value for name, value in values.items()):
            return int(other["id"])
    return int(db.execute(insert(shapes).values(values).returning(shapes.c.id)).scalar_one())


def look_up(db: Connection, chosen: Selection, check: Check) -> None:
    """Raise NotFound when a job or a cluster is not there, WrongState when one job must not be changed so."""
    if chosen.cluster is None:
        return
    query = select(jobs.c.state, jobs.c.succeeded).where(
        selected(Selection(cluster=chosen.cluster, proc=chosen.proc))
    )
    row = db.execute(query.limit(1)).first()
    if row is None:
        raise NotFound(f"there is no job {chosen.name}", facts={"job": chosen.name})
    if chosen.job is not None:
        check(JobState(row.state), bool(row.succeeded))


def _may_wait(state: JobState, _succeeded: bool) -> bool:
    if state in _OVER:
        raise WrongState(f"the job is {state} already", facts={"state": state.value})
    return True


def _movable(check: Check) -> ColumnElement[bool]:
    """Return the condition that a change would change a job."""

    def may(state: JobState, succeeded: bool) -> bool:
        try:
            return check(state, succeeded)
        except WrongState:
            return False

    states = [state.value for state in JobState if may(state, False)]
    if may(JobState.COMPLETED, False) and not may(JobState.COMPLETED, True):
        return and_(jobs.c.state.in_(states), jobs.c.succeeded.is_not(True))
    return jobs.c.state.in_(states)
