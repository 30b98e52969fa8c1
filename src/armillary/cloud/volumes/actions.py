"""What is done to a volume by POSTing an action."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Engine

from armillary.accounts.model import Principal
from armillary.base.clock import Clock
from armillary.base.errors import Conflict, Invalid, NotFound
from armillary.base.ids import ServerId, new_uuid
from armillary.cloud.images.rules import BASE, READ_ONLY, RESERVED
from armillary.cloud.volumes.creation import VolumeCreation, described, of_image
from armillary.cloud.volumes.lifecycle import VolumeWork
from armillary.cloud.volumes.model import Attachment, SnapshotStatus, Volume, VolumeStatus
from armillary.cloud.volumes.ports import Images, SourceImage
from armillary.cloud.volumes.quotas import VolumeQuotas
from armillary.cloud.volumes.records import (
    attachments_of,
    bad_input,
    either,
    refuse,
    save,
    volume_seen,
)
from armillary.cloud.volumes.store import ATTACHMENTS, SNAPSHOTS, attachments, snapshots
from armillary.cloud.volumes.types import Types


class VolumeActions:
    """Changes of a volume's size, type, status, bytes and holder."""

    def __init__(
        self,
        *,
        engine: Engine,
        clock: Clock,
        images: Images,
        quotas: VolumeQuotas,
        types: Types,
        creation: VolumeCreation,
        work: VolumeWork,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._images = images
        self._quotas = quotas
        self._types = types
        self._creation = creation
        self._work = work

    def extend(self, principal: Principal, volume_id: str, size: int, *, in_use_too: bool) -> None:
        """Begin to make a volume larger; one that a server has only if `in_use_too`."""
        with self._engine.begin() as connection:
            volume = volume_seen(connection, principal, volume_id)
            expected = "available"
            if in_use_too and volume.status is VolumeStatus.IN_USE:
                expected = "in-use"
            if size <= volume.size:
                raise bad_input(
                    f"New size for extend must be greater than current size. (current: {volume.size}, "
                    f"extended: {size})."
                )
            if volume.status != expected:
                raise refuse(
                    f"Volume {volume.id} status must be '{{'status': '{expected}'}}' to extend, currently "
                    f"{volume.status}."
                )
            self._quotas.check_size(connection, volume.project_id, size)
            name = self._types.names(connection).get(volume.volume_type_id, "")
            more = size - volume.size
            self._quotas.charge_volume(connection, volume.project_id, size=more, type_name=name, count=0)
            volume = save(
                connection, self._clock, volume,
                status=VolumeStatus.EXTENDING, previous_status=volume.status, target=str(size),
            )  # fmt: skip
        self._work.pursue(volume)

    def retype(self, principal: Principal, volume_id: str, wanted: str) -> None:
        """Give a volume another type; its bytes stay where they are, as all types share one disk."""
        with self._engine.begin() as connection:
            volume = volume_seen(connection, principal, volume_id)
            kind = self._types.named(connection, principal, wanted)
            free = volume.status in (VolumeStatus.AVAILABLE, VolumeStatus.IN_USE)
            if not free or volume.group_id is not None or kind.id == volume.volume_type_id:
                raise refuse(
                    "Retype needs volume to be in available or in-use state, not be part of an active migration or a "
                    "consistency group, requested type has to be different that the one from the volume, and for "
                    "in-use volumes front-end qos specs cannot change."
                )
            self._quotas.charge_volume(connection, volume.project_id, size=0, type_name=kind.name, count=0)
            save(connection, self._clock, volume, volume_type_id=kind.id)

    def reset_status(self, principal: Principal, volume_id: str, status: str | None) -> None:
        """Write another status over a volume's (administrators); nothing is done to its bytes."""
        with self._engine.begin() as connection:
            volume = volume_seen(connection, principal, volume_id)
            if status is not None:
                save(
                    connection, self._clock, volume,
                    status=VolumeStatus(status), previous_status=None, target=None,
                )  # fmt: skip

    def set_flags(self, principal: Principal, volume_id: str, **flags: bool) -> None:
        """Set `bootable` or `readonly`."""
        with self._engine.begin() as connection:
            volume = volume_seen(connection, principal, volume_id)
            if "readonly" in flags and volume.status is not VolumeStatus.AVAILABLE:
                raise refuse(
                    f"Volume {volume.id} status must be available to update readonly flag, but current status is: "
                    f"{volume.status}."
                )
            save(connection, self._clock, volume, **flags)

    def set_image_metadata(
        self, principal: Principal, volume_id: str, items: Mapping[str, str]
    ) -> Mapping[str, str]:
        """Write items beside those noted of the image."""
        with self._engine.begin() as connection:
            volume = volume_seen(connection, principal, volume_id)
            merged = {**volume.image_metadata, **items}
            return save(connection, self._clock, volume, image_metadata=merged).image_metadata

    def unset_image_metadata(self, principal: Principal, volume_id: str, key: str) -> None:
        """Remove one item; NotFound if it is none."""
        with self._engine.begin() as connection:
            volume = volume_seen(connection, principal, volume_id)
            if key not in volume.image_metadata:
                raise NotFound(
                    f"Glance metadata for volume/snapshot {volume_id} cannot be found.",
                    code="metadata_item_not_found",
                )
            left = {name: value for name, value in volume.image_metadata.items() if name != key}
            save(connection, self._clock, volume, image_metadata=left)

    def upload(
        self, principal: Principal, volume_id: str, attributes: Mapping[str, Any], *, force: bool
    ) -> tuple[Volume, SourceImage]:
        """Begin to copy a volume to a new image; one that a server has only with `force`.

        Raises:
            Invalid, Forbidden: also what the image service refuses.
        """
        with self._engine.begin() as connection:
            volume = volume_seen(connection, principal, volume_id)
            allowed = [VolumeStatus.AVAILABLE, *([VolumeStatus.IN_USE] if force else [])]
            if volume.status not in allowed:
                raise refuse(f"Volume {volume.id} status must be {either(allowed)}")
        described = {
            name: value for name, value in volume.image_metadata.items() if name not in _OF_THE_IMAGE_ALONE
        }
        image = self._images.create(principal, {**described, **attributes, "min_disk": volume.size})
        with self._engine.begin() as connection:
            current = volume_seen(connection, principal, volume_id)
            if current.status is not volume.status:
                self._images.fail_snapshot(image.id, "the volume is busy")
                raise refuse(f"Volume {volume.id} status must be {either(allowed)}")
            uploading = save(
                connection, self._clock, current,
                status=VolumeStatus.UPLOADING, previous_status=current.status,
                target=f"{image.id} {attributes['disk_format']}",
            )  # fmt: skip
        self._work.pursue(uploading)
        return uploading, image

    def revert(self, principal: Principal, volume_id: str, snapshot_id: str) -> None:
        """Begin to give a volume the bytes of its latest snapshot back."""
        with self._engine.begin() as connection:
            volume = volume_seen(connection, principal, volume_id)
            shots = SNAPSHOTS.find(connection, snapshots.c.volume_id == volume_id, newest_first=True)
            if not shots:
                raise Invalid(f"Volume {volume_id} doesn't have any snapshots.", code="no_snapshots")
            latest = shots[0]
            if latest.id != snapshot_id:
                raise Invalid(
                    f"Specified snapshot {snapshot_id} is None or not the latest one of volume {volume_id}.",
                    code="not_the_latest_snapshot",
                )
            if latest.size != volume.size:
                raise Invalid(
                    f"Can't revert volume {volume_id} to its latest snapshot {snapshot_id}. The volume size must be "
                    "equal to the snapshot size.",
                    code="volume_was_extended",
                )
            about = f"Can't revert volume {volume_id} to its latest snapshot {snapshot_id}."
            if volume.status is not VolumeStatus.AVAILABLE:
                raise Conflict(f"Invalid volume: {about} Volume's status must be 'available'.")
            if latest.status is not SnapshotStatus.AVAILABLE:
                raise Conflict(f"Invalid snapshot: {about} Snapshot's status must be 'available'.")
            volume = save(connection, self._clock, volume, status=VolumeStatus.REVERTING, target=snapshot_id)
        self._work.pursue(volume)

    def reimage(self, principal: Principal, volume_id: str, image_id: str, *, reserved_too: bool) -> None:
        """Begin to write an image over a volume; one that is reserved for a server only if `reserved_too`."""
        with self._engine.begin() as connection:
            volume = volume_seen(connection, principal, volume_id)
            allowed = [VolumeStatus.AVAILABLE, VolumeStatus.ERROR]
            allowed += [VolumeStatus.RESERVED] if reserved_too else []
            if volume.status not in allowed:
                raise refuse(
                    f"Volume {volume_id} status must be {either(allowed)}, but current status is {volume.status}."
                )
            image = self._creation.image(principal, image_id, volume.size)
            before = volume.status
            volume = save(
                connection, self._clock, volume, status=VolumeStatus.DOWNLOADING, source=of_image(image),
                bootable=True, image_metadata=described(image),
                previous_status=before if before is VolumeStatus.RESERVED else None,
            )  # fmt: skip
        self._work.pursue(volume)

    # Cinder's older way of attaching, in which the client does the work itself

    def reserve(self, principal: Principal, volume_id: str) -> None:
        """`available` becomes `attaching`."""
        self._move(
            principal, volume_id, (VolumeStatus.AVAILABLE,), VolumeStatus.ATTACHING,
            "Volume status must be available to reserve, but the status is {status}.",
        )  # fmt: skip

    def unreserve(self, principal: Principal, volume_id: str) -> None:
        """`attaching` becomes `available`; anything else stays as it is."""
        self._move(principal, volume_id, (VolumeStatus.ATTACHING,), VolumeStatus.AVAILABLE, None)

    def begin_detaching(self, principal: Principal, volume_id: str) -> None:
        """`in-use` becomes `detaching`."""
        self._move(
            principal, volume_id, (VolumeStatus.IN_USE,), VolumeStatus.DETACHING,
            "Unable to detach volume. Volume status must be 'in-use' and attach_status must be 'attached' to detach.",
        )  # fmt: skip

    def roll_detaching(self, principal: Principal, volume_id: str) -> None:
        """`detaching` becomes `in-use`; anything else stays as it is."""
        self._move(principal, volume_id, (VolumeStatus.DETACHING,), VolumeStatus.IN_USE, None)

    def _move(
        self, principal: Principal, volume_id: str, before: Iterable[VolumeStatus],
        after: VolumeStatus, refusal: str | None,
    ) -> None:  # fmt: skip
        with self._engine.begin() as connection:
            volume = volume_seen(connection, principal, volume_id)
            if volume.status in before:
                save(connection, self._clock, volume, status=after)
            elif refusal is not None:
                raise refuse(refusal.format(status=volume.status))

    def attach(
        self, principal: Principal, volume_id: str, *, server_id: str | None, host_name: str | None,
        device: str, mode: str,
    ) -> None:  # fmt: skip
        """Record that a server or a host has the volume, which only they know."""
        now = self._clock.now()
        with self._engine.begin() as connection:
            volume = volume_seen(connection, principal, volume_id)
            if volume.status not in (VolumeStatus.AVAILABLE, VolumeStatus.ATTACHING, VolumeStatus.RESERVED):
                raise refuse(f"volume is already attached or busy: its status is {volume.status}")
            if volume.readonly and mode != "ro":
                raise Invalid(
                    f"Invalid attaching mode '{mode}' for volume {volume.id}.", code="bad_attach_mode"
                )
            attachment = Attachment(
                id=new_uuid(),
                volume_id=volume.id,
                project_id=volume.project_id,
                server_id=ServerId(server_id) if server_id else None,
                host_name=host_name,
                device=device,
                mode=mode,
                status="attached",
                created_at=now,
                attached_at=now,
            )
            ATTACHMENTS.add(connection, attachment)
            save(connection, self._clock, volume, status=VolumeStatus.IN_USE)

    def detach(self, principal: Principal, volume_id: str, *, attachment_id: str | None) -> None:
        """Record that nobody has the volume any more. What a server truly has, compute alone takes away."""
        with self._engine.begin() as connection:
            volume = volume_seen(connection, principal, volume_id)
            there = attachments_of(connection, volume_id)
            known = [item for item in there if attachment_id in (None, item.id)]
            if not known and attachment_id is not None:
                raise Invalid(
                    f"Volume attachment could not be found with filter: attachment_id = {attachment_id}.",
                    code="attachment_not_found",
                )
            check_not_of_compute(known)
            ATTACHMENTS.remove(connection, attachments.c.id.in_([item.id for item in known]))
            if len(known) == len(there) and volume.status in _HELD:
                save(connection, self._clock, volume, status=VolumeStatus.AVAILABLE)


def check_not_of_compute(found: Iterable[Attachment]) -> None:
    """Let records pass that no server stands behind.

    Raises:
        Conflict: as Cinder since CVE-2023-2088: bytes that a machine has open must not be given to another.
    """
    for attachment in found:
        if attachment.by_compute:
            raise Conflict(
                f"Detach volume from instance {attachment.server_id} using the Compute API",
                code="attached_by_compute",
            )


_OF_THE_IMAGE_ALONE = frozenset({"image_id", "image_name", "size", "checksum", *BASE, *READ_ONLY, *RESERVED})
_HELD = (VolumeStatus.IN_USE, VolumeStatus.ATTACHING, VolumeStatus.RESERVED, VolumeStatus.DETACHING)
