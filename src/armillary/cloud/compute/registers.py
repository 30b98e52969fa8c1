"""Tables of what administrators and schedulers keep: server groups, aggregates, and who switched a service off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import JSON, Boolean, Column, Integer, String, Table, Text

from armillary.base.ids import PersonId, ProjectId
from armillary.cloud.records import Listed, Records
from armillary.cloud.store import metadata
from armillary.columns import Moment

_ID = String(64)


@dataclass(frozen=True, kw_only=True)
class ServerGroup:
    """Servers that shall be kept together, or apart."""

    id: str
    name: str
    project_id: ProjectId
    user_id: PersonId
    policy: str
    max_server_per_host: int | None
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """Hosts that administrators speak of together."""

    number: int
    id: str
    name: str
    availability_zone: str | None
    hosts: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    created_at: datetime
    updated_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class ServiceState:
    """What administrators said of a service."""

    binary: str
    enabled: bool = True
    reason: str | None = None
    forced_down: bool = False
    updated_at: datetime


server_groups = Table(
    "cloud_server_groups",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("name", String(255), nullable=False),
    Column("project_id", _ID, nullable=False, index=True),
    Column("user_id", _ID, nullable=False),
    Column("policy", String(40), nullable=False),
    Column("max_server_per_host", Integer),
    Column("created_at", Moment, nullable=False),
)
aggregates = Table(
    "cloud_aggregates",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", _ID, nullable=False, unique=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("availability_zone", String(255)),
    Column("hosts", Listed(), nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment),
)
service_states = Table(
    "cloud_service_states",
    metadata,
    Column("binary", String(60), primary_key=True),
    Column("enabled", Boolean, nullable=False),
    Column("reason", Text),
    Column("forced_down", Boolean, nullable=False),
    Column("updated_at", Moment, nullable=False),
)

SERVER_GROUPS = Records(table=server_groups, kind=ServerGroup)
AGGREGATES = Records(table=aggregates, kind=Aggregate)
SERVICE_STATES = Records(table=service_states, kind=ServiceState)
