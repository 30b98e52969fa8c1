"""The batch service over HTTP, as people's programs use it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from batch_world import WHOLE, World
from fastapi.testclient import TestClient

from armillary.accounts.model import Role, Token, TokenKind
from armillary.base.errors import Forbidden
from armillary.base.ids import TokenId
from armillary.batch.core.states import Result
from armillary.batch.engines.embedded.parcels import OutputRef
from outside_engines import ON_BOTH

SCRIPT = b"#!/bin/sh\nsex $1\n"
API = "/api/v1/batch"


@pytest.fixture
def client(world: World) -> TestClient:
    return world.client()


def put(client: TestClient, content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    assert client.put(f"{API}/blobs/{digest}", content=content).status_code == 201
    return digest


def a_submit(**changes: Any) -> dict[str, Any]:
    script = {"sha256": hashlib.sha256(SCRIPT).hexdigest(), "size": len(SCRIPT), "mode": 0o755}
    jobs = [{"proc": n, "executable": "run.sh", "arguments": [f"{n}.fits"]} for n in range(3)]
    body = {
        "project": "galaxies",
        "image": "my-snapshot",
        "flavor": "c2-2gb-10",
        "jobs": jobs,
        "files": {"run.sh": script},
        "submit_text": "executable = run.sh\nqueue 3\n",
    }
    return {**body, **changes}


def submitted(client: TestClient, **changes: Any) -> int:
    put(client, SCRIPT)
    reply = client.post(f"{API}/clusters", json=a_submit(**changes))
    assert reply.status_code == 201, reply.text
    return reply.json()["cluster"]


def refused(reply: Any, status: int, code: str) -> dict[str, Any]:
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code), reply.text
    return reply.json()["error"]


def test_a_submit_is_bound_to_the_digest_of_its_image(world: World, client: TestClient) -> None:
    put(client, SCRIPT)
    reply = client.post(f"{API}/clusters", json=a_submit())
    assert reply.json() == {
        "cluster": 1,
        "jobs": 3,
        "image": {"name": "my-snapshot", "sha512": world.image.sha512},
        "flavor": "c2-2gb-10",
        "project": "galaxies",
        "warnings": [],
    }
    world.east.add_image("my-snapshot", b"a later machine of the same name", project=world.project)
    assert client.get(f"{API}/jobs/1.0").json()["image"]["sha512"] == world.image.sha512


def test_blobs_are_sent_once_and_verified(client: TestClient) -> None:
    digest = hashlib.sha256(b"x").hexdigest()
    assert client.post(f"{API}/blobs/check", json={"sha256": [digest]}).json() == {"missing": [digest]}
    refused(client.put(f"{API}/blobs/{digest}", content=b"y"), 412, "digest_mismatch")
    put(client, b"x")
    assert client.post(f"{API}/blobs/check", json={"sha256": [digest]}).json() == {"missing": []}


def test_to_know_a_digest_is_not_to_have_the_bytes(world: World, client: TestClient) -> None:
    """Records tell digests of files that not everybody who sees the record may read."""
    digest = put(client, SCRIPT)
    world.people.add("bea", world.project)
    bea = {"Authorization": "Bearer bea"}
    asked = client.post(f"{API}/blobs/check", json={"sha256": [digest]}, headers=bea)
    assert asked.json() == {"missing": [digest]}
    error = refused(client.post(f"{API}/clusters", json=a_submit(), headers=bea), 400, "blobs_missing")
    assert error["facts"] == {"sha256": [digest]}
    assert world.states() == {}
    assert client.put(f"{API}/blobs/{digest}", content=SCRIPT, headers=bea).status_code == 201
    assert client.post(f"{API}/clusters", json=a_submit(), headers=bea).status_code == 201


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"flavor": "c99"}, 400, "flavor_not_found"),
        ({"image": "nothing"}, 404, "image_not_found"),
        ({"project": "others"}, 404, "project_not_found"),
        ({"files": {}}, 400, "input_missing"),
        ({"files": {"run.sh": {"sha256": "0" * 64, "size": 1}}}, 400, "blobs_missing"),
        ({"jobs": [{"proc": 0, "executable": "run.sh", "request_cpus": 3}]}, 400, "request_too_large"),
        ({"jobs": [{"proc": 0, "executable": "run.sh"}] * 2}, 400, "duplicate_proc"),
    ],
)
def test_a_submit_that_could_never_run_is_refused_whole(
    world: World, client: TestClient, changes: dict[str, Any], status: int, code: str
) -> None:
    put(client, SCRIPT)
    error = refused(client.post(f"{API}/clusters", json=a_submit(**changes)), status, code)
    assert error["remedy"]
    assert world.states() == {}


def test_a_job_may_ask_for_all_that_its_flavor_has_for_jobs_and_finds_it_on_a_worker(
    world: World, client: TestClient
) -> None:
    figures = {
        "request_cpus": WHOLE.cpus,
        "request_memory_mib": WHOLE.memory_mib,
        "request_disk_kib": WHOLE.disk_kib,
    }
    submitted(client, jobs=[{"proc": 0, "executable": "run.sh", **figures}])
    world.scaler.tick()
    (server,) = world.servers()
    (leased,) = world.leases.claim(world.report(server), WHOLE).jobs
    assert leased.share == WHOLE


def test_a_job_that_asks_for_more_memory_than_its_flavor_has_is_told_both_figures(client: TestClient) -> None:
    put(client, SCRIPT)
    jobs = [{"proc": 0, "executable": "run.sh", "request_memory_mib": 2049}]
    error = refused(client.post(f"{API}/clusters", json=a_submit(jobs=jobs)), 400, "request_too_large")
    assert "2049 MiB of memory, not 2048" in error["message"]


def test_a_misspelt_field_is_not_ignored(client: TestClient) -> None:
    assert client.post(f"{API}/clusters", json={**a_submit(), "flavour": "c2"}).status_code in (400, 422)


def test_sending_a_submit_twice_with_its_key_queues_once(world: World, client: TestClient) -> None:
    put(client, SCRIPT)
    replies = [
        client.post(f"{API}/clusters", json=a_submit(), headers={"Idempotency-Key": "k"}).json()["cluster"]
        for _ in range(2)
    ]
    assert replies == [1, 1]
    changed = a_submit(batch_name="another")
    again = client.post(f"{API}/clusters", json=changed, headers={"Idempotency-Key": "k"})
    refused(again, 409, "idempotency_key_reused")


def test_jobs_come_in_pages(client: TestClient) -> None:
    submitted(client)
    page = client.get(f"{API}/jobs", params={"limit": 2}).json()
    assert ([job["job"] for job in page["jobs"]], page["next"]) == (["1.0", "1.1"], "1.1")
    rest = client.get(f"{API}/jobs", params={"limit": 2, "marker": page["next"]}).json()
    assert ([job["job"] for job in rest["jobs"]], rest["next"]) == (["1.2"], None)
    assert client.get(f"{API}/jobs", params={"state": ["held", "running"]}).json()["jobs"] == []
    assert client.get(f"{API}/clusters").json()["clusters"][0]["states"] == {"idle": 3}


def test_members_see_the_projects_jobs_and_only_owner_and_managers_change_them(
    world: World, client: TestClient
) -> None:
    submitted(client)
    world.people.add("bob", world.project)
    world.people.add("mia", world.project, Role.MANAGER)
    world.people.add("rita", world.project, Role.READER)
    world.people.add("eve", world.people.add_project("others"))
    world.people.add("root", admin=True)

    def as_(name: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {name}"}

    assert client.get(f"{API}/jobs/1.0", headers=as_("bob")).status_code == 200
    assert client.get(f"{API}/jobs/1.0", headers=as_("rita")).status_code == 200
    refused(client.post(f"{API}/jobs/1.0/hold", headers=as_("bob")), 403, "not_your_job")
    refused(client.post(f"{API}/clusters", json=a_submit(), headers=as_("rita")), 403, "role_missing")
    for path in ("jobs/1.0", "clusters/1", "jobs/1.0/explain", "jobs/1.0/logs", "clusters/1/events"):
        refused(client.get(f"{API}/{path}", headers=as_("eve")), 404, "not_found")
    refused(client.post(f"{API}/clusters/1/remove", headers=as_("eve")), 404, "not_found")
    assert client.get(f"{API}/jobs", headers=as_("eve")).json()["jobs"] == []
    assert client.post(f"{API}/jobs/1.0/hold", headers=as_("mia")).json() == {"changed": 1}
    assert client.post(f"{API}/jobs/1.0/release", headers=as_("root")).json() == {"changed": 1}
    refused(client.get(f"{API}/jobs", headers=as_("nobody")), 401, "unauthorized")


def test_holding_releasing_removing_and_retrying(client: TestClient) -> None:
    submitted(client)
    assert client.post(f"{API}/clusters/1/hold", json={"reason": "wait"}).json() == {"changed": 3}
    explained = client.get(f"{API}/jobs/1.1/explain").json()
    assert explained["state"] == "held"
    assert "wait" in explained["reasons"][0]["message"]
    assert client.post(f"{API}/jobs/1.1/release").json() == {"changed": 1}
    assert client.post(f"{API}/jobs/1.2/remove").json() == {"changed": 1}
    refused(client.post(f"{API}/jobs/1.2/release"), 409, "wrong_state")
    assert client.post(f"{API}/jobs/1.2/retry").json() == {"changed": 1}
    states = [job["state"] for job in client.get(f"{API}/jobs").json()["jobs"]]
    assert states == ["held", "idle", "idle"]
    refused(client.post(f"{API}/jobs/x/hold"), 400, "invalid")


@ON_BOTH
def test_a_submit_is_explained_by_the_kinds_of_its_jobs_that_do_not_run(
    world: World, client: TestClient
) -> None:
    large = {"executable": "run.sh", "request_memory_mib": 1500}
    jobs = [{"proc": n, "executable": "run.sh"} for n in range(4)] + [{"proc": n, **large} for n in (4, 5, 6)]
    submitted(client, jobs=jobs)
    client.post(f"{API}/jobs/1.3/hold", json={"reason": "wrong threshold"})
    client.post(f"{API}/jobs/1.4/hold", json={"reason": "wrong threshold"})
    session = world.worker()
    assert str(world.claim_one(session).job) == "1.0"
    told = client.get(f"{API}/clusters/1/explain").json()
    assert told["states"] == {"idle": 4, "claimed": 1, "held": 2}
    kinds = [(kind["job"], kind["jobs"], kind["state"]) for kind in told["kinds"]]
    assert kinds == [("1.1", 2, "idle"), ("1.5", 2, "idle"), ("1.3", 2, "held")]
    for kind in told["kinds"]:
        assert kind["reasons"] == client.get(f"{API}/jobs/{kind['job']}/explain").json()["reasons"]
    assert "wrong threshold" in told["kinds"][2]["reasons"][0]["message"]
    world.people.add("eve", world.people.add_project("others"))
    eve = {"Authorization": "Bearer eve"}
    refused(client.get(f"{API}/clusters/1/explain", headers=eve), 404, "not_found")


def test_logs_are_read_live_from_any_offset(world: World, client: TestClient) -> None:
    submitted(client)
    session = world.worker()
    key = world.claim_one(session)
    world.agents.log(session, key, "stdout", offset=0, data=b"hello ")
    world.agents.log(session, key, "stdout", offset=0, data=b"hello world")
    reply = client.get(f"{API}/jobs/1.0/logs", params={"offset": 6})
    assert reply.content == b"world"
    assert (reply.headers["X-Log-Next"], reply.headers["X-Log-Complete"]) == ("11", "false")
    world.leases.finish(session, key, Result(exit_code=0), usage={}, brought=[])
    assert client.get(f"{API}/jobs/1.0/logs", params={"offset": 11}).headers["X-Log-Complete"] == "true"
    assert client.get(f"{API}/jobs/1.0/logs", params={"stream": "stderr"}).content == b""


def test_outputs_are_downloaded_by_their_names(world: World, client: TestClient) -> None:
    submitted(client)
    session = world.worker()
    key = world.claim_one(session)
    digest = put(client, b"catalogue")
    brought = OutputRef(name="out/m51 ü.cat", sha256=digest, size=9)
    world.leases.add_output(session, key, brought)
    assert client.get(f"{API}/jobs/1.0/outputs").json() == {"attempt": None, "outputs": []}
    world.leases.finish(session, key, Result(exit_code=0), usage={"wall_seconds": 2.5}, brought=[brought])
    listed = client.get(f"{API}/jobs/1.0/outputs").json()
    assert listed == {"attempt": 1, "outputs": [{"name": "out/m51 ü.cat", "sha256": digest, "size": 9}]}
    reply = client.get(f"{API}/jobs/1.0/outputs/out/m51 ü.cat")
    assert (reply.content, reply.headers["X-SHA256"]) == (b"catalogue", digest)
    refused(client.get(f"{API}/jobs/1.0/outputs/nothing"), 404, "output_not_found")
    detail = client.get(f"{API}/jobs/1.0").json()
    assert detail["attempt_list"][0]["usage"] == {"wall_seconds": 2.5}
    assert detail["attempt_list"][0]["image_sha512"] == world.image.sha512


def test_events_say_when_everything_is_over(world: World, client: TestClient) -> None:
    submitted(client, jobs=[{"proc": 0, "executable": "run.sh"}])
    first = client.get(f"{API}/clusters/1/events").json()
    assert ([event["state"] for event in first["events"]], first["active"]) == (["idle"], 1)
    session = world.worker()
    key = world.claim_one(session)
    world.leases.finish(session, key, Result(exit_code=4), usage={}, brought=[])
    rest = client.get(f"{API}/clusters/1/events", params={"after": first["next"], "wait": 20}).json()
    assert [event["state"] for event in rest["events"]] == ["claimed", "completed"]
    assert (rest["events"][-1]["detail"]["exit_code"], rest["active"]) == (4, 0)
    last = client.get(f"{API}/clusters/1/events", params={"after": rest["next"], "wait": 20}).json()
    assert (last["events"], last["next"]) == ([], rest["next"])


def test_workers_are_listed_with_their_jobs_and_clouds(world: World, client: TestClient) -> None:
    submitted(client)
    world.scaler.tick()
    server = world.servers(world.east)[0]
    session = world.report(server)
    world.scaler.tick()
    world.leases.claim(session, WHOLE)
    (mine,) = [w for w in client.get(f"{API}/workers").json()["workers"] if w["server_id"] == server.id]
    assert (mine["cloud"], mine["state"], mine["jobs"]) == ("east", "ready", ["1.0", "1.1"])
    assert client.get(f"{API}/jobs/1.0").json()["cloud"] == "east"


def test_a_token_for_one_project_shows_no_other_even_to_an_administrator(world: World) -> None:
    other = world.people.add_project("others")
    root = world.people.add("root", admin=True)
    now = world.clock.now()
    limits: dict[str, Any] = {"project_id": other.id, "label": "", "scopes": frozenset(), "roles": None}
    made = {"created_at": now, "expires_at": now}
    token = Token(id=TokenId("t"), kind=TokenKind.API, person_id=root.person.id, **limits, **made)
    world.submit()
    assert len(world.service.jobs(root, limit=9)) == 1
    assert world.service.jobs(replace(root, token=token), limit=9) == []


def test_a_limited_token_without_a_batch_scope_may_nothing(world: World) -> None:
    job_token = replace(world.ada, scopes=frozenset({"vospace:write"}))
    with pytest.raises(Forbidden):
        world.service.jobs(job_token, limit=1)


@pytest.mark.parametrize(
    "path", ["/clusters/{}", "/clusters/{}/events", "/clusters?marker={}", "/jobs?cluster={}", "/jobs/{}.0"]
)
def test_a_number_larger_than_any_is_refused_in_words(client: TestClient, path: str) -> None:
    assert client.get(API + path.format(10**20)).status_code in {400, 422}
