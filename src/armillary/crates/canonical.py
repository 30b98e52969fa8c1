"""One JSON value, one sequence of bytes: the JSON Canonicalization Scheme (RFC 8785).

UTF-8 without spaces or a line end. Members are sorted by the UTF-16 code units of their names (section 3.2.3), numbers
are written as ECMAScript writes them (3.2.2.3), strings with the shortest escapes (3.2.2.2). What could be read in
two ways is refused: whole numbers that no double is, NaN, infinities, lone surrogates, and names that come twice.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any, cast

from armillary.base.errors import Invalid

MAX_DEPTH = 64
MAX_DOCUMENT = 64 << 20
"""Bytes of one document; a job has at most 10 000 files of each kind."""
_SAFE = 2**53 - 1


class NotCanonical(Invalid):
    """The bytes are no document, or not in their canonical form."""

    code = "not_canonical"


def canonical(value: Any) -> bytes:
    """Return the canonical bytes of a JSON value. Raises NotCanonical when it has none."""
    pieces: list[str] = []
    _write(value, pieces, MAX_DEPTH)
    try:
        return "".join(pieces).encode()
    except UnicodeEncodeError as error:
        raise NotCanonical("a text has half a character in it (a lone surrogate)") from error


def parse(data: bytes) -> Any:
    """Return the value of canonical bytes. Raises NotCanonical for anything else, so that a digest names one document."""
    if len(data) > MAX_DOCUMENT:
        raise NotCanonical(
            f"{len(data)} bytes are more than a document may have", facts={"limit": MAX_DOCUMENT}
        )
    try:
        value = json.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise NotCanonical(f"not JSON: {error}") from error
    if canonical(value) != data:
        raise NotCanonical("the document is not in its canonical form")
    return value


def digest(data: bytes) -> str:
    """Return the SHA-256 of bytes, in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def _write(value: Any, pieces: list[str], depth: int) -> None:
    if depth == 0:
        raise NotCanonical(f"nested deeper than {MAX_DEPTH}")
    if isinstance(value, dict):
        members = cast("dict[Any, Any]", value)
        if not all(isinstance(name, str) for name in members):
            raise NotCanonical("a member's name is not a text")
        pieces.append("{")
        for place, name in enumerate(sorted(cast("dict[str, Any]", members), key=_code_units)):
            pieces.append(("," if place else "") + _text(name) + ":")
            _write(members[name], pieces, depth - 1)
        pieces.append("}")
    elif isinstance(value, (list, tuple)):
        pieces.append("[")
        for place, one in enumerate(cast("list[Any]", value)):
            if place:
                pieces.append(",")
            _write(one, pieces, depth - 1)
        pieces.append("]")
    else:
        pieces.append(_scalar(value))


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return str(value) if abs(value) <= _SAFE else _large(value)
    if isinstance(value, float):
        return _number(value)
    raise NotCanonical(f"{type(value).__name__} is no JSON")


def _large(value: int) -> str:
    """Write a number beyond what doubles count by ones: as its double is written, or it has no JSON."""
    text = str(value) if abs(value) < 10**21 else ""
    if not text or _number(float(value)) != text:
        raise NotCanonical("a whole number is larger than JSON numbers are exact")
    return text


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _code_units(name: str) -> bytes:
    return name.encode("utf-16-be", "surrogatepass")


def _number(value: float) -> str:
    """Write as `Number::toString` of ECMA-262 does. Python finds the same shortest digits and only places the point elsewhere."""
    if not math.isfinite(value):
        raise NotCanonical("NaN and infinities are no JSON")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = f"{abs(value)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0)  # the value is 0.DIGITS × 10^point, counted with leading zeros
    point -= len(whole + fraction) - len(digits)
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return sign + digits[:point] + "." + digits[point:]
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + digits
    shown = digits[0] + ("." + digits[1:] if count > 1 else "")
    return f"{sign}{shown}e{'+' if point > 0 else '-'}{abs(point - 1)}"
