"""`/api/v1/links`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from sqlalchemy import Engine
from starlette.testclient import TestClient

from armillary.accounts.api.errors import install_error_handlers
from armillary.accounts.model import Principal
from armillary.vospace.api.links import links_router
from armillary.vospace.service import Links, VOSpaceService
from armillary.vospace.store import SqlLinkRecords


@pytest.fixture
def http(space: VOSpaceService, engine: Engine, ada: Principal) -> Iterator[TestClient]:
    space.ensure_home(ada.person)
    space.put_bytes(ada, "/home/ada/a.fits", [b"abc"])
    links = Links(space=space, records=SqlLinkRecords(engine), holder=lambda _: ada.person)
    app = FastAPI()
    install_error_handlers(app)
    app.include_router(links_router(links=links, authenticate=lambda: ada))
    with TestClient(app, base_url="https://cloud.example") as http:
        yield http


def test_links_are_made_listed_and_revoked(http: TestClient) -> None:
    made = http.post("/api/v1/links", json={"path": "/home/ada/a.fits", "days": 1, "most": 3})
    assert made.status_code == 201
    assert made.json()["url"].startswith(f"https://cloud.example/s/{made.json()['id']}.")
    assert http.get("/api/v1/links").json()["links"] == [made.json()]
    assert http.delete(f"/api/v1/links/{made.json()['id']}").status_code == 204
    [gone] = http.get("/api/v1/links").json()["links"]
    assert (gone["is_open"], gone["url"]) == (False, None)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"path": ""},
        {"path": "/home/ada/a.fits", "days": 0},
        {"path": "/home/ada/a.fits", "most": 0},
        {"path": "/home/ada/a.fits", "colour": 1},
    ],
)
def test_what_makes_no_sense_is_refused(http: TestClient, body: dict[str, object]) -> None:
    assert http.post("/api/v1/links", json=body).status_code in (400, 422)


def test_what_is_not_there_is_not_found(http: TestClient) -> None:
    assert http.post("/api/v1/links", json={"path": "/home/ada/nothing"}).status_code == 404
    assert http.delete("/api/v1/links/nothing").status_code == 404
