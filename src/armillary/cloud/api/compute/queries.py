"""Queries as Nova reads them: what it checks, in its words."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import NoReturn

from starlette.datastructures import QueryParams

from armillary.base.clock import from_iso
from armillary.base.errors import Invalid
from armillary.cloud.core.patterns import is_pattern

MOST = 1000
TRUE = frozenset({"1", "t", "true", "on", "y", "yes"})
FALSE = frozenset({"0", "f", "false", "off", "n", "no"})

Check = Callable[[str, str], None]
"""of a parameter's name and value; raises Invalid"""


def refuse(name: str, value: str, why: str) -> NoReturn:
    """Refuse a parameter's value.

    Raises:
        Invalid: always.
    """
    shown = value[:255]
    raise Invalid(
        f"Invalid input for query parameters {name}. Value: {shown}. {why}", code="invalid_query_parameter"
    )


def text(_name: str, _value: str) -> None:
    """Let anything pass."""


def pattern(name: str, value: str) -> None:
    """Let regular expressions pass."""
    if not is_pattern(value):
        refuse(name, value, f"'{value[:255]}' is not a 'regex'")


def number(name: str, value: str) -> None:
    """Let whole numbers pass, and, as Nova does, nothing."""
    if re.fullmatch(r"[0-9]*", value) is None:
        refuse(name, value, f"'{value[:255]}' does not match '^[0-9]*$'")


def moment(name: str, value: str) -> None:
    """Let moments pass."""
    moment_of(name, value)


def one_of(choices: Collection[str]) -> Check:
    """Let one of these pass."""

    def check(name: str, value: str) -> None:
        if value not in choices:
            refuse(name, value, f"'{value[:255]}' is not one of {sorted(choices)}")

    return check


PAGING: Mapping[str, Check] = {"limit": number, "marker": text}


def check_query(query: QueryParams, known: Mapping[str, Check], *, strict: bool) -> None:
    """Refuse parameters that do not do; unknown ones only if `strict`, as later microversions are.

    Raises:
        Invalid: in Nova's words.
    """
    for name, value in query.multi_items():
        check = known.get(name)
        if check is not None:
            check(name, value)
        elif strict:
            raise Invalid(
                f"Additional properties are not allowed ('{name[:255]}' was unexpected)",
                code="unknown_query_parameter",
            )


def moment_of(name: str, value: str) -> datetime:
    """A moment in a query.

    Raises:
        Invalid: it is none.
    """
    try:
        # a date alone is none, though Python reads one
        if "T" not in value and " " not in value:
            raise ValueError(value)
        return from_iso(value.replace(" ", "+") if value.count(" ") == 1 and "T" in value else value)
    except ValueError:
        refuse(name, value, f"'{value[:255]}' is not a 'date-time'")


def truth(value: str) -> bool:
    """Yes or no.

    Raises:
        Invalid: neither.
    """
    said = value.strip().lower()
    if said in TRUE:
        return True
    if said in FALSE:
        return False
    known = ", ".join(f"'{word}'" for word in sorted(TRUE | FALSE))
    raise Invalid(f"Unrecognized value '{value[:255]}', acceptable values are: {known}", code="bad_boolean")


def limit_of(query: QueryParams) -> int:
    """How many to show at most; `number` has passed it."""
    asked = query.get("limit", "")
    return min(int(asked), MOST) if asked else MOST


def order_of(
    query: QueryParams, *, default: str = "created_at", down: bool = True
) -> Sequence[tuple[str, bool]]:
    """Sort keys, each with whether it descends: a key without a direction has that of the first.

    Raises:
        Invalid: a direction is none, or has no key.
    """
    keys = [key.strip() for key in query.getlist("sort_key")] or [default]
    directions = [direction.strip() for direction in query.getlist("sort_dir")]
    if len(directions) > len(keys):
        raise Invalid(
            "Invalid input received: Sort direction array size exceeds sort key array size", code="bad_sort"
        )
    if any(direction not in {"asc", "desc"} for direction in directions):
        raise Invalid(
            "Invalid input received: Unknown sort direction, must be 'desc' or 'asc'", code="bad_sort"
        )
    fallback = directions[0] == "desc" if directions else down
    return [
        (key, directions[place] == "desc" if place < len(directions) else fallback)
        for place, key in enumerate(keys)
    ]
