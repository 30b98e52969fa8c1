"""Carries out what periodic policies ask for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine as Database
from sqlalchemy import Row

from armillary.base.clock import Clock
from armillary.batch.core.policy import Act, Deed
from armillary.batch.engines.embedded.ledger import Ledger
from armillary.batch.engines.embedded.moments import moment
from armillary.batch.model import JobId, JobState

_BECOMES = {
    Deed.HOLD: JobState.HELD,
    Deed.RELEASE: JobState.IDLE,
    Deed.REMOVE: JobState.REMOVED,
    Deed.VACATE: JobState.IDLE,
}


class Policing:
    """The embedded queue, as far as policies move its jobs about."""

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def carry_out(self, acts: Sequence[tuple[JobId, JobState, Act]]) -> int:
        """Do it all, in one transaction; a job that is no longer in the state that was judged is left alone.

        Returns how many jobs changed.
        """
        changed = 0
        with self._database.begin() as db:
            now = moment(db, self._clock)
            ledger = Ledger(db, now=now)
            alike: dict[Act, list[Row[Any]]] = {}
            for job, state, act in sorted(acts, key=lambda one: one[0]):
                row = ledger.job(*job)
                if row.state == state.value:
                    alike.setdefault(act, []).append(row)
            for act, rows in alike.items():
                ledger.stop(rows)
                to = _BECOMES[act.deed]
                columns: dict[str, Any] = {"reason": act.reason}
                if act.hold is not None:
                    columns |= {"hold_code": act.hold.code, "hold_subcode": act.hold.subcode}
                if to is JobState.REMOVED:
                    columns["finished_at"] = now
                if to is JobState.IDLE:
                    columns["started_at"] = None
                detail = {name: columns[name] for name in _TOLD if columns.get(name) is not None}
                ledger.move(rows, to, columns=columns, detail=detail)
                changed += len(rows)
        return changed


_TOLD = ("reason", "hold_code", "hold_subcode")
