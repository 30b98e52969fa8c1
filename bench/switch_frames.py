"""How many frames a second the switch decides on, and carries: `python bench/switch_frames.py`.

The first figure is the pure decision on a known conversation, the second a whole switch process between two sockets.
"""

import socket
import struct
import tempfile
import time
from ipaddress import IPv4Network
from pathlib import Path

from armillary.base.ids import NetworkId, PortId, ServerId
from armillary.cloud.engines.qemu.fabric import QemuFabric
from armillary.cloud.engines.qemu.forwarding import Forwarder, Port
from armillary.cloud.engines.qemu.layout import Layout
from armillary.cloud.engines.qemu.rules import compile_rules
from armillary.cloud.model import NetworkPlan, PortPlan, PortSpec, Rule

FRAMES = 100_000
EVERYTHING = tuple(
    Rule(direction=direction, protocol=None, port_min=None, port_max=None, remote_cidr=None)
    for direction in ("ingress", "egress")
)


def frame(source: int, target: int, length: int = 1514) -> bytes:
    macs = bytes([0xFA, 0x16, 0x3E, 0, 0, target, 0xFA, 0x16, 0x3E, 0, 0, source])
    head = struct.pack(
        "!BBHHHBBH4B4B", 0x45, 0, length - 14, 1, 0, 64, 6, 0, 10, 0, 0, source, 10, 0, 0, target
    )
    segment = struct.pack("!HHIIBBHHH", 40000, 5001, 0, 0, 0x50, 0x10, 0, 0, 0)
    return (macs + b"\x08\x00" + head + segment).ljust(length, b"\0")


def decisions() -> float:
    rules = compile_rules(
        {
            "direction": rule.direction,
            "protocol": None,
            "port_min": None,
            "port_max": None,
            "remote_cidr": None,
        }
        for rule in EVERYTHING
    )
    ports = [
        Port(
            key=str(number),
            network="n",
            mac=frame(number, 0)[6:12],
            ip=bytes([10, 0, 0, number]),
            subnet=IPv4Network("10.0.0.0/24"),
            gateway=bytes([10, 0, 0, 1]),
            rules=rules,
        )
        for number in (10, 11)
    ]
    forwarder = Forwarder()
    forwarder.configure(ports, host_ports=frozenset(), own_addresses=frozenset())
    sent, began = frame(10, 11), time.perf_counter()
    for _ in range(FRAMES):
        forwarder.from_card(ports[0], sent, 1.0)
    return FRAMES / (time.perf_counter() - began)


def carried() -> float:
    with tempfile.TemporaryDirectory() as folder:
        fabric, layout = QemuFabric(directory=Path(folder)), Layout(directory=Path(folder))
        plans = [
            PortPlan(
                server_id=ServerId(f"s{number}"),
                rules=EVERYTHING,
                port=PortSpec(
                    id=PortId(f"p{number}"),
                    network_id=NetworkId("n"),
                    mac=f"fa:16:3e:00:00:{number:02x}",
                    fixed_ip=f"10.0.0.{number}",
                    cidr="10.0.0.0/24",
                    gateway_ip="10.0.0.1",
                ),
            )
            for number in (10, 11)
        ]
        fabric.apply(NetworkPlan(ports=tuple(plans)))
        ends = [layout.machine(plan.server_id).port(plan.port.id) for plan in plans]
        source, target = (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in ends)
        target.bind(str(ends[1].nic))
        source.connect(str(ends[0].nic_switch))
        target.settimeout(2)
        sent, began, received = frame(10, 11), time.perf_counter(), 0
        for _ in range(FRAMES // 10):
            for _ in range(10):
                source.send(sent)
            for _ in range(10):
                target.recv(2000)
                received += 1
        seconds = time.perf_counter() - began
        fabric.close()
        return received / seconds


if __name__ == "__main__":
    print(f"decided {decisions():,.0f} frames/s")
    rate = carried()
    print(f"carried {rate:,.0f} frames/s of 1514 bytes, {rate * 1514 * 8 / 1e6:,.0f} Mbit/s")
