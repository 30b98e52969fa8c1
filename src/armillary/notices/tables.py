"""The tables of notices."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Index, Integer, MetaData, String, Table, Text, UniqueConstraint
from sqlalchemy import Engine as Database

from armillary.columns import Moment

metadata = MetaData()

post = Table(
    "notices_post",  # letters and POSTs, on their way and settled
    metadata,
    Column("id", String(64), primary_key=True),  # goes with every try, so that a second one can be told
    Column("about", String(128), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("channel", String(16), nullable=False),
    Column("target", String(2048), nullable=False),
    Column("owner", String(255), nullable=False),
    Column("locale", String(10), nullable=False),
    Column("state", String(16), nullable=False),
    Column("body", JSON, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_at", Moment, nullable=False),
    Column("said", Text, nullable=False),  # by the last try
    Index("notices_post_due", "state", "next_at"),
    Index("notices_post_about", "about"),
)

notes = Table(
    "notices_notes",  # what was told to whom; the event makes it once
    metadata,
    Column("id", String(32), primary_key=True),
    Column("person", String(32), nullable=False),
    Column("event", String(255), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("facts", JSON, nullable=False),
    Column("at", Moment, nullable=False),
    Column("read_at", Moment),
    Column("shown", Boolean, nullable=False),  # in the portal; otherwise the row only says that it was told
    UniqueConstraint("person", "event"),
    Index("notices_notes_of_person", "person", "shown", "at"),
    Index("notices_notes_at", "at"),
)

wishes = Table(
    "notices_wishes",
    metadata,
    Column("person", String(32), primary_key=True),
    Column("channels", JSON, nullable=False),
    Column("url", String(2048), nullable=False),
)

announcements = Table(
    "notices_announcements",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("level", String(16), nullable=False),
    Column("en", Text, nullable=False),
    Column("fr", Text, nullable=False),
    Column("since", Moment, nullable=False),
    Column("until", Moment, nullable=False, index=True),
    Column("made_by", String(255), nullable=False),
)


def create_all(database: Database) -> None:
    """Make the tables that are not there yet."""
    metadata.create_all(database)
