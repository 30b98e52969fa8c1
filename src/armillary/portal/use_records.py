"""How full things were, day by day: what no other record remembers, kept for the plots and the forecasts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import sqlalchemy as sa

from armillary.base.ids import PersonId

KEPT = timedelta(days=400)
metadata = sa.MetaData()
_days = sa.Table(
    "portal_storage_days",
    metadata,
    sa.Column("person_id", sa.String(64), primary_key=True),
    sa.Column("day", sa.String(10), primary_key=True),
    sa.Column("used", sa.BigInteger, nullable=False),
)


class UseRecords:
    """The bytes in people's homes at the last look of each day."""

    def __init__(self, *, engine: sa.Engine) -> None:
        self._engine = engine
        self._reading = engine.execution_options(readonly=True)

    def create_all(self) -> None:
        """Make the table if it is not there yet."""
        metadata.create_all(self._engine)

    def note(self, day: date, used: Mapping[PersonId, int]) -> None:
        """Keep how full homes are; the last word of a day counts."""
        rows = [{"person_id": person, "day": day.isoformat(), "used": size} for person, size in used.items()]
        with self._engine.begin() as db:
            for row in rows:
                there = (_days.c.person_id == row["person_id"]) & (_days.c.day == row["day"])
                if not db.execute(sa.update(_days).where(there).values(used=row["used"])).rowcount:
                    db.execute(sa.insert(_days).values(row))
            db.execute(sa.delete(_days).where(_days.c.day < (day - KEPT).isoformat()))

    def of(self, person: PersonId, *, since: date) -> dict[date, int]:
        """Return the days that are known, in order."""
        query = (
            sa.select(_days.c.day, _days.c.used)
            .where(_days.c.person_id == person, _days.c.day >= since.isoformat())
            .order_by(_days.c.day)
        )
        with self._reading.connect() as db:
            return {date.fromisoformat(row.day): row.used for row in db.execute(query)}
