"""How many workers of which kind, and where: a pure function from what is known to what is to be done."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from armillary.base.ids import CloudName, ProjectId
from armillary.batch.core.backoff import Lane
from armillary.batch.core.budget import COMMITTED, Purse
from armillary.batch.core.flavors import Choice, Offer, Ranks, best, cheapest
from armillary.batch.core.order import Account, next_of
from armillary.batch.core.packing import Bin, Filling, Kind, Packer, ordered, without
from armillary.batch.core.refusals import booting_enough, out_of_batch_cores, quota_full, trying
from armillary.batch.model import Demand, Group, Refusal, Shape


@dataclass(frozen=True, kw_only=True)
class Quota:
    """What a cloud lets somebody have still; None: without limit."""

    cores: int | None = None
    ram_mib: int | None = None
    instances: int | None = None
    limits: tuple[int | None, int | None, int | None] = (None, None, None)
    """the same three in all, for people to read"""


@dataclass(frozen=True, kw_only=True)
class Situation:
    """One group's demand with all that bears on it."""

    demand: Demand
    packer: Packer
    rooms: tuple[Bin, ...] = ()
    """on the workers that are there or on their way, those that are not to be drained"""
    here: Mapping[Kind, int] = field(default_factory=dict[Kind, int])
    """how many workers of the group there are of each kind"""
    offers: tuple[Offer, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    """what speaks against the whole group, and clouds of which nothing is known"""
    reserve: Mapping[CloudName | None, int] = field(default_factory=dict[CloudName | None, int])
    """how many workers without a job there are to be: on a cloud, or (None) on any"""
    ranks: Ranks | None = None


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What all groups share. Nothing of it is ever passed."""

    quotas: Mapping[Hashable, Quota]
    boot_slots: Mapping[CloudName, int]
    """machines that may begin to boot on each cloud"""
    booting: Mapping[CloudName, int] = field(default_factory=dict[CloudName, int])
    cores_left: Mapping[ProjectId, int]
    cores_granted: Mapping[ProjectId, int]
    purses: Mapping[ProjectId, Purse] = field(default_factory=dict[ProjectId, Purse])
    trials: Mapping[Lane, int] = field(default_factory=dict[Lane, int])
    """machines that boot in lanes that fail"""


@dataclass(frozen=True, kw_only=True)
class Boots:
    """Machines to boot, all of one kind."""

    offer: Offer
    count: int


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Boot these; if jobs still wait for a machine, `refusals` has every reason, cloud by cloud."""

    group: Group
    boots: tuple[Boots, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    missing: tuple[Shape, ...] = ()
    """jobs for which there is no room, and for which none was found"""

    @property
    def boot(self) -> tuple[CloudName, ...]:
        """The clouds on which a machine is to boot, each as often as it is to."""
        return tuple(boots.offer.kind.cloud for boots in self.boots for _ in range(boots.count))


class _Left:
    """The bounds, counted down."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.quotas = {pool: [q.cores, q.ram_mib, q.instances] for pool, q in bounds.quotas.items()}
        self.slots = dict(bounds.boot_slots)
        self.cores = dict(bounds.cores_left)
        self.money = {project: purse.left for project, purse in bounds.purses.items()}
        self.trials = dict(bounds.trials)

    def fits(self, offer: Offer, project: ProjectId) -> int:
        """Return how many machines of the offer fit into what is left."""
        if offer.refusals:
            return 0
        most = [self.slots.get(offer.kind.cloud, 0), self.cores.get(project, 0) // max(1, offer.vcpus)]
        for left, each in zip(self.quotas[offer.pool], (offer.vcpus, offer.ram_mib, 1), strict=True):
            if left is not None and each > 0:
                most.append(left // each)
        if project in self.money and offer.hour > 0:
            most.append(int(self.money[project] // (offer.hour * COMMITTED.total_seconds() / 3600)))
        most += [1 - self.trials.get(lane, 0) for lane in offer.trials]
        return max(0, min(most))

    def take(self, offer: Offer, project: ProjectId, count: int) -> None:
        """Count machines in."""
        self.slots[offer.kind.cloud] -= count
        self.cores[project] -= count * offer.vcpus
        quota = self.quotas[offer.pool]
        for index, each in enumerate((offer.vcpus, offer.ram_mib, 1)):
            left = quota[index]
            if left is not None:
                quota[index] = left - count * each
        if project in self.money:
            self.money[project] -= count * offer.hour * COMMITTED.total_seconds() / 3600
        for lane in offer.trials:
            self.trials[lane] = self.trials.get(lane, 0) + count

    def refusals(self, offer: Offer, group: Group) -> list[Refusal]:
        """Return every reason why no further machine of the offer boots now."""
        found = list(offer.refusals)
        cloud = offer.kind.cloud
        project = group.project
        if self.cores.get(project, 0) < offer.vcpus:
            granted = self.bounds.cores_granted.get(project, 0)
            found.append(out_of_batch_cores(self.cores.get(project, 0), granted, offer))
        purse = self.bounds.purses.get(project)
        if purse is not None:
            price = offer.hour * COMMITTED.total_seconds() / 3600
            if self.money[project] < price:
                found.append(
                    Purse(budget=purse.budget, spent=purse.budget - self.money[project]).refusal(price)
                )
        limits = self.bounds.quotas[offer.pool].limits
        found += quota_full(offer, self.quotas[offer.pool], limits)
        if not offer.refusals:
            found += [trying(offer, lane) for lane in offer.trials if self.trials.get(lane, 0) >= 1]
        if self.slots.get(cloud, 0) <= 0:
            found.append(booting_enough(cloud, self.bounds.booting.get(cloud, 0)))
        return found


class _Turn:
    """One group while machines are shared out."""

    def __init__(self, situation: Situation) -> None:
        self.situation = situation
        self.group = situation.demand.group
        self.waiting, unused = situation.packer.fill(ordered(situation.demand.shapes), situation.rooms)
        self.reserve = _reserve_missing(situation, unused)
        self.boots: dict[Kind, Boots] = {}
        self.here = dict(situation.here)

    def for_jobs(self, left: _Left) -> Choice | None:
        """Return the next machine to boot for jobs that wait."""
        if not self.waiting:
            return None
        s = self.situation
        offers = [offer for offer in s.offers if left.fits(offer, self.group.project)]
        return best(offers, self.waiting, packer=s.packer, here=self.here, ranks=s.ranks)

    def for_reserve(self, left: _Left) -> Choice | None:
        """Return the next machine to boot for the reserve, and how many of them."""
        for cloud, count in self.reserve.items():
            offers = [
                offer
                for offer in self.situation.offers
                if cloud in (None, offer.kind.cloud) and left.fits(offer, self.group.project)
            ]
            if count > 0 and offers:
                self.reserve[cloud] = count - 1
                return Choice(cheapest(offers, here=self.here), Filling((), 1))
        return None

    def take(self, choice: Choice, count: int) -> None:
        """Have `count` machines of the choice boot."""
        kind = choice.offer.kind
        before = self.boots[kind].count if kind in self.boots else 0
        self.boots[kind] = Boots(offer=choice.offer, count=before + count)
        self.here[kind] = self.here.get(kind, 0) + count
        if choice.filling.taken:
            self.waiting = without(self.waiting, choice.filling, count)

    def decision(self, left: _Left) -> Decision:
        """Return what was decided, with all reasons if jobs are left without a machine."""
        situation = self.situation
        refusals = list(situation.refusals)
        if self.waiting:
            for offer in situation.offers:
                refusals += left.refusals(offer, self.group)
        return Decision(
            group=self.group,
            boots=tuple(self.boots.values()),
            refusals=tuple(_once(refusals)),
            missing=tuple(self.waiting),
        )


def _once(refusals: Sequence[Refusal]) -> list[Refusal]:
    """Return refusals without repetitions: what stops a cloud stops each of its flavors."""
    seen: dict[tuple[object, ...], Refusal] = {}
    for refusal in refusals:
        seen.setdefault((refusal.cloud, refusal.code, refusal.message), refusal)
    return list(seen.values())


def _reserve_missing(situation: Situation, unused: Sequence[Bin]) -> dict[CloudName | None, int]:
    """Return how many machines the reserve lacks: what no job needs of those that are there counts for it."""
    spare: dict[CloudName, int] = {}
    for room in unused:
        if room.free.cpus >= room.whole.cpus:
            spare[room.kind.cloud] = spare.get(room.kind.cloud, 0) + room.machines
    missing: dict[CloudName | None, int] = {}
    for cloud, count in situation.reserve.items():
        if cloud is not None:
            used = min(count, spare.get(cloud, 0))
            spare[cloud] = spare.get(cloud, 0) - used
            missing[cloud] = count - used
    if None in situation.reserve:
        missing[None] = max(0, situation.reserve[None] - sum(spare.values()))
    return missing


class Core(Protocol):
    """Whoever decides for all groups at once."""

    def __call__(self, situations: Sequence[Situation], *, bounds: Bounds) -> list[Decision]: ...


def decide(situations: Sequence[Situation], *, bounds: Bounds, steps: int = 256) -> list[Decision]:
    """Decide for all groups at once.

    Projects take turns by what they have used of late and have now, and in a project its groups, those with fewest
    workers first; so that a large submit does not take all of the clouds, or of its project's batch cores, before a
    small one gets a machine. A turn is one machine; in a group that needs thousands it is a few at a time (what it
    needs, by `steps`), which bounds the work without changing who gets what by much. The reserve comes after all jobs.
    """
    if not situations:
        return []
    turns = [_Turn(situation) for situation in situations]
    left = _Left(bounds)
    accounts: dict[ProjectId, Account] = {}
    for turn in turns:
        account = accounts.setdefault(turn.group.project, Account(used=turn.situation.demand.used))
        account.cores += sum(turn.here.values())
    now = max(situation.demand.since for situation in situations)
    for choose in (_Turn.for_jobs, _Turn.for_reserve):
        playing: dict[ProjectId, list[_Turn]] = {}
        for turn in turns:
            playing.setdefault(turn.group.project, []).append(turn)
        while playing:
            project = next_of(accounts, playing, now)
            turn = min(playing[project], key=lambda one: sum(one.here.values()))
            choice = choose(turn, left)
            if choice is None:
                playing[project].remove(turn)
                if not playing[project]:
                    del playing[project]
                continue
            room = left.fits(choice.offer, project)
            count = max(1, min(room, choice.filling.times // steps))
            left.take(choice.offer, project, count)
            turn.take(choice, count)
            accounts[project].cores += count
    return [turn.decision(left) for turn in turns]
