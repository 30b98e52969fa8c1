"""Machines that are one small file each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from armillary.base.ids import ServerId
from armillary.base.units import GiB, MiB
from armillary.cloud.engines.fake.checkpoints import FakeCheckpoints
from armillary.cloud.engines.fake.devices import FakeDevices, port_record, volume_record
from armillary.cloud.engines.fake.empty_disk import empty_qcow2
from armillary.cloud.engines.fake.measuring import FakeMeasuring
from armillary.cloud.engines.fake.roots import FakeRoots
from armillary.cloud.engines.fake.sleep import FakeSleep
from armillary.cloud.model import Capacity, MachineSpec, MachineState
from armillary.cloud.ports import BootFailed

DEFAULT_CAPACITY = Capacity(vcpus=64, ram=MiB(131072), disk=GiB(2000))


class FakeMachines(FakeSleep, FakeDevices, FakeRoots, FakeCheckpoints, FakeMeasuring):
    """Keeps the promises of `Hypervisor` without running anything.

    A machine named `fail-boot…` does not boot. Tests also let the next call of any name fail (`fail_next`), crash a
    machine, or hold calls back to look at what happens meanwhile (`held`).
    """

    def __init__(
        self, *, directory: Path, capacity: Capacity = DEFAULT_CAPACITY, most_checkpoints: int = 4
    ) -> None:
        super().__init__(directory=directory)
        self._capacity = capacity
        self._most_checkpoints = most_checkpoints

    def capacity(self) -> Capacity:
        return self._capacity

    def boot(self, spec: MachineSpec) -> None:
        self._meet("boot")
        if spec.name.startswith("fail-boot"):
            raise BootFailed("the machine's name asks the fake engine to fail")
        with self._lock:
            fresh: dict[str, Any] = {"console": "", "boots": 0, "root": None, "roots": 0, "kept": None}
            known = self._known(spec.id)
            record = self._read(spec.id) if known else fresh
            state = record.get("state")
            record["state"] = MachineState.RUNNING.value
            if state not in (MachineState.RUNNING.value, MachineState.PAUSED.value):
                self._start(spec, record)
                if not known and (key := self._begins_warm(spec)):
                    record["console"] = f"fake template {key} woke as {spec.name}\nlogin: "
            self._write(spec.id, record)

    def stop(self, server_id: ServerId, *, hard: bool = False) -> None:
        self._meet("stop")
        self._change(server_id, state=MachineState.STOPPED.value)

    def reboot(self, server_id: ServerId, *, hard: bool = False) -> None:
        self._meet("reboot")
        with self._lock:
            if not self._lives(server_id):
                raise BootFailed("the machine does not run")
            record = self._read(server_id)
            record["state"] = MachineState.RUNNING.value
            record["console"] += f"\nfake {'reset' if hard else 'reboot'}\nlogin: "
            self._write(server_id, record)

    def destroy(self, server_id: ServerId) -> None:
        self._meet("destroy")
        with self._lock:
            self._path(server_id).unlink(missing_ok=True)

    def states(self) -> Mapping[ServerId, MachineState]:
        with self._lock:
            ids = [ServerId(path.stem) for path in self._directory.glob("*.json")]
            return {server_id: self._state(server_id) for server_id in ids}

    def console(self, server_id: ServerId, *, last_bytes: int = 65536) -> bytes:
        with self._lock:
            if not self._known(server_id):
                return b""
            return self._read(server_id)["console"].encode()[-last_bytes:]

    def snapshot(self, server_id: ServerId, target: Path) -> None:
        self._meet("snapshot")
        with self._lock:
            if not self._known(server_id):
                raise BootFailed("the machine is unknown")
            record = self._read(server_id)
        if record["root"] is None:
            raise BootFailed("the machine has no root disk of its own")
        label = f"{server_id} {record['root']['number']} {record['boots']}"
        target.write_bytes(empty_qcow2(max(1, record["root"]["size"]), label=label))

    def _start(self, spec: MachineSpec, record: dict[str, Any]) -> None:
        """Do what a start does to a machine's record: disks that are missing are made, others grow."""
        for needed in (spec.image_path, spec.rescue.image_path if spec.rescue else None):
            if needed is not None and not needed.is_file():
                raise BootFailed(f"the image file {needed.name} is not there")
        for volume in spec.volumes:
            if not volume.path.is_file():
                raise BootFailed(f"the volume's file {volume.path.name} is not there")
        if spec.image_path is not None:
            if record["root"] is None:
                record["roots"] += 1
                record["root"] = {"number": record["roots"], "size": spec.root_disk}
            size = max(record["root"]["size"], spec.root_disk)
            record["root"] = {**record["root"], "size": size}
        record["boots"] += 1
        record["console"] += f"fake boot {record['boots']} of {spec.name}\nlogin: "
        record["spec"] = _spec_record(spec)


def _spec_record(spec: MachineSpec) -> dict[str, Any]:
    rescue = spec.rescue
    return {
        "name": spec.name,
        "vcpus": spec.vcpus,
        "ram": spec.ram,
        "root_disk": spec.root_disk,
        "ephemeral_disk": spec.ephemeral_disk,
        "swap_disk": spec.swap_disk,
        "image": spec.image_path.name if spec.image_path else None,
        "image_format": spec.image_format,
        "ports": [port_record(port) for port in spec.ports],
        "volumes": [volume_record(volume) for volume in spec.volumes],
        "rescue": {"image": rescue.image_path.name, "image_format": rescue.image_format} if rescue else None,
        "config_drive": {path: data.decode(errors="replace") for path, data in spec.config_drive.items()},
    }
