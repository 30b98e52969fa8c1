"""Cards and disks that are plugged into fake machines: entries in their records."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from armillary.base.ids import PortId, ServerId, VolumeId
from armillary.base.units import GiB
from armillary.cloud.engines.copying import copy_sparse
from armillary.cloud.engines.fake.consoles import FakeConsoles
from armillary.cloud.engines.fake.shelf import Shelf
from armillary.cloud.model import ConsoleSockets, MachineState, PortSpec, VolumeSpec
from armillary.cloud.ports import BootFailed


class FakeDevices(Shelf):
    """The `Devices` port."""

    _consoles: FakeConsoles | None = None
    """Made when somebody first looks at one."""

    def plug_port(self, server_id: ServerId, port: PortSpec) -> None:
        self._meet("plug_port")
        self._plug(server_id, "ports", port_record(port))

    def unplug_port(self, server_id: ServerId, port_id: PortId) -> None:
        self._meet("unplug_port")
        self._pull(server_id, "ports", port_id)

    def plug_volume(self, server_id: ServerId, volume: VolumeSpec) -> None:
        self._meet("plug_volume")
        if not volume.path.is_file() and self._lives(server_id):
            raise BootFailed(f"the volume's file {volume.path.name} is not there")
        self._plug(server_id, "volumes", volume_record(volume))

    def unplug_volume(self, server_id: ServerId, volume_id: VolumeId) -> None:
        self._meet("unplug_volume")
        self._pull(server_id, "volumes", volume_id)

    def grow_volume(self, server_id: ServerId, volume_id: VolumeId, size: GiB) -> bool:
        self._meet("grow_volume")
        with self._lock:
            held = self._volume(server_id, volume_id)
            if held is None:
                return False
            path = Path(held["path"])
            os.truncate(path, max(path.stat().st_size, size << 30))
            return True

    def copy_volume(self, server_id: ServerId, volume_id: VolumeId, target: Path) -> bool:
        self._meet("copy_volume")
        with self._lock:
            held = self._volume(server_id, volume_id)
            if held is None:
                return False
            copy_sparse(Path(held["path"]), target)
            return True

    def consoles(self, server_id: ServerId) -> ConsoleSockets:
        if not self._lives(server_id):
            return ConsoleSockets(serial=None, display=None)
        if self._consoles is None:
            self._consoles = FakeConsoles(lives=self._lives)
        return self._consoles.sockets(server_id)

    def _volume(self, server_id: ServerId, volume_id: VolumeId) -> dict[str, Any] | None:
        if not self._lives(server_id):
            return None
        volumes = self._read(server_id)["spec"]["volumes"]
        return next((each for each in volumes if each["id"] == volume_id), None)

    def _takes(self, server_id: ServerId) -> bool:
        if self._state(server_id) is MachineState.SUSPENDED:
            raise BootFailed("the machine is suspended", code="wrong_state")
        return self._lives(server_id)

    def _plug(self, server_id: ServerId, kind: str, device: Mapping[str, Any]) -> None:
        with self._lock:
            if self._takes(server_id):
                record = self._read(server_id)
                others = [each for each in record["spec"][kind] if each["id"] != device["id"]]
                record["spec"][kind] = [*others, device]
                self._write(server_id, record)

    def _pull(self, server_id: ServerId, kind: str, device_id: str) -> None:
        with self._lock:
            if self._takes(server_id):
                record = self._read(server_id)
                record["spec"][kind] = [each for each in record["spec"][kind] if each["id"] != device_id]
                self._write(server_id, record)


def port_record(port: PortSpec) -> dict[str, Any]:
    """A card as the fake machine's record has it."""
    return vars(port).copy()


def volume_record(volume: VolumeSpec) -> dict[str, Any]:
    """A disk as the fake machine's record has it."""
    return {**vars(volume), "path": str(volume.path)}
