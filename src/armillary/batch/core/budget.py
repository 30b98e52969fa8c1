"""What workers cost, and what a project may still spend."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from armillary.base.ids import CloudName, ProjectId
from armillary.batch.model import Machine, Refusal

COMMITTED = timedelta(hours=1)
"""A machine that is there, or is to be booted, counts with this much of its future: so no budget is passed by
machines that all cost their last hour at once."""


@dataclass(frozen=True, kw_only=True)
class Prices:
    """What a core costs for an hour, by `CLOUD/FLAVOR` or by `CLOUD`; 1 where nothing is said."""

    of: Mapping[str, float] = field(default_factory=dict[str, float])

    def core_hour(self, cloud: CloudName, flavor: str) -> float:
        """Return the price of a core for an hour."""
        return self.of.get(f"{cloud}/{flavor}", self.of.get(cloud, 1.0))

    def hour(self, machine: Machine) -> float:
        """Return what the machine costs in an hour."""
        return machine.vcpus * self.core_hour(machine.cloud, machine.flavor)


@dataclass(frozen=True, kw_only=True)
class Purse:
    """A project's budget for a calendar month (UTC), and how much of it is spent or promised."""

    budget: float
    spent: float

    @property
    def left(self) -> float:
        """What may still be promised."""
        return self.budget - self.spent

    def refusal(self, needed: float) -> Refusal:
        """Say that a machine for `needed` does not fit."""
        return Refusal(
            code="budget_used",
            message=f"the project has spent or promised {self.spent:.1f} of its budget of {self.budget:g} for this"
            f" month; a worker needs {needed:g} for an hour",
            facts={"spent": round(self.spent, 3), "budget": self.budget, "needed": needed},
            remedy="Wait for the next month, or ask an administrator for a larger budget.",
        )


def month_of(now: datetime) -> datetime:
    """Return the beginning of the calendar month."""
    return datetime(now.year, now.month, 1, tzinfo=UTC)


def spending(
    machines: Iterable[Machine],
    ended: Mapping[tuple[ProjectId, CloudName, str], float],
    *,
    prices: Prices,
    now: datetime,
) -> dict[ProjectId, float]:
    """Return what each project has spent since the month began, with what its machines are promised still.

    `ended` has the core-hours of machines that are gone, by project, cloud and flavor.
    """
    since = month_of(now)
    spent: dict[ProjectId, float] = {}
    for (project, cloud, flavor), hours in ended.items():
        spent[project] = spent.get(project, 0.0) + hours * prices.core_hour(cloud, flavor)
    for machine in machines:
        used = (now - max(since, machine.created_at)) + COMMITTED
        cost = prices.hour(machine) * used / timedelta(hours=1)
        spent[machine.group.project] = spent.get(machine.group.project, 0.0) + cost
    return spent
