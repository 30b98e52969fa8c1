"""Arithmetic of quota and capacity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from armillary.accounts.model import Allocation
from armillary.base.errors import QuotaExceeded
from armillary.cloud.compute.model import Flavor
from armillary.cloud.model import Capacity

MIN_INSTANCES = 10


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """Instances with their cores and RAM (MiB)."""

    instances: int = 0
    cores: int = 0
    ram: int = 0


def amounts_of(flavors: Iterable[Flavor]) -> Amounts:
    """What servers of these flavors amount to."""
    kept = list(flavors)
    return Amounts(instances=len(kept), cores=sum(f.vcpus for f in kept), ram=sum(f.ram for f in kept))


def limits_of(allocation: Allocation, overrides: Mapping[str, int]) -> Amounts:
    """A project's limits on one cloud; -1 means none.

    Workers for batch jobs come on top of the interactive cores, with RAM in proportion.
    """
    cores = allocation.cores + allocation.batch_cores
    ram = allocation.ram * cores // allocation.cores if allocation.cores else allocation.ram
    return Amounts(
        instances=overrides.get("instances", max(MIN_INSTANCES, cores)),
        cores=overrides.get("cores", cores),
        ram=overrides.get("ram", ram),
    )


def charge(limits: Amounts, used: Amounts, asked: Amounts) -> None:
    """Let `asked` pass if it fits.

    Raises:
        QuotaExceeded: in Nova's words, naming everything that is over.
    """
    over = {
        name: (limit, getattr(used, name), getattr(asked, name))
        for name, limit in vars(limits).items()
        if 0 <= limit < getattr(used, name) + getattr(asked, name)
    }
    if over:
        names = ", ".join(over)
        requested = ", ".join(str(ask) for _, _, ask in over.values())
        already = ", ".join(str(use) for _, use, _ in over.values())
        limit = ", ".join(str(limit) for limit, _, _ in over.values())
        raise QuotaExceeded(
            f"Quota exceeded for {names}: Requested {requested}, but already used {already} of {limit} {names}",
            facts={
                name: {"limit": lim, "used": use, "requested": ask} for name, (lim, use, ask) in over.items()
            },
        )


def no_room(capacity: Capacity, placed: Iterable[Flavor], asked: Flavor) -> str | None:
    """Why the cloud cannot take another server of this flavor, in one sentence; None if it can."""
    kept = list(placed)
    figures = (
        ("vCPUs", capacity.vcpus, sum(f.vcpus for f in kept), asked.vcpus, ""),
        ("RAM", capacity.ram, sum(f.ram for f in kept), asked.ram, " MiB"),
        (
            "disk",
            capacity.disk,
            sum(f.disk + f.ephemeral for f in kept),
            asked.disk + asked.ephemeral,
            " GiB",
        ),
    )
    short = [
        f"{name}: {ask}{unit} asked, {max(0, whole - used)}{unit} of {whole}{unit} free"
        for name, whole, used, ask, unit in figures
        if used + ask > whole
    ]
    return (
        f"No valid host was found. There is not enough room on this cloud ({'; '.join(short)})."
        if short
        else None
    )
