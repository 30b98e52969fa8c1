"""Engines under test: each with an image that it can boot, and what machines need."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from armillary.base.ids import NetworkId, PortId, ServerId, Sha512, VolumeId, new_uuid
from armillary.base.units import GiB, MiB
from armillary.cloud.engines.fake import FakeMachines
from armillary.cloud.engines.qemu.machines import QemuMachines
from armillary.cloud.engines.qemu.tiny import boot_sector
from armillary.cloud.model import Capacity, MachineSpec, MachineState, PortSpec, Template, VolumeSpec
from armillary.cloud.ports import Hypervisor


@dataclass
class Bench:
    """An engine with an image that it can boot, and a way to make a second engine over the same directory."""

    machines: Hypervisor
    image: Path
    image_format: str
    again: Callable[[], Hypervisor]
    ports: int = 0

    def spec(self, name: str = "vm") -> MachineSpec:
        return MachineSpec(
            id=ServerId(new_uuid()),
            name=name,
            vcpus=1,
            ram=MiB(256),
            root_disk=GiB(1),
            ephemeral_disk=GiB(0),
            image_path=self.image,
            image_format=self.image_format,
            ports=(self.port(),),
            config_drive={"openstack/latest/meta_data.json": b'{"uuid": "1", "name": "vm"}'},
        )

    def warm_spec(self, name: str = "vm") -> MachineSpec:
        """A machine that may begin from a checkpoint."""
        spec = self.spec(name)
        card = replace(spec.ports[0], id=PortId("template"), mac="fa:16:3e:00:00:01", fixed_ip="10.0.0.2")
        drive = {"openstack/latest/user_data": b"wait"}
        template = Template(name="1", image=Sha512("ab" * 64), port=card, config_drive=drive)
        return replace(spec, template=template)

    def prepares(self, spec: MachineSpec) -> bool:
        return self.machines.prepare(spec, pause=lambda _seconds: True)

    def woke(self, spec: MachineSpec) -> bool:
        """Whether a machine began from a checkpoint: by what it says of itself."""
        words = (b"again", b"woke")
        return until(lambda: any(word in self.machines.console(spec.id) for word in words), seconds=20)

    def port(self) -> PortSpec:
        self.ports += 1
        number = self.ports + 10
        return PortSpec(
            id=PortId(new_uuid()),
            network_id=NetworkId("6f0a7f3c-0000-4000-8000-000000000001"),
            mac=f"fa:16:3e:00:00:{number:02x}",
            fixed_ip=f"10.0.0.{number}",
            cidr="10.0.0.0/24",
            gateway_ip="10.0.0.1",
        )

    def volume(self, *, bootable: bool = False) -> VolumeSpec:
        volume_id = VolumeId(new_uuid())
        path = self.image.with_name(f"volume-{volume_id}")
        path.write_bytes(self.image.read_bytes() if bootable else b"")
        os.truncate(path, 2**30)
        return VolumeSpec(id=volume_id, path=path, format="raw")

    def boots(self) -> MachineSpec:
        spec = self.spec()
        self.machines.boot(spec)
        return spec

    def state(self, spec: MachineSpec) -> MachineState:
        return self.machines.states().get(spec.id, MachineState.MISSING)


def until(holds: Callable[[], bool], *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        threading.Event().wait(0.02)
    return holds()


def disk_size(qcow2: Path) -> int:
    """The size of the disk that a file holds (qcow2 specification: bytes 24 to 31 of the header)."""
    return int.from_bytes(qcow2.read_bytes()[24:32], "big")


def fake_bench(tmp_path: Path) -> Bench:
    image = tmp_path / "image.raw"
    image.write_bytes(b"\0" * 1024)
    directory = tmp_path / "machines"
    return Bench(
        FakeMachines(directory=directory), image, "raw", again=lambda: FakeMachines(directory=directory)
    )


def qemu_bench(tmp_path: Path) -> Bench:
    image = tmp_path / "image.raw"
    image.write_bytes(boot_sector(waits=True))

    def engine() -> Hypervisor:
        capacity = Capacity(vcpus=2, ram=MiB(1024), disk=GiB(10))
        return QemuMachines(
            directory=tmp_path / "qemu", capacity=capacity, obey_seconds=0.2, unplug_seconds=5
        )

    return Bench(engine(), image, "raw", again=engine)


ADAPTERS = [pytest.param(fake_bench, id="fake"), pytest.param(qemu_bench, id="qemu", marks=pytest.mark.vm)]
