"""Agents of the fake engine's machines: they take jobs over `/agent/v1` and count the bytes of the inputs."""

from __future__ import annotations

import hashlib
import threading
from base64 import b64encode
from typing import Any, Self

import httpx2
from platform_process import RunningPlatform

FAILS_ONCE = "unlucky.fits"
"""A job with this argument ends with exit code 3 the first time."""
SIZE = {"cpus": 2, "memory_mib": 2048, "disk_kib": 10 * 2**20}


class PretendedWorkers:
    """Runs an agent for every worker machine that the platform boots, until the block ends."""

    def __init__(self, platform: RunningPlatform) -> None:
        self._platform = platform
        self._ended = threading.Event()
        self._known: set[str] = set()
        self._agents: list[threading.Thread] = []
        self._watcher = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._watcher.join()
        for agent in self._agents:
            agent.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.2):
            for config in self._platform.workers():
                if config["server_id"] in self._known:
                    continue
                self._known.add(config["server_id"])
                agent = threading.Thread(target=self._work, args=(config,))
                agent.start()
                self._agents.append(agent)

    def _work(self, config: dict[str, Any]) -> None:
        base = f"{self._platform.portal}/agent/v1"
        with httpx2.Client(trust_env=False, timeout=60) as http:
            body = {key: config[key] for key in ("bootstrap_token", "server_id", "image_sha512")}
            session = http.post(f"{base}/register", json=body | SIZE).raise_for_status().json()
            http.headers["authorization"] = f"Bearer {session['session_key']}"
            while not self._ended.is_set():
                answer = http.post(f"{base}/claim", json={"free": SIZE}).raise_for_status().json()
                if answer["retire"]:
                    break
                for job in answer["jobs"]:
                    _do(http, base, job)
            http.post(f"{base}/bye")


def _do(http: httpx2.Client, base: str, job: dict[str, Any]) -> None:
    lease = {key: job[key] for key in ("job", "attempt", "lease_secret")}
    http.post(f"{base}/renew", json={"items": [lease]}).raise_for_status()
    lines: list[str] = []
    for given in job["inputs"]:
        content = http.get(f"{base}/blobs/{given['sha256']}").raise_for_status().content
        lines.append(f"{given['path']}: {len(content)} bytes\n")
    said = "".join(lines).encode()
    log = {"stream": "stdout", "offset": 0, "data": b64encode(said).decode()}
    http.post(f"{base}/logs", json=lease | log).raise_for_status()
    digest = hashlib.sha256(said).hexdigest()
    query = {**lease, "name": "count.txt"}
    http.put(f"{base}/outputs", params=query, content=said, headers={"x-sha256": digest}).raise_for_status()
    output = {"name": "count.txt", "sha256": digest, "size": len(said)}
    fails = FAILS_ONCE in job["spec"]["arguments"] and job["attempt"] == 1
    ended = {"exit_code": 3 if fails else 0, "outputs": [output]}
    http.post(f"{base}/finish", json=lease | ended).raise_for_status()
