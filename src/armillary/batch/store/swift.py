"""Statements that are asked for each job, without what SQLAlchemy does anew for each of them.

To build a statement, to find its compiled form, and to make a result of it takes ten times as long as SQLite needs to
answer. A `Swift` is built once; SQLAlchemy compiles it and converts its values, and the driver is asked directly, in
the connection's own transaction.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Dialect, Float, Numeric

from armillary.columns import Moment

Convert = Callable[[Any], Any]


def _binding(kind: Any, dialect: Dialect) -> Convert | None:
    """Return what makes the driver's value of ours."""
    if isinstance(kind, Moment) and dialect.name == "sqlite":
        return _moment_to_text
    return kind.dialect_impl(dialect).bind_processor(dialect)


def _reading(kind: Any, dialect: Dialect) -> Convert | None:
    """Return what makes our value of the driver's."""
    if isinstance(kind, Moment) and dialect.name == "sqlite":
        return _moment_of_text
    return kind.dialect_impl(dialect).result_processor(dialect, None)


# A job's end and the next claim write and read forty moments. These are the texts that `Moment` keeps in SQLite, made
# in one step where SQLAlchemy needs five.


def _moment_to_text(value: datetime | None) -> str | None:
    if value is None:
        return None
    return value.astimezone(UTC).isoformat(" ", "microseconds")[:26]  # without the zone


def _moment_of_text(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)


class _Ready:
    """A statement compiled for one kind of database."""

    def __init__(self, statement: Any, dialect: Dialect, columns: Sequence[str]) -> None:
        compiled: Any = statement.compile(dialect=dialect, column_keys=list(columns) or None)
        self.text: str = str(compiled)
        order: list[str] | None = compiled.positiontup
        changes: dict[str, Convert | None] = {
            name: _binding(bind.type, dialect)
            for name, bind in compiled.binds.items()
            if name in compiled.params  # and not by the name that it had before it was compiled
        }
        given: dict[str, Any] = {}
        for name, value in compiled.params.items():
            if not compiled.binds[name].required:
                change = changes[name]
                given[name] = value if change is None else change(value)
                changes[name] = None
        self._given = given
        self._named = order is None
        self._changes = changes
        self._plan = [(name, changes[name]) for name in (order or changes)]
        told: Sequence[Any] = list(getattr(statement, "selected_columns", None) or statement.exported_columns)
        make: Any = namedtuple  # noqa: PYI024 - its fields are known only now
        self.row: Callable[..., Any] = make("Row", [column.key for column in told], rename=True)
        self._convert: list[tuple[int, Convert]] = []
        for place, column in enumerate(told):
            if isinstance(column.type, Float | Numeric):
                continue  # the driver's own number will do
            convert = _reading(column.type, dialect)
            if convert is not None:
                self._convert.append((place, convert))

    def values(self, params: Mapping[str, Any]) -> Any:
        """Return what the driver gets for `params`."""
        whole = {**self._given, **params} if self._given else params
        if self._named:
            return {
                name: whole[name] if change is None else change(whole[name]) for name, change in self._plan
            }
        return [whole[name] if change is None else change(whole[name]) for name, change in self._plan]

    def many(self, rows: Iterable[Mapping[str, Any]], same: Mapping[str, Any]) -> list[Any]:
        """Return what the driver gets for each of `rows`; the `same`, which a row may say otherwise, is converted once."""
        if not same:
            return [self.values(row) for row in rows]
        kept = {**self._given, **self._converted(same)}
        found: list[Any] = []
        for row in rows:
            whole = {**kept, **self._converted(row)}
            found.append(whole if self._named else [whole[name] for name, _ in self._plan])
        return found

    def _converted(self, params: Mapping[str, Any]) -> dict[str, Any]:
        changes = self._changes
        return {
            name: value if (change := changes[name]) is None else change(value)
            for name, value in params.items()
        }

    def rows(self, found: Sequence[Sequence[Any]]) -> list[Any]:
        if not self._convert:
            return [self.row(*values) for values in found]
        made: list[Any] = []
        for values in found:
            changed = list(values)
            for place, convert in self._convert:
                changed[place] = convert(changed[place])
            made.append(self.row(*changed))
        return made


class Swift:
    """One statement of SQLAlchemy's with `bindparam`s, to be run often. `columns`: those that an INSERT gets."""

    def __init__(self, statement: Any, *columns: str) -> None:
        self._statement = statement
        self._columns = columns
        self._ready: dict[str, _Ready] = {}

    def all(self, db: Connection, **params: Any) -> list[Any]:
        """Return the rows of a SELECT."""
        ready = self._for(db)
        cursor = self._run(db, ready.text, ready.values(params))
        try:
            return ready.rows(cursor.fetchall())
        finally:
            cursor.close()

    def first(self, db: Connection, **params: Any) -> Any | None:
        """Return the first row of a SELECT, if there is one."""
        found = self.all(db, **params)
        return found[0] if found else None

    def run(self, db: Connection, **params: Any) -> int:
        """Change rows; returns how many."""
        ready = self._for(db)
        cursor = self._run(db, ready.text, ready.values(params))
        try:
            return int(cursor.rowcount)
        finally:
            cursor.close()

    def many(self, db: Connection, rows: Iterable[Mapping[str, Any]], **same: Any) -> None:
        """Change rows, once for each of `rows`; what is the `same` for all of them is said once."""
        ready = self._for(db)
        self._run(db, ready.text, ready.many(rows, same), many=True).close()

    def _for(self, db: Connection) -> _Ready:
        ready = self._ready.get(db.dialect.name)
        if ready is None:
            ready = self._ready[db.dialect.name] = _Ready(self._statement, db.dialect, self._columns)
        return ready

    @staticmethod
    def _run(db: Connection, text: str, values: Any, *, many: bool = False) -> Any:
        cursor = db.connection.cursor()
        try:
            (cursor.executemany if many else cursor.execute)(text, values)
        except (
            Exception
        ) as error:  # whichever the driver raises, the caller sees what it would from SQLAlchemy
            connection: Any = db
            connection._handle_dbapi_exception(error, text, None, cursor, None)  # noqa: SLF001 - there is no other way to the engine's own words for it
            raise
        return cursor
