"""The API of machines and what belongs to them, over a fleet in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError
from test_clouds_api import ADA, OneMembership

from armillary.accounts.api import install_error_handlers
from armillary.accounts.model import Principal, Project
from armillary.app.database import make_engine
from armillary.base.clock import VirtualClock, to_iso
from armillary.base.errors import Invalid
from armillary.base.units import GiB
from armillary.bounded import MOST_BYTES
from armillary.fleet.api import router
from armillary.fleet.expiry import Expiry, TermRules
from armillary.fleet.fake import FakeCloud
from armillary.fleet.launching import Launching, Order
from armillary.fleet.machines_api import machines_router
from armillary.fleet.service import FleetService


@pytest.fixture
def client(
    fleet: FleetService, project: Project, clock: VirtualClock, tmp_path: Path
) -> Iterator[TestClient]:
    engine = make_engine(f"sqlite:///{tmp_path}/machines.db", durable=False)
    expiry = Expiry(engine=engine, fleet=fleet, clock=clock, project=lambda _: project, tell=lambda *_: None)
    expiry.create_all()
    one, ada = OneMembership(project), lambda: Principal(person=ADA)
    app = FastAPI()
    install_error_handlers(app)
    app.include_router(router(fleet=fleet, memberships=one, authenticate=ada))
    app.include_router(
        machines_router(
            fleet=fleet,
            launching=Launching(fleet=fleet, expiry=expiry, clock=clock),
            expiry=expiry,
            memberships=one,
            project_named=lambda _: project,
            authenticate=ada,
        )
    )
    yield TestClient(app)
    engine.dispose()


def test_a_cloud_that_is_away_hides_no_other_clouds_machines_volumes_and_networks(
    client: TestClient, east: FakeCloud, west: FakeCloud, fleet: FleetService, project: Project
) -> None:
    fleet.create_volume(west.name, project, name="data", size=GiB(1))
    east.silent = True
    volumes = client.get("/api/v1/volumes").json()
    assert [one["name"] for one in volumes["volumes"]] == ["data"]
    for path in ("machines", "volumes", "networks", "images/offers"):
        answer = client.get(f"/api/v1/{path}")
        assert answer.status_code == 200
        assert [error["cloud"] for error in answer.json()["errors"]] == ["east"]


def test_machines_come_page_by_page_over_all_clouds(
    client: TestClient, east: FakeCloud, west: FakeCloud, clock: VirtualClock
) -> None:
    made: list[str] = []
    for cloud in (east, west):
        image = cloud.add_image("debian", b"disk")
        for name in ("one", "two"):
            body = {
                "image": image.id,
                "flavor": "c1-1gb-5",
                "name": f"{name}-{cloud.name}",
                "cloud": cloud.name,
            }
            made.append(client.post("/api/v1/machines", json=body).json()["id"])
    seen: list[str] = []
    marker: str | None = None
    for _ in range(4):
        page = client.get(
            "/api/v1/machines", params={"limit": 1, **({"marker": marker} if marker else {})}
        ).json()
        seen += [one["id"] for one in page["machines"]]
        marker = page["next"]
    assert marker is None
    assert sorted(seen) == sorted(made)
    refused = client.get("/api/v1/machines", params={"marker": "gone"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "marker_not_found")
    assert client.get("/api/v1/machines", params={"limit": 0}).status_code == 400


def test_images_are_found_by_their_digest_or_its_beginning(client: TestClient, east: FakeCloud) -> None:
    image = east.add_image("debian", b"disk")
    east.add_image("fedora", b"another disk")
    for digest in (image.sha512, str(image.sha512)[:12].upper()):
        found = client.get("/api/v1/clouds/east/images", params={"digest": digest}).json()
        assert [one["name"] for one in found["images"]] == ["debian"]
    assert client.get("/api/v1/clouds/east/images", params={"digest": "f00d"}).json()["images"] == []
    first = client.get("/api/v1/clouds/east/images", params={"limit": 1}).json()
    rest = client.get("/api/v1/clouds/east/images", params={"limit": 1, "marker": first["next"]}).json()
    assert {first["images"][0]["name"], rest["images"][0]["name"]} == {"debian", "fedora"}
    assert rest["next"] is None


def test_a_body_that_is_too_large_is_refused_before_it_is_read(client: TestClient) -> None:
    body = {"image": "debian", "flavor": "c1-1gb-5", "name": "m31", "user_data": "x" * MOST_BYTES}
    answer = client.post("/api/v1/machines", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


def test_a_machine_ends_when_the_settings_say_unless_somebody_says_otherwise(
    client: TestClient, east: FakeCloud, clock: VirtualClock
) -> None:
    body = {"image": east.add_image("debian", b"disk").id, "flavor": "c1-1gb-5", "name": "m31"}
    usual = client.post("/api/v1/machines", json=body).json()
    assert usual["ends_at"] == to_iso(clock.now() + timedelta(days=30))
    endless = client.post("/api/v1/machines", json={**body, "name": "m32", "days": None}).json()
    assert endless["ends_at"] is None
    refused = client.post("/api/v1/machines", json={**body, "name": "m33", "days": 400})
    assert (refused.status_code, refused.json()["error"]["facts"]["field"]) == (400, "days")


def test_a_platform_whose_machines_need_an_end_gives_none_for_ever(
    fleet: FleetService, project: Project, clock: VirtualClock, east: FakeCloud, tmp_path: Path
) -> None:
    engine = make_engine(f"sqlite:///{tmp_path}/ends.db", durable=False)
    rules = TermRules(default=2, longest=5, endless=False)
    expiry = Expiry(
        engine=engine, fleet=fleet, clock=clock, project=lambda _: project, tell=lambda *_: None, rules=rules
    )
    expiry.create_all()
    launching = Launching(fleet=fleet, expiry=expiry, clock=clock)
    order = Order(image=east.add_image("debian", b"disk").id, flavor="c1-1gb-5", name="m31", days=2)
    server = launching.launch(project, ADA, order)
    for days in (None, 6):
        with pytest.raises(Invalid):
            launching.launch(project, ADA, replace(order, days=days))
    with pytest.raises(Invalid):
        expiry.set(server, project, ADA.id, None)
    expiry.extend(server, project, ADA.id, timedelta(days=3))
    with pytest.raises(Invalid):
        expiry.extend(server, project, ADA.id, timedelta(days=1))
    engine.dispose()


def test_a_machine_whose_end_cannot_be_kept_is_not_left_behind(
    fleet: FleetService, project: Project, clock: VirtualClock, east: FakeCloud, tmp_path: Path
) -> None:
    engine = make_engine(f"sqlite:///{tmp_path}/none.db", durable=False)  # without the table
    expiry = Expiry(engine=engine, fleet=fleet, clock=clock, project=lambda _: project, tell=lambda *_: None)
    launching = Launching(fleet=fleet, expiry=expiry, clock=clock)
    image = east.add_image("debian", b"disk").id
    order = Order(image=image, flavor="c1-1gb-5", name="m31", days=2)
    with pytest.raises(OperationalError):
        launching.launch(project, ADA, order)
    assert fleet.servers(east.name, project) == []
    engine.dispose()
