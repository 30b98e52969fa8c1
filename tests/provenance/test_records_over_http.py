"""Records as the API gives them: what was signed, byte for byte, and the keys for everybody."""

from __future__ import annotations

import base64

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from recorded_world import World

from armillary.accounts.api import install_error_handlers
from armillary.accounts.model import Principal
from armillary.base.errors import Unauthorized
from armillary.crates.canonical import canonical
from armillary.crates.signing import Signature, read_public, verifies
from armillary.provenance.api import provenance_router


@pytest.fixture
def client(world: World) -> TestClient:
    """Speaks as whoever the header `x-who` names."""

    def who(request: Request) -> Principal:
        found = {"ada": world.ada, "eve": world.eve}.get(request.headers.get("x-who", ""))
        if found is None:
            raise Unauthorized("who are you?")
        return found

    app = FastAPI()
    install_error_handlers(app)
    app.include_router(provenance_router(provenance=world.provenance, authenticate=who))
    return TestClient(app)


ADA = {"x-who": "ada"}


def test_what_is_given_is_what_was_signed(world: World, client: TestClient) -> None:
    world.submit()
    world.run(world.worker(), files={"out.txt": b"7"})
    [key] = client.get("/api/v1/provenance/keys").json()["keys"]
    given = client.get("/api/v1/batch/jobs/1.0/record", headers=ADA).json()
    assert given["intact"]
    for part in (given, given["cluster"]):
        signature = Signature.model_validate(part["signature"])
        assert signature.key == key["id"]
        assert verifies(canonical(part["record"]), signature, key=read_public(key["pem"]))
    raw = client.get("/api/v1/batch/jobs/1.0/record", params={"raw": "job"}, headers=ADA)
    assert raw.content == canonical(given["record"])
    assert raw.headers["x-armillary-signature"] == given["signature"]["value"]
    read_public(key["pem"]).verify(base64.b64decode(raw.headers["x-armillary-signature"]), raw.content)
    shared = client.get("/api/v1/batch/clusters/1/record", headers=ADA).json()
    assert shared["record"] == given["cluster"]["record"]


def test_a_record_is_its_projects_and_the_keys_are_everybodys(world: World, client: TestClient) -> None:
    world.submit()
    world.run(world.worker())
    assert client.get("/api/v1/batch/jobs/1.0/record").status_code == 401
    assert client.get("/api/v1/batch/jobs/1.0/record", headers={"x-who": "eve"}).status_code == 404
    assert client.get("/api/v1/batch/clusters/1/record", headers={"x-who": "eve"}).status_code == 404
    assert client.get("/api/v1/provenance/keys").status_code == 200


def test_a_job_that_waits_has_no_record_yet(world: World, client: TestClient) -> None:
    world.submit()
    answer = client.get("/api/v1/batch/jobs/1.0/record", headers=ADA)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "record_not_made")


def test_what_made_a_file_is_told_with_the_record(world: World, client: TestClient) -> None:
    world.submit()
    world.run(world.worker(), lambda who: world.write(who, "/home/ada/a b.cat", b"7"))
    world.clerk.tick()
    found = client.get("/api/v1/provenance/why", params={"file": "vos:me/a b.cat"}, headers=ADA).json()
    assert (found["verdict"], found["made_by"]["job"]) == ("made", "1.0")
    missing = client.get("/api/v1/provenance/why", params={"file": "vos:me/none"}, headers=ADA)
    assert missing.status_code == 404
