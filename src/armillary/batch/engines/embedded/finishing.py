"""How an attempt ends by its agent's word, in the transaction of its caller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, select

from armillary.base.errors import Invalid
from armillary.batch.core import states
from armillary.batch.core.policy import AtExit
from armillary.batch.engines.embedded.ledger import UNBOUND, Ledger
from armillary.batch.engines.embedded.parcels import LeaseKey, OutputRef
from armillary.batch.engines.embedded.register import Session
from armillary.batch.engines.embedded.terms import Terms, digest
from armillary.batch.model import AttemptState, JobState, StaleAttempt
from armillary.batch.store.swift import Swift
from armillary.batch.store.tables import attempts, outputs
from armillary.batch.store.usage_records import Ended

_FIND = Swift(
    # locks nothing: readers ask too, and a writer has the lock of all writers since its beginning
    select(attempts).where(
        attempts.c.cluster == bindparam("of_cluster"),
        attempts.c.proc == bindparam("of_proc"),
        attempts.c.number == bindparam("of_number"),
        attempts.c.worker == bindparam("of_worker"),
        attempts.c.secret_hash == bindparam("of_secret"),
    )
)
_OUTPUTS = Swift(
    select(outputs).where(
        outputs.c.cluster == bindparam("of_cluster"),
        outputs.c.proc == bindparam("of_proc"),
        outputs.c.attempt == bindparam("of_number"),
    )
)

_PLACE = (("cluster", "cluster"), ("proc", "proc"), ("attempt", "number"))
"""columns of an output, and of the attempt that brought it"""


def find(db: Connection, session: Session, key: LeaseKey) -> Row[Any] | None:
    """Return the attempt, if the secret is its own and the worker has it."""
    return _FIND.first(
        db,
        of_cluster=key.job.cluster,
        of_proc=key.job.proc,
        of_number=key.attempt,
        of_worker=session.worker,
        of_secret=digest(key.secret),
    )


def live(row: Row[Any] | None, key: LeaseKey) -> Row[Any]:
    """Return an attempt that is live and not to be stopped. Raises StaleAttempt."""
    if row is None or not row.live or row.state == AttemptState.STOPPING:
        raise StaleAttempt(str(key.job), key.attempt)
    return row


def finish(
    db: Connection,
    session: Session,
    key: LeaseKey,
    result: states.Result,
    *,
    usage: Mapping[str, float],
    brought: Sequence[OutputRef],
    said: AtExit | None,
    terms: Terms,
    now: datetime,
) -> JobState:
    """End the attempt and return what its job became; whether its worker rests now is told by the caller.

    Raises StaleAttempt, or Invalid `output_missing`.
    """
    row = find(db, session, key)
    if row is not None and row.became:
        return JobState(row.became)
    if row is None or not row.live:
        raise StaleAttempt(str(key.job), key.attempt)
    ledger = Ledger(db, now=now)
    job = ledger.job(*key.job)
    ended: dict[str, Any] = {
        "exit_code": result.exit_code,
        "signal": result.signal,
        "error": result.error.message if result.error else None,
        "usage": dict(usage),
    }
    if row.state == AttemptState.STOPPING:
        ledger.end(row, AttemptState.REMOVED, became=job.state, **ended)
        return JobState(job.state)
    _complete(db, row, brought)
    outcome = states.after_finish(
        result,
        retried=job.retried,
        max_retries=job.max_retries,
        lost=job.lost,
        max_lost=terms.max_lost,
        said=said,
    )
    told = Ended(states.cause_of(result, outcome), completed=outcome.job is JobState.COMPLETED)
    ledger.close(row, outcome.attempt, became=outcome.job.value, ended=told, **ended)
    ledger.move(
        [job],
        outcome.job,
        columns={**UNBOUND, **_after(job, row, result, outcome, now)},
        worker=session.worker,
        detail={k: v for k, v in {**ended, **_why(outcome)}.items() if v is not None},
    )
    return outcome.job


def _after(
    job: Row[Any], attempt: Row[Any], result: states.Result, outcome: states.Outcome, now: datetime
) -> dict[str, Any]:
    columns: dict[str, Any] = {
        "hold_code": outcome.hold_code,
        "hold_subcode": outcome.hold_subcode,
        "reason": outcome.reason,
    }
    if outcome.commits:
        columns |= {
            "committed_attempt": attempt.number,
            "exit_code": result.exit_code,
            "signal": result.signal,
            "succeeded": outcome.succeeded,
            "finished_at": now,
            "started_at": job.started_at or attempt.claimed_at,
        }
    if outcome.job is JobState.IDLE:
        columns["started_at"] = None
    if outcome.memory_mib is not None:
        columns["memory_mib"] = outcome.memory_mib
    if outcome.retried:
        columns["retried"] = job.retried + 1
    if outcome.lost:
        columns["lost"] = job.lost + 1
    return columns


def _why(outcome: states.Outcome) -> dict[str, Any]:
    return {
        "reason": outcome.reason,
        "hold_code": outcome.hold_code,
        "hold_subcode": outcome.hold_subcode,
        "memory_mib": outcome.memory_mib,
    }


def _complete(db: Connection, attempt: Row[Any], brought: Sequence[OutputRef]) -> None:
    """Make the recorded files exactly those that the agent names; raise when one has not arrived."""
    place = {"of_cluster": attempt.cluster, "of_proc": attempt.proc, "of_number": attempt.number}
    have = {row.name: (row.sha256, row.size) for row in _OUTPUTS.all(db, **place)}
    missing = [out.name for out in brought if have.get(out.name) != (out.sha256, out.size)]
    if missing:
        raise Invalid(
            f"{len(missing)} output(s) have not arrived",
            code="output_missing",
            facts={"missing": missing[:100]},
            remedy="Send them again, then finish.",
        )
    extra = have.keys() - {out.name for out in brought}
    for name in extra:
        here = (outputs.c[key] == getattr(attempt, of) for key, of in _PLACE)
        db.execute(delete(outputs).where(*here, outputs.c.name == name))
