"""Two stock Debians on the QEMU engine, and hands to turn them from outside and inside."""

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import asyncssh

from armillary.base.ids import NetworkId, PortId, ServerId, VolumeId, new_uuid
from armillary.base.units import GiB, MiB
from armillary.cloud.engines.qemu.fabric import QemuFabric
from armillary.cloud.engines.qemu.machines import QemuMachines
from armillary.cloud.model import Capacity, MachineSpec, NetworkPlan, PortPlan, PortSpec, Rule, VolumeSpec
from armillary.recipes.service import build

BOOT_SECONDS = 800
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

    def greets(self, *, within: float) -> bool:
        """Whether ssh says its name at the floating IP within some seconds."""
        return asyncio.run(self._greets(within))

    async def _greets(self, within: float) -> bool:
        address, port = self.settle().get(22, (self.floating_ip, 22))
        reader, writer = await asyncio.open_connection(address, port)
        try:
            return (await asyncio.wait_for(reader.read(4), within)) == b"SSH-"
        except (TimeoutError, ConnectionError):
            return False
        finally:
            writer.close()

    def opens(self, host: str, port: int) -> bool:
        """Whether the machine can open a TCP connection to there."""
        return self.run(f"timeout 8 bash -c '</dev/tcp/{host}/{port}' 2>&1 && echo open").endswith("open")


class Pair:
    """Two machines on one network, and this computer's loopback beside them."""

    def __init__(self, folder: Path) -> None:
        capacity = Capacity(vcpus=2, ram=MiB(2048), disk=GiB(40))
        self.folder = folder
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

    def volume(self, size: GiB) -> VolumeSpec:
        """An empty volume."""
        volume = VolumeSpec(id=VolumeId(new_uuid()), path=self.folder / f"volume-{new_uuid()}", format="raw")
        volume.path.touch()
        os.truncate(volume.path, size * 2**30)
        return volume

    def connect(self, *rules: Rule, more: tuple[PortPlan, ...] = ()) -> None:
        ports = tuple(
            PortPlan(
                server_id=each.spec.id, port=each.spec.ports[0], rules=rules, floating_ip=each.floating_ip
            )
            for each in (self.a, self.b)
        )
        ports += more
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
