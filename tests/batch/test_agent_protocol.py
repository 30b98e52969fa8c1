"""The agents' side over HTTP: least authority, leases, and a claim that wakes at once."""

from __future__ import annotations

import base64
import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from batch_world import FLAVOR, TERMS, World
from fastapi.testclient import TestClient

from armillary.base.ids import WorkerId
from armillary.batch.model import Group, InputFile
from outside_engines import ON_BOTH

FREE = {"cpus": 2, "memory_mib": 2048, "disk_kib": 20 * 2**20}


class Agent:
    """Says what an agent says."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.headers: dict[str, str] = {"Authorization": ""}

    def call(self, name: str, body: dict[str, Any] | None = None) -> Any:
        return self.client.post(f"/agent/v1/{name}", json=body or {}, headers=self.headers)

    def register(self, token: str, image: str, server_id: str | None = "s1") -> Any:
        body = {"bootstrap_token": token, "server_id": server_id, "image_sha512": image, **FREE}
        reply = self.call("register", {**body, "agent_version": "1"})
        if reply.status_code == 200:
            self.headers = {"Authorization": f"Bearer {reply.json()['session_key']}"}
        return reply

    def claim(self) -> list[dict[str, Any]]:
        return self.call("claim", {"free": FREE}).json()["jobs"]


@pytest.fixture
def client(world: World) -> TestClient:
    return world.client()


def an_agent(world: World, client: TestClient, name: str = "w1", group: Group | None = None) -> Agent:
    agent = Agent(client)
    group = group or world.group
    reply = agent.register(world.register.invite(WorkerId(name), group), group.image)
    assert reply.status_code == 200, reply.text
    return agent


def lease(job: dict[str, Any]) -> dict[str, Any]:
    return {name: job[name] for name in ("job", "attempt", "lease_secret")}


def code(reply: Any) -> tuple[int, str]:
    return reply.status_code, reply.json()["error"]["code"]


@ON_BOTH
def test_a_job_is_claimed_run_and_brought_back(world: World, client: TestClient) -> None:
    with world.spool.writer() as writer:
        writer.write(b"script")
        blob = writer.commit()
    world.submit(inputs=(InputFile(path="run.sh", sha256=blob.sha256, size=6, mode=0o755),))
    agent = an_agent(world, client)
    (job,) = agent.claim()
    assert job["spec"]["executable"] == "run.sh"
    assert job["spec"]["request_cpus"] == 1
    facts = {"sha256": blob.sha256, "size": 6, "mode": 0o755, "checkpoint": False}
    assert job["inputs"] == [{"path": "run.sh", **facts}]
    assert job["credential"]["owner"] == "ada"
    assert job["credential"]["certificate_pem"] == "PEM of ada"
    assert client.get(f"/agent/v1/blobs/{blob.sha256}", headers=agent.headers).content == b"script"
    data = base64.b64encode(b"hello").decode()
    log = {**lease(job), "stream": "stdout", "offset": 0, "data": data}
    assert agent.call("logs", log).json() == {"size": 5}
    assert code(agent.call("logs", {**log, "offset": 9})) == (409, "log_gap")
    renewed = agent.call("renew", {"items": [lease(job)]}).json()
    assert renewed == {"lost": [], "remove": [], "credential": {}}
    digest = hashlib.sha256(b"catalogue").hexdigest()
    sent = client.put(
        "/agent/v1/outputs",
        params={**lease(job), "name": "m51.cat"},
        content=b"catalogue",
        headers={**agent.headers, "X-SHA256": digest},
    )
    assert sent.status_code == 200, sent.text
    outputs = [{"name": "m51.cat", "sha256": digest, "size": 9}]
    end = {**lease(job), "exit_code": 0, "usage": {"wall_seconds": 1.5}, "outputs": outputs}
    assert agent.call("finish", end).json()["state"] == "completed"
    assert agent.call("finish", end).json()["state"] == "completed"
    assert client.get("/api/v1/batch/jobs/1.0/outputs/m51.cat").content == b"catalogue"
    assert agent.call("bye").json() == {"ok": True}


@ON_BOTH
def test_the_agents_own_words_for_an_end_are_understood(world: World, client: TestClient) -> None:
    world.submit(3)
    agent = an_agent(world, client)
    jobs = agent.claim()
    ends: list[dict[str, Any]] = [
        {"exit_code": None, "signal": None, "error": "there is no program sex on the worker"},
        {"exit_code": None, "signal": 9, "error": None},
    ]
    states = [
        agent.call("finish", {**lease(job), **end}).json()["state"]
        for job, end in zip(jobs, ends, strict=True)
    ]
    assert states == ["held", "completed"]
    (job,) = agent.claim()
    error = {"code": "disk_full", "message": "the worker's disk is full", "retry": True}
    assert agent.call("finish", {**lease(job), "error": error}).json()["state"] == "idle"
    assert agent.call("finish", lease(job)).status_code in (400, 422)


@ON_BOTH
def test_a_bootstrap_token_works_once_and_only_for_its_image_and_server(
    world: World, client: TestClient
) -> None:
    token = world.register.invite(WorkerId("w1"), world.group)
    world.register.expect(WorkerId("w1"), world.image.id)  # any identifier
    agent = Agent(client)
    assert code(agent.register("no such token", world.group.image)) == (401, "bad_bootstrap_token")
    assert code(agent.register(token, "0" * 128, world.image.id)) == (403, "wrong_image")
    assert code(agent.register(token, world.group.image, "another")) == (401, "wrong_server")
    assert code(agent.register(token, world.group.image, None)) == (401, "wrong_server")
    assert agent.register(token, world.group.image, world.image.id).status_code == 200
    # The reply was lost: until the key is used it may be asked for again, and the first key is void.
    first = agent.headers
    assert agent.register(token, world.group.image, world.image.id).status_code == 200
    assert agent.claim() == []
    assert code(client.post("/agent/v1/bye", headers=first)) == (401, "bad_session")
    assert code(agent.register(token, world.group.image, world.image.id)) == (401, "bootstrap_token_used")


@pytest.mark.parametrize("said", [None, "another"])
@ON_BOTH
def test_an_agent_that_came_before_its_server_was_known_must_have_named_it(
    world: World, client: TestClient, said: str | None
) -> None:
    token = world.register.invite(WorkerId("w1"), world.group)
    agent = Agent(client)
    assert agent.register(token, world.group.image, said).status_code == 200
    world.register.expect(WorkerId("w1"), world.image.id)
    assert code(agent.call("claim", {"free": FREE})) == (401, "bad_session")
    assert agent.register(token, world.group.image, str(world.image.id).upper()).status_code == 200
    world.register.expect(WorkerId("w1"), world.image.id)  # told again, as after a restart
    assert agent.claim() == []


@ON_BOTH
def test_a_bootstrap_token_expires(world: World, client: TestClient) -> None:
    token = world.register.invite(WorkerId("w1"), world.group)
    world.later(16 * 60)
    assert code(Agent(client).register(token, world.group.image)) == (401, "bootstrap_token_expired")


@ON_BOTH
def test_a_worker_reads_no_file_but_those_of_its_jobs(world: World, client: TestClient) -> None:
    with world.spool.writer() as writer:
        writer.write(b"secret")
        blob = writer.commit()
    agent = an_agent(world, client)
    assert code(client.get(f"/agent/v1/blobs/{blob.sha256}", headers=agent.headers)) == (404, "not_found")


@ON_BOTH
def test_a_worker_of_another_image_gets_nothing(world: World, client: TestClient) -> None:
    world.submit()
    other = world.east.add_image("other", b"another", project=world.project)
    assert other.sha512
    agent = an_agent(world, client, group=Group(world.project.id, other.sha512, FLAVOR))
    assert agent.claim() == []


def test_without_a_key_nothing_is_answered(client: TestClient) -> None:
    assert code(Agent(client).call("claim", {"free": FREE})) == (401, "no_credentials")
    assert code(client.post("/agent/v1/bye", headers={"Authorization": "Bearer x"})) == (401, "bad_session")


@ON_BOTH
def test_a_stale_attempt_is_refused_in_every_call(world: World, client: TestClient) -> None:
    world.submit()
    agent = an_agent(world, client)
    (job,) = agent.claim()
    world.later(76)
    world.agents.upkeep()
    log = {**lease(job), "stream": "stdout", "offset": 0, "data": ""}
    assert code(agent.call("logs", log)) == (409, "stale_attempt")
    assert code(agent.call("finish", {**lease(job), "exit_code": 0})) == (409, "stale_attempt")
    put = client.put(
        "/agent/v1/outputs",
        params={**lease(job), "name": "a"},
        content=b"",
        headers={**agent.headers, "X-SHA256": hashlib.sha256(b"").hexdigest()},
    )
    assert code(put) == (409, "stale_attempt")
    assert agent.call("renew", {"items": [lease(job)]}).json()["lost"] == ["1.0"]


@ON_BOTH
def test_outputs_cannot_leave_their_place_or_differ_from_their_digest(
    world: World, client: TestClient
) -> None:
    world.submit()
    agent = an_agent(world, client)
    (job,) = agent.claim()

    def put(name: str, content: bytes = b"", digest: str = hashlib.sha256(b"").hexdigest()) -> Any:
        headers = {**agent.headers, "X-SHA256": digest}
        params = {**lease(job), "name": name}
        return client.put("/agent/v1/outputs", params=params, content=content, headers=headers)

    for name in ("/etc/passwd", "../up", "a/../../up", "a\0b"):
        assert code(put(name)) == (400, "bad_name")
    assert code(put("a", b"other bytes")) == (412, "digest_mismatch")
    assert list((world.folder / "spool" / "incoming").iterdir()) == []


@ON_BOTH
def test_credentials_are_renewed_while_a_job_runs_and_revoked_when_it_ends(
    world: World, client: TestClient
) -> None:
    world.submit()
    agent = an_agent(world, client)
    (job,) = agent.claim()
    for _ in range(70):
        world.later(60)
        renewed = agent.call("renew", {"items": [lease(job)]}).json()
        if renewed["credential"]:
            break
    assert renewed["credential"]["1.0"]["token"] != job["credential"]["token"]
    agent.call("finish", {**lease(job), "exit_code": 0})
    before = len(world.people.tokens)
    world.agents.upkeep()
    assert len(world.people.tokens) == before - 1


@ON_BOTH
def test_a_job_whose_credential_cannot_be_issued_stays_in_the_queue(world: World, client: TestClient) -> None:
    eve = world.people.add("eve", world.project)
    world.submit(who=eve)
    world.people._people.pop(eve.person.id)
    agent = an_agent(world, client)
    assert agent.claim() == []
    assert world.state("1.0") == "idle"


@ON_BOTH
def test_of_two_agents_racing_for_a_job_one_gets_it(world: World, client: TestClient) -> None:
    agents = [an_agent(world, client, name) for name in ("w1", "w2")]
    with client, ThreadPoolExecutor(2) as pool:
        for number in range(1, 11):
            world.submit()
            claimed = [job for jobs in pool.map(Agent.claim, agents) for job in jobs]
            assert [job["job"] for job in claimed] == [f"{number}.0"]
            for agent in agents:
                for job in claimed:
                    agent.call("finish", {**lease(job), "exit_code": 0})


def test_a_waiting_claim_wakes_when_work_arrives(tmp_path: Path) -> None:
    world = World(folder=tmp_path, terms=replace(TERMS, poll=timedelta(seconds=100)))
    client = world.client()
    agent = an_agent(world, client)
    with client, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(agent.claim)
        pause = threading.Event()
        while not world.bell.listeners:
            pause.wait(0.001)
        digest = hashlib.sha256(b"x").hexdigest()
        assert client.put(f"/api/v1/batch/blobs/{digest}", content=b"x").status_code == 201
        body = {
            "project": "galaxies",
            "image": "my-snapshot",
            "flavor": FLAVOR,
            "jobs": [{"proc": 0, "executable": "run.sh"}],
            "files": {"run.sh": {"sha256": digest, "size": 1}},
        }
        assert client.post("/api/v1/batch/clusters", json=body).status_code == 201
        assert [job["job"] for job in waiting.result(timeout=60)] == ["1.0"]


def test_a_waiting_claim_ends_when_the_platform_stops(tmp_path: Path) -> None:
    world = World(folder=tmp_path, terms=replace(TERMS, poll=timedelta(seconds=100)))
    client = world.client()
    agent = an_agent(world, client)
    with client, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(agent.claim)
        pause = threading.Event()
        while not world.bell.listeners:
            pause.wait(0.001)
        world.bell.close()
        assert waiting.result(timeout=60) == []


@ON_BOTH
def test_a_retired_worker_is_told_so(world: World, client: TestClient) -> None:
    agent = an_agent(world, client)
    world.queue.drain(WorkerId("w1"))
    assert agent.call("claim", {"free": FREE}).json() == {"jobs": [], "retire": True}


@ON_BOTH
def test_the_end_of_a_job_brings_the_next_one(world: World, client: TestClient) -> None:
    world.submit(3)
    agent = an_agent(world, client)
    job, other = agent.claim()
    free = {"cpus": 1, "memory_mib": 512, "disk_kib": 1024}
    ended = agent.call("finish", {**lease(job), "exit_code": 0, "free": free}).json()
    (following,) = ended["jobs"]
    assert (ended["state"], following["job"], following["credential"]["owner"]) == ("completed", "1.2", "ada")
    last = agent.call("finish", {**lease(other), "exit_code": 0, "free": free}).json()
    assert (last["jobs"], last["retire"]) == ([], False)
    world.queue.drain(WorkerId("w1"))
    gone = agent.call("finish", {**lease(following), "exit_code": 0, "free": free}).json()
    assert (gone["jobs"], gone["retire"]) == ([], True)
