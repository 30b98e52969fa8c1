"""When a project's core-hours of this month will be spent, at the pace of the last days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from armillary.accounts.model import Principal, Project
from armillary.base.clock import Clock
from armillary.batch.core.outlook import DAYS, Forecast, forecast
from armillary.batch.ledger import BatchUse, Ledger
from armillary.batch.reports import Reports
from armillary.batch.store.usage_records import UsageFilter


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What a project uses, and until when that goes on; `ahead` None: its hours have no limit."""

    use: BatchUse
    ahead: Forecast | None
    renewed_on: date
    """when there are hours anew"""


def month_ahead(use: BatchUse, daily: Sequence[float], today: date) -> Forecast | None:
    """Return the forecast of a month's core-hours from those of each day up to and with today; None without a limit."""
    if use.budget is None:
        return None
    return forecast(daily, left=use.budget - use.hours, today=today, until=following_month(today))


def following_month(today: date) -> date:
    """Return the first day of the next month."""
    return (today.replace(day=1) + timedelta(days=32)).replace(day=1)


class Outlooks:
    """Looks ahead, over what the ledger and the reports know."""

    def __init__(self, *, ledger: Ledger, reports: Reports, clock: Clock) -> None:
        self._ledger = ledger
        self._reports = reports
        self._clock = clock

    def of(self, who: Principal, project: Project) -> Outlook:
        """Return the outlook of a project that the caller sees."""
        today = self._clock.now().date()
        since = today - timedelta(days=DAYS - 1)
        chosen = UsageFilter(since=since, project=project.name)
        lines, _ = self._reports.usage(who, chosen, by=["day"], limit=DAYS + 1)
        hours = {line.day: line.core_hours for line in lines}
        daily = [hours.get((since + timedelta(days=n)).isoformat(), 0.0) for n in range(DAYS)]
        use = self._ledger.of(project)
        return Outlook(use=use, ahead=month_ahead(use, daily, today), renewed_on=following_month(today))
