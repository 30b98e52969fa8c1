"""Who goes first: fair shares between projects and between people, by what they have used of late.

Whoever waits gets workers in inverse proportion to recent use, so that over a day or so everybody who has work gets
the same; who used much never waits for ever. A priority orders the jobs of one person and takes no turn from others.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, NamedTuple, TypeVar

from armillary.base.ids import ClusterId, PersonId
from armillary.batch.model import Resources

K = TypeVar("K", bound=Hashable)

HALF_LIFE = timedelta(days=1)
"""after which use counts half"""
PATIENCE = timedelta(hours=1)
"""Whoever has waited this long without getting anything is served next, whatever they have used."""
MOST_UNEQUAL = 16.0
"""Recent use counts at most this many times as much as that of the one who has used least."""
_FLOOR = 1.0


def decayed(used: float, since: timedelta, half_life: timedelta = HALF_LIFE) -> float:
    """Return what is left of a use (core-seconds) after some time."""
    return used * math.exp2(-max(since / half_life, 0.0))


@dataclass(kw_only=True)
class Account:
    """One who shares: what it used (core-seconds, decayed until now), has now, and when it last got something."""

    used: float = 0.0
    cores: float = 0.0
    weight: float = 1.0
    """twice the weight is twice the share"""
    served_at: datetime | None = None
    """or since when it waits"""


def next_of(accounts: Mapping[K, Account], waiting: Iterable[K], now: datetime) -> K:
    """Return whose turn it is among those who wait. Equal ones go in the order given."""
    asking = list(waiting)
    starving = [who for who in asking if _patience_over(accounts[who], now)]
    if starving:
        return min(starving, key=lambda who: accounts[who].served_at or now)
    most = max((accounts[who].used / accounts[who].weight for who in asking), default=0.0)
    floor = max(_FLOOR, most / MOST_UNEQUAL)

    def claim(who: K) -> float:
        account = accounts[who]
        return (account.cores + 1.0) / account.weight * max(account.used / account.weight, floor)

    return min(asking, key=claim)


def _patience_over(account: Account, now: datetime) -> bool:
    return account.served_at is not None and now - account.served_at > PATIENCE


class Offer(NamedTuple):
    """Jobs that wait and ask for the same. `room`: how many of them may go now, whatever machines there are."""

    key: int
    owner: PersonId
    priority: int
    cluster: ClusterId
    resources: Resources
    room: int
    limits: Mapping[str, float] = {}


@dataclass(kw_only=True)
class Bounds(Generic[K]):
    """What is left for all: of each concurrency limit, and of each submit that bounds its jobs on workers."""

    limits: dict[str, float] = field(default_factory=dict[str, float])
    clusters: dict[ClusterId, int] = field(default_factory=dict[ClusterId, int])

    def allow(self, offer: Offer) -> bool:
        """Whether one more job of the offer may go."""
        return self.clusters.get(offer.cluster, 1) > 0 and all(
            amount <= self.limits.get(name, amount) + 1e-9 for name, amount in offer.limits.items()
        )

    def take(self, offer: Offer) -> None:
        """Count one job of the offer."""
        if offer.cluster in self.clusters:
            self.clusters[offer.cluster] -= 1
        for name, amount in offer.limits.items():
            if name in self.limits:
                self.limits[name] -= amount


def share_out(
    offers: Sequence[Offer],
    accounts: Mapping[PersonId, Account],
    *,
    free: Resources,
    whole: Resources,
    at_most: int,
    now: datetime,
    bounds: Bounds[PersonId] | None = None,
    cut: bool = True,
) -> dict[int, int]:
    """Return how many jobs of each offer a worker takes: in fair order, as many as fit into `free` together.

    With `cut`, a request larger than the `whole` machine is cut to it: a flavor's 2048 MiB are a little less inside
    the guest. A job that does not fit blocks nobody behind it. The accounts' cores are counted up.
    """
    bounds = bounds or Bounds()
    queues: dict[PersonId, list[Offer]] = {}
    for offer in sorted(offers, key=lambda one: (-one.priority, one.cluster, one.key)):
        queues.setdefault(offer.owner, []).append(offer)
    room = {offer.key: offer.room for offer in offers}
    taken: dict[int, int] = {}
    for _ in range(at_most):
        ready: dict[PersonId, Offer] = {}
        for owner, queue in queues.items():
            for offer in queue:
                share = offer.resources.cut_to(whole) if cut else offer.resources
                if room[offer.key] > 0 and share.fits(free) and bounds.allow(offer):
                    ready[owner] = offer
                    break
        if not ready:
            break
        order = sorted(ready, key=lambda who: (ready[who].cluster, ready[who].key))
        owner = next_of(accounts, order, now)
        offer = ready[owner]
        share = offer.resources.cut_to(whole) if cut else offer.resources
        free -= share
        room[offer.key] -= 1
        bounds.take(offer)
        accounts[owner].cores += share.cpus
        accounts[owner].served_at = now
        taken[offer.key] = taken.get(offer.key, 0) + 1
        queues = {who: queue for who, queue in queues.items() if who in ready}
    return taken
