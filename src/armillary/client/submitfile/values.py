"""The small languages inside a submit file's values: arguments, environment, lists, sizes, yes and no."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping

from armillary.client.submitfile.expressions import constant
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
        else [w.lstrip() for w in text.split(";")]  # blanks at the end of a value are its own
    )
    variables: dict[str, str] = {}
    for word in words:
        if not word:
            continue
        name, equals, value = word.partition("=")
        if not equals or not name.strip():
            raise SubmitError(f"{word[:60]!r} in environment is not NAME=VALUE", line=line)
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
            raise SubmitError(f"{pair.strip()[:60]!r} is not NAME = NEW NAME", line=line)
        old, new = (re.sub(r"\\([=;])", r"\1", part.strip()) for part in parts)
        remaps[old] = new
    return remaps


def read_limits(text: str, *, line: int | None) -> dict[str, float]:
    """Read `concurrency_limits`: names parted by commas or blanks, `NAME:2` takes two of one."""
    limits: dict[str, float] = {}
    for word in re.split(r"[\s,]+", text.strip().strip('"')):
        name, colon, count = word.lower().partition(":")
        if not word:
            continue
        good = re.fullmatch(r"[a-z_][\w.]*", name) and (
            not colon or re.fullmatch(r"\d{1,9}(\.\d{1,9})?", count)
        )
        if not good:
            raise SubmitError(
                f"{word[:60]!r} in concurrency_limits is not NAME or NAME:NUMBER",
                line=line,
                remedy="Write concurrency_limits = DATABASE:2, say.",
            )
        limits[name] = float(count or 1)
    return limits


def read_flag(text: str, *, name: str, line: int | None) -> bool:
    """Read yes or no."""
    lowered = text.strip().lower()
    if lowered in {"true", "yes", "t", "y", "1"}:
        return True
    if lowered in {"false", "no", "f", "n", "0"}:
        return False
    raise SubmitError(f"{name} is true or false, not {text[:60]!r}", line=line)


def read_number(
    text: str,
    *,
    name: str,
    line: int | None,
    least: int = 0,
    most: int = 10**15,
    known: Mapping[str, int] | None = None,
) -> int:
    """Read a whole number or an expression that makes one, such as 2 * 3."""
    value = constant(text, known)
    if isinstance(value, bool | str) or value is None or not least <= value <= most:
        bounds = f" from {least} to {most}" if most < 10**15 else f" of at least {least}" if least else ""
        raise SubmitError(
            f"{name} = {text[:60]} is not a number{bounds}",
            line=line,
            remedy=f"Write {name} = {max(least, 1)}, say.",
        )
    return int(value)


def read_size(
    text: str, *, name: str, unit: str, line: int | None, known: Mapping[str, int] | None = None
) -> int:
    """Read a size into whole `unit`s (K or M), rounded up: `2G`, `300 MB`, or a number or expression of `unit`s."""
    match = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,15})?)\s*([KMGTP]?)(?:i?B)?\s*", text, re.IGNORECASE)
    if match and match[2]:
        octets = float(match[1]) * 1024 ** (_UNITS[match[2].upper()] + 1)
        return int(-(-octets // 1024 ** (_UNITS[unit] + 1)))
    value = constant(text, known)
    if isinstance(value, bool | str) or value is None or not 0 <= value <= 10**15:
        raise SubmitError(
            f"{name} = {text[:60]} is not a size; HTCondor would keep the job waiting for ever",
            line=line,
            remedy=f"Write {name} = 2GB, say.",
            code="not_a_size",
        )
    return int(-(-value // 1))


def read_signal(text: str, *, name: str, line: int | None) -> int:
    """Read a signal by its number or its name, with or without SIG."""
    wanted = text.strip().strip('"').upper()
    numbers = {s.name: int(s) for s in signal.Signals}
    if re.fullmatch(r"\d{1,3}", wanted) and int(wanted) in numbers.values():
        return int(wanted)
    number = numbers.get(wanted) or numbers.get(f"SIG{wanted}")
    if number is None:
        raise SubmitError(
            f"{name} = {text[:60]} is not a signal", line=line, remedy=f"Write {name} = SIGINT, say."
        )
    return number


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
            current = current if current is not None else []
            if quoted and text[at + 1 : at + 2] == "'":
                current.append("'")
                at += 1
            else:
                quoted = not quoted
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
