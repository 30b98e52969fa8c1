"""An upload that is on its way when the platform is killed goes on when there is one again."""

from __future__ import annotations

import contextlib
import os
import signal
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from platform_at_home import PlatformAtHome

from armillary.app import instance

MIB = 1 << 20
DATA = os.urandom(6 * MIB)
TUS = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[PlatformAtHome]:
    made = PlatformAtHome(home=tmp_path / "home", cache=tmp_path / "cache")
    yield made
    made.kill()


def signed_in(running: dict[str, Any], password: str) -> httpx2.Client:
    context = ssl.create_default_context(cafile=running["ca_file"])
    client = httpx2.Client(base_url=running["url"], verify=context, trust_env=False, timeout=60)
    login = {"user_name": "admin", "password": password, "label": "test"}
    token = client.post("/api/v1/accounts/login", json=login).json()["token"]
    client.headers["authorization"] = f"Bearer {token}"
    return client


def test_an_upload_goes_on_after_kill_9_in_the_middle_of_a_piece(platform: PlatformAtHome) -> None:
    first = platform.up()
    client = signed_in(first, first["admin_password"])
    made = client.post(
        "/vault/uploads/home/admin/x", headers={**TUS, "Upload-Length": str(len(DATA))}, content=b""
    )
    assert made.status_code == 201, made.text
    upload = urlsplit(made.headers["location"]).path
    killed = threading.Event()

    def half() -> Iterator[bytes]:
        yield DATA[: 3 * MIB]
        while not sum(file.stat().st_size for file in (platform.home / "vospace").glob("*/*#*")) >= MIB:
            killed.wait(0.01)
        os.kill(first["pid"], signal.SIGKILL)
        while instance.locked(platform.home):
            killed.wait(0.01)
        yield DATA[3 * MIB :]

    headers = {**TUS, "Upload-Offset": "0", "Content-Length": str(len(DATA))}
    with pytest.raises(httpx2.TransportError):
        client.patch(upload, headers=headers, content=half())
    client.close()

    second = platform.up()
    with contextlib.closing(signed_in(second, first["admin_password"])) as client:
        offset = int(client.head(upload, headers=TUS).headers["upload-offset"])
        assert MIB <= offset <= 3 * MIB
        assert client.get("/arc/files/home/admin/x").status_code == 404
        rest = client.patch(upload, headers={**TUS, "Upload-Offset": str(offset)}, content=DATA[offset:])
        assert rest.status_code == 204, rest.text
        assert client.get("/arc/files/home/admin/x").content == DATA
    assert platform("down").returncode == 0
