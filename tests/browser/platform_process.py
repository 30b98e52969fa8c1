"""The whole platform as a process of its own, with clouds on the fake engine."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from base64 import b64decode
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

SETTINGS = """\
https_port = 0
http_port = 0

[batch]
tick_seconds = 0.2

[[clouds]]
name = "east"
port = 0
vcpus = 8
ram_mib = 16384
floating_cidr = "127.16.0.0/24"
engine = "fake"

[[clouds]]
name = "west"
port = 0
vcpus = 8
ram_mib = 16384
floating_cidr = "127.17.0.0/24"
engine = "fake"
"""

SERVE = """\
import json
from armillary.app.serve import run
from armillary.app.settings import load_settings

def ready(started):
    told = {"portal": started.instance.portal_url, "clouds": dict(started.instance.clouds)}
    print(json.dumps({**told, "password": started.admin_password}), flush=True)

run(load_settings(), ready)
"""


@dataclass(frozen=True, kw_only=True)
class RunningPlatform:
    """Where the platform answers, and its first administrator's password."""

    home: Path
    portal: str
    clouds: dict[str, str]
    password: str

    def upload_base_image(self, name: str, content: bytes) -> None:
        """Put a public image on `east`, as an administrator does with the stock client."""
        auth_url = self.clouds["east"]
        image_url = auth_url.replace("/identity/v3", "/image/v2/images")
        scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
        user = {"name": "admin", "domain": {"id": "default"}, "password": self.password}
        identity = {"methods": ["password"], "password": {"user": user}}
        with httpx2.Client(trust_env=False, timeout=60) as http:
            reply = http.post(
                f"{auth_url}/auth/tokens", json={"auth": {"identity": identity, "scope": scope}}
            )
            reply.raise_for_status()
            token = {"x-auth-token": reply.headers["x-subject-token"]}
            described = {
                "name": name,
                "disk_format": "raw",
                "container_format": "bare",
                "visibility": "public",
                "os_admin_user": "debian",
            }
            image = http.post(image_url, json=described, headers=token)
            image.raise_for_status()
            content_type = {"content-type": "application/octet-stream"}
            file = f"{image_url}/{image.json()['id']}/file"
            http.put(file, content=content, headers=token | content_type).raise_for_status()

    def workers(self) -> list[dict[str, Any]]:
        """What cloud-init of each worker machine would write into its agent's configuration."""
        found: list[dict[str, Any]] = []
        for file in self.home.glob("clouds/*/machines/*.json"):
            drive = json.loads(file.read_text()).get("spec", {}).get("config_drive", {})
            user_data = drive.get("openstack/latest/user_data", "")
            if "/etc/armillary/agent.json" not in user_data:
                continue
            document = json.loads(user_data.removeprefix("#cloud-config\n"))
            files = {item["path"]: item["content"] for item in document["write_files"]}
            packed = b64decode(files["/etc/armillary/agent.json"])
            found.append(json.loads(gzip.decompress(packed)) | {"server_id": file.stem})
        return found


@contextmanager
def running_platform(home: Path) -> Generator[RunningPlatform]:
    """Run the platform in `home` until the block ends."""
    (home / "armillary.toml").write_text(SETTINGS)
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE],
        env={**os.environ, "ARMILLARY_HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        told = json.loads(process.stdout.readline())
        yield RunningPlatform(home=home, **told)
    finally:
        process.terminate()
        process.wait(timeout=60)
