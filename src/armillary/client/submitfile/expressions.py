"""ClassAd expressions in a submit file: checked when the file is read, so that a slip names its line."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from armillary.client.submitfile.library import classad2
from armillary.client.submitfile.model import LONGEST_TEXT, SubmitError

DEEPEST = 200
"""Operators and brackets in a row; the library's parser goes one call deeper for each."""
_NUMBER = re.compile(r"\s*\d{1,18}\s*")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_RUN = re.compile(r"[-!~+\s]{200}")
# of the parser's own rules each level of these is a call
_HUGE = re.compile(r"\d{19}")
_LEVEL = re.compile(r"[(\[{?]|[)\]}:]")


def check(text: str, *, name: str, line: int | None) -> str:
    """Return an expression as it stands. Raises SubmitError when it is none."""
    text = text.strip()
    try:
        _parse(text)
    except ValueError as error:
        raise SubmitError(
            f"{name} = {text[:80]} is not a ClassAd expression{error}",
            line=line,
            remedy='Look for a missing quote or bracket; text stands in double quotes, such as Owner == "vera".',
            code="not_an_expression",
        ) from error
    return text


def constant(text: str, known: Mapping[str, int] | None = None) -> float | str | bool | None:
    """Return what an expression makes of the known attributes alone; None when it makes nothing of a plain kind."""
    if _NUMBER.fullmatch(text):
        return int(text)
    library = classad2()
    try:
        ad: Any = library.ClassAd({**(known or {}), "armillary_value": _parse(text.strip())})
        value: Any = ad.eval("armillary_value")
    except (library.ClassAdException, ValueError, TypeError, RuntimeError, SyntaxError, KeyError):
        return None
    # UNDEFINED comes back as an enumeration whose value is a number
    if type(value) not in (int, float, str, bool):
        return None
    return None if isinstance(value, float) and not math.isfinite(value) else value


def attributes_of(text: str) -> list[str]:
    """Return the names of attributes that an expression looks at, in lower case, without MY. and TARGET."""
    try:
        found: Iterable[str] = classad2().ClassAd().externalRefs(_parse(text))
    except ValueError:
        return []
    return [n.lower().removeprefix("target.").removeprefix("my.").partition(".")[0] for n in found if n]


@lru_cache(maxsize=1024)
def _parse(text: str) -> Any:
    """Read an expression. Raises ValueError, with what to say after "is no expression"."""
    if len(text) > LONGEST_TEXT:
        raise ValueError(f": it is longer than {LONGEST_TEXT} characters")
    bare = _STRING.sub('""', text)
    depth = deepest = 0
    for sign in _LEVEL.findall(bare):
        depth += 1 if sign in "([{?" else -1
        deepest = max(deepest, depth)
    if deepest > DEEPEST or _RUN.search(bare):
        raise ValueError(f": it is nested more than {DEEPEST} deep")
    if _HUGE.search(bare):  # the library makes 0 of it
        raise ValueError(": a number in it is too large")
    library = classad2()
    try:
        return library.ExprTree(text)
    except (library.ClassAdException, ValueError, SyntaxError, RuntimeError) as error:
        raise ValueError("") from error
