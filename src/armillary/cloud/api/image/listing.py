"""The query of `GET /v2/images`, read into what the service understands."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlencode

from armillary.base.clock import from_iso
from armillary.base.errors import Invalid
from armillary.base.ids import ImageId
from armillary.cloud.images.model import MemberStatus, Query, Visibility
from armillary.cloud.images.store import SORTABLE

DEFAULT_LIMIT = 25
MOST = 1000

_COLUMNS = {
    "name": "name",
    "id": "id",
    "status": "status",
    "owner": "project_id",
    "disk_format": "disk_format",
    "container_format": "container_format",
    "checksum": "checksum",
    "os_hash_value": "sha512",
}
_IN = frozenset(("id", "name", "status", "disk_format", "container_format"))
_FLAGS = frozenset(("protected",))
_OPERATORS = ("lt", "lte", "gt", "gte", "eq", "neq")
_IGNORED = frozenset(("os_hash_algo",))


@dataclass
class _Parts:
    any_of: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    ranges: list[tuple[str, str, int | datetime]] = field(
        default_factory=list[tuple[str, str, int | datetime]]
    )
    flags: dict[str, bool] = field(default_factory=dict[str, bool])
    properties: dict[str, str] = field(default_factory=dict[str, str])


def query_from(parameters: Iterable[tuple[str, str]]) -> Query:
    """Return the query that a list's parameters ask for.

    Raises:
        Invalid: in Glance's words.
    """
    given: dict[str, list[str]] = defaultdict(list)
    for name, value in parameters:
        given[name].append(value)
    last = {name: values[-1] for name, values in given.items()}
    parts = _Parts()
    special = {
        "limit",
        "marker",
        "sort",
        "sort_key",
        "sort_dir",
        "visibility",
        "member_status",
        "tag",
        "os_hidden",
    }
    for name, value in last.items():
        if name not in special and name not in _IGNORED:
            _filter(parts, name, value)
    visibility = last.get("visibility")
    return Query(
        visibility=_visibility(visibility) if visibility and visibility != "all" else None,
        every_visibility=visibility == "all" or "id" in last,
        member_status=_member_status(last.get("member_status", "accepted")),
        hidden=_flag("os_hidden", last["os_hidden"]) if "os_hidden" in last else False,
        any_of=parts.any_of,
        ranges=tuple(parts.ranges),
        flags=parts.flags,
        tags=frozenset(given.get("tag", [])),
        properties=parts.properties,
        sort=_sort(last.get("sort"), given.get("sort_key", []), given.get("sort_dir", [])),
        marker=ImageId(last["marker"]) if last.get("marker") else None,
        limit=_limit(last.get("limit")),
    )


def links(parameters: Iterable[tuple[str, str]], next_marker: str | None) -> dict[str, str]:
    """Return `first`, and `next` if there is more."""
    kept = [(name, value) for name, value in parameters if name != "marker"]
    first = f"/v2/images?{urlencode(kept)}" if kept else "/v2/images"
    if next_marker is None:
        return {"first": first}
    return {"first": first, "next": f"/v2/images?{urlencode([*kept, ('marker', next_marker)])}"}


def _filter(parts: _Parts, name: str, value: str) -> None:
    if name in _COLUMNS:
        parts.any_of[_COLUMNS[name]] = _values(name, value)
    elif name in _FLAGS:
        parts.flags[name] = _flag(name, value)
    elif name in ("size_min", "size_max"):
        parts.ranges.append(("size", "gte" if name == "size_min" else "lte", _whole(value)))
    elif name in ("min_ram", "min_disk", "size"):
        parts.ranges.append((name, "eq", _whole(value)))
    elif name in ("created_at", "updated_at"):
        parts.ranges.append(_moment(name, value))
    else:
        parts.properties[name] = value


def _values(name: str, value: str) -> frozenset[str]:
    if name not in _IN or not value.startswith("in:"):
        return frozenset([value])
    try:
        return frozenset(next(csv.reader([value[3:]], strict=True), list[str]()))
    except csv.Error as error:
        raise Invalid(f"Invalid filter value {value[3:]!r}. The quote is not closed.") from error


def _visibility(text: str) -> Visibility:
    try:
        return Visibility(text)
    except ValueError:
        raise Invalid(f"Invalid visibility value: {text}") from None


def _member_status(text: str) -> MemberStatus | None:
    if text == "all":
        return None
    try:
        return MemberStatus(text)
    except ValueError:
        raise Invalid(f"Invalid status: {text}") from None


def _flag(name: str, value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise Invalid(f"Invalid value '{value}' for '{name}' filter. Valid values are 'true' or 'false'.")
    return value.lower() == "true"


def _whole(value: str) -> int:
    if not value.isdigit():
        raise Invalid("Unable to filter on a range with a non-numeric value.")
    return int(value)


def _moment(name: str, value: str) -> tuple[str, str, datetime]:
    operator, colon, rest = value.partition(":")
    if not colon or operator[:1].isdigit():  # a moment has colons of its own
        operator, rest = "eq", value
    elif operator not in _OPERATORS:
        raise Invalid("Unable to filter on a unknown operator.")
    try:
        return name, operator, from_iso(rest)
    except ValueError:
        raise Invalid(f'Bad "{name}" query filter format. Use ISO 8601 DateTime notation.') from None


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not text.lstrip("-").isdigit():
        raise Invalid("limit param must be an integer")
    if int(text) < 0:
        raise Invalid("limit param must be positive")
    return min(int(text), MOST)


def _sort(combined: str | None, keys: list[str], directions: list[str]) -> tuple[tuple[str, bool], ...]:
    if combined is not None:
        if keys or directions:
            raise Invalid("Old and new sorting syntax cannot be combined")
        pairs = [item.strip().partition(":")[::2] for item in combined.split(",")]
    else:
        if len(directions) > 1 and len(directions) != len(keys):
            raise Invalid("Number of sort dirs does not match the number of sort keys")
        fallback = directions[0] if len(directions) == 1 else "desc"
        wanted = keys or ["created_at"]
        paired = directions if len(directions) == len(wanted) else [fallback] * len(wanted)
        pairs = list(zip(wanted, paired, strict=True))
    for key, direction in pairs:
        if key not in SORTABLE:
            raise Invalid(f"Invalid sort key: {key}. It must be one of the following: {', '.join(SORTABLE)}.")
        if direction not in ("", "asc", "desc"):
            raise Invalid(f"Invalid sort direction: {direction}")
    return tuple((key, direction != "asc") for key, direction in pairs)
