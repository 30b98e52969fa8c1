"""What a submit would do, before it is one: on which clouds its jobs could run now, and why not on the others.

It asks the scaler's own core, of each cloud alone, with what the clouds say at this moment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from armillary.accounts.model import Project
from armillary.base.clock import Clock
from armillary.base.errors import ArmillaryError, Invalid
from armillary.base.ids import CloudName
from armillary.batch.core.backoff import History
from armillary.batch.core.budget import Prices
from armillary.batch.core.refusals import no_flavor_fits
from armillary.batch.core.scaling import Bounds, Situation, decide
from armillary.batch.gathering import Facts, Gatherer
from armillary.batch.matching import Matcher
from armillary.batch.model import Demand, Group, JobSpec, Refusal, Resources, Shape, Wants
from armillary.batch.ports import Clouds
from armillary.batch.sizes import check_sizes, flavors_named
from armillary.batch.store.fleet_records import FleetRecords
from armillary.batch.survey import Place, View
from armillary.fleet.model import FleetImage

_MANY = 1 << 20
_SLOW = timedelta(minutes=10)


@dataclass(frozen=True, kw_only=True)
class CloudForecast:
    """What one cloud would do for the jobs now."""

    cloud: CloudName
    workers: int
    """that it could boot now"""
    cores: int
    """of these workers"""
    here: bool
    """whether the image is there already; else it is copied first"""
    refusals: Sequence[Refusal]
    """why it would not boot more"""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a submit asks for, and what there is for it."""

    jobs: int
    image: FleetImage
    flavor: str
    clouds: Sequence[CloudForecast]
    batch_cores: int
    """granted to the project"""
    batch_cores_used: int
    """by the workers that it has"""
    refusal: ArmillaryError | None
    """why the submit would be refused as it is"""

    @property
    def workers(self) -> int:
        """Workers that could boot now, all clouds together."""
        return sum(cloud.workers for cloud in self.clouds)


class Forecaster:
    """Looks ahead. Nothing is kept, and nothing is promised: others may take the room first."""

    def __init__(self, *, clouds: Clouds, records: FleetRecords, matcher: Matcher, clock: Clock) -> None:
        self._clouds = clouds
        self._records = records
        self._matcher = matcher
        self._clock = clock

    def look(self, project: Project, *, image: str, flavor: str, jobs: Sequence[JobSpec]) -> Forecast:
        """Return what would become of these jobs. Raises NotFound for an image that is none, Invalid."""
        found = self._clouds.find_image(project, image)
        if found.sha512 is None:
            raise Invalid(f"image {found.name} has no digest yet", code="image_not_ready")
        flavors = flavors_named(self._clouds, project, flavor)
        refusal: ArmillaryError | None = None
        try:
            check_sizes(found, jobs, flavors)
        except ArmillaryError as error:
            refusal = error
        demand = Demand(
            group=Group(project.id, found.sha512, flavor), shapes=_shapes(jobs), since=self._clock.now()
        )
        gatherer = Gatherer(facts=self._facts(project), prices=Prices(), matcher=self._matcher)
        situation = gatherer.situation(demand, project, {})
        bounds = gatherer.bounds({project.id: project}, purses={}, max_booting=_MANY, deleting=_SLOW)
        granted = bounds.cores_granted[project.id]
        return Forecast(
            jobs=len(jobs),
            image=found,
            flavor=flavor,
            clouds=[_of_cloud(cloud, situation, bounds) for cloud in self._clouds.clouds()],
            batch_cores=granted,
            batch_cores_used=granted - bounds.cores_left[project.id],
            refusal=refusal,
        )

    def _facts(self, project: Project) -> Facts:
        now = self._clock.now()
        names = self._clouds.clouds()
        return Facts(
            machines=self._records.machines(),
            reports={},
            views={Place(cloud, project.id): self._ask(cloud, project) for cloud in names},
            clouds=names,
            shared=frozenset(cloud for cloud in names if not self._clouds.settings(cloud).per_project),
            copies=self._clouds.copies(),
            history=History(lanes=self._records.lanes(), now=now),
            slow_copy=_SLOW,
        )

    def _ask(self, cloud: CloudName, project: Project) -> View:
        now = self._clock.now()
        try:
            return View(
                asked_at=now,
                limits=self._clouds.limits(cloud, project),
                flavors=tuple(self._clouds.flavors(cloud, project)),
                images=tuple(self._clouds.images(cloud, project)),
            )
        except ArmillaryError as error:
            return View(asked_at=now, error=error)


def _shapes(jobs: Sequence[JobSpec]) -> tuple[Shape, ...]:
    counted: Counter[tuple[Resources, Wants]] = Counter(
        (job.resources, Wants(job.data.get("requirements") or "", job.data.get("rank") or "")) for job in jobs
    )
    return tuple(Shape(resources, count, wants) for (resources, wants), count in counted.items())


def _of_cloud(cloud: CloudName, situation: Situation, bounds: Bounds) -> CloudForecast:
    """Have the core decide as if this were the only cloud, with no worker there yet."""
    offers = tuple(offer for offer in situation.offers if offer.kind.cloud == cloud)
    against = tuple(refusal for refusal in situation.refusals if refusal.cloud in (cloud, None))
    alone = replace(situation, offers=offers, refusals=against, rooms=(), here={})
    [decision] = decide([alone], bounds=bounds)
    refusals = list(decision.refusals)
    if offers and decision.missing and not decision.boots:
        sizes = [offer.size for offer in offers]
        for shape in decision.missing:
            if not any(shape.resources.fits(size) for size in sizes):
                most = max(sizes, key=lambda size: (size.cpus, size.memory_mib))
                refusals.append(no_flavor_fits(shape.resources, most, cloud))
                break
    return CloudForecast(
        cloud=cloud,
        workers=sum(boots.count for boots in decision.boots),
        cores=sum(boots.count * boots.offer.vcpus for boots in decision.boots),
        here=any(offer.here for offer in offers),
        refusals=refusals,
    )
