"""Volumes as compute uses them: given to servers, and taken back."""

from __future__ import annotations

import logging

from sqlalchemy import Engine

from armillary.accounts.model import Principal
from armillary.base.clock import Clock
from armillary.base.errors import Invalid, NotFound
from armillary.base.ids import ImageId, ServerId, VolumeId, new_uuid
from armillary.base.units import GiB
from armillary.cloud.model import VolumeDisk
from armillary.cloud.volumes.creation import NewVolume, VolumeCreation
from armillary.cloud.volumes.deletion import begin_deleting
from armillary.cloud.volumes.lifecycle import VolumeWork
from armillary.cloud.volumes.model import Attachment, Volume, VolumeStatus
from armillary.cloud.volumes.names import volume_name
from armillary.cloud.volumes.ports import VolumeDisks
from armillary.cloud.volumes.records import refuse, save, volume_seen
from armillary.cloud.volumes.snapshots import Snapshots
from armillary.cloud.volumes.store import ATTACHMENTS, VOLUMES, attachments

log = logging.getLogger(__name__)

_BUSY_WITH_SERVER = (
    VolumeStatus.RESERVED,
    VolumeStatus.ATTACHING,
    VolumeStatus.IN_USE,
    VolumeStatus.DETACHING,
)


class ServerVolumes:
    """Keeps the promises of `armillary.cloud.compute.ports.Volumes`."""

    def __init__(
        self,
        *,
        engine: Engine,
        clock: Clock,
        disks: VolumeDisks,
        creation: VolumeCreation,
        work: VolumeWork,
        snapshots: Snapshots,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._disks = disks
        self._creation = creation
        self._work = work
        self._snapshots = snapshots

    def disk(self, volume_id: VolumeId) -> VolumeDisk:
        """A volume's bytes, whoever asks; NotFound if there is none."""
        volume = self._get(volume_id)
        if volume is None:
            raise NotFound(f"Volume {volume_id} could not be found.", code="volume_not_found")
        return self._disk(volume)

    def _disk(self, volume: Volume) -> VolumeDisk:
        return VolumeDisk(
            id=volume.id,
            path=self._disks.path(volume_name(volume.id)),
            format=self._disks.format,
            size=volume.size,
            bootable=volume.bootable,
            image_metadata=dict(volume.image_metadata),
            readonly=bool(volume.readonly),
        )

    def status(self, volume_id: VolumeId) -> str:
        """Cinder's status of a volume; `deleted` if there is none."""
        volume = self._get(volume_id)
        return volume.status.value if volume is not None else "deleted"

    def _get(self, volume_id: VolumeId) -> Volume | None:
        with self._engine.execution_options(readonly=True).connect() as connection:
            return VOLUMES.get(connection, volume_id)

    def reserve(self, principal: Principal, volume_id: VolumeId) -> VolumeDisk:
        """Take an available volume that the principal may use.

        Raises:
            NotFound: there is none that the principal sees.
            Invalid: its status is another one.
        """
        with self._engine.begin() as connection:
            volume = volume_seen(connection, principal, volume_id)
            if volume.status is not VolumeStatus.AVAILABLE:
                raise refuse(
                    f"Volume {volume_id} status must be available or downloading to reserve, but the current "
                    f"status is {volume.status}."
                )
            return self._disk(save(connection, self._clock, volume, status=VolumeStatus.RESERVED))

    def attached(self, volume_id: VolumeId, *, server_id: ServerId, device: str, attachment_id: str) -> None:
        """Record that a server has it: it is `in-use`."""
        now = self._clock.now()
        with self._engine.begin() as connection:
            volume = VOLUMES.get(connection, volume_id)
            if volume is None:
                return
            ATTACHMENTS.remove(connection, attachments.c.volume_id == volume_id)
            attachment = Attachment(
                id=attachment_id or new_uuid(),
                volume_id=volume_id,
                project_id=volume.project_id,
                server_id=server_id,
                host_name=None,
                device=device,
                mode="ro" if volume.readonly else "rw",
                status="attached",
                created_at=now,
                attached_at=now,
                by_compute=True,
            )
            ATTACHMENTS.add(connection, attachment)
            if volume.status in (VolumeStatus.RESERVED, VolumeStatus.ATTACHING, VolumeStatus.AVAILABLE):
                save(connection, self._clock, volume, status=VolumeStatus.IN_USE)

    def begin_detach(self, volume_id: VolumeId) -> None:
        """`in-use` becomes `detaching`; Invalid if it is neither."""
        with self._engine.begin() as connection:
            volume = VOLUMES.get(connection, volume_id)
            if volume is None or volume.status not in (VolumeStatus.IN_USE, VolumeStatus.DETACHING):
                raise refuse(
                    "Unable to detach volume. Volume status must be 'in-use' and attach_status must be 'attached' "
                    "to detach."
                )
            save(connection, self._clock, volume, status=VolumeStatus.DETACHING)

    def keep_attached(self, volume_id: VolumeId) -> None:
        """A detaching failed: `in-use` again."""
        with self._engine.begin() as connection:
            volume = VOLUMES.get(connection, volume_id)
            if volume is not None and volume.status is VolumeStatus.DETACHING:
                save(connection, self._clock, volume, status=VolumeStatus.IN_USE)

    def detached(self, volume_id: VolumeId) -> None:
        """No server has it any more: `available`, unless it is busy with something else, which then leads there."""
        with self._engine.begin() as connection:
            ATTACHMENTS.remove(connection, attachments.c.volume_id == volume_id)
            volume = VOLUMES.get(connection, volume_id)
            if volume is None:
                return
            if volume.status in _BUSY_WITH_SERVER:
                save(connection, self._clock, volume, status=VolumeStatus.AVAILABLE)
            elif volume.previous_status is VolumeStatus.IN_USE:
                save(connection, self._clock, volume, previous_status=VolumeStatus.AVAILABLE)

    def make(
        self,
        principal: Principal,
        *,
        name: str,
        size: GiB,
        image_id: ImageId | None = None,
        snapshot_id: str | None = None,
        volume_type: str | None = None,
    ) -> VolumeId:
        """Begin to make a volume for a server that boots from it.

        Raises:
            OverLimit: over quota.
            Invalid, NotFound: the source does not do.
        """
        wanted = NewVolume(
            name=name, size=size or None, image_id=image_id, snapshot_id=snapshot_id, volume_type=volume_type
        )
        with self._engine.begin() as connection:
            volume = self._creation.register(connection, principal, wanted)
        self._work.pursue(volume)
        return volume.id

    def discard(self, volume_id: VolumeId) -> None:
        """Delete a volume that was to end with its server; one with snapshots stays, as in Cinder."""
        self.detached(volume_id)
        try:
            with self._engine.begin() as connection:
                volume = VOLUMES.get(connection, volume_id)
                if volume is None or volume.status is VolumeStatus.DELETING:
                    return
                # a volume that is still being made has no way back to `available` for anybody to wait for
                making = volume.status in (VolumeStatus.CREATING, VolumeStatus.DOWNLOADING)
                volume = begin_deleting(connection, self._clock, volume, cascade=False, force=making)
        except Invalid as error:
            log.warning("volume %s outlives its server: %s", volume_id, error.message)
            return
        self._work.pursue(volume)

    def snapshot(self, principal: Principal, volume_id: VolumeId, *, name: str) -> str:
        """Begin a snapshot of a volume, attached or not, and return its id."""
        return self._snapshots.create(principal, volume_id, name=name, force=True).id
