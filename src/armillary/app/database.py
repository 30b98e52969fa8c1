"""Engines for the records: SQLite in WAL mode by default, PostgreSQL by URL."""

from __future__ import annotations

import sqlite3
import threading
from typing import Any
from zlib import crc32

from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import ConnectionPoolEntry

from armillary.base.errors import Invalid, OutOfSpace, Unavailable

_WAIT_SECONDS = 30
"""for the write lock; then the transaction fails as it would without us"""
_HEAD_OF_LINE = "head of line"
_MOST_CONNECTIONS = 80
"""Beyond the five that stay open. A writer that waits holds a connection while the one that it waits for may need a
second, to look up a person: there must be enough for one in each thread that answers calls (the server's forty and
`hands.AT_MOST`), for the loops beside them, and for the second. PostgreSQL takes a hundred."""


def make_engine(url: str, *, durable: bool = True) -> Engine:
    """Return an engine whose commits are on disk before they return.

    A transaction takes the write lock at its start, so that two writers wait for each other instead of failing half
    way, and what a writer has read is still so when it writes. `engine.execution_options(readonly=True)` gives a view
    of the engine whose transactions only read, see one moment, and never wait. On PostgreSQL there is one such lock
    for each `engine.execution_options(room="…")`; SQLite has one for all.

    Tests, whose records nobody misses after a power cut, pass `durable=False`: their commits do not wait for the disk.
    """
    parsed = _parsed(url)
    return (
        _sqlite(parsed, durable=durable)
        if parsed.get_backend_name() == "sqlite"
        else _postgresql(parsed, durable)
    )


def open_records(url: str) -> Engine:
    """Return the engine of a database that answers.

    Raises:
        Unavailable: it does not, or it cannot keep what we write.
        Invalid: the URL is not one of SQLite or PostgreSQL.
    """
    engine = make_engine(url)
    try:
        with engine.execution_options(readonly=True).connect() as connection:
            encoding = _encoding(connection)
    except (DBAPIError, Unavailable) as error:
        engine.dispose()
        raise Unavailable(
            f"the records at {shown_url(url)} cannot be reached: {_first_line(error)}",
            code="records_unreachable",
            facts={"database": shown_url(url)},
            remedy="start that database, or mend database_url in armillary.toml",
        ) from error
    if encoding != "UTF8":
        engine.dispose()
        raise Unavailable(
            f"the database at {shown_url(url)} is encoded in {encoding}",
            code="records_unreachable",
            facts={"database": shown_url(url), "encoding": encoding},
            remedy="make it anew: createdb --encoding=UTF8 --template=template0 NAME",
        )
    return engine


def shown_url(url: str) -> str:
    """Return a URL without its password."""
    return _parsed(url).render_as_string(hide_password=True)


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
        if parsed.drivername in {"postgresql", "postgres"}:
            parsed = parsed.set(drivername="postgresql+psycopg")
        if parsed.drivername not in {"sqlite", "postgresql+psycopg"}:
            raise NoSuchModuleError
        parsed.get_dialect().import_dbapi()
    except (ArgumentError, NoSuchModuleError) as error:
        # The URL itself is not quoted: it may hold a password.
        raise Invalid(
            "database_url is not a URL of SQLite or PostgreSQL",
            code="bad_settings",
            remedy="write postgresql://USER:PASSWORD@HOST/NAME, or leave it out for SQLite",
        ) from error
    except ImportError as error:
        raise Unavailable(
            "the driver of PostgreSQL is not installed",
            code="records_unreachable",
            remedy="pip install 'armillary[postgresql]'",
        ) from error
    return parsed


def _first_line(error: Exception) -> str:
    said = error.orig if isinstance(error, DBAPIError) else error.__cause__
    return str(said).strip().partition("\n")[0]


def _encoding(connection: Connection) -> str:
    if connection.dialect.name == "sqlite":
        return "UTF8"
    return str(connection.exec_driver_sql("SHOW server_encoding").scalar_one())


def _sqlite(url: URL, *, durable: bool) -> Engine:
    in_file = bool(url.database) and url.database != ":memory:"
    engine = create_engine(
        url,
        connect_args={"timeout": _WAIT_SECONDS, "check_same_thread": False},
        **({"max_overflow": _MOST_CONNECTIONS} if in_file else {}),
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.isolation_level = None  # we say BEGIN ourselves, below
        synchronous = "FULL" if durable else "OFF"
        for pragma in (
            f"synchronous={synchronous}",
            "journal_mode=WAL",
            "foreign_keys=ON",
            # what a query sets aside is small; a file for each of its parts takes longer than the query
            "temp_store=MEMORY",
            f"busy_timeout={_WAIT_SECONDS * 1000}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "handle_error")
    def _explain(context: ExceptionContext) -> None:  # pyright: ignore[reportUnusedFunction]
        code = getattr(context.original_exception, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_BUSY:
            raise Unavailable(
                f"the records have been busy for {_WAIT_SECONDS} seconds",
                code="records_busy",
                remedy="Try again in a minute.",
            ) from context.original_exception
        if code == sqlite3.SQLITE_FULL:
            raise _no_room() from context.original_exception

    # SQLite lets waiting writers sleep, longer each time, and look again: among many of them the lock is free for most
    # of the time. Ours stand in line first; writers of other processes are still met at the database.
    line = threading.Lock()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:  # pyright: ignore[reportUnusedFunction]
        if connection.get_execution_options().get("readonly", False):
            connection.exec_driver_sql("BEGIN")
            return
        if not connection.info.get(_HEAD_OF_LINE):
            connection.info[_HEAD_OF_LINE] = line.acquire(timeout=_WAIT_SECONDS)
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    @event.listens_for(engine, "checkin")
    def _leave(_connection: Any, record: ConnectionPoolEntry) -> None:  # pyright: ignore[reportUnusedFunction]
        if record.info.pop(_HEAD_OF_LINE, False):
            line.release()

    return engine


def _postgresql(url: URL, durable: bool) -> Engine:
    options = {
        "timezone": "UTC",
        "lock_timeout": f"{_WAIT_SECONDS}s",
        "synchronous_commit": "on" if durable else "off",
    }
    engine = create_engine(
        url,
        pool_pre_ping=True,
        max_overflow=_MOST_CONNECTIONS,
        connect_args={
            "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
            "connect_timeout": 10,
            "application_name": "armillary",
        },
    )

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:  # pyright: ignore[reportUnusedFunction]
        chosen = connection.get_execution_options()
        driver: Any = connection.connection.dbapi_connection
        if chosen.get("readonly", False):
            _isolate(driver, readonly=True)
            return
        _isolate(driver, readonly=False)
        # The lock is taken before anything is looked at, and at READ COMMITTED each statement sees what was committed
        # before it: so nothing that a writer has seen can change before its end, and no transaction fails because of
        # another one. Serializable transactions would have to be tried again by everybody who writes.
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_key(chosen.get("room", "")),))

    @event.listens_for(engine, "handle_error")
    def _explain(context: ExceptionContext) -> None:  # pyright: ignore[reportUnusedFunction]
        from psycopg import DataError
        from psycopg.errors import DiskFull

        if isinstance(context.original_exception, DataError):
            raise Invalid(
                "a text or a number in this is not one that the records can hold",
                remedy="Leave out the character U+0000, and shorten what is very long.",
            ) from context.original_exception
        if isinstance(context.original_exception, DiskFull):
            raise _no_room() from context.original_exception
        if context.connection is None or (context.is_disconnect and not context.is_pre_ping):
            raise Unavailable(
                "the records cannot be reached", code="records_unreachable", remedy="Try again in a minute."
            ) from context.original_exception

    return engine


def _no_room() -> OutOfSpace:
    return OutOfSpace(
        "there is no room left for the records", remedy="Free some space on the disk that they are on."
    )


def _isolate(driver: Any, *, readonly: bool) -> None:
    """Set how the transaction that begins with the next statement sees others. Asks the server nothing."""
    from psycopg import IsolationLevel

    wanted = IsolationLevel.REPEATABLE_READ if readonly else IsolationLevel.READ_COMMITTED
    if driver.isolation_level is not wanted:
        driver.isolation_level = wanted
    if driver.read_only is not readonly:
        driver.read_only = readonly


def _key(room: str) -> int:
    """Return the number of a room's lock, next to others' in the same database."""
    return (0x41524D49 << 32) | crc32(room.encode())
