"""Which bytes of the spool jobs and people need. Reads each table once, whatever is asked."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import Connection, Text, and_, cast, or_, select
from sqlalchemy import Engine as Database

from armillary.batch.store.checkpoint_tables import checkpoints
from armillary.batch.store.holding_records import holdings
from armillary.batch.store.tables import clusters, jobs, outputs

_AT_ONCE = 10_000
"""rows that are in memory"""


class NamedBytes:
    """What people have sent, what jobs were given, and the files of attempts that count or still run."""

    def __init__(self, *, database: Database) -> None:
        self._reading = database.execution_options(readonly=True)

    def __call__(self, digests: Collection[str]) -> set[str]:
        """Return those of some digests that are needed."""
        asked = frozenset(digests)
        with self._reading.connect() as db:
            return {digest for digest in _named(db) if digest in asked}


def _named(db: Connection) -> Iterator[str]:
    its = and_(jobs.c.cluster == outputs.c.cluster, jobs.c.proc == outputs.c.proc)
    counts = or_(jobs.c.committed_attempt == outputs.c.attempt, jobs.c.live_attempt == outputs.c.attempt)
    for query in (
        select(holdings.c.sha256),
        select(checkpoints.c.sha256),
        select(outputs.c.sha256).join(jobs, its).where(counts),
    ):
        yield from _values(db, query)
    for column in (clusters.c.common_inputs, jobs.c.inputs):
        for files in _values(db, select(column).where(cast(column, Text) != "[]")):
            yield from (file[1] for file in files)


def _values(db: Connection, query: Any) -> Iterator[Any]:
    yield from db.execute(query, execution_options={"yield_per": _AT_ONCE}).scalars()
