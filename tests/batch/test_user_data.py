"""The user data of a worker: small enough, readable by cloud-init, and with all that the agent needs."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import subprocess
from typing import Any

import pytest
from batch_world import WHOLE, World

from armillary.app.vendor_data import vendor_data
from armillary.base.errors import TooLarge
from armillary.base.ids import CloudName, WorkerId
from armillary.batch.user_data import CloudInitEnrolment, agent_source, authority_file, build, trust


def contents(text: str) -> dict[str, bytes]:
    assert text.startswith("#cloud-config\n")
    document: dict[str, Any] = json.loads(text.removeprefix("#cloud-config\n"))
    return {f["path"]: gzip.decompress(base64.b64decode(f["content"])) for f in document["write_files"]}


def test_it_brings_the_agent_its_configuration_and_our_authority(world: World) -> None:
    enrolment = CloudInitEnrolment(
        register=world.register,
        guest_url=lambda cloud: f"https://{cloud}.example.org",
        ca_pem=b"-----BEGIN CERTIFICATE-----",
        vospace="armillary.internal:8443",
    )
    text = enrolment.user_data(WorkerId("w1"), group=world.group, cloud=CloudName("east"), size=WHOLE)
    files = contents(text)
    config = json.loads(files["/etc/armillary/agent.json"])
    assert files["/opt/armillary/agent.pyz"] == agent_source()
    assert files[config["ca_file"]].startswith(b"-----BEGIN")
    assert (config["url"], config["image_sha512"]) == ("https://east.example.org", world.group.image)
    assert (config["cpus"], config["memory_mib"], config["disk_kib"]) == (2, 2048, 9 * 2**20)
    assert b"ExecStart=" in files["/etc/systemd/system/armillary-agent.service"]
    assert len(base64.b64encode(text.encode())) <= 65535


def test_new_user_data_makes_the_tokens_of_earlier_ones_void(world: World) -> None:
    first, second = (world.register.invite(WorkerId("w1"), world.group) for _ in range(2))
    assert first != second


def test_what_nova_would_refuse_is_refused_here() -> None:
    blob = b"".join(hashlib.sha256(str(number).encode()).digest() for number in range(3000))
    with pytest.raises(TooLarge):
        build(agent=blob, config={}, ca_pem=b"", gateway=None)


def test_the_start_script_is_valid_shell() -> None:
    script = contents(build(agent=b"", config={}, ca_pem=b"", gateway="10.0.0.1"))["/opt/armillary/start"]
    subprocess.run(["sh", "-n"], input=script, check=True)


def test_two_platforms_authorities_lie_side_by_side_in_a_guest() -> None:
    """As on a cloud that is itself one of ours: its vendor data brings its authority, our user data brings ours."""
    ours, theirs = authority_file("armillary-batch"), authority_file("armillary")
    assert ours != theirs
    assert ours in build(agent=b"", config={}, ca_pem=b"CA", gateway=None)
    assert f"ca={theirs}\n" in trust("armillary")
    assert ours not in vendor_data(host="armillary.internal", https_port=1, ca_pem=b"CA")
