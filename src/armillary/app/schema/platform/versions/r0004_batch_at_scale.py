"""What batch at scale wants of its records: GPUs, what a submit says of all its jobs, and whether a job succeeded."""

from alembic import op
from sqlalchemy import Boolean, Column, Integer, String, inspect, text

from armillary.app.schema.changing import add_columns

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add columns. What is over has ended as its exit code says."""
    for table in ("batch_jobs", "batch_attempts", "batch_workers", "batch_machines"):
        add_columns(table, [Column("gpus", Integer, nullable=False, server_default="0")])
    add_columns(
        "batch_jobs",
        [
            Column("succeeded", Boolean),
            Column("hold_subcode", Integer),
            Column("holds", Integer, nullable=False, server_default="0"),
        ],
    )
    add_columns(
        "batch_clusters",
        [
            Column("accounting_group", String(255)),
            Column("max_materialize", Integer),
            Column("max_idle", Integer),
            Column("notification", String(16), nullable=False, server_default="NEVER"),
            Column("notify_user", String(255)),
            Column("notify_url", String(2048)),
        ],
    )
    if inspect(op.get_bind()).has_table("batch_jobs"):
        op.execute(
            text(
                "UPDATE batch_jobs SET succeeded = (exit_code IS NOT NULL AND exit_code = 0 AND signal IS NULL)"
                " WHERE state = 'completed'"
            )
        )
