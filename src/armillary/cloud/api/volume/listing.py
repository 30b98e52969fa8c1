"""Reads what lists are asked for: pages, orders and filters, in Cinder's words."""

from __future__ import annotations

import json
import re
from ast import literal_eval
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, cast
from urllib.parse import urlencode

from fastapi import Request
from sqlalchemy import ColumnElement, Table, and_, false, true

from armillary.accounts.model import Principal
from armillary.base.clock import from_iso
from armillary.base.errors import Invalid
from armillary.cloud.api.volume.catalog import RESOURCE_FILTERS
from armillary.cloud.api.volume.checks import truth
from armillary.cloud.api.volume.deps import JSON, MINE
from armillary.cloud.volumes.paging import MOST_IN_A_PAGE, Page

Filter = Callable[[str], ColumnElement[bool]]
_MOST_OFFSET = 2147483647
_OLD_NAMES = {"display_name": "name", "volume_size": "size"}
_FALSE = frozenset({"0", "f", "false", "off", "n", "no"})
_KEY = re.compile(r"[a-zA-Z0-9-_:. /]{1,255}")
_OPERATORS: Mapping[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    "gt": lambda column, value: column > value,
    "gte": lambda column, value: column >= value,
    "lt": lambda column, value: column < value,
    "lte": lambda column, value: column <= value,
    "eq": lambda column, value: column == value,
    "neq": lambda column, value: column != value,
}


def page_asked(request: Request, *, keys: frozenset[str]) -> Page:
    """The page that a query names.

    Raises:
        Invalid: limit, offset or order make no sense.
    """
    query = request.query_params
    limit = _whole(
        query.get("limit", str(MOST_IN_A_PAGE)),
        "limit param must be an integer",
        "limit param must be positive",
    )
    offset = _whole(query.get("offset", "0"), "offset must be an integer", "offset must be >= 0")
    if offset > _MOST_OFFSET:
        raise Invalid(f"offset must be <= {_MOST_OFFSET}", code="bad_page")
    return Page(limit=limit, marker=query.get("marker"), offset=offset, sort=_order(query, keys))


def _whole(text: str, no_number: str, negative: str) -> int:
    try:
        number = int(text)
    except ValueError as error:
        raise Invalid(no_number, code="bad_page") from error
    if number < 0:
        raise Invalid(negative, code="bad_page")
    return number


def _order(query: Mapping[str, str], keys: frozenset[str]) -> tuple[tuple[str, bool], ...]:
    if "sort" in query and ("sort_key" in query or "sort_dir" in query):
        raise Invalid(
            "The 'sort_key' and 'sort_dir' parameters are deprecated and cannot be used with the 'sort' parameter.",
            code="bad_page",
        )
    if "sort" in query:
        words = [word.strip().partition(":") for word in query["sort"].strip().split(",")]
        pairs = [(key.strip(), way.strip() or "desc") for key, _, way in words]
    else:
        pairs = [(query.get("sort_key", "created_at").strip(), query.get("sort_dir", "desc").strip())]
    pairs = [(_OLD_NAMES.get(key, key), way) for key, way in pairs]
    for key, way in pairs:
        if key not in keys and key != "id":
            raise Invalid("Invalid input received: Invalid sort key", code="invalid_input")
        if way not in ("asc", "desc"):
            raise Invalid(
                "Invalid input received: Unknown sort direction, must be 'desc' or 'asc'.",
                code="invalid_input",
            )
    return tuple((key, way == "desc") for key, way in pairs)


def all_projects(request: Request, who: Principal) -> bool:
    """Whether all projects' things are asked for, by somebody who may; others' wish is passed over, as in Cinder."""
    return who.is_cloud_admin and truth(request.query_params.get("all_tenants", "0"))


def conditions(
    request: Request,
    who: Principal,
    table: Table,
    known: Mapping[str, Filter],
    *,
    version: int,
    resource: str = "",
) -> list[ColumnElement[bool]]:
    """What a query restricts a list to.

    A filter that is not known restricts nothing before microversion 3.31, and is refused from then on. `name~=x` asks
    for a part of the text, from 3.34 on.
    """
    found: list[ColumnElement[bool]] = []
    strangers: list[str] = []
    for key, value in request.query_params.items():
        if key in _OF_PAGES:
            continue
        name = key.removesuffix("~")
        name = _OLD_NAMES.get(name, name)
        if name not in RESOURCE_FILTERS.get(resource, known) and name not in _OF_PROJECTS:
            strangers.append(key)
        if name in known:
            like = key.endswith("~") and version >= 34 and name in table.c
            found.append(table.c[name].contains(value, autoescape=True) if like else known[name](value))
        elif name in ("project_id", "tenant_id") and who.is_cloud_admin:
            found.append(table.c.project_id == value)
    if strangers and version >= 31 and not who.is_cloud_admin:
        raise Invalid(
            f"Invalid filters {','.join(strangers)} are found in query options.", code="unknown_filter"
        )
    return found


_OF_PROJECTS = frozenset({"project_id", "tenant_id"})


_OF_PAGES = frozenset(
    {"limit", "marker", "offset", "sort", "sort_key", "sort_dir", "all_tenants", "with_count"}
)


def equals(column: ColumnElement[Any]) -> Filter:
    """A filter for one value."""
    return lambda value: column == value


def named(column: ColumnElement[Any], kind: type[StrEnum]) -> Filter:
    """A filter for a member of an enumeration; what is none matches nothing."""
    return lambda value: column == kind(value) if value in set(kind) else false()


def number(column: ColumnElement[Any]) -> Filter:
    """A filter for a number; what is none matches nothing."""
    return lambda value: column == (int(value) if value.isdigit() else -1)


def boolean(column: ColumnElement[Any], *, strict: bool) -> Filter:
    """A filter for a truth value; if `strict`, what is none is refused, else it is true as long as it is not false."""

    def wanted(value: str) -> ColumnElement[bool]:
        if value.lower() in _FALSE:
            return column.is_(False)
        if strict and not truth(value):
            raise Invalid(f"Invalid input received: '{column.key} = {value}'", code="invalid_input")
        return column.is_(True)

    return wanted


def metadata(column: ColumnElement[Any]) -> Filter:
    """A filter for items of metadata, written as a dictionary of Python's or JSON."""

    def wanted(value: str) -> ColumnElement[bool]:
        items = _items(value)
        if not all(_KEY.fullmatch(key) for key in items):
            return false()  # no metadata has such a key, and a database's JSON path might not take it
        return and_(true(), *[cast("Any", column)[key].as_string() == item for key, item in items.items()])

    return wanted


def _items(text: str) -> dict[str, str]:
    for read in (json.loads, literal_eval):
        try:
            found = read(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        if isinstance(found, dict):
            return {str(key): str(value) for key, value in cast("dict[Any, Any]", found).items()}
    raise Invalid(f"Invalid input received: metadata = {text[:255]}", code="invalid_input")


def times(column: ColumnElement[Any], name: str) -> Filter:
    """A filter such as `gte:2026-01-01T00:00:00,lt:2026-02-01T00:00:00`."""

    def wanted(value: str) -> ColumnElement[bool]:
        parts: list[ColumnElement[bool]] = []
        for part in value.split(","):
            operator, _, moment = part.partition(":")
            if operator not in _OPERATORS:
                raise Invalid(f"Invalid {operator} operator", code="invalid_input")
            parts.append(_OPERATORS[operator](column, _moment(moment, name)))
        return and_(*parts)

    return wanted


def _moment(text: str, name: str) -> datetime:
    try:
        return from_iso(text)
    except ValueError as error:
        raise Invalid(f"Invalid {text or name} value", code="invalid_input") from error


def listed(
    request: Request,
    key: str,
    items: Sequence[JSON],
    page: Page,
    *,
    path: str,
    count: int | None = None,
) -> JSON:
    """A list with the link to its next page, which Cinder gives whenever a page is full."""
    answer: JSON = {key: list(items)}
    if items and len(items) >= min(page.limit, MOST_IN_A_PAGE):
        base: str = request.app.state.base_url
        project = request.path_params.get("project_id", MINE)
        query = [(name, value) for name, value in request.query_params.multi_items() if name != "marker"]
        asked = urlencode([*query, ("marker", items[-1]["id"])])
        place = path if project == MINE else f"{project}/{path}"
        answer[f"{key}_links"] = [{"rel": "next", "href": f"{base}/v3/{place}?{asked}"}]
    if count is not None:
        answer["count"] = count
    return answer


def counts(request: Request, version: int) -> bool:
    """Whether the whole number is asked for too, from microversion 3.45 on."""
    return version >= 45 and truth(request.query_params.get("with_count", "false"))
