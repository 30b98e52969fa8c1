"""What workers say they are: the model of their processors, their kernel. A row for each time that it changes."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import JSON, Column, String, Table, insert, select
from sqlalchemy import Engine as Database

from armillary.base.clock import Clock
from armillary.base.ids import WorkerId
from armillary.base.recent import Recent
from armillary.batch.store.columns import metadata
from armillary.columns import Moment

_MOST = 10_000
"""Workers of which it is known by heart what they said last."""

hardware = Table(
    "batch_hardware",
    metadata,
    Column("worker", String(64), primary_key=True),
    Column("since", Moment, primary_key=True),
    Column("facts", JSON, nullable=False),
)


class HardwareRecords:
    """Keeps what workers say of themselves with each job. The database hears of what is new only."""

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known = Recent[WorkerId, Mapping[str, str]](most=_MOST)

    def knows(self, worker: WorkerId, facts: Mapping[str, str]) -> bool:
        """Return whether a worker says nothing that it has not said last."""
        return not facts or self._known.get(worker) == facts

    def note(self, worker: WorkerId, facts: Mapping[str, str]) -> None:
        """Take what a worker says it is."""
        if self.knows(worker, facts):
            return
        newest = select(hardware.c.facts).where(hardware.c.worker == worker).order_by(hardware.c.since.desc())
        with self._database.begin() as db:
            if db.execute(newest.limit(1)).scalar() != dict(facts):
                db.execute(insert(hardware).values(worker=worker, since=self._clock.now(), facts=dict(facts)))
        self._known.keep(worker, dict(facts))
