"""Brings the records of an older version up to date, before anybody reads them.

Tables that are missing are made by their stores (`create_all`); a revision here changes those that exist. A new
database is marked with the newest revision at once, so a start without anything to do reads one row.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from sqlalchemy import Engine, inspect, text

from armillary.base.errors import Unavailable

Kind = Literal["platform", "cloud"]
HEADS: dict[Kind, str] = {"platform": "0006", "cloud": "0002"}
"""The newest revision of each database."""
_FIRST = "0001"
"""What a database without a mark is: it was made before there were marks."""


def bring_up_to_date(engine: Engine, kind: Kind) -> None:
    """Apply the revisions that this database lacks. A copy of an SQLite file is left beside it first.

    Raises:
        Unavailable: it was written by a newer version of the platform.
    """
    have = _revision(engine)
    if have == HEADS[kind]:
        return
    if have is None:
        _mark(engine, HEADS[kind])
        return
    if have > HEADS[kind]:
        raise Unavailable(
            f"the records of the {kind} were written by a newer version (revision {have}; this one knows {HEADS[kind]})",
            code="records_too_new",
            facts={"revision": have, "known": HEADS[kind]},
            remedy="start the newer version again, or restore the copy that it left beside the database",
        )
    _keep_copy(engine, have)
    _upgrade(engine, kind, have)


def _revision(engine: Engine) -> str | None:
    """The mark of a database; None for an empty one."""
    with engine.execution_options(readonly=True).connect() as connection:
        tables = inspect(connection).get_table_names()
        if "alembic_version" in tables:
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    return _FIRST if tables else None


def _mark(engine: Engine, revision: str) -> None:
    # Alembic's own table, without its import: a first start should not wait for what it does not need
    with engine.begin() as connection:
        connection.execute(
            text(
                "CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL,"
                " CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
            )
        )
        connection.execute(text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": revision})


def _keep_copy(engine: Engine, revision: str) -> None:
    if engine.dialect.name != "sqlite" or not engine.url.database:
        return
    copy = Path(f"{engine.url.database}.before-{revision}")
    copy.unlink(missing_ok=True)  # of an upgrade that was interrupted: the database is as it was then
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("VACUUM INTO ?", (str(copy),))


def _upgrade(engine: Engine, kind: Kind, have: str) -> None:
    from alembic import command
    from alembic.config import Config

    with engine.begin() as connection:  # one transaction: all revisions, or none
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / kind))
        config.attributes["connection"] = connection
        if not inspect(connection).has_table("alembic_version"):
            command.stamp(config, have)
        command.upgrade(config, "head")
