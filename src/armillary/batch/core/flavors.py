"""What could be booted for a group, and which of it is best: least cost and waste, then spread over the clouds."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from armillary.base.ids import CloudName
from armillary.batch.core.backoff import Lane
from armillary.batch.core.packing import Bin, Filling, Kind, Packer, packed_weight, weight
from armillary.batch.model import Refusal, Resources, Shape, Wants

Ranks = Callable[[Wants, Resources, Kind], float]
"""How much a job likes a machine of a kind: the value of its rank, 0 without one."""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A kind of machine that a group could have."""

    kind: Kind
    size: Resources
    vcpus: int
    ram_mib: int
    pool: Hashable
    """whose quota a machine of it takes from"""
    core_hour: float = 1.0
    refusals: tuple[Refusal, ...] = ()
    """why not now"""
    trials: tuple[Lane, ...] = ()
    """lanes that one machine at a time may try, because boots failed there"""
    here: bool = True
    """the image is on the cloud already"""
    boot_seconds: float | None = None

    @property
    def hour(self) -> float:
        """What a machine costs in an hour."""
        return self.vcpus * self.core_hour


class Choice(NamedTuple):
    """The best offer for the jobs that wait, and how it would be filled."""

    offer: Offer
    filling: Filling


def best(
    offers: Sequence[Offer],
    waiting: Sequence[Shape],
    *,
    packer: Packer,
    here: Mapping[Kind, int],
    ranks: Ranks | None = None,
) -> Choice | None:
    """Return the offer with the highest rank, then least cost for what it does, then least waste.

    Among equal ones: the cloud with the fewest of the group's workers (`here`), where the image is already, where
    boots are quick, and the larger machine, of which fewer are needed.
    """
    on_cloud = _per_cloud(here)
    chosen: tuple[tuple[object, ...], Choice] | None = None
    for offer in offers:
        filling = packer.filling(waiting, Bin(offer.kind, offer.size, offer.size, 1 << 30))
        if not filling:
            continue
        does = packed_weight(waiting, filling)
        rank = 0.0
        if ranks is not None:
            first = next(s for s, taken in zip(waiting, filling.taken, strict=True) if taken)
            rank = ranks(first.wants, first.resources, offer.kind)
        key = (
            -rank,
            round(offer.hour / does, 6),
            round(weight(offer.size) / does, 6),
            on_cloud.get(offer.kind.cloud, 0),
            not offer.here,
            round(offer.boot_seconds or 0.0),
            -offer.vcpus,
            offer.kind,
        )
        if chosen is None or key < chosen[0]:
            chosen = (key, Choice(offer, filling))
    return chosen[1] if chosen else None


def cheapest(offers: Sequence[Offer], *, here: Mapping[Kind, int]) -> Offer:
    """Return the offer for a machine that is to wait for jobs: it costs least, and is where the fewest are."""
    on_cloud = _per_cloud(here)
    return min(offers, key=lambda o: (o.hour, on_cloud.get(o.kind.cloud, 0), not o.here, o.kind))


def _per_cloud(here: Mapping[Kind, int]) -> dict[CloudName, int]:
    found: dict[CloudName, int] = {}
    for kind, count in here.items():
        found[kind.cloud] = found.get(kind.cloud, 0) + count
    return found
