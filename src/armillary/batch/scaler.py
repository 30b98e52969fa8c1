"""The scaler: as many workers as the work needs, where there is room, and none longer than needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from armillary.accounts.model import Project
from armillary.base.bell import Bell
from armillary.base.clock import Clock
from armillary.base.errors import ArmillaryError
from armillary.base.ids import CloudName, ProjectId, WorkerId, new_hex
from armillary.batch.booting import Run, Yard
from armillary.batch.core.backoff import History, Pauses
from armillary.batch.core.budget import Prices, Purse, month_of, spending
from armillary.batch.core.flavors import Offer
from armillary.batch.core.packing import Packer
from armillary.batch.core.retire import Crew, Leave, leaving
from armillary.batch.core.scaling import Core, Decision, Situation, decide
from armillary.batch.draining import Drained
from armillary.batch.gathering import Facts, Gatherer
from armillary.batch.matching import Matcher
from armillary.batch.model import OPEN_FLAVOR, Demand, Group, Machine, MachineState, WorkerReport
from armillary.batch.ports import Clouds, Enrolment, People, Workforce
from armillary.batch.reserve import PerCloud, Reserve, Reserves
from armillary.batch.store.fleet_records import FleetRecords, Reasons
from armillary.batch.survey import Place, Survey
from armillary.batch.watching import Patience, Watch

HOURS_KEPT = timedelta(seconds=60)
"""How long the sum of what ended machines have cost is believed."""
SWEEP_EVERY = timedelta(minutes=10)
"""How often servers of machines that ended long ago are looked for."""


@dataclass(frozen=True, kw_only=True)
class ScalerSettings:
    """The scaler's figures."""

    idle: timedelta = timedelta(seconds=120)
    """a worker without work is retired after this"""
    max_booting: int = 4
    """machines that boot on one cloud at once; on one that carries many, half as many as it carries"""
    pauses: Pauses = field(default_factory=Pauses)
    patience: Patience = field(default_factory=Patience)
    reserve: tuple[Reserve, ...] = ()
    prices: Prices = field(default_factory=Prices)
    budgets: Mapping[str, float] = field(default_factory=dict[str, float])
    """what a project (its name or id) may spend in a calendar month, in core-hours at their prices"""


class Scaler:
    """Call `tick` every few seconds, from one thread. All it knows is in the records: any tick may be the last."""

    def __init__(
        self,
        *,
        workforce: Workforce,
        enrolment: Enrolment,
        clouds: Clouds,
        people: People,
        records: FleetRecords,
        matcher: Matcher,
        clock: Clock,
        bell: Bell,
        run: Run,
        settings: ScalerSettings | None = None,
        ask: Run | None = None,
        core: Core = decide,
        drained: Callable[[], Mapping[CloudName, Drained]] = dict,
    ) -> None:
        """`run` does errands beside: copies, boots, deletions. `ask` polls clouds; by default `run` does that too.

        `core` decides; a simulation measures it. `drained` are the clouds on which nothing new boots.
        """
        self._workforce = workforce
        self._clouds = clouds
        self._people = people
        self._records = records
        self._matcher = matcher
        self._clock = clock
        self._bell = bell
        self._core = core
        self._drained = drained
        self._settings = settings or ScalerSettings()
        self._patience = self._settings.patience
        self._yard = Yard(
            clouds=clouds, enrolment=enrolment, people=people, records=records, clock=clock, run=run
        )
        self._survey = Survey(clouds=clouds, people=people, clock=clock, run=ask or run, mark=self._yard.mark)
        self._watch = Watch(
            workforce=workforce, records=records, yard=self._yard, bell=bell, patience=self._patience
        )
        self._reserves = Reserves(
            wanted=self._settings.reserve, clouds=clouds, people=people, clock=clock, run=ask or run
        )
        self._hours: tuple[datetime, datetime, Mapping[tuple[ProjectId, CloudName, str], float]] | None = None
        self._swept_at: datetime | None = None

    def tick(self) -> list[Decision]:
        """Look at everything once, begin what is to be done, and record why the rest waits."""
        now = self._clock.now()
        reserves = self._reserves.per_group()
        demands = self._demands(reserves, now)
        clouds = self._clouds.clouds()
        wanted = {Place(cloud, demand.group.project) for demand in demands for cloud in clouds}
        views = self._survey.look(self._watched(now), wanted)
        # Read after the clouds were asked: what has come about since is in the records, and not in their answers.
        reports = {report.id: report for report in self._workforce.workers()}
        self._watch.look(self._records.machines(), reports, views, clouds=frozenset(clouds), now=now)
        facts = Facts(
            machines=self._records.machines(),
            reports=reports,
            views=views,
            clouds=clouds,
            shared=frozenset(cloud for cloud in clouds if not self._clouds.settings(cloud).per_project),
            copies=self._clouds.copies(),
            history=History(lanes=self._records.lanes(), now=now, pauses=self._settings.pauses),
            slow_copy=self._patience.slow_copy,
            drained={cloud: one.reason for cloud, one in self._drained().items()},
        )
        facts = self._go_on(facts)
        gatherer = Gatherer(facts=facts, prices=self._settings.prices, matcher=self._matcher)
        projects = self._projects(demands)
        situations = [
            gatherer.situation(d, projects[d.group.project], reserves.get(d.group, {})) for d in demands
        ]
        known = {key: project for key, project in projects.items() if isinstance(project, Project)}
        purses = self._purses(known, facts.machines, now)
        decisions = self._core(
            situations,
            bounds=gatherer.bounds(
                known,
                purses=purses,
                max_booting=self._settings.max_booting,
                deleting=self._patience.deleting,
            ),
        )
        self._retire(gatherer.crews, situations, decisions, reports, now)
        self._records.set_reasons(
            [
                Reasons(group=decision.group, refusals=decision.refusals, offers=situation.offers)
                for decision, situation in zip(decisions, situations, strict=True)
            ],
            at=now,
        )
        for decision in decisions:
            for boots in decision.boots:
                for _ in range(boots.count):
                    self._boot(decision.group, boots.offer, known[decision.group.project], facts, now)
        return decisions

    def _demands(self, reserves: Mapping[Group, PerCloud], now: datetime) -> list[Demand]:
        demands = self._workforce.demand()
        waiting = {demand.group for demand in demands}
        kept = [Demand(group=group, shapes=(), since=now) for group in reserves if group not in waiting]
        return [*demands, *kept]

    def _watched(self, now: datetime) -> set[Place]:
        """Return where servers of ours may be: there are machines, there were some of late, or it is time for all."""
        places = {Place(*place) for place in self._records.places(now - self._patience.orphans)}
        if self._swept_at is None or now - self._swept_at > SWEEP_EVERY:
            self._swept_at = now
            places |= {Place(*place) for place in self._records.places()}
        return places

    def _projects(self, demands: Sequence[Demand]) -> dict[ProjectId, Project | ArmillaryError]:
        found: dict[ProjectId, Project | ArmillaryError] = {}
        for project in {demand.group.project for demand in demands}:
            try:
                found[project] = self._people.project(project)
            except ArmillaryError as error:
                found[project] = error
        return found

    def _purses(
        self, projects: Mapping[ProjectId, Project], machines: Sequence[Machine], now: datetime
    ) -> dict[ProjectId, Purse]:
        budgets = self._settings.budgets
        bound = {key: budgets.get(p.name, budgets.get(key)) for key, p in projects.items()}
        if all(budget is None for budget in bound.values()):
            return {}
        month = month_of(now)
        if self._hours is None or self._hours[0] != month or now - self._hours[1] > HOURS_KEPT:
            self._hours = (month, now, self._records.core_hours(month))
        spent = spending(machines, self._hours[2], prices=self._settings.prices, now=now)
        return {
            project: Purse(budget=budget, spent=spent.get(project, 0.0))
            for project, budget in bound.items()
            if budget is not None
        }

    def _go_on(self, facts: Facts) -> Facts:
        """Take planned machines up again: build them, or give up those whose image takes too long to arrive."""
        given_up: set[WorkerId] = set()
        for machine in facts.machines:
            if machine.state is not MachineState.PLANNED or machine.asked_at is not None:
                continue
            if facts.is_slow(machine.cloud, machine.group.image):
                reason = f"its image takes long to arrive on {machine.cloud}"
                self._yard.end(machine, "image_copying", reason)
                self._yard.gone(machine)
                given_up.add(machine.id)
            elif not self._yard.busy(machine.id):
                self._yard.build(machine, facts.image_id(machine))
        left = [machine for machine in facts.machines if machine.id not in given_up]
        return replace(facts, machines=left) if given_up else facts

    def _retire(
        self,
        crews: Mapping[Group, Sequence[Machine]],
        situations: Sequence[Situation],
        decisions: Sequence[Decision],
        reports: Mapping[WorkerId, WorkerReport],
        now: datetime,
    ) -> None:
        by_group = {situation.demand.group: situation for situation in situations}
        short = {decision.group.project for decision in decisions if decision.missing and not decision.boots}
        for group, machines in crews.items():
            situation = by_group.get(group)
            idle = [
                (machine, report)
                for machine in machines
                if machine.state is MachineState.READY
                and (report := reports.get(machine.id)) is not None
                and report.idle_since is not None
            ]
            if not idle:
                continue
            crew = Crew(
                idle=idle,
                waiting=situation.demand.shapes if situation else (),
                packer=situation.packer if situation else Packer(open_flavor=group.flavor == OPEN_FLAVOR),
                reserve=situation.reserve if situation else {},
                wanted_elsewhere=group.project in short and (situation is None or not situation.demand.jobs),
            )
            chosen = leaving(crew, now=now, after=self._settings.idle, deaf=self._patience.deaf)
            self._send_away(chosen, {machine.id: machine for machine, _ in idle})

    def _send_away(self, chosen: Sequence[Leave], machines: Mapping[WorkerId, Machine]) -> None:
        for leave in chosen:
            if leave.failed:
                self._yard.failed(machines[leave.worker], leave.code, leave.reason)
            self._workforce.drain(leave.worker)
            self._records.set(
                leave.worker,
                state=MachineState.DRAINING,
                reason=leave.reason,
            )
            self._bell.ring(("worker", leave.worker))

    def _boot(self, group: Group, offer: Offer, project: Project, facts: Facts, now: datetime) -> None:
        machine = Machine(
            id=WorkerId(new_hex()),
            group=group,
            cloud=offer.kind.cloud,
            project_name=project.name,
            vcpus=offer.vcpus,
            size=offer.size,
            state=MachineState.PLANNED,
            created_at=now,
            size_flavor=offer.kind.flavor if offer.kind.flavor != group.flavor else None,
        )
        self._records.plan(machine)
        self._yard.build(machine, facts.image_id(machine))
