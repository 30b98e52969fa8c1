"""Pages of lists, cut out by the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from armillary.base.errors import NotFound
from armillary.cloud.records import Records
from armillary.cloud.volumes.records import bad_input

T = TypeVar("T", bound=Any)

MOST_IN_A_PAGE = 1000


@dataclass(frozen=True, kw_only=True)
class Page:
    """Which part of a list is wanted, in which order."""

    limit: int = MOST_IN_A_PAGE
    marker: str | None = None
    offset: int = 0
    sort: tuple[tuple[str, bool], ...] = (("created_at", True),)
    """column, and whether it descends"""


def page_of(
    connection: Connection,
    records: Records[T],
    where: Sequence[ColumnElement[bool]],
    page: Page,
    *,
    what: str,
) -> list[T]:
    """The rows of one page.

    Raises:
        NotFound: the marker is none, in Cinder's words for `what`.
        Invalid: there is no such sort key.
    """
    table = records.table
    keys = [*page.sort] if any(name == "id" for name, _ in page.sort) else [*page.sort, ("id", True)]
    unknown = [name for name, _ in keys if name not in table.c]
    if unknown:
        raise bad_input("Invalid sort key")
    query: Select[Any] = select(table).where(*where)
    if page.marker is not None:
        marked = connection.execute(select(table).where(table.c.id == page.marker)).mappings().first()
        if marked is None:
            raise NotFound(f"{what} {page.marker} could not be found.", code="marker_not_found")
        query = query.where(_after(table, keys, marked))
    orders = [_rank(table.c[name], down) for name, down in keys]
    query = query.order_by(*[order for pair in orders for order in pair])
    query = query.limit(min(page.limit, MOST_IN_A_PAGE)).offset(page.offset)
    return [records.object(row) for row in connection.execute(query).mappings()]


def count_of(connection: Connection, records: Records[Any], where: Sequence[ColumnElement[bool]]) -> int:
    """How many rows match in all."""
    return int(connection.execute(select(func.count()).select_from(records.table).where(*where)).scalar_one())


def _rank(column: ColumnElement[Any], down: bool) -> list[ColumnElement[Any]]:
    """Nothing comes before everything, on every database."""
    empty = column.is_(None)
    return [empty.asc(), column.desc()] if down else [empty.desc(), column.asc()]


def _after(table: Any, keys: Sequence[tuple[str, bool]], marked: Any) -> ColumnElement[bool]:
    """The rows that come after the marked one: equal in the first keys and beyond it in the next."""
    beyond: list[ColumnElement[bool]] = []
    equal: list[ColumnElement[bool]] = []
    for name, down in keys:
        column, value = table.c[name], marked[name]
        if value is None:
            further = column.is_not(None) if not down else None
        elif down:
            further = or_(column < value, column.is_(None))
        else:
            further = column > value
        if further is not None:
            beyond.append(and_(*equal, further))
        equal.append(column == value if value is not None else column.is_(None))
    return or_(*beyond)
