"""The stock `openstack` command with the files that people download from the portal, as they are."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from live_cloud import PASSWORD, Live
from warm_client import run_executable

from armillary.base.ids import CloudName
from armillary.portal.machinery import Door
from armillary.portal.pages.access import clouds_yaml_of, openrc_of

pytestmark = pytest.mark.interop


@pytest.fixture
def door(live: Live) -> Door:
    return Door(auth_url=f"{live.url}/identity/v3", region="east")


@pytest.fixture
def credential(live: Live) -> tuple[str, str]:
    ada, project = live.accounts.person_named("ada"), live.accounts.project_named("m51")
    made, secret = live.accounts.create_application_credential(ada.id, project.id, name=os.urandom(4).hex())
    return made.id, secret


def run(home: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "HOME": str(home), **more}
    return run_executable("openstack", *words, env=env, cwd=home)  # which looks for clouds.yaml as it starts


def test_clouds_yaml_signs_in_without_a_password(
    live: Live, door: Door, credential: tuple[str, str], tmp_path: Path
) -> None:
    text = clouds_yaml_of({CloudName("east"): door}, *credential)
    assert PASSWORD not in text
    (tmp_path / "clouds.yaml").write_text(text)
    done = run(tmp_path, "--os-cloud", "east", "server", "list")
    assert done.returncode == 0, done.stderr
    live.accounts.delete_application_credential(live.accounts.person_named("ada").id, credential[0])
    assert run(tmp_path, "--os-cloud", "east", "server", "list").returncode != 0


def test_openrc_signs_in_whatever_the_shell_had_set_before(
    live: Live, door: Door, credential: tuple[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "openrc.sh"
    file.write_text(openrc_of(door, *credential))
    sourced = subprocess.run(
        ["bash", "-c", 'source "$1" && env -0', "bash", file],
        env={"PATH": os.environ["PATH"], "OS_PASSWORD": "stale", "OS_PROJECT_NAME": "other", "OS_CLOUD": "x"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = dict(line.split("=", 1) for line in sourced.stdout.split("\0") if line.startswith("OS_"))
    assert "OS_PASSWORD" not in found
    done = run(tmp_path, "network", "list", **found)
    assert done.returncode == 0, done.stderr
    assert "m51" not in done.stderr
