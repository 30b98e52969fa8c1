"""Machines that are one small file each."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from armillary.base.ids import ServerId
from armillary.base.units import GiB, MiB
from armillary.cloud.engines.fake.empty_disk import empty_qcow2
from armillary.cloud.model import Capacity, MachineSpec, MachineState
from armillary.cloud.ports import BootFailed

DEFAULT_CAPACITY = Capacity(vcpus=64, ram=MiB(131072), disk=GiB(2000))


class FakeMachines:
    """Keeps the promises of `Machines` without running anything.

    A machine named `fail-boot…` does not boot. Tests also let the next boot or snapshot fail, crash a machine, or
    hold boots and snapshots back to look at what happens meanwhile.
    """

    def __init__(self, *, directory: Path, capacity: Capacity = DEFAULT_CAPACITY) -> None:
        self._directory = directory
        self._capacity = capacity
        self._lock = threading.Lock()
        self._open = threading.Event()
        self._open.set()
        self._boot_failure: str | None = None
        self._snapshot_failure: str | None = None
        directory.mkdir(parents=True, exist_ok=True)

    # what tests turn

    def fail_next_boot(self, message: str = "the fake engine was told to fail") -> None:
        """Let the next `boot` raise BootFailed with this message."""
        self._boot_failure = message

    def fail_next_snapshot(self, message: str = "the fake engine was told to fail") -> None:
        """Let the next `snapshot` raise BootFailed with this message."""
        self._snapshot_failure = message

    @contextlib.contextmanager
    def held(self) -> Generator[None]:
        """Hold every boot and snapshot back until the block ends."""
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()

    def crash(self, server_id: ServerId) -> None:
        """End a machine as a crash of its process would."""
        self._change(server_id, state=MachineState.STOPPED.value)

    def spec_of(self, server_id: ServerId) -> Mapping[str, Any]:
        """What a machine was last booted with: vcpus, ram, disks, image, ports, config drive (as text)."""
        return self._read(server_id)["spec"]

    # the promise

    def capacity(self) -> Capacity:
        return self._capacity

    def boot(self, spec: MachineSpec) -> None:
        self._open.wait()
        failure, self._boot_failure = self._boot_failure, None
        if failure is None and spec.name.startswith("fail-boot"):
            failure = "the machine's name asks the fake engine to fail"
        if failure is None and not spec.image_path.is_file():
            failure = f"the image file {spec.image_path.name} is not there"
        if failure is not None:
            raise BootFailed(failure)
        with self._lock:
            known = self._path(spec.id).exists()
            record: dict[str, Any] = self._read(spec.id) if known else {"console": "", "boots": 0}
            if record.get("state") == MachineState.RUNNING.value:
                return
            record["state"] = MachineState.RUNNING.value
            record["boots"] += 1
            record["console"] += f"fake boot {record['boots']} of {spec.name}\nlogin: "
            record["spec"] = {
                "name": spec.name,
                "vcpus": spec.vcpus,
                "ram": spec.ram,
                "root_disk": spec.root_disk,
                "ephemeral_disk": spec.ephemeral_disk,
                "image": spec.image_path.name,
                "image_format": spec.image_format,
                "ports": [vars(port) for port in spec.ports],
                "config_drive": {
                    path: data.decode(errors="replace") for path, data in spec.config_drive.items()
                },
            }
            self._write(spec.id, record)

    def stop(self, server_id: ServerId, *, hard: bool = False) -> None:
        self._change(server_id, state=MachineState.STOPPED.value)

    def reboot(self, server_id: ServerId, *, hard: bool = False) -> None:
        with self._lock:
            record = self._read(server_id) if self._path(server_id).exists() else {}
            if record.get("state") != MachineState.RUNNING.value:
                raise BootFailed("the machine does not run")
            record["console"] += f"\nfake {'reset' if hard else 'reboot'}\nlogin: "
            self._write(server_id, record)

    def destroy(self, server_id: ServerId) -> None:
        with self._lock:
            self._path(server_id).unlink(missing_ok=True)

    def states(self) -> Mapping[ServerId, MachineState]:
        with self._lock:
            ids = [ServerId(path.stem) for path in self._directory.glob("*.json")]
            return {server_id: MachineState(self._read(server_id)["state"]) for server_id in ids}

    def console(self, server_id: ServerId, *, last_bytes: int = 65536) -> bytes:
        with self._lock:
            if not self._path(server_id).exists():
                return b""
            return self._read(server_id)["console"].encode()[-last_bytes:]

    def snapshot(self, server_id: ServerId, target: Path) -> None:
        self._open.wait()
        failure, self._snapshot_failure = self._snapshot_failure, None
        if failure is None and not self._path(server_id).exists():
            failure = "the machine is unknown"
        if failure is not None:
            raise BootFailed(failure)
        record = self._read(server_id)
        target.write_bytes(
            empty_qcow2(max(1, record["spec"]["root_disk"]), label=f"{server_id} {record['boots']}")
        )

    def _path(self, server_id: ServerId) -> Path:
        return self._directory / f"{server_id}.json"

    def _read(self, server_id: ServerId) -> dict[str, Any]:
        return json.loads(self._path(server_id).read_text())

    def _write(self, server_id: ServerId, record: Mapping[str, Any]) -> None:
        draft = self._path(server_id).with_suffix(".new")
        draft.write_text(json.dumps(record))
        draft.replace(self._path(server_id))

    def _change(self, server_id: ServerId, **changes: Any) -> None:
        with self._lock:
            if self._path(server_id).exists():
                self._write(server_id, {**self._read(server_id), **changes})
