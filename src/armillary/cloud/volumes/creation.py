"""Checks what a new volume is asked to be, and registers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection

from armillary.accounts.model import Principal
from armillary.base.clock import Clock
from armillary.base.errors import ArmillaryError, Invalid, NotFound
from armillary.base.ids import VolumeId, new_uuid
from armillary.base.units import GiB, gib_up
from armillary.cloud.access import project_of
from armillary.cloud.core.config_drive import AVAILABILITY_ZONE
from armillary.cloud.volumes.model import (
    BackupStatus,
    SnapshotStatus,
    Source,
    Volume,
    VolumeStatus,
)
from armillary.cloud.volumes.ports import Images, SourceImage
from armillary.cloud.volumes.quotas import VolumeQuotas
from armillary.cloud.volumes.records import (
    backup_seen,
    bad_input,
    refuse,
    snapshot_seen,
    volume_seen,
)
from armillary.cloud.volumes.store import VOLUMES
from armillary.cloud.volumes.types import Types

_CLONEABLE = (VolumeStatus.AVAILABLE, VolumeStatus.IN_USE)


@dataclass(frozen=True, kw_only=True)
class NewVolume:
    """What somebody wants."""

    name: str | None = None
    description: str | None = None
    size: int | None = None
    image_id: str | None = None
    snapshot_id: str | None = None
    source_volid: str | None = None
    backup_id: str | None = None
    volume_type: str | None = None
    availability_zone: str | None = None
    group_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True)
class _Origin:
    """Where a volume's first bytes come from, and what it takes over with them."""

    source: Source = field(default_factory=Source)
    size: int = 0
    words: str = ""
    type_id: str | None = None
    bootable: bool = False
    image_metadata: Mapping[str, str] = field(default_factory=dict[str, str])


class VolumeCreation:
    """Registers new volumes."""

    def __init__(self, *, clock: Clock, images: Images, quotas: VolumeQuotas, types: Types) -> None:
        self._clock = clock
        self._images = images
        self._quotas = quotas
        self._types = types

    def register(self, connection: Connection, principal: Principal, wanted: NewVolume) -> Volume:
        """Write the record of a volume that is being created.

        Raises:
            Invalid, NotFound, OverLimit: in Cinder's words.
        """
        project = project_of(principal)
        asked_type = wanted.volume_type
        kind = self._types.named(connection, principal, asked_type) if asked_type else None
        origin = self._origin(connection, principal, wanted)
        size = wanted.size or origin.size
        if size <= 0:
            raise bad_input(f"Volume size '{wanted.size}' must be an integer and greater than 0")
        if size < origin.size:
            raise bad_input(origin.words.format(size=size, origin=origin.size))
        image = self.image(principal, wanted.image_id, size) if wanted.image_id is not None else None
        if wanted.availability_zone not in (None, AVAILABILITY_ZONE):
            raise Invalid(
                f"Availability zone '{wanted.availability_zone}' is invalid.", code="bad_availability_zone"
            )
        if kind is None:
            kind = self._types.default(connection, project.id, inherited=origin.type_id)
        self._quotas.check_size(connection, project.id, size)
        self._quotas.charge_volume(connection, project.id, size=size, type_name=kind.name)
        now = self._clock.now()
        volume = Volume(
            id=VolumeId(new_uuid()),
            project_id=project.id,
            user_id=principal.person.id,
            name=wanted.name,
            description=wanted.description,
            size=GiB(size),
            status=VolumeStatus.CREATING,
            volume_type_id=kind.id,
            availability_zone=AVAILABILITY_ZONE,
            created_at=now,
            updated_at=None,
            group_id=wanted.group_id,
            metadata=dict(wanted.metadata),
            source=of_image(image) if image else origin.source,
            bootable=image is not None or origin.bootable,
            image_metadata=described(image) if image else origin.image_metadata,
        )
        return VOLUMES.add(connection, volume)

    def _origin(self, connection: Connection, principal: Principal, wanted: NewVolume) -> _Origin:
        if wanted.snapshot_id is not None:
            return self._of_snapshot(connection, principal, wanted.snapshot_id)
        if wanted.source_volid is not None:
            origin = volume_seen(connection, principal, wanted.source_volid)
            if origin.status not in _CLONEABLE:
                raise refuse("Originating source volume status must be one of 'available, in-use' values")
            return _like(origin, Source(volume_id=origin.id), origin.size, _SMALLER_THAN_VOLUME)
        if wanted.backup_id is not None:
            backup = backup_seen(connection, principal, wanted.backup_id)
            if backup.status is not BackupStatus.AVAILABLE:
                raise refuse("Originating backup status must be one of 'available' values", kind="backup")
            return _Origin(
                source=Source(backup_id=backup.id),
                size=backup.size,
                words=_SMALLER_THAN_BACKUP,
                bootable=backup.bootable,
                image_metadata=backup.image_metadata,
            )
        return _Origin()

    def _of_snapshot(self, connection: Connection, principal: Principal, snapshot_id: str) -> _Origin:
        snapshot = snapshot_seen(connection, principal, snapshot_id)
        if snapshot.status is not SnapshotStatus.AVAILABLE:
            raise refuse("Originating snapshot status must be one of 'available' values", kind="snapshot")
        source = Source(snapshot_id=snapshot.id)
        origin = VOLUMES.get(connection, snapshot.volume_id)
        if origin is None:
            return _Origin(source=source, size=snapshot.size, words=_SMALLER_THAN_SNAPSHOT)
        return _like(origin, source, snapshot.size, _SMALLER_THAN_SNAPSHOT)

    def image(self, principal: Principal, image_id: str, size: int) -> SourceImage:
        """An image that a volume of this size may be made from; Invalid otherwise."""
        try:
            image = self._images.resolve_bootable(principal, image_id)
        except NotFound as error:
            raise Invalid(
                "Invalid image identifier or unable to access requested image.", code="bad_image"
            ) from error
        except ArmillaryError as error:
            raise bad_input(error.message) from error
        needed = gib_up(image.virtual_size or image.size or 0)
        if needed > size:
            raise bad_input(f"Size of specified image {needed}GB is larger than volume size {size}GB.")
        if image.min_disk > size:
            raise bad_input(
                f"Volume size {size}GB cannot be smaller than the image minDisk size {image.min_disk}GB."
            )
        return image


_SMALLER_THAN_SNAPSHOT = (
    "Volume size '{size}'GB cannot be smaller than the snapshot size {origin}GB. "
    "They must be >= original snapshot size."
)
_SMALLER_THAN_VOLUME = (
    "Volume size '{size}'GB cannot be smaller than original volume size  {origin}GB. "
    "They must be >= original volume size."
)
_SMALLER_THAN_BACKUP = (
    "Volume size {size}GB cannot be smaller than the backup size {origin}GB. It must be >= backup size."
)


def _like(origin: Volume, source: Source, size: int, words: str) -> _Origin:
    return _Origin(
        source=source,
        size=size,
        words=words,
        type_id=origin.volume_type_id,
        bootable=origin.bootable,
        image_metadata=origin.image_metadata,
    )


def of_image(image: SourceImage) -> Source:
    """Where a volume made from an image comes from."""
    return Source(image_id=image.id, image_sha512=image.sha512, image_format=image.disk_format or "raw")


def described(image: SourceImage) -> dict[str, str]:
    """What Cinder notes of the image that a volume was made from."""
    known = {
        "image_id": image.id,
        "image_name": image.name,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "min_disk": image.min_disk,
        "min_ram": image.min_ram,
        "size": image.size,
        "checksum": image.checksum,
    }
    return {**image.properties, **{name: str(value) for name, value in known.items() if value is not None}}
