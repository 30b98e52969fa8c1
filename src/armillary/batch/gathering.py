"""Puts together what the scaler's core decides on: offers, rooms and bounds, from records and the clouds' answers."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from armillary.accounts.model import Project
from armillary.base.errors import ArmillaryError
from armillary.base.ids import CloudName, ImageId, ProjectId, Sha512, WorkerId
from armillary.batch.booting import lane_of
from armillary.batch.core.backoff import History, Lane, Record
from armillary.batch.core.budget import Prices, Purse
from armillary.batch.core.flavors import Offer
from armillary.batch.core.packing import Bin, Kind, Packer
from armillary.batch.core.refusals import cloud_drained, copying, flavor_missing
from armillary.batch.core.scaling import Bounds, Quota, Situation
from armillary.batch.intake import size_of
from armillary.batch.matching import MachineKind, Matcher
from armillary.batch.model import (
    NO_WANTS,
    OPEN_FLAVOR,
    Demand,
    Group,
    Machine,
    MachineState,
    Refusal,
    Resources,
    WorkerReport,
)
from armillary.batch.reserve import PerCloud
from armillary.batch.survey import Place, View
from armillary.fleet.copying import Copy
from armillary.fleet.model import FleetFlavor, FleetImage

ON_THE_WAY = frozenset({MachineState.PLANNED, MachineState.BOOTING})


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that is known at one tick."""

    machines: Sequence[Machine]
    reports: Mapping[WorkerId, WorkerReport]
    views: Mapping[Place, View]
    clouds: Sequence[CloudName]
    shared: frozenset[CloudName]
    """clouds on which all projects use one account, and so one quota"""
    copies: Mapping[tuple[CloudName, Sha512], Copy]
    history: History
    slow_copy: timedelta
    drained: Mapping[CloudName, str] = field(default_factory=dict[CloudName, str])
    """clouds that an administrator drains, and why"""

    def is_slow(self, cloud: CloudName, image: Sha512) -> bool:
        """Whether an image takes so long to arrive that jobs do not wait for it."""
        copy = self.copies.get((cloud, image))
        return copy is not None and self.history.now - copy.began_at > self.slow_copy

    def image_on(self, place: Place, image: Sha512) -> FleetImage | None:
        """Return the image with that digest on a cloud, if it is known to be there."""
        view = self.views.get(place)
        there = view.images if view is not None and view.images is not None else ()
        return next((one for one in there if one.sha512 == image and one.status == "active"), None)

    def image_id(self, machine: Machine) -> ImageId | None:
        """Return the id of a machine's image on its cloud, if it is known to be there."""
        found = self.image_on(Place(machine.cloud, machine.group.project), machine.group.image)
        return found.id if found else None


class Gatherer:
    """Makes situations of one tick. `crews` has the machines of each group."""

    def __init__(self, *, facts: Facts, prices: Prices, matcher: Matcher) -> None:
        self._facts = facts
        self._prices = prices
        self._matcher = matcher
        self._suspects: Mapping[Lane, Record] = facts.history.suspects()
        self.crews: dict[Group, list[Machine]] = {}
        for machine in facts.machines:
            self.crews.setdefault(machine.group, []).append(machine)

    def situation(self, demand: Demand, project: Project | ArmillaryError, reserve: PerCloud) -> Situation:
        """Return one group's demand with all that bears on it."""
        group = demand.group
        offers, refusals = self._offers(group, project)
        crew = self.crews.get(group, [])
        sizes = {offer.kind: offer.size for offer in offers}
        sizes |= {Kind(machine.cloud, machine.flavor): machine.size for machine in crew}
        accepts, ranks = self._matcher.for_group(group.image, sizes)
        particular = [shape for shape in demand.shapes if shape.wants != NO_WANTS]
        self._matcher.learn(
            (shape.wants, shape.resources, MachineKind(size, group.image, *kind))
            for shape in particular
            for kind, size in sizes.items()
        )
        here: dict[Kind, int] = {}
        for machine in crew:
            if machine.state is not MachineState.ENDING:
                kind = Kind(machine.cloud, machine.flavor)
                here[kind] = here.get(kind, 0) + 1
        return Situation(
            demand=demand,
            packer=Packer(open_flavor=group.flavor == OPEN_FLAVOR, accepts=accepts),
            rooms=self._rooms(crew),
            here=here,
            offers=tuple(offers),
            refusals=tuple(refusals),
            reserve=reserve,
            ranks=ranks if any(shape.wants.rank for shape in particular) else None,
        )

    def _offers(self, group: Group, project: Project | ArmillaryError) -> tuple[list[Offer], list[Refusal]]:
        if isinstance(project, ArmillaryError):
            return [], [Refusal(code=project.code, message=project.message, facts=project.facts)]
        if not project.enabled:
            return [], [Refusal(code="project_disabled", message=f"project {project.name} is disabled")]
        offers: list[Offer] = []
        refusals: list[Refusal] = []
        missing: list[Refusal] = []
        for cloud in self._facts.clouds:
            place = Place(cloud, group.project)
            view = self._facts.views.get(place)
            if view is None or view.flavors is None or view.error is not None:
                refusals.append(_silent(cloud, view))
                continue
            fitting = [f for f in view.flavors if group.flavor in (OPEN_FLAVOR, f.name)]
            if not fitting:
                missing.append(flavor_missing(cloud, group.flavor))
            offers += [self._offer(place, group, flavor) for flavor in fitting]
        if not offers and not refusals:
            return [], [flavor_missing(None, group.flavor)]
        return offers, [*refusals, *missing]

    def _offer(self, place: Place, group: Group, flavor: FleetFlavor) -> Offer:
        cloud = place.cloud
        boot = Lane(cloud=cloud, project=group.project, image=group.image, flavor=flavor.name)
        standing = self._facts.history.standing(boot, self._suspects)
        image = self._facts.image_on(place, group.image)
        refusals = list(standing.refusals)
        if cloud in self._facts.drained:
            refusals.append(cloud_drained(cloud, self._facts.drained[cloud]))
        copy = self._facts.copies.get((cloud, group.image))
        if copy is not None and self._facts.is_slow(cloud, group.image):
            seconds = int((self._facts.history.now - copy.began_at).total_seconds())
            refusals.append(copying(cloud, done=copy.done, size=copy.size, seconds=seconds))
        if image is not None and flavor.disk and image.min_disk > flavor.disk:
            text = (
                f"{flavor.name} on {cloud} has a disk of {flavor.disk} GiB; the image needs {image.min_disk}"
            )
            refusals.append(Refusal(cloud=cloud, code="image_too_large", message=text))
        return Offer(
            kind=Kind(cloud, flavor.name),
            size=size_of(flavor),
            vcpus=flavor.vcpus,
            ram_mib=int(flavor.ram),
            pool=self._pool(place),
            core_hour=self._prices.core_hour(cloud, flavor.name),
            refusals=tuple(refusals),
            trials=standing.trials,
            here=image is not None,
            boot_seconds=self._facts.history.boot_seconds(cloud, group.image),
        )

    def _pool(self, place: Place) -> Hashable:
        return place.cloud if place.cloud in self._facts.shared else place

    def _rooms(self, crew: Sequence[Machine]) -> tuple[Bin, ...]:
        """Return the room on workers that are there or on their way, equal ones together."""
        rooms: dict[tuple[Kind, Resources, Resources], int] = {}
        for machine in crew:
            free = self._room_on(machine)
            if free is not None:
                key = (Kind(machine.cloud, machine.flavor), machine.size, free)
                rooms[key] = rooms.get(key, 0) + 1
        return tuple(Bin(*key, count) for key, count in rooms.items())

    def _room_on(self, machine: Machine) -> Resources | None:
        """Return what a machine can still take: all of it while it boots, what is free while it works."""
        report = self._facts.reports.get(machine.id)
        if machine.state in ON_THE_WAY:
            waits = machine.asked_at is None and self._facts.is_slow(machine.cloud, machine.group.image)
            free = report.free if report is not None else machine.size
            return None if waits else free
        works = machine.state is MachineState.READY and report is not None and not report.draining
        return report.free if works and report is not None else None

    # what all groups share

    def bounds(
        self,
        projects: Mapping[ProjectId, Project],
        *,
        purses: Mapping[ProjectId, Purse],
        max_booting: int,
        deleting: timedelta,
    ) -> Bounds:
        """Return what the groups share: quotas, cores, money, and how many machines may boot at once.

        A cloud that carries many workers may boot half as many again at once; a new one has to show that it can.
        """
        facts = self._facts
        granted = {project.id: project.allocation.batch_cores for project in projects.values()}
        used: dict[ProjectId, int] = {}
        ready: dict[CloudName, int] = {}
        booting: dict[CloudName, int] = {}
        trials: dict[Lane, int] = {}
        for machine in facts.machines:
            # A cloud that does not manage to delete a server must not stop the project for ever.
            ended = machine.ending_at is not None and facts.history.now - machine.ending_at > deleting
            if not ended:
                used[machine.group.project] = used.get(machine.group.project, 0) + machine.vcpus
            if machine.state in ON_THE_WAY:
                booting[machine.cloud] = booting.get(machine.cloud, 0) + 1
                for lane in self._facts.history.standing(lane_of(machine), self._suspects).trials:
                    trials[lane] = trials.get(lane, 0) + 1
            elif machine.state in (MachineState.READY, MachineState.DRAINING):
                ready[machine.cloud] = ready.get(machine.cloud, 0) + 1
        return Bounds(
            quotas=self._quotas(),
            boot_slots={
                cloud: max(0, max(max_booting, ready.get(cloud, 0) // 2) - booting.get(cloud, 0))
                for cloud in facts.clouds
            },
            booting=booting,
            cores_left={project: cores - used.get(project, 0) for project, cores in granted.items()},
            cores_granted=granted,
            purses=purses,
            trials=trials,
        )

    def _quotas(self) -> dict[Hashable, Quota]:
        """Return what is left of each quota, without the machines that the cloud cannot have counted yet."""
        unseen: dict[Hashable, list[int]] = {}
        for machine in self._facts.machines:
            place = Place(machine.cloud, machine.group.project)
            view = self._facts.views.get(place)
            if view is None or machine.state not in ON_THE_WAY:
                continue
            asked = machine.booted_at or machine.asked_at
            if asked is None or asked >= view.asked_at:
                sums = unseen.setdefault(self._pool(place), [0, 0, 0])
                for index, each in enumerate((machine.vcpus, machine.size.memory_mib, 1)):
                    sums[index] += each
        found: dict[Hashable, Quota] = {}
        for place, view in self._facts.views.items():
            limits = view.limits
            if limits is None:
                continue
            pool = self._pool(place)
            more = unseen.get(pool, [0, 0, 0])
            all_of = (limits.cores, None if limits.ram is None else int(limits.ram), limits.instances)
            used = (limits.cores_used, int(limits.ram_used), limits.instances_used)
            left = [
                None if limit is None else max(0, limit - have - new)
                for limit, have, new in zip(all_of, used, more, strict=True)
            ]
            found[pool] = Quota(cores=left[0], ram_mib=left[1], instances=left[2], limits=all_of)
        return found


def _silent(cloud: CloudName, view: View | None) -> Refusal:
    if view is None or view.error is None:
        text = f"{cloud} is being asked what it has"
        return Refusal(cloud=cloud, code="cloud_being_asked", message=text)
    error = view.error
    return Refusal(
        cloud=cloud, code=error.code, message=error.message, remedy=error.remedy, facts=error.facts
    )
