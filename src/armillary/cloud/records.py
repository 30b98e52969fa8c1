"""One way to read and write the cloud's records: a column is named after the field it keeps, so a row is an object."""

from __future__ import annotations

import dataclasses
from enum import StrEnum
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    Dialect,
    RowMapping,
    Select,
    String,
    Table,
    TypeDecorator,
    bindparam,
    delete,
    insert,
    select,
    update,
)


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


T = TypeVar("T", bound=_Dataclass)


class Listed(TypeDecorator[tuple[Any, ...]]):
    """A tuple of JSON values, or of dataclasses of one kind."""

    impl = JSON
    cache_ok = True

    def __init__(self, kind: type[Any] | None = None) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: tuple[Any, ...] | None, dialect: Dialect) -> list[Any]:
        return [dataclasses.asdict(v) if self.kind else v for v in value or ()]

    def process_result_value(self, value: list[Any] | None, dialect: Dialect) -> tuple[Any, ...]:
        return tuple(self.kind(**v) if self.kind else v for v in value or ())


class Kept(TypeDecorator[Any]):
    """One dataclass as JSON."""

    impl = JSON
    cache_ok = True

    def __init__(self, kind: type[Any]) -> None:
        super().__init__(none_as_null=True)
        self.kind = kind

    def process_bind_param(self, value: Any | None, dialect: Dialect) -> Any:
        return dataclasses.asdict(value) if value is not None else None

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Any:
        return self.kind(**value) if value is not None else None


class Named(TypeDecorator[StrEnum]):
    """A member of an enumeration by its value."""

    impl = String(40)
    cache_ok = True

    def __init__(self, kind: type[StrEnum]) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: StrEnum | None, dialect: Dialect) -> str | None:
        return value.value if value is not None else None

    def process_result_value(self, value: Any | None, dialect: Dialect) -> StrEnum | None:
        return self.kind(value) if value is not None else None


class Records(Generic[T]):
    """One table of one kind of object."""

    def __init__(self, *, table: Table, kind: type[T]) -> None:
        self.table = table
        self._kind = kind
        self._keys = list(table.primary_key.columns)
        # made once: to build a statement costs more than SQLite needs to answer it
        self._by_key = select(table).where(*(column == bindparam(column.name) for column in self._keys))
        made = [table.c.created_at] if "created_at" in table.c else []
        self._oldest_first = select(table).order_by(*(made or self._keys), *(self._keys[:1] if made else ()))

    def object(self, row: RowMapping) -> T:
        """The object that a row of the table is."""
        return self._kind(**row)

    def _same(self, item: T) -> list[ColumnElement[bool]]:
        return [key == getattr(item, key.name) for key in self._keys]

    def get(self, connection: Connection, *key: str) -> T | None:
        """The object with this primary key, or None."""
        named = {column.name: value for column, value in zip(self._keys, key, strict=True)}
        row = connection.execute(self._by_key, named).mappings().first()
        return self.object(row) if row else None

    def find(
        self, connection: Connection, *where: ColumnElement[bool], newest_first: bool = False
    ) -> list[T]:
        """The objects that match, oldest first."""
        query = self._oldest_first.where(*where)
        if newest_first:
            query = query.order_by(None).order_by(self.table.c.created_at.desc(), self._keys[0])
        return [self.object(row) for row in connection.execute(query).mappings()]

    def read(self, connection: Connection, statement: Select[Any]) -> list[T]:
        """The objects that a query over this table's columns finds, in its order."""
        return [self.object(row) for row in connection.execute(statement).mappings()]

    def add(self, connection: Connection, item: T) -> T:
        """Write a new object and return it."""
        connection.execute(insert(self.table).values(vars(item)))
        return item

    def save(self, connection: Connection, item: T, *where: ColumnElement[bool]) -> bool:
        """Write the object over its record; False if the record is gone or `where` no longer holds."""
        statement = update(self.table).where(*self._same(item), *where).values(vars(item))
        return connection.execute(statement).rowcount > 0

    def remove(self, connection: Connection, *where: ColumnElement[bool]) -> int:
        """Delete what matches; return how many."""
        return connection.execute(delete(self.table).where(*where)).rowcount
