"""What VOSpace 2.1 wants of nodes: when their bytes were written, and whether what is made in them is shared."""

from sqlalchemy import Boolean, Column, DateTime

from armillary.app.schema.changing import add_columns

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
