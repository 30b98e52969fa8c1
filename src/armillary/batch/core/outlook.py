"""When what is left will be spent, at the pace of the last days. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

DAYS = 14
"""that make the pace"""
FURTHEST = timedelta(days=730)
"""Beyond this nobody knows, so nothing is said."""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """`pace` is what a day takes; `gone_on` the day on which nothing is left, None when that is not in sight."""

    pace: float
    gone_on: date | None


def forecast(daily: Sequence[float], *, left: float, today: date, until: date | None = None) -> Forecast:
    """Return the forecast from the use of each day up to and with today, the oldest first.

    Today counts as a whole day, so the pace is rather too low than too high. `until` is the day on which there is new
    allocation: nothing is gone from then on.
    """
    days = [max(0.0, use) for use in daily[-DAYS:]]
    pace = sum(days) / len(days) if days else 0.0
    if left <= 0:
        return Forecast(pace=pace, gone_on=today)
    if pace <= 0 or left / pace > FURTHEST.days:
        return Forecast(pace=pace, gone_on=None)
    gone_on = today + timedelta(days=int(left / pace))
    return Forecast(pace=pace, gone_on=None if until is not None and gone_on >= until else gone_on)


def changes(levels: Sequence[float]) -> list[float]:
    """Return what each day added to a level, the first day nothing; a fall adds nothing."""
    return [0.0, *(max(0.0, after - before) for before, after in pairwise(levels))]
