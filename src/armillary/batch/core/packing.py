"""How jobs fill machines: first fit, largest first, by counts of equal jobs.

The cost depends on how many different shapes and machines there are, not on how many of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from armillary.base.ids import CloudName
from armillary.batch.model import NO_WANTS, Resources, Shape, Wants

ENOUGH = 1 << 40
"""more than there are of anything"""


class Kind(NamedTuple):
    """What a machine is besides its image: where it stands, and its flavor."""

    cloud: CloudName
    flavor: str


Accepts = Callable[[Wants, Resources, Kind], bool]
"""Whether a job with these wants and this request takes a machine of a kind."""


def takes_any(_wants: Wants, _asked: Resources, _kind: Kind) -> bool:
    """Accept every machine."""
    return True


class Bin(NamedTuple):
    """Equal rooms: what is free on each of `machines` machines of a kind, whose whole size is `whole`."""

    kind: Kind
    whole: Resources
    free: Resources
    machines: int = 1


class Filling(NamedTuple):
    """What one machine takes of each waiting shape, and how many machines can be filled just so."""

    taken: tuple[int, ...]
    times: int

    def __bool__(self) -> bool:
        return self.times > 0


NOTHING = Filling((), 0)


class Packer:
    """Packs the jobs of one group. `open_flavor`: a machine that is too small for a job does not take it at all.

    Where a person chose the flavor, a request beyond the machine is cut to it instead, as the queue does.
    """

    def __init__(self, *, open_flavor: bool, accepts: Accepts = takes_any) -> None:
        self._open = open_flavor
        self._accepts = accepts

    def share(self, shape: Shape, kind: Kind, whole: Resources) -> Resources | None:
        """Return what a job of the shape gets of a machine, or None when it does not take one of that kind."""
        asked = shape.resources
        if asked.gpus > whole.gpus or (self._open and not asked.fits(whole)):
            return None
        if shape.wants != NO_WANTS and not self._accepts(shape.wants, asked, kind):
            return None
        return asked.cut_to(whole)

    def filling(self, waiting: Sequence[Shape], room: Bin) -> Filling:
        """Return what one of the equal rooms takes."""
        cpus, memory, disk, gpus = _figures(room.free)
        taken: list[int] = []
        times = ENOUGH
        for shape in waiting:
            count = 0
            if shape.jobs and cpus > 0:
                share = self.share(shape, room.kind, room.whole)
                if share is not None:
                    each = _figures(share)
                    count = min(
                        shape.jobs,
                        *(
                            have // ask if ask > 0 else ENOUGH
                            for have, ask in zip((cpus, memory, disk, gpus), each, strict=True)
                        ),
                    )
                    if count:
                        cpus -= each[0] * count
                        memory -= each[1] * count
                        disk -= each[2] * count
                        gpus -= each[3] * count
                        times = min(times, shape.jobs // count)
            taken.append(count)
        return Filling(tuple(taken), min(times, room.machines)) if times < ENOUGH else NOTHING

    def fill(self, waiting: Sequence[Shape], rooms: Iterable[Bin]) -> tuple[list[Shape], list[Bin]]:
        """Put jobs into rooms that there are. Returns the jobs that are left, and the rooms nobody needs."""
        left = ordered(waiting)
        unused: list[Bin] = []
        for room in rooms:
            count = room.machines
            while count and left:
                found = self.filling(left, room._replace(machines=count))
                if not found:
                    break
                left = without(left, found, found.times)
                count -= found.times
            if count:
                unused.append(room._replace(machines=count))
        return left, unused


def ordered(shapes: Iterable[Shape]) -> list[Shape]:
    """Return shapes with jobs, the largest first: what is small fits in later."""
    return sorted((s for s in shapes if s.jobs), key=lambda s: (weight(s.resources), s), reverse=True)


def without(waiting: Sequence[Shape], filling: Filling, times: int) -> list[Shape]:
    """Return what waits still when `times` machines were filled so."""
    return [
        shape._replace(jobs=shape.jobs - taken * times)
        for shape, taken in zip(waiting, filling.taken, strict=True)
        if shape.jobs > taken * times
    ]


def weight(size: Resources) -> float:
    """Return one figure for a share of a machine: a core, 4 GiB of memory and an eighth of a GPU weigh the same.

    Disk has no weight: it decides whether a job fits, but no flavor is bought for it.
    """
    return size.cpus + size.memory_mib / 4096 + 8 * size.gpus


def packed_weight(waiting: Sequence[Shape], filling: Filling) -> float:
    """Return how much one machine that is filled so does."""
    return sum(
        weight(shape.resources) * taken for shape, taken in zip(waiting, filling.taken, strict=True) if taken
    )


def _figures(size: Resources) -> tuple[int, int, int, int]:
    return size.cpus, size.memory_mib, size.disk_kib, size.gpus
