"""The platform as a process: `up`, `status`, `down`, `kill -9`, and what is found again."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from platform_at_home import PlatformAtHome, Talk, boot_a_server, submit_a_job, wait_until_active

from armillary.app import daemon, instance


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[PlatformAtHome]:
    made = PlatformAtHome(home=tmp_path / "home", cache=tmp_path / "cache")
    yield made
    made.kill()


@contextlib.contextmanager
def silent_cloud() -> Generator[socket.socket]:
    """What takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        server.settimeout(60)
        yield server


def test_what_was_promised_is_found_again_after_kill_9(platform: PlatformAtHome) -> None:
    first = platform.up()
    password = first["admin_password"]
    talk = Talk(running=first, user_name="admin", password=password)
    server = boot_a_server(talk)
    wait_until_active(talk, server)
    cluster = submit_a_job(talk)

    again = platform("up", "--json")
    assert again.returncode == 1
    assert json.loads(again.stdout)["error"]["code"] == "already_running"

    os.kill(first["pid"], signal.SIGKILL)
    while instance.locked(platform.home):
        threading.Event().wait(0.01)
    assert platform("status").returncode != 0
    assert (platform.home / "run.json").exists(), "nobody was there to take it away"

    second = platform.up()
    assert "admin_password" not in second
    assert second["pid"] != first["pid"]
    shown = json.loads(platform("status", "--json").stdout)
    assert shown["pid"] == second["pid"]
    talk = Talk(running=second, user_name="admin", password=password)
    wait_until_active(talk, server)
    [job] = talk.get("/api/v1/batch/jobs", cluster=cluster)["jobs"]
    assert job["state"] == "held"

    assert platform("down").returncode == 0
    assert platform("status").returncode != 0
    assert not (platform.home / "run.json").exists()


def test_of_two_started_at_once_one_runs_and_the_other_says_so(platform: PlatformAtHome) -> None:
    both = [platform.begin("up", "--json") for _ in range(2)]
    told = [json.loads(command.communicate(timeout=60)[0]) for command in both]
    assert sorted(command.returncode for command in both) == [0, 1]
    assert [answer["error"]["code"] for answer in told if "error" in answer] == ["already_running"]


def test_down_waits_for_a_platform_that_is_starting(platform: PlatformAtHome) -> None:
    starting = platform.begin("up", "--json")
    while not instance.locked(platform.home):
        threading.Event().wait(0.01)
    assert platform("down").returncode == 0
    assert not instance.locked(platform.home)
    starting.communicate(timeout=60)


def test_a_start_that_fails_does_not_use_up_the_first_password(platform: PlatformAtHome) -> None:
    clouds = platform.home.parent / "clouds.yaml"
    clouds.write_text("this is not clouds.yaml")
    platform.add_settings(f'clouds_yaml = "{clouds}"\n')
    refused = platform("up")
    assert refused.returncode == 1
    assert "clouds.yaml" in refused.stderr
    clouds.write_text("clouds: {}\n")
    assert platform.up()["admin_password"]


def test_in_the_foreground_the_first_password_is_shown_too(platform: PlatformAtHome) -> None:
    command = platform.begin("up", "--foreground", "--json")
    while instance.running(platform.home) is None:
        threading.Event().wait(0.05)
    command.send_signal(signal.SIGINT)
    out, _ = command.communicate(timeout=60)
    assert json.loads(out)["admin_password"]


def test_a_password_that_nobody_heard_is_kept_in_a_file(platform: PlatformAtHome) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = platform.begin("up", "--ready-fd", str(writer), pass_fds=(writer,))
    os.close(writer)
    kept = platform.home / daemon.PASSWORD_FILE
    while not (kept.exists() and kept.read_text().endswith("\n")):
        assert command.poll() is None
        threading.Event().wait(0.05)
    assert kept.stat().st_mode & 0o777 == 0o600
    running = instance.running(platform.home)
    assert running is not None
    told: dict[str, Any] = {"url": running.url, "ca_file": running.ca_file, "clouds": running.clouds}
    Talk(running=told, user_name="admin", password=kept.read_text().strip())
    assert platform("down").returncode == 0
    command.communicate(timeout=60)


def test_a_silent_cloud_does_not_keep_the_platform_from_ending(platform: PlatformAtHome) -> None:
    with silent_cloud() as cloud:
        port = cloud.getsockname()[1]
        clouds = platform.home.parent / "clouds.yaml"
        auth = {"auth_url": f"http://127.0.0.1:{port}/v3", "username": "u", "password": "p"}
        clouds.write_text(json.dumps({"clouds": {"outer": {"auth": {**auth, "project_name": "p"}}}}))
        platform.add_settings(
            f'clouds_yaml = "{clouds}"\nguest_urls = {{ outer = "https://platform.example:8443" }}\n'
        )
        running = platform.up()
        talk = Talk(running=running, user_name="admin", password=running["admin_password"])
        asked = threading.Thread(target=_ask_in_vain, args=[talk, "/api/v1/clouds/outer/flavors"])
        asked.start()
        with cloud.accept()[0]:  # the request has reached it
            assert platform("down").returncode == 0
            asked.join(60)
        assert "ended without it" in "".join(file.read_text() for file in platform.home.rglob("*.log"))


def _ask_in_vain(talk: Talk, path: str) -> None:
    with contextlib.suppress(Exception):
        talk.get(path)


def test_a_burst_of_pages_that_ask_the_clouds_is_answered(platform: PlatformAtHome) -> None:
    running = platform.up()
    talk = Talk(running=running, user_name="admin", password=running["admin_password"])
    assert talk.many("/api/v1/clouds/east/flavors", 60) == [200] * 60


def test_a_home_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    platform = PlatformAtHome(home=tmp_path / "home", cache=tmp_path / "cache")
    (platform.home / "lock").mkdir()
    refused = platform("up", "--json")
    assert refused.returncode == 1
    assert json.loads(refused.stdout)["error"]["code"] == "home_unusable"


def test_doctor_tells_each_finding_with_its_remedy(platform: PlatformAtHome) -> None:
    looked = platform("doctor", "--json")
    found = json.loads(looked.stdout)
    assert {"name", "ok", "detail", "remedy", "required"} <= set(found[0])
    assert {"Python", "settings", "home"} <= {finding["name"] for finding in found}
    assert all(finding["remedy"] for finding in found if not finding["ok"])
    missing = [finding for finding in found if finding["required"] and not finding["ok"]]
    assert looked.returncode == (1 if missing else 0)
