"""Neutron's lists in SQL: filters on attributes, sorting, and pages that need no more memory than they show."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Integer, Text, and_, cast, exists, func, or_, select
from sqlalchemy.sql.selectable import Select

from armillary.base.errors import Invalid
from armillary.cloud import store
from armillary.cloud.network.desk import bad
from armillary.cloud.network.model import Resource
from armillary.cloud.records import Records

_BEYOND = 2**31
"""No record has such a number, and a database refuses to look for it."""
MOST = 1000
"""things on one page; a list without a limit goes on behind a link after so many, as with `pagination_max_limit`"""

R = TypeVar("R", bound=Resource)
Facet = Callable[[Sequence[str]], ColumnElement[bool]]
"""What a filter on an attribute asks of a row; several values are alternatives."""


@dataclass(frozen=True, kw_only=True)
class Query:
    """What a list request asks for. The attributes in it have been found known by the API."""

    filters: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    tags: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    """`tags`, `tags-any`, `not-tags`, `not-tags-any`"""
    order: Sequence[tuple[str, bool]] = ()
    """attributes, each with whether it is backwards"""
    limit: int = 0
    """0: as many as there are"""
    marker: str | None = None
    backwards: bool = False
    """The page before the marker instead of the one after it."""


@dataclass(frozen=True, kw_only=True)
class Page(Generic[R]):
    """One page, and whether there are links to others."""

    items: Sequence[R]
    has_next: bool
    has_previous: bool


def text(column: ColumnElement[Any]) -> Facet:
    """A filter on text."""
    return lambda values: column.in_(list(values))


def flag(column: ColumnElement[Any]) -> Facet:
    """A filter on a truth value."""
    return lambda values: column.in_([_truth(value) for value in values])


def number(column: ColumnElement[Any]) -> Facet:
    """A filter on a whole number."""
    return lambda values: column.in_([n for n in map(_whole, values) if abs(n) < _BEYOND])


def member(column: ColumnElement[Any]) -> Facet:
    """A filter on a list of text, which has one of the values."""
    return lambda values: or_(*(has(column, value) for value in values))


def has(column: ColumnElement[Any], value: str) -> ColumnElement[bool]:
    """Whether a list of text, kept as JSON, has a member.

    In JSON a quotation mark inside of text has a backslash before it, so one after `[` or a space begins a member.
    """
    kept, part = cast(column, Text), json.dumps(value)
    return or_(kept.contains(f"[{part}", autoescape=True), kept.contains(f", {part}", autoescape=True))


def fixed_ips(holder: ColumnElement[Any]) -> Facet:
    """A filter `fixed_ips=ip_address=10.0.0.5`: the keys must all hold, the values of one key are alternatives."""

    def facet(values: Sequence[str]) -> ColumnElement[bool]:
        wanted: dict[str, list[str]] = {}
        for value in values:
            key, equals, rest = value.partition("=")
            if not equals:
                raise bad(f"'{value}' is not of the form <key>=[value].")
            wanted.setdefault(key, []).append(rest)
        held = store.addresses.c
        conditions: list[ColumnElement[bool]] = []
        for key, rests in wanted.items():
            if key == "ip_address_substr":
                matches = or_(*(held.ip_address.contains(rest, autoescape=True) for rest in rests))
            elif key in {"ip_address", "subnet_id"}:
                matches = held[key].in_(rests)
            else:
                matches = held.ip_address.is_(None)  # nothing has another key
            conditions.append(exists().where(held.holder_id == holder, matches))
        return and_(*conditions)

    return facet


def _truth(value: str) -> bool:
    lowered = value.lower()
    if lowered not in {"true", "false", "1", "0"}:
        raise bad(f"'{value}' cannot be converted to boolean.")
    return lowered in {"true", "1"}


def _whole(value: str) -> int:
    try:
        return int(value)
    except ValueError as error:
        raise bad(f"'{value}' is not an integer.") from error


def tagged(column: ColumnElement[Any], name: str, values: Sequence[str]) -> ColumnElement[bool]:
    """Neutron's four filters on tags; each value may name several tags, with commas."""
    tags = [tag for value in values for tag in value.split(",") if tag]
    joined = or_ if name.endswith("-any") else and_
    found = joined(*(has(column, tag) for tag in tags)) if tags else column.is_not(None)
    return ~found if name.startswith("not-") else found


def page_of(
    connection: Connection,
    records: Records[R],
    query: Query,
    *,
    seen: Sequence[ColumnElement[bool]],
    facets: Mapping[str, Facet],
    columns: Mapping[str, ColumnElement[Any]],
    missing: Callable[[str], Exception],
) -> Page[R]:
    """Read one page.

    Args:
        connection: to read with.
        records: of the kind.
        query: what is asked for.
        seen: what the caller may see.
        facets: how attributes are filtered.
        columns: by which attributes are sorted.
        missing: what to raise for a marker that is not there.
    """
    table = records.table
    statement = select(table).where(*seen)
    for name, values in query.filters.items():
        statement = statement.where(facets[name](values))
    for name, values in query.tags.items():
        statement = statement.where(tagged(table.c.tags, name, values))
    order = [(columns[name], backwards) for name, backwards in query.order]
    if not order and "created_at" in table.c:
        order = [(table.c.created_at, False)]
    order.append((table.c.id, False))
    keys = [(_comparable(column), backwards != query.backwards) for column, backwards in order]
    if query.marker is not None:
        row = connection.execute(
            select(*(key for key, _ in keys)).where(table.c.id == query.marker, *seen)
        ).first()
        if row is None:
            raise missing(query.marker)
        statement = _after(statement, keys, tuple(row))
    statement = statement.order_by(*(key.desc() if backwards else key.asc() for key, backwards in keys))
    limit = min(query.limit or MOST, MOST)
    found = records.read(connection, statement.limit(limit + 1))
    more, items = len(found) > limit, found[:limit]
    if query.backwards:
        items = items[::-1]
    if not items or (not query.limit and not more and query.marker is None):
        return Page(items=items, has_next=False, has_previous=False)
    full = len(items) == limit
    # as Neutron: a page that is full may have another behind it, and one that was asked for has one before it
    return Page(items=items, has_next=full or query.backwards, has_previous=full or not query.backwards)


def _comparable(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A column that has no NULL, so that every row is before or after every other."""
    if not getattr(column, "nullable", True):
        return column
    return func.coalesce(column, -1 if isinstance(column.type, Integer) else "")


def _after(
    statement: Select[Any], keys: Sequence[tuple[ColumnElement[Any], bool]], marker: tuple[Any, ...]
) -> Select[Any]:
    """Only the rows behind the marker, in the order of the keys."""
    alternatives: list[ColumnElement[bool]] = []
    for place, (key, backwards) in enumerate(keys):
        same = [other == value for (other, _), value in zip(keys[:place], marker, strict=False)]
        alternatives.append(and_(*same, key < marker[place] if backwards else key > marker[place]))
    return statement.where(or_(*alternatives))


def check_limit(value: str | None) -> int:
    """How many things a page has at most; 0 for as many as there are."""
    if value is None:
        return 0
    if not value.isdecimal():
        raise Invalid(
            f"Bad limit request: Limit must be an integer 0 or greater and not '{value}'.", code="bad_request"
        )
    return int(value)
