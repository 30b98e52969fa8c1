from __future__ import annotations

import pytest

from armillary.accounts.model import Allocation, Project
from armillary.base.clock import VirtualClock
from armillary.base.ids import ProjectId
from armillary.base.units import GiB, MiB
from armillary.fleet.fake import FakeCloud, fake_fleet
from armillary.fleet.service import FleetService


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def east(clock: VirtualClock) -> FakeCloud:
    return FakeCloud(name="east", clock=clock, cores=4, number=16)


@pytest.fixture
def west(clock: VirtualClock) -> FakeCloud:
    return FakeCloud(name="west", clock=clock, cores=4, number=17)


@pytest.fixture
def fleet(clock: VirtualClock, east: FakeCloud, west: FakeCloud) -> FleetService:
    return fake_fleet(clock=clock, clouds=[east, west])


@pytest.fixture
def project(clock: VirtualClock) -> Project:
    return a_project("galaxies", clock)


@pytest.fixture
def stranger(clock: VirtualClock) -> Project:
    return a_project("strangers", clock)


def a_project(name: str, clock: VirtualClock) -> Project:
    allocation = Allocation(cores=4, ram=MiB(8192), disk=GiB(50), storage=GiB(10), batch_cores=4)
    return Project(
        id=ProjectId(name.encode().hex().ljust(32, "0")),
        name=name,
        description="",
        allocation=allocation,
        enabled=True,
        created_at=clock.now(),
    )
