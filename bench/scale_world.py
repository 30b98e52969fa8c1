"""An engine of dictionaries behind the `Workforce` port, and what goes wrong on its clouds: for `bench/scale.py`."""

from __future__ import annotations

import heapq
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from armillary.accounts.model import Project
from armillary.base.clock import VirtualClock
from armillary.base.errors import Conflict, Unavailable
from armillary.base.ids import CloudName, ClusterId, PersonId, ProjectId, ServerId, WorkerId
from armillary.batch.core import order
from armillary.batch.model import OPEN_FLAVOR, Demand, Group, Resources, Shape, WorkerReport
from armillary.fleet.fake import FakeCloud


@dataclass(kw_only=True)
class Batch:
    """Equal jobs of one owner."""

    key: int
    group: Group
    owner: PersonId
    asked: Resources
    seconds: float
    waiting: list[int]


@dataclass(kw_only=True)
class Worker:
    id: WorkerId
    group: Group
    whole: Resources
    free: Resources
    since: datetime
    jobs: dict[int, tuple[Batch, datetime]] = field(default_factory=dict)
    idle_since: datetime | None = None
    draining: bool = False


class FakeEngine:
    """The `Workforce` port over dictionaries, and the workers that come to it."""

    def __init__(self, *, clock: VirtualClock, batches: Sequence[Batch], jobs: int) -> None:
        self.clock = clock
        self.by_group: dict[Group, list[Batch]] = defaultdict(list)
        for batch in batches:
            self.by_group[batch.group].append(batch)
        self.crew: dict[WorkerId, Worker] = {}
        self.gone: set[WorkerId] = set()
        self.ends: list[tuple[datetime, int, int, WorkerId]] = []
        self.ended = bytearray(jobs)
        self.done = 0
        self.lost_attempts = 0
        self.useful = 0.0
        self.used: dict[tuple[ProjectId, PersonId], float] = defaultdict(float)
        self.began = clock.now()
        self.attempts = 0
        self.accounts: dict[ProjectId, dict[PersonId, order.Account]] = defaultdict(dict)
        for batch in batches:
            self.accounts[batch.group.project].setdefault(batch.owner, order.Account())

    # Workforce

    def demand(self) -> list[Demand]:
        found = []
        for group, batches in self.by_group.items():
            counts: dict[Resources, int] = defaultdict(int)
            for batch in batches:
                counts[batch.asked] += len(batch.waiting)
            shapes = tuple(Shape(asked, count) for asked, count in sorted(counts.items()) if count)
            if shapes:
                used = sum(a.used for a in self.accounts[group.project].values())
                found.append(Demand(group=group, shapes=shapes, since=self.began, used=used))
        return found

    def workers(self) -> list[WorkerReport]:
        now = self.clock.now()
        return [
            WorkerReport(
                id=w.id,
                group=w.group,
                registered_at=w.since,
                last_seen_at=now,
                idle_since=w.idle_since,
                free=w.free,
                server_id=None,
                draining=w.draining,
                left=False,
                jobs=len(w.jobs),
            )
            for w in self.crew.values()
        ]

    def drain(self, worker: WorkerId) -> None:
        if worker in self.crew:
            self.crew[worker].draining = True

    def lost(self, worker: WorkerId, reason: str) -> int:
        self.gone.add(worker)
        lost = self.crew.pop(worker, None)
        if lost is None:
            return 0
        for job, (batch, at) in lost.jobs.items():
            batch.waiting.append(job)
            self._account(batch, at)
        self.lost_attempts += len(lost.jobs)
        return len(lost.jobs)

    # the workers' side

    def register(self, worker: WorkerId, group: Group, whole: Resources) -> None:
        if worker in self.gone or worker in self.crew:
            return
        now = self.clock.now()
        self.crew[worker] = Worker(id=worker, group=group, whole=whole, free=whole, since=now, idle_since=now)
        self.claim(self.crew[worker])

    def claim(self, worker: Worker) -> None:
        if worker.draining or worker.free.cpus <= 0:
            return
        batches = {batch.key: batch for batch in self.by_group[worker.group] if batch.waiting}
        if not batches:
            return
        now = self.clock.now()
        offers = [
            order.Offer(
                key=b.key,
                owner=b.owner,
                priority=0,
                cluster=ClusterId(1),
                resources=b.asked,
                room=len(b.waiting),
            )
            for b in batches.values()
        ]
        taken = order.share_out(
            offers,
            self.accounts[worker.group.project],
            free=worker.free,
            whole=worker.whole,
            at_most=64,
            now=now,
            cut=worker.group.flavor != OPEN_FLAVOR,
        )
        for key, count in taken.items():
            batch = batches[key]
            for _ in range(count):
                job = batch.waiting.pop()
                worker.free -= batch.asked
                worker.jobs[job] = (batch, now)
                self.attempts += 1
                heapq.heappush(
                    self.ends, (now + timedelta(seconds=batch.seconds), self.attempts, job, worker.id)
                )
        if worker.jobs:
            worker.idle_since = None

    def advance(self, until: datetime) -> None:
        """Let jobs end, in order, up to a moment; each end frees room for others."""
        while self.ends and self.ends[0][0] <= until:
            at, _, job, name = heapq.heappop(self.ends)
            worker = self.crew.get(name)
            if worker is None or job not in worker.jobs:
                continue  # the worker was lost meanwhile
            if self.clock.now() < at:
                self.clock.advance(at - self.clock.now())
            batch, began = worker.jobs[job]
            if began + timedelta(seconds=batch.seconds) != at:
                continue  # of an earlier attempt on the same worker
            del worker.jobs[job]
            worker.free -= Resources(
                cpus=-batch.asked.cpus, memory_mib=-batch.asked.memory_mib, disk_kib=-batch.asked.disk_kib
            )
            self.ended[job] += 1
            self.done += 1
            self.useful += batch.asked.cpus * batch.seconds
            self._account(batch, began)
            self.claim(worker)
            if not worker.jobs:
                worker.idle_since = at
        if self.clock.now() < until:
            self.clock.advance(until - self.clock.now())

    def _account(self, batch: Batch, began: datetime) -> None:
        spent = batch.asked.cpus * (self.clock.now() - began).total_seconds()
        account = self.accounts[batch.group.project][batch.owner]
        account.used += spent
        account.cores -= batch.asked.cpus
        self.used[batch.group.project, batch.owner] += spent

    def use(self) -> dict[tuple[ProjectId, PersonId], float]:
        """Return what each owner has used, running jobs too."""
        found = dict(self.used)
        now = self.clock.now()
        for worker in self.crew.values():
            for batch, began in worker.jobs.values():
                key = (batch.group.project, batch.owner)
                found[key] = found.get(key, 0.0) + batch.asked.cpus * (now - began).total_seconds()
        return found


class Enrolment:
    def user_data(self, worker: WorkerId, *, group: Group, cloud: CloudName, size: Resources) -> str:
        return "#cloud-config\n{}"

    def marks(self) -> dict[str, str]:
        return {}

    def expect(self, worker: WorkerId, server: ServerId) -> None:
        """Nobody else registers here."""


class People:
    def __init__(self, projects: Sequence[Project]) -> None:
        self._projects = {project.id: project for project in projects}

    def project(self, project_id: ProjectId) -> Project:
        return self._projects[project_id]

    def projects(self) -> Sequence[Project]:
        return list(self._projects.values())


class Weather:
    """What goes wrong, by chance, on each cloud."""

    def __init__(self, *, clouds: Sequence[FakeCloud], dice: random.Random) -> None:
        self._clouds = clouds
        self._dice = dice
        self._until: dict[CloudName, datetime] = {}
        for index, cloud in enumerate(clouds):
            rate = 0.3 if index == 3 else 0.03  # one cloud is much worse than the others
            cloud.faults.dooms = lambda _request, rate=rate: self._doom(rate)
            cloud.faults.listed_after = timedelta(seconds=self._dice.choice((0, 0, 10, 25)))
            cloud.faults.listed_deleted = timedelta(seconds=self._dice.choice((0, 0, 30)))

    def _doom(self, rate: float) -> str | None:
        if self._dice.random() >= rate:
            return None
        return self._dice.choice(("No valid host was found.", "the disk could not be made"))

    def blow(self, now: datetime) -> None:
        """Begin and end trouble for the next tick."""
        for cloud in self._clouds:
            faults, dice = cloud.faults, self._dice
            if self._until.get(cloud.name, now) <= now:
                cloud.silent = faults.stuck_deleting = False
                if dice.random() < 0.004:
                    self._until[cloud.name] = now + timedelta(seconds=dice.uniform(60, 900))
                    cloud.silent = dice.random() < 0.7
                    faults.stuck_deleting = not cloud.silent
            if dice.random() < 0.02:
                faults.lost_replies += 1
            if dice.random() < 0.02:
                faults.creates.append(
                    dice.choice(
                        (
                            Unavailable("500", code="cloud_failed"),
                            Conflict("in task_state spawning"),
                            Unavailable("429", code="cloud_busy", facts={"retry_after": 45}),
                        )
                    )
                )
