"""What machines have used of late: readings of their hypervisors, kept for an hour in memory, and what follows from them.

`Sampler` asks the clouds, again and again, and never for long; what is plotted is a pure function of the readings.
"""

from __future__ import annotations

import itertools
import logging
import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from armillary.base.clock import Clock
from armillary.base.errors import ArmillaryError
from armillary.base.ids import CloudName, ServerId
from armillary.base.units import MiB
from armillary.fleet.model import FleetFlavor
from armillary.fleet.parts import Reading
from armillary.fleet.tending import Tending

log = logging.getLogger(__name__)

KEPT_FOR = timedelta(hours=1)
MOST_READINGS = 400
"""of one machine: an hour of one every ten seconds, with some to spare"""
MOST_MACHINES = 5000
ENOUGH_FOR_ADVICE = timedelta(minutes=30)
HEADROOM = 1.25
"""A smaller size is offered when the most that was used fits into it with a quarter to spare."""

Key = tuple[CloudName, ServerId]


@dataclass(frozen=True, kw_only=True)
class Point:
    """What a machine used between two readings; None: not measured."""

    at: datetime
    cpu: float | None
    """share of all its processors, 0 to 1"""
    memory: MiB | None
    disk_read: float | None
    """bytes a second, as are the next three"""
    disk_written: float | None
    net_in: float | None
    net_out: float | None


@dataclass(frozen=True, kw_only=True)
class Advice:
    """A smaller size that would have done: the most that was used of what the machine has."""

    flavor: FleetFlavor
    memory_used: MiB
    memory: MiB
    cores_used: float
    cores: int


def points_of(readings: Sequence[Reading]) -> list[Point]:
    """Return what was used between each reading and the next. A counter that went back began anew: it tells nothing."""
    found: list[Point] = []
    for before, after in itertools.pairwise(readings):
        seconds = (after.at - before.at).total_seconds()
        if seconds <= 0:
            continue
        busy = _rate(before.cpu_seconds, after.cpu_seconds, seconds)
        found.append(
            Point(
                at=after.at,
                cpu=None if busy is None else min(1.0, busy / max(1, after.cores)),
                memory=after.memory_used,
                disk_read=_rate(before.disk_read, after.disk_read, seconds),
                disk_written=_rate(before.disk_written, after.disk_written, seconds),
                net_in=_rate(before.net_in, after.net_in, seconds),
                net_out=_rate(before.net_out, after.net_out, seconds),
            )
        )
    return found


def _rate(before: float | None, after: float | None, seconds: float) -> float | None:
    if before is None or after is None or after < before:
        return None
    return (after - before) / seconds


def advise(
    readings: Sequence[Reading], flavors: Sequence[FleetFlavor], now: FleetFlavor | None
) -> Advice | None:
    """Return the smallest size that would have done, if it is smaller than the one there is.

    None as long as too little is known: half an hour with memory and processors measured.
    """
    points = points_of(readings)
    memory = [point.memory for point in points if point.memory is not None]
    busy = [point.cpu for point in points if point.cpu is not None]
    if now is None or not memory or not busy or readings[-1].at - readings[0].at < ENOUGH_FOR_ADVICE:
        return None
    most_memory, most_cores = max(memory), max(busy) * now.vcpus
    for size in flavors:
        holds = size.ram >= most_memory * HEADROOM and size.vcpus >= math.ceil(most_cores * HEADROOM - 1e-6)
        smaller = (size.ram, size.vcpus) != (now.ram, now.vcpus) and size.ram <= now.ram
        if holds and smaller and size.vcpus <= now.vcpus and size.gpus == now.gpus and size.disk >= now.disk:
            return Advice(
                flavor=size,
                memory_used=MiB(most_memory),
                memory=now.ram,
                cores_used=most_cores,
                cores=now.vcpus,
            )
    return None


class FigureBook:
    """The readings of machines, an hour of each, in memory. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._series: OrderedDict[Key, deque[Reading]] = OrderedDict()

    def add(self, cloud: CloudName, server_id: ServerId, reading: Reading) -> None:
        """Keep a reading; what is older than an hour goes."""
        with self._lock:
            series = self._series.setdefault((cloud, server_id), deque(maxlen=MOST_READINGS))
            self._series.move_to_end((cloud, server_id))
            series.append(reading)
            while series and reading.at - series[0].at > KEPT_FOR:
                series.popleft()
            while len(self._series) > MOST_MACHINES:
                self._series.popitem(last=False)

    def of(self, cloud: CloudName, server_id: ServerId) -> list[Reading]:
        """The readings of a machine, the oldest first."""
        with self._lock:
            return list(self._series.get((cloud, server_id), ()))

    def last(self, cloud: CloudName, server_id: ServerId) -> datetime | None:
        """When it was read last."""
        with self._lock:
            series = self._series.get((cloud, server_id))
            return series[-1].at if series else None

    def keep_only(self, cloud: CloudName, server_ids: frozenset[ServerId], *, now: datetime) -> None:
        """Drop what is known of a cloud's other machines, once it is an hour old."""
        with self._lock:
            for key in [key for key in self._series if key[0] == cloud and key[1] not in server_ids]:
                if now - self._series[key][-1].at > KEPT_FOR:
                    del self._series[key]


class Sampler:
    """Reads the figures of people's running machines. `tick` it every few seconds.

    A round of all machines takes as long as it takes: each tick has a bounded time, and goes on where the last one
    ended, so that a thousand machines are read less often and not at a higher price.
    """

    def __init__(
        self,
        *,
        fleet: Tending,
        clouds: Sequence[CloudName],
        book: FigureBook,
        clock: Clock,
        every: timedelta = timedelta(seconds=30),
        list_every: timedelta = timedelta(seconds=60),
        budget_seconds: float = 1.0,
    ) -> None:
        self._fleet = fleet
        self._clouds = list(clouds)
        self.book = book
        self._clock = clock
        self._every = every
        self._list_every = list_every
        self._budget = budget_seconds
        self._running: dict[CloudName, tuple[datetime, list[tuple[str, ServerId]]]] = {}
        self._tried: dict[Key, datetime] = {}
        self._mute: dict[CloudName, datetime] = {}

    def running(self) -> dict[CloudName, list[tuple[str, ServerId]]]:
        """The machines that ran when last looked, by cloud, each with the id of its project."""
        return {cloud: list(found) for cloud, (_, found) in self._running.items()}

    def tick(self) -> None:
        """Look which machines run, now and then, and read those that were not read for longest."""
        until = time.monotonic() + self._budget
        now = self._clock.now()
        for cloud in self._clouds:
            self._look(cloud, now)
        due = [
            (cloud, owner, server_id)
            for cloud, (_, found) in self._running.items()
            if now >= self._mute.get(cloud, now)
            for owner, server_id in found
            if now - self._tried.get((cloud, server_id), datetime.min.replace(tzinfo=now.tzinfo))
            >= self._every
        ]
        due.sort(key=lambda one: self._tried.get((one[0], one[2]), datetime.min.replace(tzinfo=now.tzinfo)))
        for cloud, owner, server_id in due:
            if time.monotonic() > until:
                return
            if now >= self._mute.get(cloud, now):
                self.read(cloud, owner, server_id)

    def read(self, cloud: CloudName, project_id: str, server_id: ServerId) -> None:
        """Read one machine now; what cannot be read is passed over."""
        now = self._clock.now()
        self._tried[cloud, server_id] = now
        try:
            self.book.add(cloud, server_id, self._fleet.reading(cloud, project_id, server_id))
        except ArmillaryError as error:
            if error.status == 403:  # this cloud tells its administrators alone: ask again in an hour
                self._mute[cloud] = now + KEPT_FOR
            log.debug("no figures of %s on %s: %s", server_id, cloud, error.message)

    def fresh(self, cloud: CloudName, project_id: str, server_id: ServerId) -> list[Reading]:
        """The readings of a machine that somebody looks at, with one of just now."""
        last = self._tried.get((cloud, server_id))
        if last is None or self._clock.now() - last >= timedelta(seconds=9):
            self.read(cloud, project_id, server_id)
        return self.book.of(cloud, server_id)

    def _look(self, cloud: CloudName, now: datetime) -> None:
        seen = self._running.get(cloud)
        if seen and now - seen[0] < self._list_every:
            return
        try:
            found = self._fleet.running(cloud)
        except ArmillaryError as error:
            log.debug("cloud %s does not say which machines run: %s", cloud, error.message)
            found = seen[1] if seen else []
        self._running[cloud] = (now, found)
        known = frozenset(server_id for _, server_id in found)
        self.book.keep_only(cloud, known, now=now)
        for key in [key for key in self._tried if key[0] == cloud and key[1] not in known]:
            del self._tried[key]
