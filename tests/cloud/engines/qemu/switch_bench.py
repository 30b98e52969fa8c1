"""The switch as a process of its own, with real sockets and no machines: we stand where QEMU would."""

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from frame_builder import tcp

from armillary.base.ids import NetworkId, PortId, ServerId
from armillary.cloud.engines.qemu.fabric import QemuFabric
from armillary.cloud.engines.qemu.layout import Layout, PortSockets
from armillary.cloud.engines.qemu.process import holder
from armillary.cloud.model import PortPlan, PortSpec, Rule

OUT = Rule(direction="egress", protocol=None, port_min=None, port_max=None, remote_cidr=None)
SSH = Rule(direction="ingress", protocol="tcp", port_min=22, port_max=22, remote_cidr=None)
SECONDS = 5.0


def port_plan(number: int, *rules: Rule) -> PortPlan:
    spec = PortSpec(
        id=PortId(f"port-{number}"),
        network_id=NetworkId("n"),
        mac=f"fa:16:3e:00:00:0{number}",
        fixed_ip=f"10.0.0.1{number}",
        cidr="10.0.0.0/24",
        gateway_ip="10.0.0.1",
    )
    return PortPlan(server_id=ServerId(f"server-{number}"), port=spec, rules=(OUT, *rules))


class Guest:
    """Stands for a machine's QEMU: its card's end and its way out's end."""

    def __init__(self, plan: PortPlan, ends: PortSockets) -> None:
        self.mac, self.ip = plan.port.mac, plan.port.fixed_ip
        self.ends = ends
        self.card, self.out = self._bind(ends.nic), self._bind(ends.slirp)

    def _bind(self, path: Path) -> socket.socket:
        path.unlink(missing_ok=True)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        made.bind(str(path))
        made.settimeout(SECONDS)
        return made

    def sends(self, frame: bytes) -> None:
        self.card.sendto(frame, str(self.ends.nic_switch))

    def calls(self, other: "Guest", port: int = 22) -> bytes:
        return tcp((self.mac, other.mac), self.ip, other.ip, 40000, port)

    def close(self) -> None:
        self.card.close()
        self.out.close()


class Bench:
    def __init__(self, directory: Path) -> None:
        self.layout = Layout(directory=directory)
        self.fabric = QemuFabric(directory=directory)
        self.guests: list[Guest] = []

    def guest(self, plan: PortPlan) -> Guest:
        guest = Guest(plan, self.layout.machine(plan.server_id).port(plan.port.id))
        self.guests.append(guest)
        return guest

    def pid(self) -> int | None:
        return holder(self.layout.switch_pidfile)

    def waits_until(self, holds: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            if holds():
                return True
        return False

    def order(self, order: str) -> dict[str, Any]:
        """Tell the switch something on its control socket."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(SECONDS)
            line.connect(str(self.layout.switch_control))
            line.sendall(order.encode() + b"\n")
            return json.loads(line.makefile().readline())

    def close(self) -> None:
        self.fabric.close()
        for guest in self.guests:
            guest.close()
