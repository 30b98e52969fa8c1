"""What an attempt saves is what the next one begins with: whole, or not at all, and only from who holds the lease."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from batch_world import World
from fastapi.testclient import TestClient
from test_agent_protocol import Agent, an_agent, code, lease


@pytest.fixture
def client(world: World) -> TestClient:
    return world.client()


def send(agent: Agent, job: dict[str, Any], name: str, content: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    sent = agent.client.put(
        "/agent/v1/outputs",
        params={**lease(job), "name": name, "checkpoint": "true"},
        content=content,
        headers={**agent.headers, "X-SHA256": digest},
    )
    assert sent.status_code == 200, sent.text
    return {"name": name, "sha256": digest, "size": len(content), "mode": 0o700}


def save(agent: Agent, job: dict[str, Any], **files: bytes) -> Any:
    sent = [send(agent, job, name, content) for name, content in files.items()]
    return agent.call("checkpoint", {**lease(job), "files": sent})


def send_back(agent: Agent, job: dict[str, Any]) -> None:
    error = {"code": "worker_stopped", "message": "the worker was stopped", "retry": True}
    assert agent.call("finish", {**lease(job), "error": error}).json()["state"] == "idle"


def saved(job: dict[str, Any]) -> dict[str, str]:
    return {file["path"]: file["sha256"] for file in job["inputs"] if file["checkpoint"]}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_the_next_attempt_gets_the_last_checkpoint_and_may_read_it(world: World, client: TestClient) -> None:
    world.submit()
    agent = an_agent(world, client)
    (first,) = agent.claim()
    assert save(agent, first, state=b"step 1", old=b"gone").json() == {"ok": True}
    assert save(agent, first, state=b"step 2").json() == {"ok": True}
    send_back(agent, first)
    (second,) = agent.claim()
    assert saved(second) == {"state": sha256(b"step 2")}
    assert [file["mode"] for file in second["inputs"]] == [0o700]
    blob = client.get(f"/agent/v1/blobs/{sha256(b'step 2')}", headers=agent.headers)
    assert blob.content == b"step 2"
    other = an_agent(world, client, "w2")
    assert client.get(f"/agent/v1/blobs/{sha256(b'step 2')}", headers=other.headers).status_code == 404


def test_files_without_their_checkpoint_change_nothing(world: World, client: TestClient) -> None:
    world.submit()
    agent = an_agent(world, client)
    (first,) = agent.claim()
    save(agent, first, state=b"step 1")
    send(agent, first, "state", b"step 2")
    missing = [{"name": "never", "sha256": "0" * 64, "size": 1}]
    assert code(agent.call("checkpoint", {**lease(first), "files": missing})) == (400, "output_missing")
    send_back(agent, first)
    (second,) = agent.claim()
    assert saved(second) == {"state": sha256(b"step 1")}


def test_an_attempt_that_lost_its_lease_saves_nothing(world: World, client: TestClient) -> None:
    world.submit()
    agent = an_agent(world, client)
    (first,) = agent.claim()
    file = send(agent, first, "state", b"too late")
    world.later(1000)
    assert code(agent.call("checkpoint", {**lease(first), "files": [file]})) == (409, "stale_attempt")


def test_a_job_that_is_put_on_hold_may_still_save_its_work(world: World, client: TestClient) -> None:
    cluster = world.submit()
    agent = an_agent(world, client)
    (first,) = agent.claim()
    agent.call("renew", {"items": [lease(first)]})
    client.post(f"/api/v1/batch/clusters/{cluster}/hold")
    assert save(agent, first, state=b"half").json() == {"ok": True}
    agent.call("finish", {**lease(first), "error": "held"})
    client.post(f"/api/v1/batch/clusters/{cluster}/release")
    (second,) = agent.claim()
    assert saved(second) == {"state": sha256(b"half")}


def test_nothing_is_kept_of_a_job_that_has_ended(world: World, client: TestClient) -> None:
    world.submit()
    agent = an_agent(world, client)
    (first,) = agent.claim()
    save(agent, first, state=b"half")
    send_back(agent, first)
    (second,) = agent.claim()
    assert agent.call("finish", {**lease(second), "exit_code": 1}).json()["state"] == "completed"
    client.post("/api/v1/batch/clusters/1/retry")
    (third,) = agent.claim()
    assert saved(third) == {}
