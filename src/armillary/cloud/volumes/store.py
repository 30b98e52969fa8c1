"""The tables of block storage, beside the cloud's others."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Boolean, Column, Connection, Integer, String, Table, Text, func, select

from armillary.base.ids import ProjectId
from armillary.cloud.records import Kept, Named, Records
from armillary.cloud.store import SERVERS, metadata, servers
from armillary.cloud.volumes.model import (
    Attachment,
    Backup,
    BackupStatus,
    Message,
    QosSpecs,
    Snapshot,
    SnapshotStatus,
    Source,
    Transfer,
    Volume,
    VolumeStatus,
    VolumeType,
)
from armillary.columns import Moment

_ID = String(64)


def _described() -> list[Column[Any]]:
    return [
        Column("id", _ID, primary_key=True),
        Column("project_id", _ID, nullable=False, index=True),
        Column("user_id", _ID, nullable=False),
        Column("name", String(255)),
        Column("description", String(255)),
        Column("size", Integer, nullable=False),
        Column("created_at", Moment, nullable=False, index=True),
        Column("updated_at", Moment),
        Column("metadata", JSON, nullable=False),
    ]


volumes = Table(
    "cloud_volumes",
    metadata,
    *_described(),
    Column("status", Named(VolumeStatus), nullable=False, index=True),
    Column("previous_status", Named(VolumeStatus)),
    Column("target", String(64)),
    Column("volume_type_id", _ID, nullable=False, index=True),
    Column("availability_zone", String(255), nullable=False),
    Column("source", Kept(Source), nullable=False),
    Column("bootable", Boolean, nullable=False),
    Column("multiattach", Boolean, nullable=False),
    Column("readonly", Boolean),
    Column("group_id", _ID, index=True),
    Column("image_metadata", JSON, nullable=False),
    Column("placed", Boolean, nullable=False),
)
attachments = Table(
    "cloud_volume_attachments",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("volume_id", _ID, nullable=False, index=True),
    Column("project_id", _ID, nullable=False, index=True),
    Column("server_id", _ID, index=True),
    Column("host_name", String(255)),
    Column("device", String(255)),
    Column("mode", String(10), nullable=False),
    Column("status", String(20), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("attached_at", Moment),
    Column("by_compute", Boolean, nullable=False),
    Column("connector", JSON, nullable=False),
)
snapshots = Table(
    "cloud_volume_snapshots",
    metadata,
    *_described(),
    Column("volume_id", _ID, nullable=False, index=True),
    Column("status", Named(SnapshotStatus), nullable=False, index=True),
    Column("group_snapshot_id", _ID),
)
backups = Table(
    "cloud_volume_backups",
    metadata,
    *_described(),
    Column("volume_id", _ID, nullable=False, index=True),
    Column("snapshot_id", _ID),
    Column("container", String(255)),
    Column("status", Named(BackupStatus), nullable=False, index=True),
    Column("availability_zone", String(255), nullable=False),
    Column("data_timestamp", Moment, nullable=False),
    Column("parent_id", _ID, index=True),
    Column("bootable", Boolean, nullable=False),
    Column("image_metadata", JSON, nullable=False),
    Column("fail_reason", Text),
    Column("restore_to", _ID),
)
transfers = Table(
    "cloud_volume_transfers",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("project_id", _ID, nullable=False, index=True),
    Column("volume_id", _ID, nullable=False, index=True),
    Column("name", String(255)),
    Column("salt", String(64), nullable=False),
    Column("key_hash", String(128), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("no_snapshots", Boolean, nullable=False),
    Column("destination_project_id", _ID),
    Column("accepted", Boolean, nullable=False),
)
volume_types = Table(
    "cloud_volume_types",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("description", String(255)),
    Column("is_public", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment),
    Column("extra_specs", JSON, nullable=False),
    Column("qos_id", _ID, index=True),
)
type_access = Table(
    "cloud_volume_type_access",
    metadata,
    Column("type_id", _ID, primary_key=True),
    Column("project_id", _ID, primary_key=True),
)
default_types = Table(
    "cloud_volume_default_types",
    metadata,
    Column("project_id", _ID, primary_key=True),
    Column("type_id", _ID, nullable=False),
)
qos_specs = Table(
    "cloud_volume_qos",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("consumer", String(20), nullable=False),
    Column("specs", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
)
messages = Table(
    "cloud_volume_messages",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("project_id", _ID, nullable=False, index=True),
    Column("resource_type", String(40), nullable=False),
    Column("resource_id", _ID, nullable=False),
    Column("request_id", String(80), nullable=False),
    Column("event_id", String(40), nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
)

VOLUMES = Records(table=volumes, kind=Volume)
ATTACHMENTS = Records(table=attachments, kind=Attachment)
SNAPSHOTS = Records(table=snapshots, kind=Snapshot)
BACKUPS = Records(table=backups, kind=Backup)
TRANSFERS = Records(table=transfers, kind=Transfer)
TYPES = Records(table=volume_types, kind=VolumeType)
QOS = Records(table=qos_specs, kind=QosSpecs)
MESSAGES = Records(table=messages, kind=Message)


def counted(connection: Connection, table: Table, project_id: ProjectId) -> tuple[int, int]:
    """How many rows a project has in a table of sized things, and their GiB in all."""
    query = select(func.count(), func.coalesce(func.sum(table.c.size), 0)).where(
        table.c.project_id == project_id
    )
    row = connection.execute(query).one()
    return int(row[0]), int(row[1])


def gigabytes_placed(connection: Connection) -> int:
    """GiB of the cloud's disk that volumes, snapshots and backups may come to fill."""
    sums = [
        select(func.coalesce(func.sum(volumes.c.size), 0)).where(volumes.c.placed),
        select(func.coalesce(func.sum(snapshots.c.size), 0)).where(
            snapshots.c.status != SnapshotStatus.ERROR
        ),
        select(func.coalesce(func.sum(backups.c.size), 0)).where(backups.c.status != BackupStatus.ERROR),
    ]
    return sum(int(connection.execute(query).scalar_one()) for query in sums)


def gigabytes_of_servers(connection: Connection) -> int:
    """GiB of the cloud's disk that the placed servers' own disks may come to fill."""
    found = [server.footprint for server in SERVERS.find(connection, servers.c.placed)]
    return sum(needed.disk + needed.ephemeral for needed in found)
