"""Compute's own tables beside the servers: their disks, what is kept of their cards, and their resizes."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Connection, Integer, String, Table, func, select

from armillary.cloud.compute.model import BlockDevice, DeviceState, Interface, Migration
from armillary.cloud.records import Named, Records
from armillary.cloud.store import metadata
from armillary.columns import Moment

_ID = String(64)

block_devices = Table(
    "cloud_block_devices",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("server_id", _ID, nullable=False, index=True),
    Column("source_type", String(20), nullable=False),
    Column("destination_type", String(20), nullable=False),
    Column("source_id", _ID),
    Column("volume_id", _ID, index=True),
    Column("size", Integer),
    Column("volume_type", String(255)),
    Column("guest_format", String(20)),
    Column("device_name", String(255), nullable=False),
    Column("boot_index", Integer),
    Column("delete_on_termination", Boolean, nullable=False),
    Column("tag", String(60)),
    Column("attachment_id", _ID, nullable=False),
    Column("state", Named(DeviceState), nullable=False),
    Column("created_at", Moment, nullable=False),
)
interfaces = Table(
    "cloud_interfaces",
    metadata,
    Column("port_id", _ID, primary_key=True),
    Column("server_id", _ID, nullable=False, index=True),
    Column("tag", String(60)),
    Column("state", Named(DeviceState), nullable=False),
)
migrations = Table(
    "cloud_migrations",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", _ID, nullable=False, unique=True),
    Column("server_id", _ID, nullable=False, index=True),
    Column("project_id", _ID, nullable=False),
    Column("user_id", _ID, nullable=False),
    Column("old_flavor_id", String(255), nullable=False),
    Column("new_flavor_id", String(255), nullable=False),
    Column("status", String(20), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
)

BLOCK_DEVICES = Records(table=block_devices, kind=BlockDevice)
INTERFACES = Records(table=interfaces, kind=Interface)
MIGRATIONS = Records(table=migrations, kind=Migration)


def devices_of(connection: Connection, *server_ids: str) -> list[BlockDevice]:
    """The disks of servers, in the order in which they came."""
    return BLOCK_DEVICES.find(connection, block_devices.c.server_id.in_(server_ids))


def next_migration(connection: Connection) -> int:
    """The number that no migration has had yet; the caller holds the write lock."""
    return (connection.execute(select(func.max(migrations.c.number))).scalar() or 0) + 1


def restless_servers(connection: Connection) -> frozenset[str]:
    """The servers that have a disk or a card which is coming or going."""
    moving = (DeviceState.ATTACHING, DeviceState.DETACHING)
    devices = select(block_devices.c.server_id).where(block_devices.c.state.in_(moving))
    cards = select(interfaces.c.server_id).where(interfaces.c.state.in_(moving))
    return frozenset(connection.execute(devices.union(cards)).scalars())
