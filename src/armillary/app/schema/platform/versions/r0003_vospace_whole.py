"""What VOSpace 2.1 wants of nodes: when their bytes were written, and whether what is made in them is shared."""

from sqlalchemy import JSON, Boolean, Column, DateTime, Integer, String, Text

from armillary.app.schema.changing import add_columns, add_index

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add columns. So far everything made in a container was shared as it was."""
    add_columns(
        "vospace_nodes",
        [
            Column("written_at", DateTime),
            Column("inherits", Boolean, nullable=False, server_default="1"),
        ],
    )
    # jobs run in the background, so they keep whose they are and how far they have come
    add_columns(
        "vospace_jobs",
        [
            Column("run_id", Text, nullable=False, server_default=""),
            Column("credential", JSON, nullable=False, server_default="{}"),
            Column("duration_seconds", Integer, nullable=False, server_default="0"),
            Column("queued_at", DateTime),
            Column("seen_at", DateTime),
            Column("runner", String(32), nullable=False, server_default=""),
            Column("progress", JSON, nullable=False, server_default="{}"),
        ],
    )
    add_index("vospace_jobs_waiting", "vospace_jobs", ["phase", "queued_at"])
