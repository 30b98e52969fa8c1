"""A stock Debian on the QEMU engine: what a scientist's machine gets, and what it cannot reach.

Two machines are booted once for all the tests here; each test looks at one promise.
"""

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path

import asyncssh
import pytest

from armillary.base.ids import NetworkId, PortId, ServerId, new_uuid
from armillary.base.units import GiB, MiB
from armillary.cloud.engines.qemu.fabric import QemuFabric
from armillary.cloud.engines.qemu.machines import QemuMachines
from armillary.cloud.engines.qemu.switch import own_addresses
from armillary.cloud.model import Capacity, MachineSpec, NetworkPlan, PortPlan, PortSpec, Rule
from armillary.recipes.service import build

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1200)]

BOOT_SECONDS = 400
GATEWAY = "10.0.0.1"
# of this run's own, so that two runs on one computer do not take each other's
FLOATING = tuple(f"127.16.{64 + os.getpid() % 128}.{number}" for number in (1, 2))
OUT = Rule(direction="egress", protocol=None, port_min=None, port_max=None, remote_cidr=None)
SSH = Rule(direction="ingress", protocol="tcp", port_min=22, port_max=22, remote_cidr="127.0.0.0/8")


@dataclass
class Machine:
    spec: MachineSpec
    floating_ip: str
    key: asyncssh.SSHKey
    settle: Callable[[], Mapping[int, tuple[str, int]]]
    """Applies the plan again, as the cloud does every two seconds; gives where the machine's ports answer."""

    @property
    def ip(self) -> str:
        return self.spec.ports[0].fixed_ip

    def run(self, command: str, *, within: float = BOOT_SECONDS) -> str:
        """Run a command over ssh at the floating IP, as soon as the machine lets us in."""
        return asyncio.run(self._run(command, time.monotonic() + within))

    async def _run(self, command: str, deadline: float) -> str:
        while True:
            try:
                address, port = self.settle().get(22, (self.floating_ip, 22))
                async with asyncssh.connect(
                    address,
                    port,
                    username="debian",
                    client_keys=[self.key],
                    known_hosts=None,
                    config=None,
                    connect_timeout=60,
                    login_timeout=60,
                ) as connection:
                    done = await connection.run(command)
                    return f"{done.stdout}{done.stderr}".strip()
            except (OSError, asyncssh.Error, TimeoutError):
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(1)

    def opens(self, host: str, port: int) -> bool:
        """Whether the machine can open a TCP connection to there."""
        return self.run(f"timeout 8 bash -c '</dev/tcp/{host}/{port}' 2>&1 && echo open").endswith("open")


class Pair:
    """Two machines on one network, and this computer's loopback beside them."""

    def __init__(self, folder: Path) -> None:
        capacity = Capacity(vcpus=2, ram=MiB(2048), disk=GiB(40))
        self.machines = QemuMachines(directory=folder, capacity=capacity)
        self.fabric = QemuFabric(directory=folder)
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        self.image = build("debian-12").path
        # the second one listens on all addresses, and is hidden behind each of them
        hosts = ("127.0.0.1", "0.0.0.0")
        self.servers = [ThreadingHTTPServer((host, 0), BaseHTTPRequestHandler) for host in hosts]
        for server in self.servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()
        self.allowed_port, self.hidden_port = (server.server_address[1] for server in self.servers)
        self.a, self.b = (self.machine(number) for number in (1, 2))

    def machine(self, number: int, *, image: Path | None = None) -> Machine:
        server_id, mac = ServerId(new_uuid()), f"fa:16:3e:00:78:0{number}"
        port = PortSpec(
            id=PortId(new_uuid()), network_id=NetworkId("net"), mac=mac, fixed_ip=f"10.0.0.1{number}",
            cidr="10.0.0.0/24", gateway_ip=GATEWAY,
        )  # fmt: skip
        public = self.key.export_public_key().decode().strip()
        about = {
            "uuid": server_id,
            "name": f"vm{number}",
            "hostname": f"vm{number}",
            "public_keys": {"k": public},
        }
        link = {"id": "tap0", "vif_id": port.id, "type": "phy", "mtu": 1500, "ethernet_mac_address": mac}
        network = {"id": "network0", "type": "ipv4_dhcp", "link": "tap0", "network_id": "net"}
        drive = {
            "openstack/latest/meta_data.json": about,
            "openstack/latest/network_data.json": {"links": [link], "networks": [network], "services": []},
        }
        spec = MachineSpec(
            id=server_id, name=f"vm{number}", vcpus=1, ram=MiB(512), root_disk=GiB(6), ephemeral_disk=GiB(5),
            image_path=image or self.image, image_format="qcow2", ports=(port,),
            config_drive={path: json.dumps(content).encode() for path, content in drive.items()},
        )  # fmt: skip
        return Machine(spec, FLOATING[number - 1], self.key, lambda: self.settle(server_id))

    def connect(self, *rules: Rule) -> None:
        ports = tuple(
            PortPlan(
                server_id=each.spec.id, port=each.spec.ports[0], rules=rules, floating_ip=each.floating_ip
            )
            for each in (self.a, self.b)
        )
        self.plan = NetworkPlan(ports=ports, host_ports=frozenset({self.allowed_port}))
        self.fabric.apply(self.plan)

    def settle(self, server_id: ServerId) -> Mapping[int, tuple[str, int]]:
        self.fabric.apply(self.plan)
        return self.fabric.addresses(server_id)

    def start(self) -> None:
        for each in (self.a, self.b):
            self.machines.boot(each.spec)
        self.connect(OUT, SSH)
        for each in (self.a, self.b):
            each.run("cloud-init status --wait")

    def close(self) -> None:
        for server_id in list(self.machines.states()):
            self.machines.destroy(server_id)
        self.fabric.close()
        for server in self.servers:
            server.shutdown()
            server.server_close()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    made = Pair(tmp_path_factory.mktemp("qemu"))
    try:
        made.start()
        yield made
    finally:
        made.close()


def test_the_machine_has_its_name_its_address_and_its_disks(pair):
    said = pair.a.run("hostname; ip -4 -o addr show; lsblk -bno SIZE,MOUNTPOINT")
    assert said.startswith("vm1")
    assert f"{pair.a.ip}/24" in said
    size = int(pair.a.run("df --output=size -B1 / | tail -1"))
    assert size > 5.5 * 2**30, "the root file system fills the flavor's disk"


def test_the_ephemeral_disk_is_mounted_on_mnt(pair):
    assert "ephemeral0" in pair.a.run("lsblk -no LABEL $(findmnt -no SOURCE /mnt)")


def test_the_world_has_names(pair):
    mirror = "sed -n 's,^URIs: *https\\?://\\([^/]*\\).*,\\1,p' /etc/apt/sources.list.d/*.sources | head -n 1"
    assert pair.a.run(f'host=$({mirror}); test -n "$host" && getent hosts "$host"')


def test_neighbours_reach_what_the_rules_open_and_nothing_else(pair):
    serve = "nohup python3 -m http.server 8000 >/dev/null 2>&1 & sleep 2"
    pair.b.run(serve)
    pair.connect(OUT, SSH)
    assert not pair.a.opens(pair.b.ip, 8000)
    assert "0 received" in pair.a.run(f"ping -c 1 -W 3 {pair.b.ip}")
    group = frozenset({pair.a.ip, pair.b.ip})
    members = Rule(
        direction="ingress", protocol=None, port_min=None, port_max=None, remote_cidr=None, remote_ips=group
    )
    pair.connect(OUT, SSH, members)
    assert pair.a.opens(pair.b.ip, 8000)
    assert "1 received" in pair.a.run(f"ping -c 1 -W 10 {pair.b.ip}")


def test_of_this_computer_only_the_platform_is_reached(pair):
    assert pair.a.opens(GATEWAY, pair.allowed_port)
    assert not pair.a.opens(GATEWAY, pair.hidden_port)
    assert not pair.a.opens("10.0.0.2", pair.allowed_port)
    outer = [IPv4Address(address) for address in own_addresses()]
    assert not any(pair.a.opens(str(each), pair.hidden_port) for each in outer if not each.is_loopback)


def test_a_snapshot_is_taken_in_motion_and_boots_with_what_was_written(pair, tmp_path):
    pair.a.run("echo precious | sudo tee /root/precious")
    target = tmp_path / "snapshot.qcow2"
    pair.machines.snapshot(pair.a.spec.id, target)
    assert pair.a.run("echo alive") == "alive"
    pair.machines.destroy(pair.b.spec.id)
    pair.b = pair.machine(2, image=target)
    pair.machines.boot(pair.b.spec)
    pair.connect(OUT, SSH)
    assert pair.b.run("sudo cat /root/precious; hostname").split() == ["precious", "vm2"]


def test_the_power_button_shuts_the_machine_down_and_it_starts_again(pair):
    pair.machines.stop(pair.a.spec.id)
    pair.machines.boot(replace(pair.a.spec))
    pair.connect(OUT, SSH)
    assert pair.a.run("sudo cat /root/precious") == "precious"


def test_closing_the_rule_closes_the_floating_ip(pair):
    pair.connect(OUT)
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(asyncio.open_connection(pair.a.floating_ip, 22))
