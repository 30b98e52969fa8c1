"""What block storage keeps. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from armillary.base.ids import PersonId, ProjectId, ServerId, VolumeId
from armillary.base.units import GiB


class VolumeStatus(StrEnum):
    """Cinder's statuses of a volume; those of `WORKING` stand for work that goes on."""

    CREATING = "creating"
    DOWNLOADING = "downloading"
    AVAILABLE = "available"
    RESERVED = "reserved"
    ATTACHING = "attaching"
    IN_USE = "in-use"
    DETACHING = "detaching"
    MAINTENANCE = "maintenance"
    DELETING = "deleting"
    EXTENDING = "extending"
    RETYPING = "retyping"
    REVERTING = "reverting"
    UPLOADING = "uploading"
    BACKING_UP = "backing-up"
    RESTORING = "restoring-backup"
    AWAITING_TRANSFER = "awaiting-transfer"
    MANAGING = "managing"
    ERROR = "error"
    ERROR_DELETING = "error_deleting"
    ERROR_EXTENDING = "error_extending"
    ERROR_BACKING_UP = "error_backing-up"
    ERROR_RESTORING = "error_restoring"
    ERROR_MANAGING = "error_managing"


WORKING = frozenset(
    {
        VolumeStatus.CREATING,
        VolumeStatus.DOWNLOADING,
        VolumeStatus.DELETING,
        VolumeStatus.EXTENDING,
        VolumeStatus.REVERTING,
        VolumeStatus.UPLOADING,
    }
)
"""A volume in one of these has a job of its own, which a restart takes up; a backup's job stands with the backup."""

DELETABLE = (
    VolumeStatus.AVAILABLE,
    VolumeStatus.ERROR,
    VolumeStatus.ERROR_RESTORING,
    VolumeStatus.ERROR_EXTENDING,
    VolumeStatus.ERROR_MANAGING,
)


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a volume's first bytes come from; at most one is given."""

    image_id: str | None = None
    image_sha512: str | None = None
    image_format: str = ""
    snapshot_id: str | None = None
    volume_id: str | None = None
    backup_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A block device that outlives the servers that use it."""

    id: VolumeId
    project_id: ProjectId
    user_id: PersonId
    name: str | None
    description: str | None
    size: GiB
    status: VolumeStatus
    volume_type_id: str
    availability_zone: str
    created_at: datetime
    updated_at: datetime | None
    source: Source = field(default_factory=Source)
    previous_status: VolumeStatus | None = None
    """What it returns to after an upload or a backup."""
    target: str | None = None
    """What the work aims at: the new size, the image, the snapshot."""
    bootable: bool = False
    multiattach: bool = False
    readonly: bool | None = None
    group_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    image_metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    placed: bool = False
    """It counts against the room of the cloud's disk."""


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """A volume given to a server, or promised to one."""

    id: str
    volume_id: VolumeId
    project_id: ProjectId
    server_id: ServerId | None
    host_name: str | None
    device: str | None
    mode: str
    status: str
    """`reserved`, `attaching`, `attached`, `detached`"""
    created_at: datetime
    attached_at: datetime | None = None
    by_compute: bool = False
    """A server has it truly: only compute may take it away."""
    connector: Mapping[str, Any] = field(default_factory=dict[str, Any])


class SnapshotStatus(StrEnum):
    CREATING = "creating"
    AVAILABLE = "available"
    DELETING = "deleting"
    ERROR = "error"
    ERROR_DELETING = "error_deleting"
    BACKING_UP = "backing-up"
    RESTORING = "restoring"


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A volume's bytes as they were at one moment."""

    id: str
    project_id: ProjectId
    user_id: PersonId
    volume_id: VolumeId
    name: str | None
    description: str | None
    size: GiB
    status: SnapshotStatus
    created_at: datetime
    updated_at: datetime | None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    group_snapshot_id: str | None = None


class BackupStatus(StrEnum):
    CREATING = "creating"
    AVAILABLE = "available"
    DELETING = "deleting"
    RESTORING = "restoring"
    ERROR = "error"
    ERROR_DELETING = "error_deleting"


@dataclass(frozen=True, kw_only=True)
class Backup:
    """A copy of a volume that outlives it. An incremental one keeps only what changed since its parent."""

    id: str
    project_id: ProjectId
    user_id: PersonId
    volume_id: VolumeId
    snapshot_id: str | None
    name: str | None
    description: str | None
    container: str | None
    size: GiB
    status: BackupStatus
    availability_zone: str
    created_at: datetime
    updated_at: datetime | None
    data_timestamp: datetime
    parent_id: str | None = None
    bootable: bool = False
    image_metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    fail_reason: str | None = None
    restore_to: VolumeId | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """An offer of a volume to whoever knows the key."""

    id: str
    project_id: ProjectId
    volume_id: VolumeId
    name: str | None
    salt: str
    key_hash: str
    created_at: datetime
    no_snapshots: bool = False
    destination_project_id: str | None = None
    accepted: bool = False


@dataclass(frozen=True, kw_only=True)
class VolumeType:
    """A kind of volume. All kinds lie on the same disk here; names and specs are for people and clients."""

    id: str
    name: str
    description: str | None
    is_public: bool
    created_at: datetime
    updated_at: datetime | None = None
    extra_specs: Mapping[str, str] = field(default_factory=dict[str, str])
    qos_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class QosSpecs:
    """Qualities that an administrator ties to volume types."""

    id: str
    name: str
    consumer: str
    specs: Mapping[str, str]
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Message:
    """What the cloud tells a user about something that failed in the background."""

    id: str
    project_id: ProjectId
    resource_type: str
    resource_id: str
    request_id: str
    event_id: str
    text: str
    created_at: datetime
    expires_at: datetime
