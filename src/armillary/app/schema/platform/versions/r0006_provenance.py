"""What provenance and the pages of a large batch want of the records."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import inspect, text

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Find what failed and what is held by an index."""
    found = inspect(op.get_bind())
    if found.has_table("accounts_trail") and "said" not in {
        column["name"] for column in found.get_columns("accounts_trail")
    }:
        op.add_column("accounts_trail", sa.Column("said", sa.String(500), nullable=False, server_default=""))
    if found.has_table("batch_pool_jobs") and "memory_mib" not in {
        column["name"] for column in found.get_columns("batch_pool_jobs")
    }:
        op.add_column("batch_pool_jobs", sa.Column("memory_mib", sa.Integer))
    if found.has_table("batch_jobs") and "batch_jobs_troubled" not in {
        index["name"] for index in found.get_indexes("batch_jobs")
    }:
        troubled = text("(state = 'held' OR (state = 'completed' AND NOT succeeded))")
        op.create_index(
            "batch_jobs_troubled",
            "batch_jobs",
            ["cluster", "state", "hold_code", "exit_code", "signal", "proc", "memory_mib"],
            sqlite_where=troubled,
            postgresql_where=troubled,
        )
    if found.has_table("batch_notices"):
        _only_who_waits(found)


def _only_who_waits(found: sa.Inspector) -> None:
    """Drop what deliveries wanted that are in the common outbox since 0005."""
    indexes = {index["name"] for index in found.get_indexes("batch_notices")}
    if "batch_notices_due" in indexes:
        op.drop_index("batch_notices_due", "batch_notices")
    columns = {column["name"] for column in found.get_columns("batch_notices")}
    for name in ("body", "tries", "next_at"):
        if name in columns:
            op.drop_column("batch_notices", name)
    if "batch_notices_waiting" not in indexes:
        op.create_index("batch_notices_waiting", "batch_notices", ["state", "id"])
