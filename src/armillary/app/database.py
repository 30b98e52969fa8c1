"""Engines for the records: SQLite in WAL mode by default, PostgreSQL by URL."""

from __future__ import annotations

import sqlite3
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event


def make_engine(url: str, *, durable: bool = True) -> Engine:
    """Return an engine whose commits are on disk before they return.

    On SQLite a transaction takes the write lock at its start (`BEGIN IMMEDIATE`), so that two writers wait for
    each other instead of failing half way; `engine.execution_options(readonly=True)` gives a view of the engine
    whose transactions only read and never wait. Tests, whose records nobody misses after a power cut, pass
    `durable=False`: their commits do not wait for the disk.
    """
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": 30, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.isolation_level = None  # we say BEGIN ourselves, below
        synchronous = "FULL" if durable else "OFF"
        for pragma in (
            f"synchronous={synchronous}",
            "journal_mode=WAL",
            "foreign_keys=ON",
            "busy_timeout=30000",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:  # pyright: ignore[reportUnusedFunction]
        readonly = connection.get_execution_options().get("readonly", False)
        connection.exec_driver_sql("BEGIN" if readonly else "BEGIN IMMEDIATE")

    return engine
