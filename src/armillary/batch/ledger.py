"""What a project uses of batch: cores now and core-hours of the month, counted as the scaler counts them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from armillary.accounts.model import Project
from armillary.base.clock import Clock
from armillary.base.ids import Sha512
from armillary.batch.core.budget import Prices, month_of, spending
from armillary.batch.model import Group, Refusal
from armillary.batch.store.fleet_records import FleetRecords
from armillary.batch.views import ClusterView


@dataclass(frozen=True, kw_only=True)
class BatchUse:
    """Figures of one project. `budget` is of core-hours in this month; None: no limit."""

    cores: int
    granted: int
    hours: float
    budget: float | None


class Named(Protocol):
    """Knows projects by name."""

    def project_named(self, name: str) -> Project:
        """Raises NotFound."""
        ...


class Ledger:
    """Reads the records of workers. The figures are those that a refusal names."""

    def __init__(
        self,
        *,
        records: FleetRecords,
        people: Named,
        prices: Prices,
        budgets: Mapping[str, float],
        clock: Clock,
    ) -> None:
        self._records = records
        self._people = people
        self._prices = prices
        self._budgets = budgets
        self._clock = clock

    def of(self, project: Project) -> BatchUse:
        """Return what a project uses."""
        now = self._clock.now()
        machines = self._records.machines(project=project.id)
        ended = self._records.core_hours(month_of(now), project=project.id)
        spent = spending(machines, ended, prices=self._prices, now=now)
        return BatchUse(
            cores=sum(machine.vcpus for machine in machines if machine.state.counts),
            granted=project.allocation.batch_cores,
            hours=spent.get(project.id, 0.0),
            budget=self._budgets.get(project.name, self._budgets.get(project.id)),
        )

    def refusals(self, submit: ClusterView) -> Sequence[Refusal]:
        """Return why no more workers boot for the jobs of a submit that wait; nothing when they are to boot."""
        group = Group(
            self._people.project_named(submit.project).id, Sha512(submit.image.sha512), submit.flavor
        )
        looked = self._records.reasons(group)
        return looked.refusals if looked else ()
