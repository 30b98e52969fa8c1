"""The QEMU engine with a boot sector for an operating system."""

import contextlib
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from armillary.base.ids import NetworkId, PortId, ServerId, VolumeId, new_uuid
from armillary.base.units import GiB, MiB
from armillary.cloud.engines.qemu.fabric import QemuFabric
from armillary.cloud.engines.qemu.layout import Layout, MachineFiles
from armillary.cloud.engines.qemu.machines import QemuMachines
from armillary.cloud.engines.qemu.process import holder
from armillary.cloud.engines.qemu.tiny import SAYS, boot_sector
from armillary.cloud.model import (
    Capacity,
    MachineSpec,
    MachineState,
    NetworkPlan,
    PortPlan,
    PortSpec,
    Rule,
    VolumeSpec,
)

_RANGE = f"127.{128 + secrets.randbelow(64)}.{secrets.randbelow(256)}"
FLOATING_IP, OTHER_IP = f"{_RANGE}.5", f"{_RANGE}.6"
"""Of this process alone: another with tests of real machines opens and closes the same ports beside us."""

CAPACITY = Capacity(vcpus=2, ram=MiB(1024), disk=GiB(10))
SECONDS = 20.0


class Bench:
    def __init__(self, folder: Path) -> None:
        self.directory = folder / "qemu"
        self.layout = Layout(directory=self.directory)
        self.image = folder / "image.raw"
        self.image.write_bytes(boot_sector())
        self.machines = self.engine()
        self.fabric = QemuFabric(directory=self.directory)

    def engine(self, **more: object) -> QemuMachines:
        return QemuMachines(
            **{
                "directory": self.directory,
                "capacity": CAPACITY,
                "obey_seconds": 0.2,
                "unplug_seconds": 5,
                **more,
            }
        )

    def spec(self, **changes: object) -> MachineSpec:
        port = PortSpec(
            id=PortId(new_uuid()), network_id=NetworkId("n"), mac="fa:16:3e:00:00:01",
            fixed_ip="10.0.0.5", cidr="10.0.0.0/24", gateway_ip="10.0.0.1",
        )  # fmt: skip
        made = MachineSpec(
            id=ServerId(new_uuid()), name="vm", vcpus=1, ram=MiB(128), root_disk=GiB(1), ephemeral_disk=GiB(0),
            image_path=self.image, image_format="raw", ports=(port,), config_drive={"a/b": b"c"},
        )  # fmt: skip
        return replace(made, **changes)

    def boots(self, **changes: object) -> MachineSpec:
        spec = self.spec(**changes)
        self.machines.boot(spec)
        return spec

    def pid(self, spec: MachineSpec) -> int | None:
        return holder(self.layout.machine(spec.id).pidfile)

    def says(self, spec: MachineSpec, times: int = 1) -> bool:
        return until(lambda: self.machines.console(spec.id).count(SAYS) >= times)

    def volume(self) -> VolumeSpec:
        volume_id = VolumeId(new_uuid())
        path = self.image.with_name(f"volume-{volume_id}")
        path.touch()
        os.truncate(path, 2**30)
        return VolumeSpec(id=volume_id, path=path, format="raw")

    def files(self, spec: MachineSpec) -> MachineFiles:
        return self.layout.machine(spec.id)

    def state(self, spec: MachineSpec) -> MachineState:
        return self.machines.states()[spec.id]

    def has(self, spec: MachineSpec, volume: VolumeSpec) -> bool:
        """Whether the machine's process has the volume's file open."""
        for each in Path(f"/proc/{self.pid(spec)}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed since it was listed
                if each.readlink() == volume.path:
                    return True
        return False

    @property
    def left(self) -> list[Path]:
        return [path for part in ("machines", "run") for path in (self.directory / part).rglob("*")]


def until(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + SECONDS
    while not holds() and time.monotonic() < deadline:
        threading.Event().wait(0.02)
    return holds()


def plan(spec: MachineSpec, *ports: int, floating_ip: str = FLOATING_IP) -> NetworkPlan:
    rules = tuple(
        Rule(direction="ingress", protocol="tcp", port_min=number, port_max=number, remote_cidr=None)
        for number in ports
    )
    return NetworkPlan(
        ports=(PortPlan(server_id=spec.id, port=spec.ports[0], rules=rules, floating_ip=floating_ip),)
    )


def answers(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=2).close()
    except OSError:
        return False
    return True
