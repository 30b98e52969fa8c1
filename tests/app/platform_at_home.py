"""A whole platform in a process of its own, with clouds on the fake engine and ports that the system chooses."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2

IMAGE = "fake-base"
SETTINGS = """\
https_port = 0
http_port = 0
[batch]
tick_seconds = 0.2
[[clouds]]
name = "east"
port = 0
floating_cidr = "127.16.0.0/24"
engine = "fake"
"""


class PlatformAtHome:
    """Runs the `armillary` command on one home directory, and talks to what it starts."""

    def __init__(self, *, home: Path, cache: Path) -> None:
        self.home = home
        home.mkdir()
        (home / "armillary.toml").write_text(SETTINGS)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ARMILLARY_")}
        self._environ = {**kept, "ARMILLARY_HOME": str(home), "ARMILLARY_CACHE": str(cache)}

    def add_settings(self, text: str, table: str = "") -> None:
        """Put settings before those of the tables, and a table after them."""
        file = self.home / "armillary.toml"
        file.write_text(text + file.read_text() + table)

    def begin(self, *words: str, pass_fds: tuple[int, ...] = ()) -> subprocess.Popen[str]:
        """Begin a command."""
        return subprocess.Popen(
            [sys.executable, "-m", "armillary.app.main", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self._environ,
            pass_fds=pass_fds,
        )

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        command = self.begin(*words)
        out, err = command.communicate(timeout=120)
        return subprocess.CompletedProcess(words, command.returncode, out, err)

    def up(self) -> dict[str, Any]:
        """Start it, and return what `up --json` tells."""
        started = self("up", "--json")
        assert started.returncode == 0, started.stdout + started.stderr
        return dict(json.loads(started.stdout))

    def kill(self) -> None:
        """`kill -9`, when there is something to kill."""
        note = self.home / "run.json"
        if note.exists() and self("status").returncode == 0:
            os.kill(json.loads(note.read_text())["pid"], signal.SIGKILL)


class Talk:
    """Speaks with a running platform as one person, and with its cloud in the same person's name."""

    def __init__(self, *, running: dict[str, Any], user_name: str, password: str) -> None:
        context = ssl.create_default_context(cafile=running["ca_file"])
        self._http = httpx2.Client(base_url=running["url"], verify=context, trust_env=False, timeout=60)
        self._cloud = httpx2.Client(trust_env=False, timeout=60)
        self._auth_url: str = running["clouds"]["east"]
        secret = self.post(
            "/api/v1/accounts/login", {"user_name": user_name, "password": password, "label": "test"}
        )["token"]
        self._http.headers["authorization"] = f"Bearer {secret}"
        user = {"name": user_name, "domain": {"id": "default"}, "password": password}
        reply = self._cloud.post(
            f"{self._auth_url}/auth/tokens",
            json={
                "auth": {
                    "identity": {"methods": ["password"], "password": {"user": user}},
                    "scope": {"project": {"name": "admin", "domain": {"id": "default"}}},
                }
            },
        )
        reply.raise_for_status()
        self._cloud.headers["x-auth-token"] = reply.headers["x-subject-token"]

    def get(self, path: str, **params: Any) -> Any:
        return self._good(self._http.get(path, params=params))

    def get_bytes(self, path: str, **headers: str) -> bytes:
        reply = self._http.get(path, headers=headers, follow_redirects=True)
        assert reply.status_code in {200, 206}, f"{reply.status_code} {reply.text}"
        return reply.content

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return self._good(self._http.post(path, json=body))

    def refused(self, path: str, body: dict[str, Any]) -> tuple[int, str]:
        """The status and the code of a refusal."""
        reply = self._http.post(path, json=body)
        assert reply.status_code >= 400, f"{path}: {reply.status_code}"
        return reply.status_code, reply.json()["error"]["code"]

    def put(self, path: str, content: bytes) -> Any:
        return self._good(self._http.put(path, content=content))

    def cloud(
        self, method: str, path: str, body: Any = None, content: bytes | None = None, *, version: str = "2.1"
    ) -> Any:
        """Ask the cloud `east`; `path` begins with the service's prefix, `version` is compute's."""
        url = self._auth_url.removesuffix("/identity/v3") + path
        if content is not None:
            octets = {"content-type": "application/octet-stream"}
            return self._good(self._cloud.request(method, url, content=content, headers=octets))
        return self._good(
            self._cloud.request(method, url, json=body, headers={"x-openstack-nova-api-version": version})
        )

    def many(self, path: str, count: int) -> list[int]:
        """The statuses of so many GETs at the same time."""
        with ThreadPoolExecutor(count) as pool:
            return [reply.status_code for reply in pool.map(self._http.get, [path] * count)]

    @staticmethod
    def _good(reply: httpx2.Response) -> Any:
        assert reply.status_code < 300, f"{reply.request.url}: {reply.status_code} {reply.text}"
        return reply.json() if reply.content else None


def boot_a_server(talk: Talk) -> str:
    described = {"name": IMAGE, "disk_format": "raw", "container_format": "bare", "min_disk": 1}
    image = talk.cloud("POST", "/image/v2/images", described)["id"]
    talk.cloud("PUT", f"/image/v2/images/{image}/file", content=b"a disk" * 1000)
    flavors = talk.cloud("GET", "/compute/v2.1/flavors")["flavors"]
    flavor = next(found["id"] for found in flavors if found["name"] == "c1-1gb-5")
    wanted = {"name": "mine", "imageRef": image, "flavorRef": flavor}
    return str(talk.cloud("POST", "/compute/v2.1/servers", {"server": wanted})["server"]["id"])


def wait_until_active(talk: Talk, server: str) -> None:
    end = time.monotonic() + 30
    while talk.cloud("GET", f"/compute/v2.1/servers/{server}")["server"]["status"] != "ACTIVE":
        assert time.monotonic() < end
        threading.Event().wait(0.05)


def submit_a_job(talk: Talk, *, on_hold: bool = True) -> str:
    job = {
        "proc": 0,
        "executable": "/bin/true",
        "transfer_executable": False,
        "request_cpus": 1,
        "request_memory_mib": 64,
        "request_disk_kib": 1024,
        "on_hold": on_hold,
        "iwd": "/tmp",
    }
    body = {"project": "admin", "image": IMAGE, "flavor": "c1-1gb-5", "jobs": [job]}
    return str(talk.post("/api/v1/batch/clusters", body)["cluster"])
