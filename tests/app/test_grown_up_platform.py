"""A platform with its records in PostgreSQL and its bytes in a bucket, as a process of its own."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from platform_at_home import PlatformAtHome, Talk, boot_a_server, submit_a_job

from armillary.app import instance
from armillary.vospace.bytes import Bucket

pytestmark = pytest.mark.engines

PASSWORD = "correct horse battery"
DATA = bytes(range(256)) * 4096 * 12  # 12 MiB: more than one piece


@pytest.fixture
def platform(
    tmp_path: Path, a_database: Callable[[], str], a_bucket: Callable[[], Bucket]
) -> Iterator[PlatformAtHome]:
    bucket = a_bucket()
    made = PlatformAtHome(home=tmp_path / "home", cache=tmp_path / "cache")
    made.add_settings(
        f'database_url = "{a_database()}"\n',
        f'[vospace]\nbytes = "s3://{bucket.name}/space"\ns3_endpoint = "{bucket.endpoint}"\n'
        f's3_region = "us-east-1"\ns3_access_key = "armillary"\ns3_secret_key = "{bucket.secret_key}"\n',
    )
    yield made
    made.kill()


def register(running: dict[str, str], admin: Talk) -> httpx2.Client:
    """Register Ada, approve her project, and sign her in."""
    form = {
        "user_name": "ada",
        "full_name": "Ada Lovelace",
        "email": "ada@example.org",
        "institute": "Observatoire de Paris",
        "password": PASSWORD,
        "project_name": "m51",
        "requested": {"cores": 4, "ram_mib": 8192, "disk_gib": 40, "storage_gib": 10, "batch_cores": 8},
        "reason": "Catalogues of M51.",
    }
    application = admin.post("/api/v1/accounts/register", form)["id"]
    admin.post(f"/api/v1/accounts/applications/{application}/approve", {})
    context = ssl.create_default_context(cafile=running["ca_file"])
    ada = httpx2.Client(
        base_url=running["url"], verify=context, trust_env=False, timeout=60, follow_redirects=True
    )
    told = ada.post(
        "/api/v1/accounts/login", json={"user_name": "ada", "password": PASSWORD, "label": "test"}
    )
    ada.headers["authorization"] = f"Bearer {told.json()['token']}"
    return ada


def test_it_starts_serves_and_finds_everything_again_after_kill_9(platform: PlatformAtHome) -> None:
    first = platform.up()
    admin = Talk(running=first, user_name="admin", password=first["admin_password"])
    boot_a_server(admin)
    cluster = submit_a_job(admin, on_hold=False)
    with contextlib.closing(register(first, admin)) as ada:
        put = ada.put("/vault/files/home/ada/m51.fits", content=DATA)
        assert put.status_code == 201, put.text
        assert ada.get("/vault/files/home/ada/m51.fits").content == DATA
    end = time.monotonic() + 60
    while not any(worker["server_id"] for worker in admin.get("/api/v1/batch/workers")["workers"]):
        assert time.monotonic() < end, "the scaler has asked for no machine"
        threading.Event().wait(0.1)

    os.kill(first["pid"], signal.SIGKILL)
    while instance.locked(platform.home):
        threading.Event().wait(0.01)
    second = platform.up()
    admin = Talk(running=second, user_name="admin", password=first["admin_password"])
    [job] = admin.get("/api/v1/batch/jobs", cluster=cluster)["jobs"]
    assert job["state"] == "idle"
    answer = admin.get_bytes("/vault/files/home/ada/m51.fits", range="bytes=9000000-9000009")
    assert answer == DATA[9_000_000:9_000_010]
    assert (
        hashlib.md5(admin.get_bytes("/vault/files/home/ada/m51.fits")).digest() == hashlib.md5(DATA).digest()
    )
    assert not (platform.home / "vospace").exists()
    assert not (platform.home / "armillary.db").exists()
    found = {finding["name"]: finding for finding in json.loads(platform("doctor", "--json").stdout)}
    assert found["records"]["ok"]
    assert found["bytes"]["ok"]
    checked = platform("fsck", "--checksums", "--json")
    assert (checked.returncode, json.loads(checked.stdout)) == (0, []), checked.stderr
    assert platform("down").returncode == 0
