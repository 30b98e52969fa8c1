"""The table of checkpoints: what an attempt of a job saved for the next one."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Integer, String, Table

from armillary.batch.store.tables import metadata

checkpoints = Table(
    "batch_checkpoints",
    metadata,
    Column("cluster", BigInteger, primary_key=True, autoincrement=False),
    Column("proc", Integer, primary_key=True, autoincrement=False),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("name", String(4096), primary_key=True),
    # of the key, so that a newer state of a file never stands in for the older one before all of its checkpoint is here
    Column("sha256", String(64), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("mode", Integer, nullable=False, default=0o644),
    Column("committed", Boolean, nullable=False, default=False),
)
