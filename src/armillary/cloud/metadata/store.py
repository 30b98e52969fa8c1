"""The passwords that guests posted, encrypted for their servers' keys."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Column, String, Table, Text

from armillary.base.ids import ServerId
from armillary.cloud.records import Records
from armillary.cloud.store import metadata


@dataclass(frozen=True, kw_only=True)
class Posted:
    """A guest's password; it can be read by whoever has the server's private key."""

    server_id: ServerId
    password: str


passwords = Table(
    "cloud_server_passwords",
    metadata,
    Column("server_id", String(64), primary_key=True),
    Column("password", Text, nullable=False),
)

PASSWORDS = Records(table=passwords, kind=Posted)
