"""The tickets that were given out and have not ended. Only their digests are kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, String, Table

from armillary.base.ids import ServerId
from armillary.cloud.records import Records
from armillary.cloud.store import metadata
from armillary.columns import Moment


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """The right to open one console of one server, until it ends."""

    digest: str
    """SHA-256 of what the address holds"""
    server_id: ServerId
    kind: str
    expires_at: datetime


tickets = Table(
    "cloud_console_tickets",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("server_id", String(64), nullable=False, index=True),
    Column("kind", String(20), nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
)

TICKETS = Records(table=tickets, kind=Ticket)
