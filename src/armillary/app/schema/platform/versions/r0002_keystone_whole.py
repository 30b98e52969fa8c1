"""What Keystone knows of people, projects and tokens."""

from sqlalchemy import JSON, Boolean, Column, String, Text

from armillary.app.schema.changing import add_columns

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add columns. Every project so far came by registration, so each was given its network."""
    add_columns("accounts_application_credentials", [Column("rule_ids", Text)])
    add_columns(
        "accounts_people",
        [
            Column("default_project_id", String(64)),
            Column("extras", JSON, nullable=False, server_default="{}"),
        ],
    )
    add_columns(
        "accounts_projects",
        [
            Column("tags", JSON, nullable=False, server_default="[]"),
            Column("extras", JSON, nullable=False, server_default="{}"),
            Column("furnished", Boolean, nullable=False, server_default="1"),
        ],
    )
    add_columns("accounts_tokens", [Column("cloud_scope", String(16))])
