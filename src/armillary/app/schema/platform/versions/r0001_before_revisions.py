"""Databases that were made before revisions were counted."""

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Nothing: this is where counting begins."""
