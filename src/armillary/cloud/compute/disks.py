"""The volumes of a server in the background: made, taken, plugged, pulled and let go.

A disk's own state is the journal of what is being done to it (see `DeviceState`).
"""

from __future__ import annotations

import logging
from dataclasses import replace

from sqlalchemy import Connection

from armillary.accounts.model import Principal
from armillary.base.errors import ArmillaryError
from armillary.base.ids import ImageId, ServerId, VolumeId
from armillary.base.units import GiB
from armillary.cloud.compute.model import BlockDevice, DeviceState, Server, TaskState
from armillary.cloud.compute.records import alive, finish_actions
from armillary.cloud.compute.store import BLOCK_DEVICES, block_devices, devices_of
from armillary.cloud.compute.work import Workbench, foreign_code, words
from armillary.cloud.ports import BootFailed

log = logging.getLogger(__name__)

_LOOK_EVERY = 0.05
_LOOKS = 12_000
"""Ten minutes: a volume that is made from an image is copied."""
_BEING_MADE = frozenset({"creating", "downloading"})
_TAKEN = frozenset({"reserved", "attaching", "in-use"})


class Disks:
    """Keeps the promises that the records of block devices stand for."""

    def __init__(self, *, bench: Workbench) -> None:
        self._bench = bench

    # for a server that is being built

    def prepare(self, server: Server) -> bool:
        """Make the volumes that a new server asked for, and take them; False if the platform or the server ends meanwhile.

        Raises:
            ArmillaryError: one could not be made, or is not there for the taking.
        """
        with self._bench.reading() as connection:
            wanted = wanted_volumes(connection, server.id)
        for device in wanted:
            volume_id = device.volume_id or self._make(server, device)
            status = self._wait(server, volume_id)
            if status is None:
                return False
            if status == "available":
                # one that was made for it, or whose reservation a kill came before
                self._bench.volumes.reserve(self._owner(server), volume_id)
            elif status not in _TAKEN or self._is_another_s(replace(device, volume_id=volume_id)):
                raise BootFailed(f"Volume {volume_id} cannot be attached: its status is {status}.")
            size = self._bench.volumes.disk(volume_id).size
            self._bench.save_device(replace(device, volume_id=volume_id, size=size))
        return True

    def _wait(self, server: Server, volume_id: VolumeId) -> str | None:
        """The status of a volume once it is made; None if nobody waits for it any more."""
        for _ in range(_LOOKS):
            status = self._bench.volumes.status(volume_id)
            if status not in _BEING_MADE:
                return status
            waiting = self._bench.task(server.id, TaskState.BLOCK_DEVICE_MAPPING)
            if waiting is None or not self._bench.strands.pause(_LOOK_EVERY):
                return None
        raise BootFailed(f"Volume {volume_id} did not finish being created.")

    def _owner(self, server: Server) -> Principal:
        return self._bench.projects.principal(server.user_id, server.project_id)

    def _make(self, server: Server, device: BlockDevice) -> VolumeId:
        source = device.source_id or ""
        volume_id = self._bench.volumes.make(
            self._owner(server),
            name="",
            size=GiB(device.size or 0),
            image_id=ImageId(source) if device.source_type == "image" else None,
            snapshot_id=source if device.source_type == "snapshot" else None,
            volume_type=device.volume_type,
        )
        self._bench.save_device(replace(device, volume_id=volume_id))
        return volume_id

    def finish(self, server: Server) -> None:
        """Record that a machine has come to have its volumes."""
        for device in self._bench.devices(server.id):
            if device.state is DeviceState.WANTED:
                self._attached(server.id, device)

    # for a server that is there

    def pursue(self, server_id: ServerId) -> None:
        """Queue what disks and volumes are promised and not done."""
        for device in self._bench.devices(server_id):
            if device.state is DeviceState.ATTACHING:
                self._bench.strands.submit(server_id, lambda device=device: self._attach(device.id))
            elif device.state is DeviceState.DETACHING:
                self._bench.strands.submit(
                    server_id, lambda device=device: self._detach(device.id), slow=True
                )

    def _read(self, device_id: str, state: DeviceState) -> tuple[Server, BlockDevice] | None:
        with self._bench.reading() as connection:
            device = BLOCK_DEVICES.get(connection, device_id)
            if device is None or device.state is not state:
                return None
            server = alive(connection, device.server_id)
            return (server, device) if server is not None else None

    def _attach(self, device_id: str) -> None:
        found = self._read(device_id, DeviceState.ATTACHING)
        if found is None:
            return
        server, device = found
        assert device.volume_id is not None, "only volumes are attached"
        status, error = self._bench.volumes.status(device.volume_id), None
        if status not in _TAKEN or self._is_another_s(device):
            # a kill came between the record and the reservation: the request was never answered
            self.forget(device, f"volume {device.volume_id} was not reserved")
            return
        try:
            with foreign_code():
                self._bench.machines.plug_volume(server.id, self._bench.volume_spec(device))
        except (ArmillaryError, OSError) as caught:
            error = words(caught)
            log.warning(
                "volume %s could not be attached to server %s: %s", device.volume_id, server.id, error
            )
            self._bench.volumes.detached(device.volume_id)
            self.forget(device, error)
            return
        self._attached(server.id, device)
        self._finish_actions(server.id, None)

    def _is_another_s(self, device: BlockDevice) -> bool:
        with self._bench.reading() as connection:
            same = BLOCK_DEVICES.find(connection, block_devices.c.volume_id == device.volume_id)
        return any(other.id != device.id for other in same)

    def _detach(self, device_id: str) -> None:
        found = self._read(device_id, DeviceState.DETACHING)
        if found is None:
            return
        server, device = found
        assert device.volume_id is not None, "only volumes are detached"
        try:
            with foreign_code():
                self._bench.machines.unplug_volume(server.id, device.volume_id)
        except (ArmillaryError, OSError) as caught:
            error = words(caught)
            log.warning(
                "volume %s could not be detached from server %s: %s", device.volume_id, server.id, error
            )
            self._bench.volumes.keep_attached(device.volume_id)
            self.keep(device, error)
            return
        self._bench.volumes.detached(device.volume_id)
        self.forget(device, None)

    def _attached(self, server_id: ServerId, device: BlockDevice) -> None:
        if device.volume_id is not None:
            self._bench.volumes.attached(
                device.volume_id,
                server_id=server_id,
                device=device.device_name,
                attachment_id=device.attachment_id,
            )
        self._bench.save_device(replace(device, state=DeviceState.ATTACHED))

    def keep(self, device: BlockDevice, error: str) -> None:
        """Record that a volume could not be detached."""
        self._bench.save_device(replace(device, state=DeviceState.ATTACHED))
        self._finish_actions(device.server_id, error)

    def forget(self, device: BlockDevice, error: str | None) -> None:
        """Record that a server does not have a volume any more, or has not come to have it."""
        with self._bench.engine.begin() as connection:
            BLOCK_DEVICES.remove(connection, block_devices.c.id == device.id)
            finish_actions(connection, self._bench.clock, device.server_id, error)

    def _finish_actions(self, server_id: ServerId, error: str | None) -> None:
        with self._bench.engine.begin() as connection:
            finish_actions(connection, self._bench.clock, server_id, error)

    # for a server that ends

    def release(self, server_id: ServerId) -> None:
        """Let a server's volumes go; those that were to end with it are deleted. Safe to repeat."""
        for device in self._bench.devices(server_id):
            if device.volume_id is not None and not self._is_another_s(device):
                self._bench.volumes.detached(device.volume_id)
                if device.delete_on_termination:
                    self._bench.volumes.discard(device.volume_id)
        with self._bench.engine.begin() as connection:
            BLOCK_DEVICES.remove(connection, block_devices.c.server_id == server_id)


def wanted_volumes(connection: Connection, server_id: ServerId) -> list[BlockDevice]:
    """The volumes that a new server still has to get."""
    devices = devices_of(connection, server_id)
    return [d for d in devices if d.state is DeviceState.WANTED and d.destination_type == "volume"]
