"""Checks bodies against JSON schemas, with the words of the library that Cinder uses for it.

Only the keywords that Block Storage's schemas need: type, required, properties, patternProperties,
additionalProperties, items, enum, pattern, minimum, maximum, minLength, maxLength,
maxProperties, format (uuid), anyOf.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any, cast

from armillary.base.errors import Invalid

Schema = Mapping[str, Any]

_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}


def check(schema: Schema, body: Any) -> dict[str, Any]:
    """Let a body pass, and return it.

    Raises:
        Invalid: "Invalid input for field/attribute size. Value: -1. -1 is less than the minimum of 1".
    """
    _look(schema, body, "")
    return cast("dict[str, Any]", body)


def _look(schema: Schema, value: Any, place: str) -> None:
    for keyword, rule in _RULES.items():
        if keyword in schema:
            problem = rule(schema[keyword], value)
            if problem:
                raise _refused(place, value, problem)
    if isinstance(value, dict):
        _look_inside(schema, cast("dict[str, Any]", value), place)
    problem = _any_of(schema["anyOf"], value) if "anyOf" in schema else None
    if problem:
        raise _refused(place, value, problem)
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(cast("list[Any]", value)):
            _look(schema["items"], item, str(index))


def _look_inside(schema: Schema, value: dict[str, Any], place: str) -> None:
    for name in schema.get("required", ()):
        if name not in value:
            raise _refused(place, value, f"'{name}' is a required property")
    known: Mapping[str, Schema] = schema.get("properties", {})
    patterns: Mapping[str, Schema] = schema.get("patternProperties", {})
    strangers: list[str] = []
    for name, item in value.items():
        if name in known:
            _look(known[name], item, name)
            continue
        fitting = [inner for pattern, inner in patterns.items() if re.search(pattern, name)]
        for inner in fitting:
            _look(inner, item, name)
        if not fitting:
            strangers.append(name)
    if strangers and not schema.get("additionalProperties", True):
        raise _refused(place, value, _unexpected(strangers, patterns))


def _unexpected(strangers: list[str], patterns: Mapping[str, Schema]) -> str:
    names = ", ".join(repr(name) for name in sorted(strangers))
    if patterns:
        verb = "does" if len(strangers) == 1 else "do"
        return f"{names} {verb} not match any of the regexes: {', '.join(repr(p) for p in sorted(patterns))}"
    verb = "was" if len(strangers) == 1 else "were"
    return f"Additional properties are not allowed ({names} {verb} unexpected)"


def _refused(place: str, value: Any, problem: str) -> Invalid:
    if not place:
        return Invalid(problem, code="bad_body")
    shown = str(value)[:255]
    return Invalid(f"Invalid input for field/attribute {place}. Value: {shown}. {problem}", code="bad_body")


def _type(wanted: str | list[str], value: Any) -> str | None:
    names = [wanted] if isinstance(wanted, str) else wanted
    if any(_TYPES[name](value) for name in names):
        return None
    return f"{value!r} is not of type {', '.join(repr(name) for name in names)}"


def _enum(allowed: list[Any], value: Any) -> str | None:
    # True == 1 in Python, and is not in JSON
    same = any(value == item and isinstance(value, bool) == isinstance(item, bool) for item in allowed)
    return None if same else f"{value!r} is not one of {allowed!r}"


def _pattern(pattern: str, value: Any) -> str | None:
    wrong = isinstance(value, str) and re.search(pattern, value) is None
    return f"{value!r} does not match {pattern!r}" if wrong else None


def _number(value: Any) -> int | None:
    """What a bound is held against: Cinder takes numbers as text too."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, str) and re.fullmatch(r"-?\d{1,20}", value) else None


def _minimum(least: int, value: Any) -> str | None:
    number = _number(value)
    wrong = number is not None and number < least
    return f"{value} is less than the minimum of {least}" if wrong else None


def _maximum(most: int, value: Any) -> str | None:
    number = _number(value)
    wrong = number is not None and number > most
    return f"{value} is greater than the maximum of {most}" if wrong else None


def _min_length(least: int, value: Any) -> str | None:
    return f"{value!r} is too short" if isinstance(value, str) and len(value) < least else None


def _max_length(most: int, value: Any) -> str | None:
    return f"{value!r} is too long" if isinstance(value, str) and len(value) > most else None


def _format(name: str, value: Any) -> str | None:
    if not isinstance(value, str) or name != "uuid":
        return None
    return None if is_uuid(value) else f"{value!r} is not a 'uuid'"


def _max_properties(most: int, value: Any) -> str | None:
    many = isinstance(value, dict) and len(cast("dict[str, Any]", value)) > most
    return f"{value!r} has too many properties" if many else None


def _any_of(choices: list[Schema], value: Any) -> str | None:
    for choice in choices:
        try:
            _look(choice, value, "")
        except Invalid:
            continue
        return None
    return f"{value!r} is not valid under any of the given schemas"


_RULES: Mapping[str, Callable[[Any, Any], str | None]] = {
    "type": _type,
    "enum": _enum,
    "pattern": _pattern,
    "minimum": _minimum,
    "maximum": _maximum,
    "minLength": _min_length,
    "maxLength": _max_length,
    "format": _format,
    "maxProperties": _max_properties,
}


def is_uuid(text: str) -> bool:
    """Whether a text is a UUID, with dashes or without."""
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


_TRUE = frozenset({"1", "t", "true", "on", "y", "yes"})


def truth(value: object) -> bool:
    """What Cinder takes for true."""
    return str(value).strip().lower() in _TRUE
