"""Ends of machines: told in time and kept, however many there are and whichever cloud is away."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from armillary.accounts.model import Project
from armillary.app.database import make_engine
from armillary.base.clock import VirtualClock
from armillary.base.ids import PersonId
from armillary.fleet.expiry import DAY, HOUR, Expiry
from armillary.fleet.fake import FakeCloud
from armillary.fleet.model import FleetServer, ServerRequest
from armillary.fleet.service import FleetService

PERSON = PersonId("5" * 32)


@pytest.fixture
def told() -> list[tuple[str, str]]:
    """What was told: the machine's name and how much is left."""
    return []


@pytest.fixture
def expiry(
    fleet: FleetService, clock: VirtualClock, project: Project, told: list[tuple[str, str]], tmp_path: Path
) -> Iterator[Expiry]:
    engine = make_engine(f"sqlite:///{tmp_path}/ends.db", durable=False)
    made = Expiry(
        engine=engine,
        fleet=fleet,
        clock=clock,
        project=lambda _: project,
        tell=lambda term, stage: told.append((term.name, stage)),
        at_once=2,
    )
    made.create_all()
    yield made
    engine.dispose()


def a_machine(cloud: FakeCloud, project: Project, name: str) -> FleetServer:
    image = cloud.add_image(name, b"disk")
    made = cloud.create(project, ServerRequest(name=name, image_id=image.id, flavor="c1-1gb-5"))
    cloud.set_status(made.id, "ACTIVE")
    return cloud.server(project, made.id)


def test_machines_that_were_told_already_hold_nobody_else_up(
    expiry: Expiry,
    told: list[tuple[str, str]],
    clock: VirtualClock,
    east: FakeCloud,
    project: Project,
) -> None:
    for hours, name in enumerate(("one", "two", "three", "four"), start=2):
        expiry.set(a_machine(east, project, name), project, PERSON, clock.now() + hours * HOUR)
    expiry.tick()
    expiry.tick()
    assert sorted(told) == [("four", "day"), ("one", "day"), ("three", "day"), ("two", "day")]


def test_a_cloud_that_is_away_holds_up_no_other_and_is_asked_once_in_a_round(
    expiry: Expiry,
    told: list[tuple[str, str]],
    clock: VirtualClock,
    east: FakeCloud,
    west: FakeCloud,
    project: Project,
) -> None:
    for cloud, name in ((east, "e1"), (east, "e2"), (west, "w1")):
        expiry.set(a_machine(cloud, project, name), project, PERSON, clock.now() + DAY)
    clock.advance(DAY + timedelta(minutes=1))
    east.silent = True
    expiry.tick()
    assert told == [("w1", "ended")]
    east.silent = False
    expiry.tick()
    assert sorted(told) == [("e1", "ended"), ("e2", "ended"), ("w1", "ended")]


def test_machines_that_run_though_their_time_is_over_are_stopped_and_others_are_not(
    expiry: Expiry, clock: VirtualClock, east: FakeCloud, project: Project
) -> None:
    over, runs = a_machine(east, project, "over"), a_machine(east, project, "runs")
    expiry.set(over, project, PERSON, clock.now() + HOUR)
    clock.advance(2 * HOUR)
    expiry.tick()
    east.set_status(over.id, "ACTIVE")
    expiry.stop_again({over.cloud: [(str(project.id), over.id), (str(project.id), runs.id)]})
    assert east.server(project, over.id).status == "SHUTOFF"
    assert east.server(project, runs.id).status == "ACTIVE"
