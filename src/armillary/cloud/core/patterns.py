"""Filters that are regular expressions, as Nova takes them from anybody."""

from __future__ import annotations

import re

from armillary.base.errors import Invalid

_LONGEST = 255
_MOST_REPEATS = 3
"""Unbounded repetitions in one filter; each multiplies the steps by the length of a name."""


def pattern_of(text: str) -> str:
    """The pattern of a filter, which matches whatever the case, as in Nova's database.

    One that repeats a group, or repeats much, may run for years on a name chosen for it, and nothing else of this
    process would run beside it.

    Raises:
        Invalid: it is none, or one that could run for long.
    """
    repeats = len(re.findall(r"[*+{]", re.sub(r"\\.", "", text)))
    if len(text) > _LONGEST or repeats > _MOST_REPEATS or re.search(r"\)[*+?{]|\\[1-9]|\(\?", text):
        raise Invalid(
            "This filter is too long, or repeats too much: no repeated groups, look-arounds or back-references.",
            code="bad_filter",
            remedy="Ask for a part of the name, or for ^NAME$.",
        )
    try:
        re.compile(text)
    except re.error as error:
        raise Invalid(f"Invalid regular expression '{text}': {error}", code="bad_filter") from error
    return f"(?i){text}"


def is_pattern(text: str) -> bool:
    """Whether Nova's own check would let this pass: a regular expression that is not empty."""
    try:
        re.compile(text)
    except re.error:
        return False
    return bool(text)
