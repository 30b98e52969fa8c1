"""When the core-hours of a month are spent, at the pace of the last days."""

from __future__ import annotations

from datetime import date

from armillary.batch.ledger import BatchUse
from armillary.batch.outlook import following_month, month_ahead

TODAY = date(2026, 12, 10)


def use(hours: float, budget: float | None) -> BatchUse:
    return BatchUse(cores=0, granted=8, hours=hours, budget=budget)


def test_hours_without_a_limit_are_never_spent() -> None:
    assert month_ahead(use(10, None), [5.0] * 14, TODAY) is None


def test_hours_are_gone_on_the_day_that_the_pace_says() -> None:
    ahead = month_ahead(use(60, 100), [5.0] * 14, TODAY)
    assert ahead
    assert (ahead.pace, ahead.gone_on) == (5.0, date(2026, 12, 18))


def test_what_lasts_until_there_are_new_hours_is_not_said_to_be_gone() -> None:
    ahead = month_ahead(use(0, 1000), [5.0] * 14, TODAY)
    assert ahead
    assert ahead.gone_on is None
    assert following_month(TODAY) == date(2027, 1, 1)
