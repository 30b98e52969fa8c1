"""What this machine remembers of earlier commands: files that we wrote, events that we logged."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

_TABLES = """
create table if not exists written (path text primary key, sha256 text not null);
create table if not exists logged (platform text, cluster integer, seq integer not null, primary key (platform, cluster));
"""


class Notes:
    """A small file of records, safe to delete: then a fetch asks once more before it replaces a file."""

    def __init__(self, *, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = directory / "notes.sqlite"
        with self._open() as db:
            db.executescript(_TABLES)

    @contextmanager
    def _open(self) -> Generator[sqlite3.Connection]:
        db = sqlite3.connect(self._file, timeout=30)
        try:
            with db:
                yield db
        finally:
            db.close()

    def wrote(self, path: Path) -> str | None:
        """Return the SHA-256 of what we last wrote to `path`."""
        with self._open() as db:
            row = db.execute("select sha256 from written where path = ?", (str(path),)).fetchone()
        return str(row[0]) if row else None

    def write(self, path: Path, sha256: str) -> None:
        """Remember what we wrote to `path`."""
        with self._open() as db:
            db.execute("insert or replace into written values (?, ?)", (str(path), sha256))

    def logged(self, platform: str, cluster: int) -> int:
        """Return the number of the last event that went into the job event log."""
        query = "select seq from logged where platform = ? and cluster = ?"
        with self._open() as db:
            row = db.execute(query, (platform, cluster)).fetchone()
        return int(row[0]) if row else 0

    def log(self, platform: str, cluster: int, seq: int) -> None:
        """Remember that all events up to `seq` are in the log."""
        with self._open() as db:
            db.execute("insert or replace into logged values (?, ?, ?)", (platform, cluster, seq))
