"""The flavors that a new cloud starts with: CANFAR's names, cores-RAM-root disk."""

from __future__ import annotations

from armillary.base.units import GiB, MiB
from armillary.cloud.compute.model import Flavor


def _flavor(name: str, vcpus: int, ram: int, disk: int, ephemeral: int) -> Flavor:
    return Flavor(
        id=name, name=name, vcpus=vcpus, ram=MiB(ram), disk=GiB(disk), ephemeral=GiB(ephemeral), swap=MiB(0)
    )


DEFAULT_FLAVORS = (
    _flavor("c1-0.5gb-3", 1, 512, 3, 5),
    _flavor("c1-1gb-5", 1, 1024, 5, 5),
    _flavor("c2-2gb-10", 2, 2048, 10, 10),
    _flavor("c4-8gb-20", 4, 8192, 20, 20),
    _flavor("c8-16gb-40", 8, 16384, 40, 20),
)
