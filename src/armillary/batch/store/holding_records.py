"""Who has sent which bytes: a row for each person and SHA-256."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Column, String, Table, select
from sqlalchemy import Engine as Database
from sqlalchemy.dialects import postgresql, sqlite

from armillary.base.ids import PersonId
from armillary.batch.store.columns import metadata

_AT_ONCE = 500
"""digests asked for in one statement: databases bound how many values it may have"""

holdings = Table(
    "batch_holdings",
    metadata,
    Column("person", String(64), primary_key=True),
    Column("sha256", String(64), primary_key=True),
)


class HoldingRecords:
    """Notes who has sent what, once."""

    def __init__(self, *, database: Database) -> None:
        self._database = database
        self._reading = database.execution_options(readonly=True)

    def add(self, person: PersonId, digests: Iterable[str]) -> None:
        """Note that a person has these bytes. Again is the same."""
        rows = [{"person": person, "sha256": digest} for digest in dict.fromkeys(digests)]
        if rows:
            with self._database.begin() as db:
                dialect: Any = sqlite if db.dialect.name == "sqlite" else postgresql
                db.execute(dialect.insert(holdings).on_conflict_do_nothing(), rows)

    def of(self, person: PersonId, digests: Iterable[str]) -> set[str]:
        """Return those of `digests` that a person has sent."""
        asked = list(dict.fromkeys(digests))
        found: set[str] = set()
        with self._reading.connect() as db:
            for start in range(0, len(asked), _AT_ONCE):
                chunk = asked[start : start + _AT_ONCE]
                query = select(holdings.c.sha256).where(
                    holdings.c.person == person, holdings.c.sha256.in_(chunk)
                )
                found.update(db.scalars(query))
        return found
