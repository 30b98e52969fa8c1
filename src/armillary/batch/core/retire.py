"""Which workers go: those that nobody needs, and those that are not what they should be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from armillary.base.ids import CloudName, WorkerId
from armillary.batch.core.packing import Kind, Packer
from armillary.batch.model import Machine, Resources, Shape, WorkerReport


@dataclass(frozen=True, kw_only=True)
class Leave:
    """A worker that is to go, and why. `failed`: it was not what was asked for, which counts against its flavor."""

    worker: WorkerId
    code: str
    reason: str
    failed: bool = False


@dataclass(frozen=True, kw_only=True)
class Crew:
    """The workers of one group that have no job, with all that bears on who of them stays."""

    idle: Sequence[tuple[Machine, WorkerReport]]
    waiting: Sequence[Shape] = ()
    """jobs of the group that wait"""
    packer: Packer
    reserve: Mapping[CloudName | None, int] = field(default_factory=dict[CloudName | None, int])
    """how many are to stay without work: on a cloud, or (None) on any"""
    wanted_elsewhere: bool = False
    """other jobs of the project wait for the room that these take up"""


def leaving(crew: Crew, *, now: datetime, after: timedelta, deaf: timedelta) -> list[Leave]:
    """Return who of the idle workers goes, those idle for longest first.

    A worker stays while jobs wait that fit on it; unless it takes none for `deaf`. Without such jobs it goes
    `after` it became idle, or at once when others need its room; but the reserve stays.
    """
    gone: list[Leave] = []
    spare: list[tuple[datetime, Machine]] = []
    for machine, report in crew.idle:
        if report.idle_since is None:
            continue
        since = max(report.idle_since, machine.registered_at or report.idle_since)
        fault = too_small(machine, report.free)
        if fault:
            gone.append(Leave(worker=machine.id, code="machine_too_small", reason=fault, failed=True))
        elif not _useful(crew, machine, report.free):
            spare.append((since, machine))
        elif now - since >= deaf:
            seconds = int((now - since).total_seconds())
            text = f"it took none of the jobs that wait for it in {seconds} s"
            gone.append(Leave(worker=machine.id, code="takes_no_jobs", reason=text, failed=True))
    stays = _reserved(
        [machine for _, machine in sorted(spare, key=lambda s: (s[0], s[1].id), reverse=True)], crew
    )
    limit = timedelta(0) if crew.wanted_elsewhere else after
    for since, machine in sorted(spare, key=lambda s: (s[0], s[1].id)):
        if machine.id not in stays and now - since >= limit:
            why = "others need its room" if crew.wanted_elsewhere else "there is no more work for it"
            gone.append(Leave(worker=machine.id, code="retired", reason=why))
    return gone


def too_small(machine: Machine, whole: Resources) -> str | None:
    """Say in what an idle machine is less than its flavor promised, by more than a tenth; None when it is not."""
    if machine.size.nearly_fits(whole):
        return None
    parts = [
        f"{have} {unit}, not {ask}"
        for have, ask, unit in (
            (whole.cpus, machine.size.cpus, "cores"),
            (whole.memory_mib, machine.size.memory_mib, "MiB of memory"),
            (whole.disk_kib, machine.size.disk_kib, "KiB of disk"),
            (whole.gpus, machine.size.gpus, "GPUs"),
        )
        if ask * 10 > have * 11
    ]
    return f"a machine of {machine.flavor} on {machine.cloud} has only " + ", ".join(parts)


def _useful(crew: Crew, machine: Machine, free: Resources) -> bool:
    kind = Kind(machine.cloud, machine.flavor)
    for shape in crew.waiting:
        share = crew.packer.share(shape, kind, machine.size)
        if share is not None and share.nearly_fits(free):
            return True
    return False


def _reserved(machines: Sequence[Machine], crew: Crew) -> set[WorkerId]:
    """Choose who stays in reserve, the last to become idle first."""
    stays: set[WorkerId] = set()
    anywhere = crew.reserve.get(None, 0)
    per_cloud = {cloud: count for cloud, count in crew.reserve.items() if cloud is not None}
    for machine in machines:
        if per_cloud.get(machine.cloud, 0) > 0:
            per_cloud[machine.cloud] -= 1
            stays.add(machine.id)
        elif anywhere > 0:
            anywhere -= 1
            stays.add(machine.id)
    return stays
