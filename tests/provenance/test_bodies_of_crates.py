"""What nobody is known to have sent is not read: signatures of many jobs are large, and only members send them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from recorded_world import World
from test_crates_of_jobs import crates_of

from armillary.accounts.api import install_error_handlers
from armillary.accounts.model import Principal
from armillary.base.errors import Unauthorized
from armillary.bounded import MOST_BYTES
from armillary.provenance.crate_api import SignaturesRoute

PATH = "/api/v1/provenance/imports"
ADA = {"x-who": "ada"}


@pytest.fixture
def client(world: World) -> TestClient:
    """Speaks as ada, if the header `x-who` says so."""

    class People:
        def principal_of(self, request: Request) -> Principal:
            if request.headers.get("x-who") != "ada":
                raise Unauthorized("who are you?")
            return world.ada

    app = FastAPI()
    install_error_handlers(app)
    app.include_router(crates_of(world).routes(People()))
    return TestClient(app)


def no_json(size: int) -> bytes:
    return b"?" * size


def test_a_strangers_large_body_is_refused_before_it_is_looked_at(client: TestClient) -> None:
    assert client.post(PATH, content=no_json(MOST_BYTES + 1)).status_code == 401
    assert client.post(PATH, content=no_json(MOST_BYTES + 1), headers=ADA).status_code in (400, 422)
    assert client.post(PATH, content=no_json(SignaturesRoute.most + 1), headers=ADA).status_code == 413


def test_who_does_not_announce_how_much_it_is_sends_little(client: TestClient) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(3):
            yield no_json(MOST_BYTES // 2)

    assert client.post(PATH, content=pieces(), headers=ADA).status_code == 413
