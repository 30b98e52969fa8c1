"""The scaler at scale: a million jobs on ten thousand workers and twenty clouds that fail, in virtual time.

    python bench/scale.py [JOBS] [CLOUDS] [CORES] [--projects N] [--seed N] [--tick SECONDS]

The scaler is the real one, with its records in SQLite, over the fleet's service and clouds in memory. The engine is a
fake of dictionaries behind the `Workforce` port, which shares jobs out by the queue's own core. Each job is counted
where it ends; so a lost one and one that ran twice both show. Decisions and ticks are timed in the processor's seconds:
machines are shared.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import resource
import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from scale_world import Batch, Enrolment, FakeEngine, People, Weather

from armillary.accounts.model import Allocation, Project
from armillary.app.database import make_engine
from armillary.base.bell import Bell
from armillary.base.clock import VirtualClock
from armillary.base.ids import CloudName, PersonId, ProjectId, ServerId
from armillary.base.units import GiB, MiB
from armillary.batch.booting import WORKER_MARK
from armillary.batch.core.budget import Prices
from armillary.batch.core.scaling import Decision, decide
from armillary.batch.matching import Matcher
from armillary.batch.model import OPEN_FLAVOR, Group, Resources
from armillary.batch.policy.evaluator import Evaluator
from armillary.batch.scaler import Scaler, ScalerSettings
from armillary.batch.store.fleet_records import FleetRecords
from armillary.batch.store.tables import create_all
from armillary.fleet.fake import FakeCloud, fake_fleet
from armillary.fleet.model import FleetFlavor

FLAVORS = tuple(
    FleetFlavor(id=name, name=name, vcpus=vcpus, ram=MiB(ram), disk=GiB(20), ephemeral=GiB(40))
    for name, vcpus, ram in (
        ("c2-4gb", 2, 4096),
        ("c4-8gb", 4, 8192),
        ("c4-32gb", 4, 32768),
        ("c8-16gb", 8, 16384),
    )
)
ASKED = (  # cpus, memory, seconds, how many of all
    (1, 2000, 300, 0.55),
    (1, 3500, 600, 0.15),
    (2, 4000, 900, 0.15),
    (4, 16000, 1200, 0.05),
    (1, 7000, 600, 0.05),
    (3, 6000, 900, 0.05),
)
OWNERS = 3


@dataclass(kw_only=True)
class Result:
    figures: dict[str, Any]
    problems: list[str]


class Simulation:
    def __init__(
        self, *, jobs: int, clouds: int, cores: int, projects: int, seed: int, tick_seconds: float = 20
    ) -> None:
        self.tick_length = timedelta(seconds=tick_seconds)
        self.dice = random.Random(seed)
        self.clock = VirtualClock()
        self.jobs = jobs
        self.cores = cores
        self.clouds = [
            FakeCloud(
                name=f"cloud{n:02}",
                clock=self.clock,
                cores=cores,
                ram_mib=cores * 4096,
                instances=cores,
                number=1 + n,
                flavors=FLAVORS,
            )
            for n in range(clouds)
        ]
        self.prices = Prices(of={str(c.name): (1.0, 1.0, 1.3)[n % 3] for n, c in enumerate(self.clouds)})
        granted = clouds * cores // projects
        self.projects = [
            Project(
                id=ProjectId(f"{n:032x}"),
                name=f"project{n}",
                description="",
                allocation=Allocation(cores=4, ram=MiB(1), disk=GiB(1), storage=GiB(1), batch_cores=granted),
                enabled=True,
                created_at=self.clock.now(),
            )
            for n in range(projects)
        ]
        self.fleet = fake_fleet(clock=self.clock, clouds=self.clouds)
        batches = self._batches()
        self.counts = {batch.key: len(batch.waiting) for batch in batches}
        self.engine = FakeEngine(clock=self.clock, batches=batches, jobs=jobs)
        database = make_engine("sqlite://", durable=False)
        create_all(database)
        self.database = database
        self.records = FleetRecords(database=database)
        self.evaluator = Evaluator()
        self.decisions: list[float] = []
        self.scaler = Scaler(
            workforce=self.engine,
            enrolment=Enrolment(),
            clouds=self.fleet,
            people=People(self.projects),
            records=self.records,
            matcher=Matcher(evaluator=self.evaluator),
            clock=self.clock,
            bell=Bell(),
            run=lambda work: work(),
            core=self._decide,
            settings=ScalerSettings(prices=self.prices),
        )
        self.weather = Weather(clouds=self.clouds, dice=self.dice)
        self.up_at: dict[ServerId, datetime] = {}
        self.paid: dict[CloudName, float] = defaultdict(float)
        self.paid_cores = 0.0
        self.most_workers = 0
        self.problems: list[str] = []
        self.tick_seconds: list[float] = []

    def _batches(self) -> list[Batch]:
        """Give each project two images, one with a flavor and one without, and each of its people equal work."""
        batches: list[Batch] = []
        per_owner = self.jobs // (len(self.projects) * OWNERS)
        number = 0
        for project in self.projects:
            groups = []
            for index, flavor in enumerate((OPEN_FLAVOR, "c8-16gb")):
                image = self.clouds[0].add_image(
                    f"image{index}-{project.name}", f"{project.id}{index}".encode()
                )
                groups.append(Group(project.id, image.sha512, flavor))
                for cloud in self.clouds[1:]:  # copies are tested elsewhere; most clouds have the image
                    if self.dice.random() < 0.8:
                        cloud.add_image(image.name, f"{project.id}{index}".encode())
            last = project is self.projects[-1]
            for owner in range(OWNERS):
                mine = self.jobs - number if last and owner == OWNERS - 1 else per_owner
                begin = number
                for which, (cpus, memory, seconds, share) in enumerate(ASKED):
                    count = int(mine * share)
                    if which == 0:
                        count = mine - sum(int(mine * one[3]) for one in ASKED[1:])
                    halves = (count // 2, count - count // 2)
                    for group, half in zip(groups, halves, strict=True):
                        asked = Resources(cpus=cpus, memory_mib=memory, disk_kib=1024)
                        batches.append(
                            Batch(
                                key=len(batches),
                                group=group,
                                owner=PersonId(f"{project.name}-{owner}"),
                                asked=asked,
                                seconds=seconds * self.dice.uniform(0.8, 1.2),
                                waiting=list(range(number, number + half)),
                            )
                        )
                        number += half
                assert number - begin == mine
        return batches

    def run(self, *, limit: timedelta = timedelta(days=20)) -> Result:
        began = time.perf_counter()
        start = self.clock.now()
        shares: list[float] = []
        try:
            while self.engine.done < self.jobs and self.clock.now() - start < limit:
                self._tick()
                error = self._share_error()
                if error is not None:
                    shares.append(error)
            busy_until = self.clock.now()
            for cloud in self.clouds:
                cloud.silent = cloud.faults.stuck_deleting = False
                cloud.faults.creates.clear()
            for _ in range(90):
                self._tick(fair=True)
        finally:
            self.evaluator.close()
        result = self._result(busy_until - start, shares, time.perf_counter() - began)
        self.database.dispose()
        return result

    def _decide(self, *args: Any, **kwargs: Any) -> list[Decision]:
        before = time.process_time()
        found = decide(*args, **kwargs)
        self.decisions.append(time.process_time() - before)
        return found

    def _tick(self, *, fair: bool = False) -> None:
        now = self.clock.now()
        if not fair:
            self.weather.blow(now)
        before = time.process_time()
        self.scaler.tick()
        self.tick_seconds.append(time.process_time() - before)
        self._agents(now, fair=fair)
        self.engine.advance(now + self.tick_length)

    def _agents(self, now: datetime, *, fair: bool) -> None:
        """Let machines come up, and some vanish; count what they cost and whether a quota was passed."""
        known = {machine.server_id: machine for machine in self.records.machines()}
        self.most_workers = max(self.most_workers, len(known))
        hours = self.tick_length / timedelta(hours=1)
        sizes = {flavor.name: flavor for flavor in FLAVORS}
        for cloud in self.clouds:
            used: dict[str, int] = defaultdict(int)
            for owner, server in cloud.machines():
                cores = sizes[server.flavor].vcpus
                used[owner] += cores
                self.paid[cloud.name] += cores * hours * self.prices.core_hour(cloud.name, server.flavor)
                self.paid_cores += cores * hours
                if server.status != "ACTIVE":
                    continue
                if not fair and self.dice.random() < hours / 200:
                    cloud.vanish(server.id)
                    continue
                at = self.up_at.setdefault(server.id, now + timedelta(seconds=self.dice.uniform(40, 90)))
                machine = known.get(server.id)
                if now >= at and machine is not None and machine.id == server.metadata[WORKER_MARK]:
                    self.engine.register(machine.id, machine.group, machine.size)
            self.problems += [
                f"quota of {owner} on {cloud.name} was passed"
                for owner, cores in used.items()
                if cores > self.cores
            ]

    def _share_error(self) -> float | None:
        """Return how far the use of people in a project differs from equal, while all of them have work."""
        if (self.clock.now() - self.engine.began) < timedelta(hours=1):
            return None
        use = self.engine.use()
        worst: float | None = None
        for project in self.projects:
            mine = [
                b for group, bs in self.engine.by_group.items() if group.project == project.id for b in bs
            ]
            if not all(any(b.waiting for b in mine if b.owner == o) for o in {b.owner for b in mine}):
                continue
            shares = [use.get((project.id, PersonId(f"{project.name}-{o}")), 0.0) for o in range(OWNERS)]
            total = sum(shares)
            if total:
                error = max(abs(share / total * OWNERS - 1) for share in shares)
                worst = error if worst is None else max(worst, error)
        return worst

    def _bound(self) -> float:
        """Return what the work costs at least, on machines that are always full: by linear programming's dual.

        Any prices for a core and a MiB for which no flavor costs less than what it has make the work's price at
        those a lower bound; the best of a hundred such pairs is taken.
        """
        cheapest = min(self.prices.of.values())
        total = 0.0
        for group, batches in self.engine.by_group.items():
            flavors = [f for f in FLAVORS if group.flavor in (OPEN_FLAVOR, f.name)]
            best = 0.0
            for step in range(101):
                core = cheapest * step / 100
                mib = min((f.vcpus * cheapest - core * f.vcpus) / f.ram for f in flavors)
                price = sum(
                    (core * b.asked.cpus + mib * b.asked.memory_mib) * b.seconds / 3600 * self.counts[b.key]
                    for b in batches
                )
                best = max(best, price)
            total += best
        return total

    def _result(self, busy: timedelta, shares: list[float], wall: float) -> Result:
        ended = self.engine.ended
        lost = sum(1 for count in ended if count == 0)
        twice = sum(1 for count in ended if count > 1)
        left = sum(len(cloud.machines()) for cloud in self.clouds)
        if lost:
            self.problems.append(f"{lost} jobs were lost")
        if twice:
            self.problems.append(f"{twice} jobs ended twice")
        if left:
            self.problems.append(f"{left} machines are left")
        cost = sum(self.paid.values())
        bound = self._bound()
        figures = {
            "jobs": self.jobs,
            "clouds": len(self.clouds),
            "most workers at once": self.most_workers,
            "virtual hours": round(busy / timedelta(hours=1), 2),
            "attempts lost with their workers": self.engine.lost_attempts,
            "jobs lost": lost,
            "jobs ended twice": twice,
            "machines left": left,
            "fair-share error, median %": round(100 * statistics.median(shares), 2) if shares else None,
            "fair-share error, end %": round(100 * shares[-1], 2) if shares else None,
            "decision p50 ms": round(1000 * statistics.median(self.decisions), 2),
            "decision p99 ms": round(1000 * _quantile(self.decisions, 0.99), 2),
            "tick p50 ms": round(1000 * statistics.median(self.tick_seconds), 1),
            "tick p99 ms": round(1000 * _quantile(self.tick_seconds, 0.99), 1),
            "cores used of paid %": round(100 * self.engine.useful / 3600 / self.paid_cores, 1),
            "cost": round(cost, 1),
            "cost, lower bound": round(bound, 1),
            "cost over bound": round(cost / bound, 3),
            "peak memory MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "wall seconds": round(wall, 1),
        }
        return Result(figures=figures, problems=self.problems)


def _quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def main() -> None:
    reader = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    reader.add_argument("jobs", type=int, nargs="?", default=1_000_000)
    reader.add_argument("clouds", type=int, nargs="?", default=20)
    reader.add_argument("cores", type=int, nargs="?", default=2500, help="of a project on each cloud")
    reader.add_argument("--projects", type=int, default=10)
    reader.add_argument("--seed", type=int, default=1)
    reader.add_argument("--tick", type=float, default=20, help="virtual seconds between the scaler's rounds")
    reader.add_argument("--json", action="store_true")
    asked = reader.parse_args()
    logging.disable()
    result = Simulation(
        jobs=asked.jobs,
        clouds=asked.clouds,
        cores=asked.cores,
        projects=asked.projects,
        seed=asked.seed,
        tick_seconds=asked.tick,
    ).run()
    if asked.json:
        print(json.dumps(result.figures))
    else:
        width = max(len(name) for name in result.figures)
        for name, value in result.figures.items():
            print(f"{name:<{width}}  {value}")
    for problem in result.problems[:20]:
        print(f"PROBLEM: {problem}")


if __name__ == "__main__":
    main()
