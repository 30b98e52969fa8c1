"""A person's program and a worker's agent meet, and bytes go both ways until one of them ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from batch_world import World
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from armillary.base.ids import WorkerId
from armillary.batch.calls import MOST_OF_A_WORKER

API = "/api/v1/batch"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(folder=tmp_path)
    yield made
    made.database.dispose()


@pytest.fixture
def key(world: World) -> str:
    """The session key of a worker on which Ada's job 1.0 runs."""
    world.submit(2)
    token = world.register.invite(WorkerId("w1"), world.group)
    registered = _agent(world, "").post("/agent/v1/register", json=_facts(world, token))
    session = world.register.session(registered.json()["session_key"])
    lease = world.claim_one(session)
    world.agents.renew(session, [lease])
    return str(registered.json()["session_key"])


def _facts(world: World, token: str) -> dict[str, Any]:
    return {
        "bootstrap_token": token,
        "server_id": "server-w1",
        "image_sha512": world.group.image,
        "cpus": 2,
        "memory_mib": 2048,
        "disk_kib": 10**6,
        "agent_version": "1",
    }


def _agent(world: World, key: str) -> TestClient:
    client = world.client()
    client.headers["Authorization"] = f"Bearer {key}"
    return client


def _calls(client: TestClient, key: str) -> dict[str, Any]:
    answer = client.post("/agent/v1/calls", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_bytes_go_both_ways_until_the_agent_ends(world: World, key: str):
    with world.client() as client:
        began = client.post(f"{API}/jobs/1.0/calls", json={"command": ["cat"], "tty": True, "rows": 30})
        assert began.status_code == 201, began.text
        call = began.json()
        (told,) = _calls(client, key)["calls"]
        assert {name: told[name] for name in ("call", "job", "attempt", "command", "tty", "rows")} == {
            "call": call["call"],
            "job": "1.0",
            "attempt": 1,
            "command": ["cat"],
            "tty": True,
            "rows": 30,
        }
        assert _calls(client, key)["calls"] == []  # told once
        with client.websocket_connect(call["path"], headers={"X-Call-Secret": call["secret"]}) as person:
            person.send_bytes(b"\x00early")  # the worker has not come yet
            agent_headers = {"Authorization": f"Bearer {key}"}
            with client.websocket_connect(f"/agent/v1/calls/{call['call']}", headers=agent_headers) as agent:
                assert agent.receive_bytes() == b"\x00early"
                agent.send_bytes(b"\x01answer")
                assert person.receive_bytes() == b"\x01answer"
                agent.send_bytes(b'\x04{"exit_code": 0}')
            assert person.receive_bytes() == b'\x04{"exit_code": 0}'
            with pytest.raises(WebSocketDisconnect) as closed:
                person.receive_bytes()
            assert closed.value.code == 1000


def test_the_agent_is_left_when_the_person_goes(world: World, key: str):
    with world.client() as client:
        call = client.post(f"{API}/jobs/1.0/calls").json()
        agent_headers = {"Authorization": f"Bearer {key}"}
        with client.websocket_connect(f"/agent/v1/calls/{call['call']}", headers=agent_headers) as agent:
            with client.websocket_connect(call["path"], headers={"X-Call-Secret": call["secret"]}) as person:
                person.send_bytes(b"\x00x")
                assert agent.receive_bytes() == b"\x00x"
            with pytest.raises(WebSocketDisconnect):
                agent.receive_bytes()


def test_only_who_asked_and_only_the_jobs_worker_can_come(world: World, key: str):
    stranger = world.worker("w2")
    assert stranger
    other = world.register.invite(WorkerId("w3"), world.group)
    with world.client() as client:
        other_key = client.post(
            "/agent/v1/register", json={**_facts(world, other), "server_id": "server-w3"}
        ).json()["session_key"]
        call = client.post(f"{API}/jobs/1.0/calls").json()
        wrong = [
            (call["path"], {"X-Call-Secret": "guess"}),
            (call["path"], {b"X-Call-Secret": "gu\xe9ss".encode("latin-1")}),
            (call["path"], {}),
            (f"/agent/v1/calls/{call['call']}", {"Authorization": f"Bearer {other_key}"}),
            (f"/agent/v1/calls/{call['call']}", {"Authorization": "Bearer guess"}),
            (f"{API}/calls/0123", {"X-Call-Secret": call["secret"]}),
        ]
        for path, headers in wrong:
            with (
                pytest.raises(WebSocketDisconnect) as refused,
                client.websocket_connect(path, headers=headers),
            ):
                pass
            assert refused.value.code == 1008, path
        assert _calls(client, other_key)["calls"] == []


def test_a_job_that_does_not_run_cannot_be_called(world: World, key: str):
    refused = world.client().post(f"{API}/jobs/1.1/calls")
    assert refused.status_code == 409
    assert refused.json()["error"]["code"] == "job_not_running"


def test_only_the_owner_gets_inside(world: World, key: str):
    world.people.add("grace", world.project)
    client = world.client()
    client.headers["Authorization"] = "Bearer grace"
    refused = client.post(f"{API}/jobs/1.0/calls")
    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "not_your_job"


def test_calls_of_a_worker_are_bounded_and_those_that_nobody_takes_up_are_forgotten(world: World, key: str):
    client = world.client()
    for _ in range(MOST_OF_A_WORKER):
        assert client.post(f"{API}/jobs/1.0/calls").status_code == 201
    refused = client.post(f"{API}/jobs/1.0/calls")
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "too_many_calls"
    world.later(61)
    assert client.post(f"{API}/jobs/1.0/calls").status_code == 201


def test_an_agent_hears_that_it_should_renew_once(world: World, key: str):
    world.calls.stir([WorkerId("w1")])
    with world.client() as client:
        assert _calls(client, key) == {"calls": [], "renew": True}
        assert _calls(client, key) == {"calls": [], "renew": False}


def test_wishes_that_make_no_sense_are_refused(world: World, key: str):
    client = world.client()
    for body in ({"command": []}, {"rows": 0}, {"term": "x\ny"}, {"shell": True}):
        refused = client.post(f"{API}/jobs/1.0/calls", content=json.dumps(body))
        assert refused.status_code in {400, 422}, body


def test_an_agent_hears_at_once_that_a_running_job_of_its_was_held_and_not_of_one_that_waits(
    world: World, key: str
):
    with world.client() as client:
        assert client.post(f"{API}/jobs/1.1/hold").json() == {"changed": 1}
        assert _calls(client, key)["renew"] is False
        assert client.post(f"{API}/jobs/1.0/hold").json() == {"changed": 1}
        assert _calls(client, key)["renew"] is True
