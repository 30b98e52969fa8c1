"""How many workers of which kind, and where: a pure function from what is known to what is to be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from armillary.base.ids import CloudName, ProjectId, WorkerId
from armillary.batch.core.order import round_robin
from armillary.batch.model import Demand, Group, Refusal, Resources, Shape


@dataclass(frozen=True, kw_only=True)
class CloudRoom:
    """What a cloud would take of one group now. `room` counts servers; the refusals say what limits it."""

    cloud: CloudName
    room: int
    refusals: tuple[Refusal, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Situation:
    """One group's demand with all that bears on it."""

    demand: Demand
    worker: Resources
    """what a new worker of the flavor has"""
    vcpus: int
    free: tuple[Resources, ...] = ()
    """room on the workers that are there or on their way"""
    per_cloud: Mapping[CloudName, int] = field(default_factory=dict[CloudName, int])
    """how many workers of the group each cloud has"""
    clouds: tuple[CloudRoom, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    """what speaks against the whole group, such as a flavor that no cloud has"""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Boot one worker on each of `boot`, in this order; if jobs still wait for one, `refusals` has every reason."""

    group: Group
    boot: tuple[CloudName, ...]
    refusals: tuple[Refusal, ...]
    missing: int
    """workers that were wanted and not placed"""


def _fill(free: Resources, waiting: list[Shape], whole: Resources) -> list[Shape]:
    """Return what of `waiting` is left after one worker took what fits."""
    left: list[Shape] = []
    for shape in waiting:
        share = shape.resources.cut_to(whole)
        jobs = shape.jobs
        if jobs and share.fits(free):
            taken = min(
                jobs,
                *(
                    have // ask
                    for have, ask in (
                        (free.cpus, share.cpus),
                        (free.memory_mib, share.memory_mib),
                        (free.disk_kib, share.disk_kib),
                    )
                    if ask > 0
                ),
            )
            free -= Resources(
                cpus=share.cpus * taken,
                memory_mib=share.memory_mib * taken,
                disk_kib=share.disk_kib * taken,
            )
            jobs -= taken
        if jobs:
            left.append(replace_jobs(shape, jobs))
    return left


def replace_jobs(shape: Shape, jobs: int) -> Shape:
    """Return the shape with another count."""
    return Shape(shape.resources, jobs)


def workers_needed(
    shapes: Sequence[Shape], *, whole: Resources, free: Sequence[Resources], limit: int
) -> int:
    """Return how many new workers the shapes need beyond `free`, at most `limit`.

    First fit, largest first, by counts of equal jobs: exact enough, and its cost does not grow with the number
    of jobs.
    """
    waiting = sorted(shapes, key=lambda shape: shape.resources, reverse=True)
    for room in free:
        waiting = _fill(room, waiting, whole)
    new = 0
    while waiting and new < limit:
        left = _fill(whole, waiting, whole)
        if left == waiting:
            break
        waiting = left
        new += 1
    return new


def place(*, per_cloud: Mapping[CloudName, int], rooms: Mapping[CloudName, int]) -> CloudName | None:
    """Return the cloud for the next worker: the one with fewest of its kind among those with room."""
    open_clouds = [cloud for cloud in rooms if rooms[cloud] > 0]
    return min(open_clouds, key=lambda cloud: (per_cloud.get(cloud, 0), cloud), default=None)


def decide(
    situations: Sequence[Situation],
    *,
    cores_left: Mapping[ProjectId, int],
    cores_granted: Mapping[ProjectId, int],
    limit: int = 1000,
) -> list[Decision]:
    """Decide for all groups at once.

    Groups take turns, one worker at a time, those with fewest workers first, so that a large submit does not take
    all of its project's batch cores before a small one gets a machine.
    """
    order = round_robin({index: sum(s.per_cloud.values()) for index, s in enumerate(situations)})
    wanted = {
        index: 0
        if situation.refusals
        else workers_needed(situation.demand.shapes, whole=situation.worker, free=situation.free, limit=limit)
        for index, situation in enumerate(situations)
    }
    left = dict(cores_left)
    counts = {index: dict(s.per_cloud) for index, s in enumerate(situations)}
    rooms = {index: {room.cloud: room.room for room in s.clouds} for index, s in enumerate(situations)}
    boots: dict[int, list[CloudName]] = {index: [] for index in order}
    turn = [index for index in order if wanted[index]]
    while turn:
        for index in list(turn):
            group = situations[index].demand.group
            cloud = None
            if left.get(group.project, 0) >= situations[index].vcpus:
                cloud = place(per_cloud=counts[index], rooms=rooms[index])
            if cloud is None:
                turn.remove(index)
                continue
            # The same cloud is shared by all groups of the project; its room is counted down for each of them.
            for other, other_rooms in rooms.items():
                if cloud in other_rooms and situations[other].demand.group.project == group.project:
                    other_rooms[cloud] -= 1
            counts[index][cloud] = counts[index].get(cloud, 0) + 1
            left[group.project] = left.get(group.project, 0) - situations[index].vcpus
            boots[index].append(cloud)
            if len(boots[index]) >= wanted[index]:
                turn.remove(index)
    return [
        _decision(situations[index], boots[index], wanted[index], left, cores_granted)
        for index in range(len(situations))
    ]


def _decision(
    situation: Situation,
    boot: list[CloudName],
    wanted: int,
    left: Mapping[ProjectId, int],
    granted: Mapping[ProjectId, int],
) -> Decision:
    group = situation.demand.group
    missing = wanted - len(boot)
    refusals: list[Refusal] = list(situation.refusals)
    if missing:
        if left.get(group.project, 0) < situation.vcpus:
            refusals.append(
                out_of_batch_cores(left.get(group.project, 0), granted.get(group.project, 0), situation)
            )
        for room in situation.clouds:
            refusals.extend(room.refusals)
            if not room.refusals and room.room <= boot.count(room.cloud):
                refusals.append(
                    Refusal(
                        cloud=room.cloud,
                        code="cloud_full",
                        message=f"{room.cloud} has room for {room.room} more worker(s) of {group.flavor}",
                        facts={"room": room.room},
                        remedy="Wait for machines on this cloud to end.",
                    )
                )
    return Decision(group=group, boot=tuple(boot), refusals=tuple(refusals), missing=missing)


def out_of_batch_cores(left: int, granted: int, situation: Situation) -> Refusal:
    """Say that the project's batch cores are in use."""
    return Refusal(
        code="batch_cores_used",
        message=f"the project uses {granted - left} of its {granted} batch cores; "
        f"a worker of {situation.demand.group.flavor} needs {situation.vcpus}",
        facts={"used": granted - left, "granted": granted, "needed": situation.vcpus},
        remedy="Wait for jobs to end, choose a smaller flavor, or ask for more batch cores.",
    )


@dataclass(frozen=True, kw_only=True)
class Boots:
    """How boots on one cloud went of late: the failures since the last machine that came up."""

    failures: int = 0
    last_at: datetime | None = None
    last_reason: str = ""

    def failed(self, at: datetime, reason: str) -> Boots:
        """Return the record with one more failure."""
        return replace(self, failures=self.failures + 1, last_at=at, last_reason=reason)

    def until(self, *, first: timedelta, longest: timedelta) -> datetime | None:
        """Return when the next boot may be tried: the pause doubles with each failure. None means now."""
        if not self.failures or self.last_at is None:
            return None
        return self.last_at + min(longest, first * 2 ** min(self.failures - 1, 20))


def back_off(cloud: CloudName, boots: Boots, until: datetime) -> Refusal:
    """Say that a cloud is left alone for a while because boots failed there."""
    return Refusal(
        cloud=cloud,
        code="boots_failing",
        message=f"{boots.failures} boot(s) failed on {cloud}, the last one: {boots.last_reason}",
        facts={"failures": boots.failures, "reason": boots.last_reason, "next_try": until.isoformat()},
        remedy="The next boot is tried by itself; look at the cloud if this stays.",
    )


def to_retire(
    idle: Mapping[WorkerId, datetime], *, now: datetime, after: timedelta, wanted: bool
) -> list[WorkerId]:
    """Return the workers that have been idle for `after`. None while jobs of their group wait (`wanted`)."""
    return [] if wanted else [worker for worker, since in idle.items() if now - since >= after]
