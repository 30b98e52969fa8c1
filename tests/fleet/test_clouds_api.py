from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient

from armillary.accounts.model import Membership, Person, Principal, Project, Role
from armillary.base.errors import ArmillaryError
from armillary.base.ids import PersonId
from armillary.fleet.api import router
from armillary.fleet.fake import FakeCloud
from armillary.fleet.service import FleetService

ADA = Person(
    id=PersonId("a" * 32),
    user_name="ada",
    full_name="Ada",
    email="ada@example.org",
    institute="",
    is_admin=False,
    enabled=True,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)


class OneMembership:
    def __init__(self, project: Project) -> None:
        self.project = project

    def projects_of(self, person_id: PersonId) -> Sequence[Membership]:
        return [Membership(person=ADA, project=self.project, role=Role.MEMBER)] if person_id == ADA.id else []


@pytest.fixture
def client(fleet: FleetService, project: Project) -> TestClient:
    app = FastAPI()
    app.include_router(
        router(fleet=fleet, memberships=OneMembership(project), authenticate=lambda: Principal(person=ADA))
    )
    app.add_exception_handler(
        ArmillaryError,
        lambda _, error: JSONResponse(error.as_dict(), error.status),
    )
    return TestClient(app)


def test_clouds_are_listed_with_their_limits_also_when_one_is_silent(
    client: TestClient, west: FakeCloud
) -> None:
    west.silent = True
    clouds = client.get("/api/v1/clouds").json()["clouds"]
    assert clouds[0]["limits"]["cores"] == 4
    assert (clouds[1]["answers"], clouds[1]["error"]["code"]) == (False, "cloud_unreachable")


def test_flavors_images_and_room_are_told(client: TestClient, east: FakeCloud) -> None:
    image = east.add_image("debian-12", b"disk")
    assert client.get("/api/v1/clouds/east/images").json()["images"][0]["sha512"] == image.sha512
    assert client.get("/api/v1/clouds/east/flavors").json()["flavors"][1]["name"] == "c2-2gb-10"
    assert client.get("/api/v1/clouds/east/room?flavor=c2-2gb-10").json() == {"count": 2, "refusals": []}


def test_a_foreign_project_is_not_found(client: TestClient) -> None:
    reply = client.get("/api/v1/clouds/east/images?project=strangers")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "project_not_found")
