"""The small languages inside a submit file's values: arguments, environment, lists, sizes, yes and no."""

from __future__ import annotations

import importlib
import re
from typing import Any

from armillary.client.submitfile.model import SubmitError

_UNITS = {"": 0, "B": -1, "K": 0, "M": 1, "G": 2, "T": 3, "P": 4}


def split_arguments(text: str, *, line: int | None) -> list[str]:
    r"""Split `arguments`: new syntax within double quotes, else the old one (blanks, with \\" for a quote)."""
    text = text.strip()
    if text.startswith('"'):
        return _new_words(_unwrap(text, line), line)
    if re.search(r'(?<!\\)"', text):
        raise SubmitError(
            'a double quote inside arguments must be written \\" in this syntax',
            line=line,
            remedy="Put the whole value in double quotes, and words with blanks in single quotes.",
        )
    return [word.replace('\\"', '"') for word in text.split()]


def read_environment(text: str, *, line: int | None) -> dict[str, str]:
    """Read `environment`: new syntax within double quotes, else the old one (`A=1;B=2`)."""
    text = text.strip()
    words = (
        _new_words(_unwrap(text, line), line)
        if text.startswith('"')
        else [w.strip() for w in text.split(";")]
    )
    variables: dict[str, str] = {}
    for word in words:
        if not word:
            continue
        name, equals, value = word.partition("=")
        if not equals or not name.strip():
            raise SubmitError(f"{word!r} in environment is not NAME=VALUE", line=line)
        variables[name.strip()] = value
    return variables


def split_list(text: str) -> list[str]:
    """Split a list of file names at commas."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]
    return [part.strip() for part in text.split(",") if part.strip()]


def read_remaps(text: str, *, line: int | None) -> dict[str, str]:
    r"""Read `transfer_output_remaps`: "name = new name; name = new name", with \\= and \\; for the signs."""
    text = text.strip()
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        raise SubmitError("transfer_output_remaps stands within double quotes", line=line)
    remaps: dict[str, str] = {}
    for pair in re.split(r"(?<!\\);", text[1:-1]):
        if not pair.strip():
            continue
        parts = re.split(r"(?<!\\)=", pair, maxsplit=1)
        if len(parts) != 2 or not all(part.strip() for part in parts):
            raise SubmitError(f"{pair.strip()!r} is not NAME = NEW NAME", line=line)
        old, new = (re.sub(r"\\([=;])", r"\1", part.strip()) for part in parts)
        remaps[old] = new
    return remaps


def read_flag(text: str, *, name: str, line: int | None) -> bool:
    """Read yes or no."""
    lowered = text.strip().lower()
    if lowered in {"true", "yes", "t", "y", "1"}:
        return True
    if lowered in {"false", "no", "f", "n", "0"}:
        return False
    raise SubmitError(f"{name} is true or false, not {text!r}", line=line)


def read_number(text: str, *, name: str, line: int | None, least: int = 0) -> int:
    """Read a whole number or an expression that makes one, such as 2 * 3."""
    value = _evaluate(text)
    if value is None or value < least:
        raise SubmitError(
            f"{name} = {text} is not a number{f' of at least {least}' if least else ''}",
            line=line,
            remedy=f"Write {name} = {max(least, 1)}, say.",
        )
    return int(value)


def read_size(text: str, *, name: str, unit: str, line: int | None) -> int:
    """Read a size into whole `unit`s (K or M), rounded up: `2G`, `300 MB`, or a number or expression of `unit`s."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGTP]?)(?:i?B)?\s*", text, re.IGNORECASE)
    if match and match[2]:
        octets = float(match[1]) * 1024 ** (_UNITS[match[2].upper()] + 1)
        return int(-(-octets // 1024 ** (_UNITS[unit] + 1)))
    value = _evaluate(text)
    if value is None or value < 0:
        raise SubmitError(
            f"{name} = {text} is not a size; HTCondor would keep the job waiting for ever",
            line=line,
            remedy=f"Write {name} = 2GB, say.",
            code="not_a_size",
        )
    return int(-(-value // 1))


def _evaluate(text: str) -> float | None:
    """Return the number that a ClassAd expression makes on its own; None when it makes none."""
    if re.fullmatch(r"\s*\d+\s*", text):
        return int(text)
    classad2: Any = importlib.import_module("classad2")
    try:
        value: Any = classad2.ExprTree(text).eval()
    except (ValueError, TypeError, RuntimeError, SyntaxError):
        return None
    # UNDEFINED comes back as an enumeration whose value is a number
    return value if type(value) in (int, float) else None


def _unwrap(text: str, line: int | None) -> str:
    if len(text) < 2 or not text.endswith('"'):
        raise SubmitError("the value begins with a double quote and does not end with one", line=line)
    inner = text[1:-1]
    if re.search(r'(?<!")"(?:"")*(?!")', inner):
        raise SubmitError('a double quote inside must be doubled: ""', line=line)
    return inner.replace('""', '"')


def _new_words(text: str, line: int | None) -> list[str]:
    """Split the new syntax: blanks part words, single quotes hold them together, '' is a quote."""
    words: list[str] = []
    current: list[str] | None = None
    quoted, at = False, 0
    while at < len(text):
        sign = text[at]
        if sign == "'":
            if quoted and text[at + 1 : at + 2] == "'":
                current = [*(current or []), "'"]
                at += 1
            else:
                quoted = not quoted
                current = current or []
        elif sign.isspace() and not quoted:
            if current is not None:
                words.append("".join(current))
            current = None
        else:
            current = current if current is not None else []
            current.append(sign)
        at += 1
    if quoted:
        raise SubmitError("a single quote is not closed", line=line)
    return words if current is None else [*words, "".join(current)]
