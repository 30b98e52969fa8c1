"""What jobs of a submit ask for, each different wish once, with counts of the jobs that wish it.

So nothing that is asked all the time (what waits, what a worker may take, how a submit stands) has to look at jobs,
of which there may be a million. The counts are kept by triggers: whoever changes a job changes them, in the same
transaction, on each database.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    Engine,
    Float,
    Index,
    Integer,
    String,
    Table,
    Text,
    text,
)

from armillary.batch.model import JobState
from armillary.batch.store.columns import metadata
from armillary.columns import Moment, Serial

STATES = tuple(state.value for state in JobState)
WAITING = "state = 'idle' AND live_attempt IS NULL"
"""of a job that a worker may take"""

shapes = Table(
    "batch_shapes",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("cluster", BigInteger, nullable=False),
    Column("project", String(64), nullable=False),
    Column("owner", String(64), nullable=False),
    Column("image", String(128), nullable=False),
    Column("flavor", String(255), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("cpus", Integer, nullable=False),
    Column("memory_mib", BigInteger, nullable=False),
    Column("disk_kib", BigInteger, nullable=False),
    Column("gpus", Integer, nullable=False, server_default="0"),
    Column("requirements", Text, nullable=False, server_default=""),
    Column("rank", Text, nullable=False, server_default=""),
    Column("attributes", Text, nullable=False, server_default=""),
    Column("limits", JSON(none_as_null=True)),  # how much of which concurrency limit; NULL: none
    Column("at_most", Integer),  # jobs of the whole submit on workers at once
    *(Column(state, Integer, nullable=False, server_default="0") for state in STATES),
    Column("live", Integer, nullable=False, server_default="0"),  # have an attempt that has not ended
    Column("waiting", Integer, nullable=False, server_default="0"),
    Index(
        "batch_shapes_waiting",
        "project",
        "image",
        "flavor",
        "owner",
        "priority",
        sqlite_where=text("waiting > 0"),
        postgresql_where=text("waiting > 0"),
    ),
    Index("batch_shapes_live", "project", sqlite_where=text("live > 0"), postgresql_where=text("live > 0")),
    Index("batch_shapes_of_cluster", "cluster"),
)

shares = Table(
    "batch_shares",  # what people have used of late, for whose turn it is
    metadata,
    Column("project", String(64), primary_key=True),
    Column("owner", String(64), primary_key=True),
    Column("used", Float, nullable=False),  # core-seconds, decayed until `at`
    Column("at", Moment, nullable=False),
    Column("served_at", Moment),  # when a worker last took a job of theirs
)


def count_by_triggers(engine: Engine) -> None:
    """Make the triggers that keep the counts, if they are not there."""
    with engine.begin() as db:
        for statement in _SQLITE if db.dialect.name == "sqlite" else _POSTGRESQL:
            db.exec_driver_sql(statement)


def _one(condition: str) -> str:
    return f"CASE WHEN {condition} THEN 1 ELSE 0 END"


def _counted(prefix: str) -> dict[str, str]:
    found = {state: _one(f"{prefix}state = '{state}'") for state in STATES}
    found["live"] = _one(f"{prefix}live_attempt IS NOT NULL")
    found["waiting"] = _one(f"{prefix}state = 'idle' AND {prefix}live_attempt IS NULL")
    return found


def _sqlite_step(row: str, sign: str) -> str:
    changed = ", ".join(f"{name} = {name} {sign} {one}" for name, one in _counted(f"{row}.").items())
    return f"UPDATE batch_shapes SET {changed} WHERE id = {row}.shape;"  # noqa: S608 - all words are ours


def _sqlite_triggers() -> list[str]:
    come, go = _sqlite_step("NEW", "+"), _sqlite_step("OLD", "-")
    when = {
        "come": ("INSERT", come),
        "move": ("UPDATE OF state, live_attempt, shape", go + " " + come),
        "go": ("DELETE", go),
    }
    return [
        f"CREATE TRIGGER IF NOT EXISTS batch_jobs_{name} AFTER {event} ON batch_jobs BEGIN {steps} END"
        for name, (event, steps) in when.items()
    ]


def _postgresql_step(table: str, sign: str) -> str:
    counted = _counted("")
    sums = ", ".join(f"sum({one}) AS {name}" for name, one in counted.items())
    changed = ", ".join(f"{name} = s.{name} {sign} d.{name}" for name in counted)
    return (
        f"UPDATE batch_shapes s SET {changed} FROM (SELECT shape, {sums} FROM {table} GROUP BY shape) d"  # noqa: S608
        " WHERE s.id = d.shape;"
    )


def _postgresql_triggers() -> list[str]:
    # once for a statement, not for each row: a row of counts that is changed a million times over in a transaction
    # would leave a million dead ones behind
    go = f"IF TG_OP <> 'INSERT' THEN {_postgresql_step('gone', '-')} END IF;"
    come = f"IF TG_OP <> 'DELETE' THEN {_postgresql_step('fresh', '+')} END IF;"
    body = f"BEGIN {go} {come} RETURN NULL; END"
    function = f"CREATE OR REPLACE FUNCTION batch_count_jobs() RETURNS trigger LANGUAGE plpgsql AS $body${body}$body$"
    tables = {
        "INSERT": "NEW TABLE AS fresh",
        "UPDATE": "OLD TABLE AS gone NEW TABLE AS fresh",
        "DELETE": "OLD TABLE AS gone",
    }
    return [
        function,
        *(
            f"CREATE OR REPLACE TRIGGER batch_jobs_{event.lower()} AFTER {event} ON batch_jobs"
            f" REFERENCING {referencing} FOR EACH STATEMENT EXECUTE FUNCTION batch_count_jobs()"
            for event, referencing in tables.items()
        ),
    ]


_SQLITE: Sequence[str] = _sqlite_triggers()
_POSTGRESQL: Sequence[str] = _postgresql_triggers()


def recount(db: Connection) -> int:
    """Return how many shapes have other counts than their jobs, for a check of the records."""
    sums = ", ".join(f"sum({one}) AS {name}" for name, one in _counted("").items())
    differs = " OR ".join(f"s.{name} <> coalesce(d.{name}, 0)" for name in _counted(""))
    return db.exec_driver_sql(
        f"SELECT count(*) FROM batch_shapes s LEFT JOIN (SELECT shape, {sums} FROM batch_jobs GROUP BY shape) d"  # noqa: S608 - names of ours
        f" ON d.shape = s.id WHERE {differs}"
    ).scalar_one()
