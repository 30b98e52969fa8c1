"""Reading and writing the records of block storage, in Cinder's words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection

from armillary.accounts.model import Principal
from armillary.base.clock import Clock
from armillary.base.errors import Invalid, NotFound
from armillary.base.ids import ProjectId, ServerId, new_uuid
from armillary.cloud.access import sees
from armillary.cloud.volumes.model import (
    Attachment,
    Backup,
    Message,
    Snapshot,
    Volume,
    VolumeStatus,
)
from armillary.cloud.volumes.store import (
    ATTACHMENTS,
    BACKUPS,
    MESSAGES,
    SNAPSHOTS,
    VOLUMES,
    attachments,
    messages,
)

_MESSAGES_KEPT = timedelta(days=30)

SCHEDULING, FROM_IMAGE, TO_IMAGE, EXTENDING, MAKING = "001", "005", "003", "007", "008"
SNAPSHOTTING, BACKING_UP, RESTORING = "009", "013", "015"
_ACTIONS = {
    SCHEDULING: "schedule allocate volume",
    TO_IMAGE: "copy volume to image",
    FROM_IMAGE: "copy image to volume",
    EXTENDING: "extend volume",
    MAKING: "create volume from backend storage",
    SNAPSHOTTING: "create snapshot",
    BACKING_UP: "create backup",
    RESTORING: "restore backup",
}
"""What failed, by Cinder's numbers of actions (its message_field)."""


def volume_seen(connection: Connection, principal: Principal, volume_id: str) -> Volume:
    """A volume that the principal may know of; NotFound otherwise."""
    volume = VOLUMES.get(connection, volume_id)
    if volume is None or not sees(principal, volume.project_id):
        raise NotFound(f"Volume {volume_id} could not be found.", code="volume_not_found")
    return volume


def snapshot_seen(connection: Connection, principal: Principal, snapshot_id: str) -> Snapshot:
    """A snapshot that the principal may know of; NotFound otherwise."""
    snapshot = SNAPSHOTS.get(connection, snapshot_id)
    if snapshot is None or not sees(principal, snapshot.project_id):
        raise NotFound(f"Snapshot {snapshot_id} could not be found.", code="snapshot_not_found")
    return snapshot


def backup_seen(connection: Connection, principal: Principal, backup_id: str) -> Backup:
    """A backup that the principal may know of; NotFound otherwise."""
    backup = BACKUPS.get(connection, backup_id)
    if backup is None or not sees(principal, backup.project_id):
        raise NotFound(f"Backup {backup_id} could not be found.", code="backup_not_found")
    return backup


def save(connection: Connection, clock: Clock, volume: Volume, **changes: Any) -> Volume:
    """Write a volume with changes, and return it."""
    changed = replace(volume, updated_at=clock.now(), **changes)
    VOLUMES.save(connection, changed)
    return changed


def save_snapshot(connection: Connection, clock: Clock, snapshot: Snapshot, **changes: Any) -> Snapshot:
    """Write a snapshot with changes, and return it."""
    changed = replace(snapshot, updated_at=clock.now(), **changes)
    SNAPSHOTS.save(connection, changed)
    return changed


def save_backup(connection: Connection, clock: Clock, backup: Backup, **changes: Any) -> Backup:
    """Write a backup with changes, and return it."""
    changed = replace(backup, updated_at=clock.now(), **changes)
    BACKUPS.save(connection, changed)
    return changed


def attachments_of(connection: Connection, volume_id: str) -> list[Attachment]:
    """Who has a volume, or is promised it."""
    return ATTACHMENTS.find(connection, attachments.c.volume_id == volume_id)


def server_of(connection: Connection, volume_id: str) -> ServerId | None:
    """The server that has a volume."""
    return next((a.server_id for a in attachments_of(connection, volume_id) if a.server_id), None)


def refuse(reason: str, *, kind: str = "volume", remedy: str = "") -> Invalid:
    """Cinder's refusal because of a state."""
    return Invalid(f"Invalid {kind}: {reason}", code=f"invalid_{kind}", remedy=remedy)


def bad_input(reason: str) -> Invalid:
    """Cinder's refusal of figures that do not go together."""
    return Invalid(f"Invalid input received: {reason}", code="invalid_input")


def either(statuses: Sequence[VolumeStatus] | Sequence[str]) -> str:
    """Statuses in a sentence."""
    return " or ".join(str(status) for status in statuses)


def tell(
    connection: Connection, clock: Clock, *, project_id: ProjectId, kind: str, resource_id: str, action: str,
    why: str,
) -> None:  # fmt: skip
    """Leave a message for the project about work that failed, and forget those that are old."""
    now = clock.now()
    MESSAGES.remove(connection, messages.c.expires_at < now)
    message = Message(
        id=new_uuid(),
        project_id=project_id,
        resource_type=kind,
        resource_id=resource_id,
        request_id="",
        event_id=f"VOLUME_{kind}_{action}_001",
        text=f"{_ACTIONS[action]}:{why}",
        created_at=now,
        expires_at=now + _MESSAGES_KEPT,
    )
    MESSAGES.add(connection, message)
