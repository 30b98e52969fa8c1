"""Volumes that people attach to servers that are there, and take away again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from armillary.accounts.model import Principal
from armillary.base.errors import Conflict, Invalid, NotFound
from armillary.base.ids import ServerId, VolumeId, new_uuid
from armillary.cloud.compute.acting import Doing, Ledger
from armillary.cloud.compute.model import BlockDevice, DeviceState, Server, VmState
from armillary.cloud.compute.ports import Volumes
from armillary.cloud.compute.records import check_action, note_action, own
from armillary.cloud.compute.store import BLOCK_DEVICES, block_devices, devices_of
from armillary.cloud.compute.strands import Strands
from armillary.cloud.core.block_devices import next_name


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A volume that is to be attached."""

    volume_id: VolumeId
    device: str | None = None
    tag: str | None = None
    delete_on_termination: bool = False


class Attachments:
    """Each attachment's record is its journal: see `Disks`."""

    def __init__(self, *, ledger: Ledger, volumes: Volumes, strands: Strands) -> None:
        self._ledger = ledger
        self._volumes = volumes
        self._strands = strands

    def list(self, principal: Principal, server_id: str) -> Sequence[BlockDevice]:
        """The volumes of a server, those that it boots from and those that are coming and going included."""
        with self._ledger.engine.execution_options(readonly=True).connect() as connection:
            own(connection, principal, server_id)
            return [d for d in devices_of(connection, server_id) if d.volume_id is not None]

    def get(self, principal: Principal, server_id: str, volume_id: str) -> BlockDevice:
        """One of them.

        Raises:
            NotFound: the server has no such volume.
        """
        for device in self.list(principal, server_id):
            if device.volume_id == volume_id:
                return device
        raise _no_such(server_id, volume_id)

    def attach(self, doing: Doing, wish: Wish) -> BlockDevice:
        """Begin to give a server a volume.

        Raises:
            NotFound: there is no such volume.
            Invalid: it is in use, or its status does not do, in Nova's words.
            Conflict: the server's state does not allow it.
        """
        ledger = self._ledger
        # the record is written first, and the volume taken then: a kill in between leaves a record, which is given up
        with self._strands.holding(doing.server_id):
            with ledger.engine.begin() as connection:
                server = own(connection, doing.principal, doing.server_id)
                check_action(doing.principal, server, "attach_volume")
                self._check_new(connection, server, wish)
                device = BLOCK_DEVICES.add(connection, self._new(connection, server, wish))
                note_action(
                    connection, ledger.clock, doing.principal, server, "attach_volume", doing.request_id
                )
            try:
                self._volumes.reserve(doing.principal, wish.volume_id)
            except (Invalid, NotFound, Conflict) as error:
                ledger.lifecycle.disks.forget(device, error.message)
                raise self._in_nova_s_words(wish.volume_id, error) from error
            ledger.lifecycle.disks.pursue(server.id)
        return device

    def _check_new(self, connection: Connection, server: Server, wish: Wish) -> None:
        if wish.tag and server.vm_state is VmState.SHELVED_OFFLOADED:
            raise Invalid(
                "Tagged volume attachment is not supported for shelved-offloaded instances.",
                code="tag_on_shelved",
            )
        if any(d.volume_id == wish.volume_id for d in devices_of(connection, server.id)):
            raise _attached_to(wish.volume_id, server.id)

    def _in_nova_s_words(
        self, volume_id: VolumeId, error: Invalid | NotFound | Conflict
    ) -> Invalid | NotFound | Conflict:
        if isinstance(error, NotFound):
            return NotFound(f"Volume {volume_id} could not be found.", code="volume_not_found")
        with self._ledger.engine.execution_options(readonly=True).connect() as connection:
            others = BLOCK_DEVICES.find(connection, block_devices.c.volume_id == volume_id)
        return _attached_to(volume_id, others[0].server_id) if others else error

    def _new(self, connection: Connection, server: Server, wish: Wish) -> BlockDevice:
        devices = devices_of(connection, server.id)
        name = next_name(server.flavor, devices, config_drive=server.config_drive, wanted=wish.device)
        return BlockDevice(
            id=new_uuid(), server_id=server.id, source_type="volume", destination_type="volume",
            source_id=wish.volume_id, volume_id=wish.volume_id, size=None, volume_type=None, guest_format=None,
            device_name=name, boot_index=None, delete_on_termination=wish.delete_on_termination, tag=wish.tag,
            attachment_id=new_uuid(), state=DeviceState.ATTACHING, created_at=self._ledger.clock.now(),
        )  # fmt: skip

    def detach(self, doing: Doing, volume_id: str) -> None:
        """Begin to take a volume from a server.

        Raises:
            NotFound: the server has no such volume.
            Invalid: it boots from it, or the volume is being detached already.
            Conflict: the server's state does not allow it.
        """
        ledger = self._ledger
        with self._strands.holding(doing.server_id):
            with ledger.engine.execution_options(readonly=True).connect() as connection:
                server = own(connection, doing.principal, doing.server_id)
                device = self._find(connection, server.id, volume_id)
                check_action(doing.principal, server, "detach_volume")
            if device.boot_index == 0:
                raise Invalid(
                    "Cannot detach a root device volume",
                    code="volume_is_root",
                    remedy="Delete the server; the volume stays unless it was to end with it.",
                )
            if device.state is not DeviceState.ATTACHED or device.volume_id is None:
                raise Invalid(
                    f"Invalid volume: Unable to detach volume. Volume status must be 'in-use' and attach_status must "
                    f"be 'attached' to detach. Currently: status: '{device.state.value}'",
                    code="volume_not_attached",
                )
            # the record first: a kill in between leaves a volume that is detached by the next start
            with ledger.engine.begin() as connection:
                note_action(
                    connection, ledger.clock, doing.principal, server, "detach_volume", doing.request_id
                )
                BLOCK_DEVICES.save(connection, replace(device, state=DeviceState.DETACHING))
            try:
                self._volumes.begin_detach(device.volume_id)
            except (Invalid, Conflict, NotFound) as error:
                ledger.lifecycle.disks.keep(device, error.message)
                raise
            ledger.lifecycle.disks.pursue(server.id)

    def update(self, doing: Doing, volume_id: str, changes: Mapping[str, Any]) -> None:
        """Change whether a volume ends with its server.

        Raises:
            NotFound: the server has no such volume.
        """
        with self._ledger.engine.begin() as connection:
            server = own(connection, doing.principal, doing.server_id)
            device = self._find(connection, server.id, volume_id)
            BLOCK_DEVICES.save(connection, replace(device, **changes))

    def check_swap(self, doing: Doing, volume_id: str, new_volume_id: str) -> None:
        """Refuse to put another volume in one's place.

        The bytes would have to be copied while the guest writes them, which our engines do not do.

        Raises:
            NotFound, Conflict: as for every action.
            Invalid: always, otherwise.
        """
        with self._ledger.engine.execution_options(readonly=True).connect() as connection:
            server = own(connection, doing.principal, doing.server_id)
            check_action(doing.principal, server, "swap_volume")
            self._find(connection, server.id, volume_id)
        raise Invalid(
            f"Volume {volume_id} cannot be swapped for {new_volume_id}: this cloud does not copy volumes in use.",
            code="swap_unsupported",
            remedy="Attach the new volume, copy inside the guest, and detach the old one.",
        )

    def _find(self, connection: Connection, server_id: ServerId, volume_id: str) -> BlockDevice:
        found = BLOCK_DEVICES.find(
            connection, block_devices.c.server_id == server_id, block_devices.c.volume_id == volume_id
        )
        if not found:
            raise _no_such(server_id, volume_id)
        return found[0]


def _attached_to(volume_id: VolumeId, server_id: ServerId) -> Invalid:
    return Invalid(
        f"Invalid volume: volume {volume_id} is already attached to instances: {server_id}",
        code="volume_attached",
    )


def _no_such(server_id: str, volume_id: str) -> NotFound:
    return NotFound(
        f"Instance {server_id} is not attached to volume {volume_id}", code="volume_attachment_not_found"
    )
