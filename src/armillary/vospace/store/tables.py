"""The tables."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Engine,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    insert,
    select,
)

from armillary.columns import Moment, Serial, by_bytes
from armillary.vospace.core.permissions import SYSTEM_OWNER

metadata = MetaData()
ROOT_ID = 1
HOMES_ID = 2
HOMES = "home"


_Name = by_bytes()

nodes = Table(
    "vospace_nodes",
    metadata,
    # the first numbers are those of the top and of /home; SQLite goes on after the highest by itself
    Column("id", Serial, Identity(start=3), primary_key=True, autoincrement=True),
    Column("parent_id", Serial, ForeignKey("vospace_nodes.id", ondelete="CASCADE")),
    Column("name", _Name, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("owner_id", String(64), nullable=False),
    Column("owner_name", _Name, nullable=False),
    Column("written_by", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("modified_at", Moment, nullable=False),
    Column("written_at", Moment),
    Column("length", BigInteger, nullable=False, default=0),
    Column("md5", String(32), nullable=False, default=""),
    Column("blob", String(32), index=True),
    Column("content_type", _Name, nullable=False, default=""),
    Column("content_encoding", Text, nullable=False, default=""),
    Column("target", Text, nullable=False, default=""),
    Column("is_public", Boolean, nullable=False, default=False),
    Column("group_read", JSON, nullable=False),
    Column("group_write", JSON, nullable=False),
    Column("inherits", Boolean, nullable=False, default=True),
    Column("is_locked", Boolean, nullable=False, default=False),
    Column("properties", JSON, nullable=False),
    Column("used", BigInteger, nullable=False, default=0),
    Column("quota", BigInteger),
    UniqueConstraint("parent_id", "name", name="vospace_nodes_place"),
)

dead_blobs = Table("vospace_dead_blobs", metadata, Column("blob", String(32), primary_key=True))

property_names = Table("vospace_property_names", metadata, Column("uri", _Name, primary_key=True))
"""The properties that nodes have, or had once: reading them all from the nodes would take too long."""

secrets = Table(
    "vospace_secrets",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

jobs = Table(
    "vospace_jobs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("owner_id", String(64), nullable=False),
    Column("owner_name", Text, nullable=False),
    Column("phase", String(16), nullable=False),
    Column("document", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("destroy_at", Moment, nullable=False, index=True),
    Column("started_at", Moment),
    Column("ended_at", Moment),
    Column("results", JSON, nullable=False),
    Column("error", Text, nullable=False),
    Column("run_id", Text, nullable=False, server_default=""),
    Column("credential", JSON, nullable=False, server_default="{}"),
    Column("duration_seconds", Integer, nullable=False, server_default="0"),
    Column("queued_at", Moment),
    Column("seen_at", Moment),
    Column("runner", String(32), nullable=False, server_default=""),
    Column("progress", JSON, nullable=False, server_default="{}"),
    Index("vospace_jobs_of", "owner_id", "kind", "created_at"),
    Index("vospace_jobs_waiting", "phase", "queued_at"),
)

uploads = Table(
    "vospace_uploads",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("key", String(32), nullable=False),
    Column("person_id", String(64), nullable=False, index=True),
    Column("user_name", Text, nullable=False),
    Column("path", JSON, nullable=False),
    Column("length", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
    Column("md5", String(32), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("content_type", Text, nullable=False),
    Column("conditions", JSON, nullable=False),
    Column("in_segments", Boolean, nullable=False),
    Column("notes", Text, nullable=False),
    Column("mark", BigInteger),
    Column("mark_before", BigInteger),
    Column("outcome", String(32), nullable=False),
)

links = Table(
    "vospace_links",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("path", Text, nullable=False),
    Column("node_id", BigInteger, nullable=False),
    Column("is_folder", Boolean, nullable=False),
    Column("owner_id", String(64), nullable=False, index=True),
    Column("owner_name", Text, nullable=False),
    Column("lists", Boolean, nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
    Column("revoked_at", Moment),
    Column("most", BigInteger),
    Column("used", BigInteger, nullable=False),
    Column("used_at", Moment),
)
"""Share links. What makes an address of one is signed, and is not here."""

shares = Table(
    "vospace_shares",
    metadata,
    Column("group_name", String(300), primary_key=True),
    Column(
        "node_id", Serial, ForeignKey("vospace_nodes.id", ondelete="CASCADE"), primary_key=True, index=True
    ),
)
"""What somebody has shared with a group, for the group to find it. What was made later below it, and inherits, is not here."""


job_accesses = Table(
    "vospace_job_accesses",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("job", String(64), nullable=False, index=True),
    Column("person_id", String(64), nullable=False),
    Column("deed", String(16), nullable=False),
    Column("path", Text, nullable=False),
    Column("blob", String(32)),
    Column("length", BigInteger, nullable=False),
    Column("md5", String(32), nullable=False),
    Column("at", Moment, nullable=False),
    Column("count", BigInteger, nullable=False),
)
"""What running jobs did by their own credentials, until it is in their records."""

digests = Table(
    "vospace_digests",
    metadata,
    Column("blob", String(32), primary_key=True),
    Column("sha256", String(64), nullable=False),
)
"""The SHA-256 of bytes, where somebody has added it up. Bytes never change, so that it holds for as long as they are there."""


def create_all(engine: Engine) -> None:
    """Make the tables and the two nodes that are always there, the top and `/home`.

    Harmless when repeated.
    """
    now = datetime.now(UTC)
    metadata.create_all(engine)
    with engine.begin() as connection:
        for node_id, parent_id, name in ((ROOT_ID, None, ""), (HOMES_ID, ROOT_ID, HOMES)):
            if connection.execute(select(nodes.c.id).where(nodes.c.id == node_id)).first() is None:
                connection.execute(
                    insert(nodes).values(
                        id=node_id,
                        parent_id=parent_id,
                        name=name,
                        kind="container",
                        owner_id=SYSTEM_OWNER,
                        owner_name="",
                        written_by="",
                        created_at=now,
                        modified_at=now,
                        group_read=[],
                        group_write=[],
                        properties={},
                    )
                )
