"""The tables of what makes groups shareable: owners, administrators, groups in groups, and names that were."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Integer, String, Table

from armillary.accounts.store.tables import groups, metadata, people, projects
from armillary.columns import Moment

group_owners = Table(
    "accounts_group_owners",
    metadata,
    Column("group_id", String(32), ForeignKey(groups.c.id, ondelete="CASCADE"), primary_key=True),
    # a group outlives its owner: its administrators go on, and those of the platform can help
    Column("person_id", String(32), ForeignKey(people.c.id, ondelete="SET NULL"), index=True),
    Column("created_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
)
"""Groups that people made; those made by Keystone's clients are the platform's and have no row."""

group_admins = Table(
    "accounts_group_admins",
    metadata,
    Column("group_id", String(32), ForeignKey(groups.c.id, ondelete="CASCADE"), primary_key=True),
    Column(
        "person_id", String(32), ForeignKey(people.c.id, ondelete="CASCADE"), primary_key=True, index=True
    ),
)

group_groups = Table(
    "accounts_group_groups",
    metadata,
    Column("group_id", String(32), ForeignKey(groups.c.id, ondelete="CASCADE"), primary_key=True),
    Column("place", String(16), primary_key=True),
    Column("inner_id", String(32), ForeignKey(groups.c.id, ondelete="CASCADE"), primary_key=True, index=True),
)
"""Groups in the places of groups."""

group_projects = Table(
    "accounts_group_projects",
    metadata,
    Column("group_id", String(32), ForeignKey(groups.c.id, ondelete="CASCADE"), primary_key=True),
    Column("place", String(16), primary_key=True),
    Column(
        "project_id", String(32), ForeignKey(projects.c.id, ondelete="CASCADE"), primary_key=True, index=True
    ),
)
"""Projects in the places of groups: each project is a group of its people."""

group_names = Table(
    "accounts_group_names",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("holder_id", String(32), nullable=False),
    Column("is_project", Boolean, nullable=False),
    Column("ended_at", Moment, nullable=False),
)
"""Names that a group or a project had and has no more. They may stand on nodes still, so nobody else gets them."""

invitations = Table(
    "accounts_invitations",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("group_id", String(32), ForeignKey(groups.c.id, ondelete="CASCADE"), nullable=False, index=True),
    Column("place", String(16), nullable=False),
    Column("secret_hash", String(64), nullable=False, unique=True),
    Column("made_by", String(255), nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("uses_left", Integer),  # NULL: as many as come before it expires
    Column("used", Integer, nullable=False),
)
"""Links into groups. Of the secret in one only a hash is kept."""
