"""A part of OpenStack's own test suite on each run; the whole of it is `armillary interop tempest`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.interop, pytest.mark.timeout(900)]

PART = (
    r"test_application_credentials|test_tokens|test_users\.|ListUserImages|test_server_tags|test_server_metadata"
    r"|test_servers_negative|test_create_server\.ServersTestJSON|test_attach_volume|test_dhcp_ipv6|test_ports\.PortsTestJSON"
    r"|test_floating_ips\.|test_volumes_actions|test_volumes_get"
)


def tempest(*options: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "armillary.app.main", "interop", "tempest", *options],
        env={**os.environ, "ARMILLARY_HOME": str(home)}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("credentials", ["dynamic", "pre-provisioned"])
def test_a_part_of_the_powered_compute_list_passes_and_nothing_is_skipped(
    credentials: str, tmp_path: Path
) -> None:
    only = (
        PART if credentials == "dynamic" else r"test_tokens|test_server_tags|test_list_ports|VolumesListTest"
    )
    figures = tmp_path / "figures.json"
    ran = tempest(
        "--only", only, "--credentials", credentials, "--json", str(figures), home=tmp_path / "home"
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    outcome = json.loads(figures.read_text())
    assert outcome.keys() == {"passed", "failed", "skipped", "seconds"}
    assert outcome["passed"] > 10
    assert (outcome["failed"], outcome["skipped"]) == (0, 0)


def test_a_pattern_that_no_test_has_is_refused_and_says_so(tmp_path: Path) -> None:
    ran = tempest("--only", "no-such-test", home=tmp_path / "home")
    assert ran.returncode != 0
    assert "no test of the list matches" in ran.stderr


def test_a_cloud_that_is_not_in_clouds_yaml_is_refused(tmp_path: Path) -> None:
    ran = tempest("--os-cloud", "nowhere", home=tmp_path / "home")
    assert ran.returncode != 0
    assert "nowhere" in ran.stderr
