"""The stock `openstack` command and openstacksdk live with a server from its birth to its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import openstack
import pytest
from live_cloud import PASSWORD, Live
from websockets.sync.client import connect
from websockets.typing import Subprotocol

pytestmark = pytest.mark.interop


@pytest.fixture
def sdk(live: Live) -> Iterator[openstack.connection.Connection]:
    connection = openstack.connect(
        auth={
            "auth_url": f"{live.url}/identity/v3",
            "username": "ada",
            "password": PASSWORD,
            "project_name": "m51",
            "user_domain_name": "Default",
            "project_domain_name": "Default",
        }
    )
    yield connection
    connection.close()


JSON = ("-f", "json")


@pytest.mark.timeout(600)
def test_a_server_s_life_with_the_openstack_command(live: Live, image: str) -> None:
    assert "c2-2gb-10" in {flavor["Name"] for flavor in live.ok("flavor", "list", *JSON)}
    key = live.home / "key.pub"
    key.write_text(
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE6Yjcl6zxdpO7KrQ6qTuqQ9tjXl1CQH7eQzOE10nzD1 ada@desk\n"
    )
    live.ok("keypair", "create", "--public-key", str(key), "desk")
    assert {net["Name"] for net in live.ok("network", "list", *JSON)} == {"public", "m51-net"}
    web = ("security", "group", "rule", "create", "--protocol", "tcp", "--dst-port", "80", "default")
    assert live.ok(*web, *JSON)["port_range_max"] == 80
    (live.home / "user-data").write_text("#!/bin/sh\necho hi\n")
    made = live.ok(
        "server", "create", "--image", image, "--flavor", "c1-1gb-5", "--key-name", "desk", "--user-data",
        str(live.home / "user-data"), "--property", "a=b", "--security-group", "default", "--wait", "vm1", *JSON,
    )  # fmt: skip
    assert (made["status"], made["properties"]) == ("ACTIVE", {"a": "b"})
    listed = live.ok("server", "list", *JSON)
    assert [(s["Name"], s["Status"], s["Image"], s["Flavor"]) for s in listed] == [
        ("vm1", "ACTIVE", "base", "c1-1gb-5")
    ]
    assert live.ok("server", "show", "vm1", *JSON)["key_name"] == "desk"
    live.ok("server", "stop", "vm1")
    live.cloud.settle()
    assert live.ok("server", "show", "vm1", *JSON)["status"] == "SHUTOFF"
    live.ok("server", "start", "vm1")
    live.cloud.settle()
    live.ok("server", "reboot", "--wait", "vm1")
    live.ok("server", "reboot", "--hard", "--wait", "vm1")
    assert "fake reset" in live.ok("console", "log", "show", "vm1")
    address = live.ok("floating", "ip", "create", "public", *JSON)["floating_ip_address"]
    live.ok("server", "add", "floating", "ip", "vm1", address)
    live.cloud.settle()
    assert live.cloud.addresses(made["id"]) == {22: (address, 22), 80: (address, 80)}
    assert address in str(live.ok("server", "show", "vm1", *JSON)["addresses"])
    snapshot = live.ok("server", "image", "create", "--name", "snap", "--wait", "vm1", *JSON)
    assert snapshot["status"] == "active"
    assert "snap" in {entry["Name"] for entry in live.ok("image", "list", *JSON)}
    live.ok("server", "delete", "--wait", "vm1")
    assert "No Server found for vm1" in live.refused("server", "show", "vm1")
    assert live.machines.states() == {}


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "command",
    [
        "quota show", "limits show --absolute", "availability zone list", "extension list --network", "versions show",
        "keypair list", "subnet list", "router list", "router show m51-router", "security group list",
        "security group show default", "port list", "server group list", "volume list", "volume type list",
        "volume snapshot list", "usage show", "project list",
    ],
)  # fmt: skip
def test_everyday_commands_answer(live: Live, command: str) -> None:
    live.ok(*command.split())


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "command",
    [
        "server list --all-projects", "hypervisor list", "hypervisor stats show", "compute service list",
        "usage list", "network agent list", "server migration list", "quota set --instances 50 m51",
        "flavor create --ram 256 --disk 1 --vcpus 1 tmpf", "flavor delete tmpf",
    ],
)  # fmt: skip
def test_an_administrator_s_everyday_commands_answer(live: Live, command: str) -> None:
    live.ok(*command.split(), user="root")


@pytest.mark.timeout(300)
def test_refusals_reach_the_user_in_plain_words(live: Live, image: str) -> None:
    over = live.refused("server", "create", "--image", image, "--flavor", "c8-16gb-40", "big")
    assert "Quota exceeded for cores, ram" in over
    live.ok("server", "create", "--image", image, "--flavor", "c1-1gb-5", "fail-boot-1")
    live.cloud.settle()
    shown = live.ok("server", "show", "fail-boot-1", *JSON)
    assert shown["status"] == "ERROR"
    assert "asks the fake engine to fail" in str(shown["fault"])
    assert "is not ready" in live.refused("console", "url", "show", "fail-boot-1")
    live.ok("server", "delete", "--wait", "fail-boot-1")


@pytest.mark.timeout(300)
def test_consoles_answer_at_the_addresses_that_the_commands_give(live: Live, image: str) -> None:
    live.ok("server", "create", "--image", image, "--flavor", "c1-1gb-5", "--wait", "watched")
    screen = live.ok("console", "url", "show", "--novnc", "watched", *JSON)
    assert (screen["protocol"], screen["type"]) == ("vnc", "novnc")
    assert "noVNC" in httpx2.get(screen["url"], trust_env=False, timeout=60).text
    line = live.ok("console", "url", "show", "--serial", "watched", *JSON)["url"]
    with connect(line, subprotocols=[Subprotocol("binary")], proxy=None) as serial:
        assert b"login:" in serial.recv()
    assert "Unavailable console type" in live.refused("console", "url", "show", "--spice", "watched")
    assert "login:" in live.run("console", "log", "show", "--lines", "1", "watched").stdout
    live.ok("server", "delete", "--wait", "watched")


@pytest.mark.timeout(300)
def test_a_server_s_life_with_openstacksdk(
    live: Live, image: str, sdk: openstack.connection.Connection
) -> None:
    server: Any = sdk.create_server(
        "sdk", image=image, flavor="c1-1gb-5", wait=True, auto_ip=False, meta={"a": "b"}, timeout=60
    )
    assert (server.status, server.metadata) == ("ACTIVE", {"a": "b"})
    address: Any = sdk.network.create_ip(floating_network_id=sdk.network.find_network("public").id)
    port: Any = next(iter(sdk.network.ports(device_id=server.id)))
    sdk.network.update_ip(address, port_id=port.id)
    fresh: Any = sdk.compute.get_server(server.id)
    kinds = {a["OS-EXT-IPS:type"] for a in fresh.addresses["m51-net"]}
    assert kinds == {"fixed", "floating"}
    snapshot: Any = sdk.create_image_snapshot("sdk-snap", server.id, wait=True, timeout=60)
    assert snapshot.status == "active"
    assert sdk.compute.get_limits().absolute.total_cores_used == 1
    assert sdk.delete_server(server.id, wait=True, timeout=60)
    assert sdk.get_server(server.id) is None
