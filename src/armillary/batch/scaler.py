"""The scaler: as many workers as the work needs, where there is room, and none longer than needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from armillary.accounts.model import Project
from armillary.base.bell import Bell
from armillary.base.clock import Clock
from armillary.base.errors import ArmillaryError
from armillary.base.ids import CloudName, ProjectId, WorkerId, new_hex
from armillary.batch.booting import Run, Yard
from armillary.batch.core.scaling import (
    Boots,
    CloudRoom,
    Decision,
    Situation,
    back_off,
    decide,
    to_retire,
    workers_needed,
)
from armillary.batch.intake import size_of
from armillary.batch.model import Demand, Group, Machine, MachineState, Refusal, Resources, WorkerReport
from armillary.batch.ports import Clouds, Enrolment, People, Workforce
from armillary.batch.store.fleet_records import FleetRecords
from armillary.batch.watching import Patience, Watch
from armillary.fleet.model import FleetFlavor

ON_THE_WAY = frozenset({MachineState.PLANNED, MachineState.BOOTING})


@dataclass(frozen=True, kw_only=True)
class ScalerSettings:
    """The scaler's figures."""

    idle: timedelta = timedelta(seconds=120)
    """a worker without work is retired after this"""
    max_booting: int = 4
    """machines that boot on one cloud at once"""
    pause_first: timedelta = timedelta(seconds=15)
    """how long a cloud is left alone after a failed boot; doubled with each further one"""
    pause_longest: timedelta = timedelta(minutes=10)
    flavors_kept: timedelta = timedelta(seconds=60)
    """how long a cloud's list of flavors is believed"""
    patience: Patience = field(default_factory=Patience)


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
        clock: Clock,
        bell: Bell,
        run: Run,
        settings: ScalerSettings | None = None,
    ) -> None:
        self._workforce = workforce
        self._clouds = clouds
        self._people = people
        self._records = records
        self._clock = clock
        self._bell = bell
        self._settings = settings or ScalerSettings()
        self._flavors: dict[tuple[CloudName, ProjectId], tuple[datetime, list[FleetFlavor]]] = {}
        self._yard = Yard(
            clouds=clouds, enrolment=enrolment, people=people, records=records, clock=clock, run=run
        )
        self._watch = Watch(
            workforce=workforce,
            clouds=clouds,
            people=people,
            records=records,
            yard=self._yard,
            clock=clock,
            bell=bell,
            patience=self._settings.patience,
        )

    def tick(self) -> list[Decision]:
        """Look at everything once, begin what is to be done, and record why the rest waits."""
        reports = self._watch.look()
        demands = self._workforce.demand()
        machines = self._records.machines()
        self._retire(machines, reports, {demand.group for demand in demands})
        decisions = self._decide(demands, machines, reports)
        now = self._clock.now()
        self._records.set_reasons([(d.group, d.refusals) for d in decisions], at=now)
        for decision in decisions:
            for cloud in decision.boot:
                self._boot(decision.group, cloud, now)
        return decisions

    def _retire(
        self, machines: Sequence[Machine], reports: Mapping[WorkerId, WorkerReport], wanted: set[Group]
    ) -> None:
        for machine in machines:
            report = reports.get(machine.id)
            if machine.state is not MachineState.READY or report is None or report.idle_since is None:
                continue
            idle = {machine.id: report.idle_since}
            now = self._clock.now()
            if to_retire(idle, now=now, after=self._settings.idle, wanted=machine.group in wanted):
                self._workforce.drain(machine.id)
                self._records.set(
                    machine.id, state=MachineState.DRAINING, reason="there is no more work for it"
                )
                self._bell.ring(("worker", machine.id))

    def _decide(
        self,
        demands: Sequence[Demand],
        machines: Sequence[Machine],
        reports: Mapping[WorkerId, WorkerReport],
    ) -> list[Decision]:
        granted: dict[ProjectId, int] = {}
        used: dict[ProjectId, int] = {}
        for machine in machines:
            used[machine.group.project] = used.get(machine.group.project, 0) + machine.vcpus
        situations: list[Situation] = []
        for demand in demands:
            try:
                project = self._people.project(demand.group.project)
            except ArmillaryError as error:
                project = None
                refusal = Refusal(code=error.code, message=error.message, facts=error.facts)
                situations.append(_hopeless(demand, refusal))
            if project is not None:
                granted[project.id] = project.allocation.batch_cores
                situations.append(self._situation(demand, project, machines, reports))
        left = {project: cores - used.get(project, 0) for project, cores in granted.items()}
        return decide(situations, cores_left=left, cores_granted=granted)

    def _situation(
        self,
        demand: Demand,
        project: Project,
        machines: Sequence[Machine],
        reports: Mapping[WorkerId, WorkerReport],
    ) -> Situation:
        group = demand.group
        if not project.enabled:
            why = Refusal(code="project_disabled", message=f"project {project.name} is disabled")
            return _hopeless(demand, why)
        flavors, silent = self._sizes(project, group.flavor)
        if not flavors:
            if silent:
                return _hopeless(demand, *silent)
            message = f"no cloud has a flavor {group.flavor}"
            return _hopeless(demand, Refusal(code="flavor_not_found", message=message))
        whole = size_of(next(iter(flavors.values())))
        mine = [machine for machine in machines if machine.group == group]
        free = tuple(_room_on(machine, reports.get(machine.id)) for machine in mine)
        per_cloud: dict[CloudName, int] = {}
        for machine in mine:
            per_cloud[machine.cloud] = per_cloud.get(machine.cloud, 0) + 1
        situation = Situation(
            demand=demand,
            worker=whole,
            vcpus=whole.cpus,
            free=tuple(room for room in free if room is not None),
            per_cloud=per_cloud,
        )
        if not workers_needed(demand.shapes, whole=whole, free=situation.free, limit=1):
            return situation  # and no cloud is asked for room
        rooms = [self._room(cloud, project, group.flavor, machines) for cloud in flavors]
        return Situation(
            demand=demand,
            worker=whole,
            vcpus=whole.cpus,
            free=situation.free,
            per_cloud=per_cloud,
            clouds=(*rooms, *(CloudRoom(cloud=r.cloud, room=0, refusals=(r,)) for r in silent if r.cloud)),
        )

    def _sizes(self, project: Project, name: str) -> tuple[dict[CloudName, FleetFlavor], list[Refusal]]:
        """Return the flavor on each cloud that has it, and a refusal for each cloud that does not."""
        found: dict[CloudName, FleetFlavor] = {}
        without: list[Refusal] = []
        for cloud in self._clouds.clouds():
            try:
                known = self._flavors_of(cloud, project)
            except ArmillaryError as error:
                without.append(_refusal(cloud, error))
                continue
            flavor = next((flavor for flavor in known if flavor.name == name), None)
            if flavor is not None:
                found[cloud] = flavor
            else:
                message = f"{cloud} has no flavor {name}"
                without.append(Refusal(cloud=cloud, code="flavor_not_found", message=message))
        return found, without

    def _flavors_of(self, cloud: CloudName, project: Project) -> list[FleetFlavor]:
        now = self._clock.now()
        kept = self._flavors.get((cloud, project.id))
        if kept is None or now - kept[0] > self._settings.flavors_kept:
            kept = now, self._clouds.flavors(cloud, project)
            self._flavors[cloud, project.id] = kept
        return kept[1]

    def _room(
        self, cloud: CloudName, project: Project, flavor: str, machines: Sequence[Machine]
    ) -> CloudRoom:
        boots = self._records.boots().get(cloud, Boots())
        until = boots.until(first=self._settings.pause_first, longest=self._settings.pause_longest)
        if until is not None and self._clock.now() < until:
            return CloudRoom(cloud=cloud, room=0, refusals=(back_off(cloud, boots, until),))
        here = [machine for machine in machines if machine.cloud == cloud]
        booting = sum(machine.state in ON_THE_WAY for machine in here)
        slots = self._settings.max_booting - booting
        if until is not None:
            slots = min(slots, 1 - booting)  # after failures one machine tries the way
        if slots <= 0:
            text = f"{booting} machine(s) boot on {cloud}; more would only slow each other down"
            why = Refusal(cloud=cloud, code="booting_enough", message=text, facts={"booting": booting})
            return CloudRoom(cloud=cloud, room=0, refusals=(why,))
        room = self._clouds.room(cloud, project, flavor)
        # The cloud does not know of machines that are only planned yet.
        planned = sum(m.state is MachineState.PLANNED and m.group.project == project.id for m in here)
        count = min(slots, max(0, room.count - planned))
        refusals = [
            Refusal(cloud=r.cloud, code=r.code, message=r.message, remedy=r.remedy, facts=dict(r.facts))
            for r in room.refusals
        ]
        return CloudRoom(cloud=cloud, room=count, refusals=tuple(refusals))

    def _boot(self, group: Group, cloud: CloudName, now: datetime) -> None:
        project = self._people.project(group.project)
        flavor = next(f for f in self._flavors_of(cloud, project) if f.name == group.flavor)
        machine = Machine(
            id=WorkerId(new_hex()),
            group=group,
            cloud=cloud,
            project_name=project.name,
            vcpus=flavor.vcpus,
            size=size_of(flavor),
            state=MachineState.PLANNED,
            created_at=now,
        )
        self._records.plan(machine)
        self._yard.build(machine)


def _room_on(machine: Machine, report: WorkerReport | None) -> Resources | None:
    """Return what a machine can still take: all of it while it boots, what is free while it works."""
    if machine.state in ON_THE_WAY:
        return report.free if report else machine.size
    return report.free if machine.state is MachineState.READY and report and not report.draining else None


def _hopeless(demand: Demand, *refusals: Refusal) -> Situation:
    nothing = Resources(cpus=0, memory_mib=0, disk_kib=0)
    return Situation(demand=demand, worker=nothing, vcpus=0, refusals=refusals)


def _refusal(cloud: CloudName, error: ArmillaryError) -> Refusal:
    return Refusal(
        cloud=cloud, code=error.code, message=error.message, remedy=error.remedy, facts=error.facts
    )
