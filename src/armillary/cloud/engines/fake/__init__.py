"""Machines and a network that only pretend: shipped, typed and tested, for quick tests and for trying things out."""

from armillary.cloud.engines.fake.fabric import FakeFabric
from armillary.cloud.engines.fake.machines import FakeMachines
from armillary.cloud.engines.fake.volumes import FakeVolumeDisks

__all__ = ["FakeFabric", "FakeMachines", "FakeVolumeDisks"]
