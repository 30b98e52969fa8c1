"""The shipped agent, as a process, against the shipped service over HTTP: the two halves speak one protocol."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from batch_world import TERMS, World

from armillary.base.ids import WorkerId
from armillary.batch.agent_archive import agent_source
from armillary.batch.model import JobId

API = "/api/v1/batch"
SCRIPT = b"#!/bin/sh\necho on stdout $1\necho on stderr >&2\ncat in.txt > out.txt\nexit $1\n"


@contextlib.contextmanager
def serving(app: Any) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    pause = threading.Event()
    while not server.started:
        pause.wait(0.01)
    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@contextlib.contextmanager
def an_agent(
    folder: Path, url: str, token: str, image: str, **more: Any
) -> Iterator[subprocess.Popen[bytes]]:
    config = {
        "url": url,
        "bootstrap_token": token,
        "image_sha512": image,
        "state_dir": str(folder / "state"),
        "scratch_dir": str(folder / "scratch"),
        "cpus": 2,
        "memory_mib": 2048,
        "users": False,
        "retry_seconds": 0.02,
        **more,
    }
    (folder / "agent.json").write_text(json.dumps(config))
    (folder / "agent.pyz").write_bytes(agent_source())
    program = [sys.executable, "-I", "-S", str(folder / "agent.pyz")]
    process = subprocess.Popen([*program, "--config", str(folder / "agent.json")])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def until(found: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(3000):
        if found():
            return
        pause.wait(0.01)
    raise AssertionError("it did not come to pass in 30 s")


def put(client: httpx2.Client, content: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    return {**client.put(f"{API}/blobs/{digest}", content=content).json(), "mode": 0o755}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(
        folder=tmp_path, terms=replace(TERMS, poll=timedelta(seconds=20), lease=timedelta(seconds=12))
    )


def test_jobs_are_run_and_their_files_and_words_come_back(world: World, tmp_path: Path) -> None:
    app = world.client().app
    token = world.register.invite(WorkerId("w1"), world.group)
    with (
        serving(app) as url,
        httpx2.Client(base_url=url, headers={"Authorization": "Bearer ada"}, timeout=60) as client,
        an_agent(tmp_path, url, token, world.group.image) as agent,
    ):
        job = {"executable": "run.sh", "transfer_input_files": ["in.txt"], "request_disk_kib": 1000}
        body = {
            "project": "galaxies",
            "image": "my-snapshot",
            "flavor": "c2-2gb-10",
            "jobs": [{**job, "proc": n, "arguments": [str(n)]} for n in range(3)],
            "files": {"run.sh": put(client, SCRIPT), "in.txt": put(client, b"pixels")},
        }
        assert client.post(f"{API}/clusters", json=body).status_code == 201
        until(lambda: client.get(f"{API}/clusters/1/events").json()["active"] == 0)
        jobs = client.get(f"{API}/jobs").json()["jobs"]
        assert [(one["state"], one["exit_code"]) for one in jobs] == [
            ("completed", 0),
            ("completed", 1),
            ("completed", 2),
        ]
        assert client.get(f"{API}/jobs/1.1/logs").content == b"on stdout 1\n"
        assert client.get(f"{API}/jobs/1.1/logs", params={"stream": "stderr"}).content == b"on stderr\n"
        assert client.get(f"{API}/jobs/1.0/outputs/out.txt").content == b"pixels"

        slow = {**body, "jobs": [{"proc": 0, "executable": "sleep.sh"}]}
        slow["files"] = {"sleep.sh": put(client, b"#!/bin/sh\necho asleep\nexec sleep 600\n")}
        client.post(f"{API}/clusters", json=slow)
        until(lambda: client.get(f"{API}/jobs/2.0/logs").content == b"asleep\n")
        world.queue.drain(WorkerId("w1"))
        client.post(f"{API}/jobs/2.0/remove")
        assert client.get(f"{API}/jobs/2.0").json()["state"] == "removed"
        until(lambda: world.queue.workers()[0].left)  # killed within a renewal, reported, and gone
        assert world.records.job(None, JobId.parse("2.0")).attempt_list[0].state == "removed"
        assert agent.wait(timeout=60) == 0


SAVES = b"""#!/bin/sh
if [ -e step ]; then echo "went on from $(cat step)"; exit 0; fi
trap 'echo half > step; exit 1' USR1
echo begun
while :; do sleep 0.05; done
"""


def test_a_job_that_is_held_and_released_goes_on_from_what_it_saved(world: World, tmp_path: Path) -> None:
    app = world.client().app
    token = world.register.invite(WorkerId("w1"), world.group)
    with (
        serving(app) as url,
        httpx2.Client(base_url=url, headers={"Authorization": "Bearer ada"}, timeout=60) as client,
        an_agent(tmp_path, url, token, world.group.image),
    ):
        job = {"proc": 0, "executable": "saves.sh", "kill_signal": 10, "kill_seconds": 30}
        body = {
            "project": "galaxies",
            "image": "my-snapshot",
            "flavor": "c2-2gb-10",
            "jobs": [{**job, "when_to_transfer_output": "ON_EXIT_OR_EVICT"}],
            "files": {"saves.sh": put(client, SAVES)},
        }
        client.post(f"{API}/clusters", json=body)
        until(lambda: client.get(f"{API}/jobs/1.0/logs").content == b"begun\n")
        client.post(f"{API}/jobs/1.0/hold")
        until(lambda: world.records.job(None, JobId.parse("1.0")).live_attempt is None)
        client.post(f"{API}/jobs/1.0/release")
        until(lambda: client.get(f"{API}/jobs/1.0").json()["state"] == "completed")
        assert client.get(f"{API}/jobs/1.0/logs").content == b"went on from half\n"
