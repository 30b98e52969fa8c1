"""Jobs of VOSpace outlive the process that was to run them."""

from __future__ import annotations

import os
import signal
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from platform_at_home import PlatformAtHome

from armillary.app import instance

TARGET = "vos://opencadc.org~vault/home/admin/branch"
NODE = (
    '<vos:node xmlns:vos="http://www.ivoa.net/xml/VOSpace/v2.0" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    f'xsi:type="vos:ContainerNode" uri="{TARGET}"><vos:properties/></vos:node>'
)


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[PlatformAtHome]:
    """One with no clouds at all: VOSpace needs none."""
    made = PlatformAtHome(home=tmp_path / "home", cache=tmp_path / "cache")
    (made.home / "armillary.toml").write_text("https_port = 0\nhttp_port = 0\nclouds = []\n")
    yield made
    made.kill()


def talk(running: dict[str, str], password: str) -> httpx2.Client:
    trust = ssl.create_default_context(cafile=running["ca_file"])
    return httpx2.Client(base_url=running["url"], auth=("admin", password), verify=trust, timeout=60)


def test_a_job_that_was_made_before_kill_9_runs_after_it(platform: PlatformAtHome) -> None:
    first = platform.up()
    password = first["admin_password"]
    with talk(first, password) as http:
        assert http.put("/vault/nodes/home/admin/branch", content=NODE).status_code == 201
        made = http.post("/vault/async-delete", data={"target": TARGET})
        job = made.headers["location"].removeprefix(first["url"])
    os.kill(first["pid"], signal.SIGKILL)
    while instance.locked(platform.home):
        threading.Event().wait(0.01)

    with talk(platform.up(), password) as http:
        assert http.get(job + "/phase").text == "PENDING"
        assert http.post(job + "/phase", data={"PHASE": "RUN"}).status_code == 303
        phase = http.get(job + "/phase").text
        while phase in {"QUEUED", "EXECUTING"}:
            http.get(job, params={"WAIT": "20", "PHASE": phase})
            phase = http.get(job + "/phase").text
        assert phase == "COMPLETED"
        assert http.get("/vault/nodes/home/admin/branch").status_code == 404
    assert platform("down").returncode == 0
