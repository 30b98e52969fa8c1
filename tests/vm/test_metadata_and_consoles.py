"""Metadata and consoles of real machines: read from inside, watched from outside."""

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from armillary.app.demo.path import SERVER
from golden import Golden

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1200), pytest.mark.usefixtures("report")]

METADATA = "http://169.254.169.254"
DRIVELESS = "driveless"


def curl(golden: Golden, path: str, *more: str) -> str:
    return golden.inside(f"curl -sS --max-time 20 {' '.join(more)} {METADATA}{path}")


def opened(address: str) -> ClientConnection:
    return connect(address, subprotocols=[Subprotocol("binary")], proxy=None, max_size=None)


def hears(line: ClientConnection, wanted: bytes, *, seconds: float = 60) -> bytes:
    heard, end = b"", time.monotonic() + seconds
    while wanted not in heard and time.monotonic() < end:
        heard += bytes(line.recv(timeout=seconds))
    return heard


def test_a_machine_reads_who_it_is(golden: Golden) -> None:
    shown = golden.openstack("server", "show", SERVER)
    found = json.loads(curl(golden, "/openstack/latest/meta_data.json"))
    assert (found["uuid"], found["name"], found["project_id"]) == (shown["id"], SERVER, shown["project_id"])
    assert curl(golden, "/latest/meta-data/instance-id") == f"i-{shown['id'][:8]}"
    assert golden.inside("cloud-init query instance_id") == shown["id"]


def test_a_machine_cannot_say_that_it_is_another(golden: Golden) -> None:
    forged = (
        "-H 'X-Instance-ID: 00000000-0000-4000-8000-000000000000'",
        "-H 'X-Instance-ID-Signature: guess'",
    )
    found = json.loads(curl(golden, "/openstack/latest/meta_data.json", *forged))
    assert found["uuid"] == golden.openstack("server", "show", SERVER)["id"]


def test_a_machine_with_a_link_local_route_finds_the_service_too(golden: Golden) -> None:
    golden.inside("sudo ip route add 169.254.0.0/16 dev eth0")
    assert curl(golden, "/openstack").endswith("latest")
    golden.inside("sudo ip route del 169.254.0.0/16 dev eth0")


def test_a_dozen_questions_at_once_have_the_same_answer(golden: Golden) -> None:
    ask = f"curl -sS --max-time 60 {METADATA}/openstack/latest/meta_data.json | sha256sum"
    answers = golden.inside(f"for i in $(seq 12); do {ask} & done; wait").split("\n")
    assert (len(answers), len(set(answers))) == (12, 1)


def test_a_card_that_is_plugged_in_leads_to_the_service_too(golden: Golden) -> None:
    golden.openstack("network", "create", "beside")
    golden.openstack("subnet", "create", "--network", "beside", "--subnet-range", "10.8.0.0/24", "beside")
    port = golden.openstack("port", "create", "--network", "beside", "beside")
    golden.run("openstack", "server", "add", "port", SERVER, port["id"])
    mac, address = port["mac_address"], port["fixed_ips"][0]["ip_address"]
    found = golden.inside(
        f"""
        until card=$(ip -br link | awk '/{mac}/ {{print $1}}') && [ -n "$card" ]; do sleep 0.2; done
        sudo ip link set "$card" up
        sudo ip addr replace {address}/24 dev "$card"
        sudo curl -sS --max-time 5 --retry 20 --retry-delay 1 --retry-all-errors --interface "$card" \
            {METADATA}/latest/meta-data/instance-id
        """
    )
    assert found == curl(golden, "/latest/meta-data/instance-id")
    golden.run("openstack", "server", "remove", "port", SERVER, port["id"])


def test_the_serial_line_answers_at_its_address(golden: Golden) -> None:
    address = golden.openstack("console", "url", "show", "--serial", SERVER)["url"]
    with opened(address) as line:
        line.send(b"\r")
        assert b"login:" in hears(line, b"login:")
        line.send(b"nobody\r")
        assert b"Password:" in hears(line, b"Password:")
    assert "login: nobody" in golden.run("openstack", "console", "log", "show", SERVER)


def test_the_screen_answers_at_its_address(golden: Golden) -> None:
    address = golden.openstack("console", "url", "show", "--novnc", SERVER)["url"]
    assert "noVNC" in httpx2.get(address, trust_env=False).text
    origin, _, query = address.partition("/console/")
    path = httpx2.QueryParams(query.partition("?")[2])["path"]
    with opened(f"{origin.replace('http', 'ws', 1)}/{path}") as screen:
        assert bytes(screen.recv()) == b"RFB 003.008\n"
        screen.send(b"RFB 003.008\n")
        assert 1 in bytes(screen.recv())[1:]
        screen.send(b"\x01")
        assert bytes(screen.recv()) == bytes(4)
        screen.send(b"\x01")
        first = bytes(screen.recv())
        width, height = int.from_bytes(first[:2], "big"), int.from_bytes(first[2:4], "big")
        assert width >= 640
        screen.send(b"\x02\x00\x00\x01" + bytes(4))  # raw pixels, and nothing else
        screen.send(b"\x03\x00" + bytes(4) + first[:4])
        heard = b""
        while len(heard) < 4 * width * height:
            heard += bytes(screen.recv(timeout=60))
    pixels = {heard[at : at + 4] for at in range(16, len(heard) - 3, 4)}
    assert len(pixels) > 1, "there is nothing on the screen"


@pytest.fixture(scope="module")
def driveless(golden: Golden, report: Any) -> Iterator[dict[str, Any]]:
    """A machine that was refused a config drive: whatever it knows, it read over its network."""
    secret = golden.run("openstack", "token", "issue", "-f", "value", "-c", "id").strip()
    compute = golden.openstack("catalog", "show", "compute")["endpoints"]
    url = next(endpoint["url"] for endpoint in compute if endpoint["interface"] == "public")
    image = golden.openstack("image", "show", "debian-12")["id"]
    flavor = golden.openstack("flavor", "show", "c1-1gb-5")["id"]
    # the project's own network: tests before this one may have left others beside it
    (network,) = [n["ID"] for n in golden.openstack("network", "list") if n["Name"].endswith("-net")]
    for server in golden.openstack("server", "list"):
        if server["Name"] != SERVER:  # idle workers: the cloud has room for few machines
            golden.run("openstack", "server", "delete", "--wait", server["ID"])
    wish = {
        "name": DRIVELESS, "imageRef": image, "flavorRef": flavor, "key_name": "demo",
        "networks": [{"uuid": network}], "config_drive": False, "user_data": "IyEvYmluL3NoCmVjaG8gaGVsbG8gPiAvdmFyL3RtcC9oZWxsbwo=",
    }  # fmt: skip
    headers = {"x-auth-token": secret, "openstack-api-version": "compute 2.90"}
    made = httpx2.post(f"{url}/servers", json={"server": wish}, headers=headers, trust_env=False)
    made.raise_for_status()
    address = golden.openstack("floating", "ip", "create", "public")["floating_ip_address"]
    golden.run("openstack", "server", "add", "floating", "ip", DRIVELESS, address)
    yield golden.openstack("floating", "ip", "show", address)
    golden.run("openstack", "server", "delete", DRIVELESS)
    golden.run("openstack", "floating", "ip", "delete", address)


def test_a_machine_without_a_config_drive_gets_its_key_and_its_user_data(
    golden: Golden, driveless: dict[str, Any]
) -> None:
    port = re.search(r"ssh port (\d+)", driveless["description"])
    where = [*(["-p", port[1]] if port else []), f"debian@{driveless['floating_ip_address']}"]
    asked = "cloud-init status --wait > /dev/null; cat /var/tmp/hello; cloud-init query subplatform; hostname"
    said = golden.inside(asked, within=800, at=where).split("\n")
    assert said == ["hello", f"metadata ({METADATA})", DRIVELESS]
    assert golden.inside("ls /dev/disk/by-label | grep -ci config-2 || true", at=where) == "0"
