"""Workers and clouds with their load, now and over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from armillary.accounts.model import Principal
from armillary.base.clock import Clock
from armillary.batch.ports import People
from armillary.batch.seeing import scope_of
from armillary.batch.store.load_records import LoadPoint, LoadRecords

POINTS = 288
"""of a series at most"""


class Load:
    """Call `tick` once a minute. Members see the load of their projects, administrators all of it."""

    def __init__(self, *, records: LoadRecords, people: People, clock: Clock) -> None:
        self._records = records
        self._people = people
        self._clock = clock

    def tick(self) -> None:
        """Keep how it is now."""
        self._records.sample(self._clock.now())

    def now(self, who: Principal) -> Mapping[str, Mapping[str, int]]:
        """Return workers, their cores, those that are busy, and jobs, by cloud."""
        return self._records.now(scope_of(who, self._people))

    def series(self, who: Principal, *, hours: int) -> Sequence[LoadPoint]:
        """Return averages over the last hours, cloud by cloud, at most POINTS of each."""
        minutes = max(1, -(-hours * 60 // POINTS))
        since = self._clock.now() - timedelta(hours=hours)
        return self._records.series(scope_of(who, self._people), since=since, minutes=minutes)
