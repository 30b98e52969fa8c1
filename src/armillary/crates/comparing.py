"""How two files that should be the same differ: byte for byte, as FITS, as tables, within a tolerance.

The files may be a stranger's: nothing is fetched that they point to, and no more is told of them than fits a page.
"""

from __future__ import annotations

import filecmp
import io
import re
import warnings
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from itertools import zip_longest
from pathlib import Path
from typing import Any
from xml.parsers import expat

_HEAD = 4096
_TOLD = 20
"""differences that are named; the rest is counted"""
_LETTERS = 300
"""of a difference that is told: a cell of a table may be as long as the file"""
_LINE = 1 << 20
_SPLIT = re.compile(r"[\s,;|]+")


class Way(StrEnum):
    """How two files were compared."""

    BYTES = "bytes"
    FITS = "fits"
    VOTABLE = "votable"
    TEXT = "text"


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """Two numbers are alike when |a - b| <= absolute + relative * |b|."""

    relative: float = 0.0
    absolute: float = 0.0
    ignore: Sequence[str] = ()
    """FITS keywords that may differ, such as DATE"""

    def alike(self, a: float, b: float) -> bool:
        """Whether two numbers are."""
        return a == b or (a != a and b != b) or abs(a - b) <= self.absolute + self.relative * abs(b)  # noqa: PLR0124 - NaN


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What was found. `alike`: identical, or no further apart than the tolerance."""

    identical: bool
    alike: bool
    way: Way
    differences: Sequence[str] = ()
    count: int = 0
    """of all differences"""


class _Unreadable(Exception):
    """A file is not what it seems to be, or not in a form that we read."""


def compare(a: Path, b: Path, tolerance: Tolerance | None = None) -> Comparison:
    """Compare two files. Whatever cannot be read as what it seems to be is compared by its bytes."""
    tolerance = tolerance or Tolerance()
    if filecmp.cmp(a, b, shallow=False):
        return Comparison(identical=True, alike=True, way=Way.BYTES)
    heads = [_head(a), _head(b)]
    try:
        if all(head.startswith(b"SIMPLE  =") for head in heads):
            return _fits(a, b, tolerance)
        if all(b"<VOTABLE" in head for head in heads):
            return _votable(a, b, tolerance)
        if not any(b"\0" in head for head in heads):
            return _text(a, b, tolerance)
    except (_Unreadable, OSError, ValueError) as error:
        return _bytes(a, b, f"cannot be read as what they seem to be: {error}"[:_LETTERS])
    return _bytes(a, b)


@contextmanager
def _astropy() -> Generator[None]:
    """Have astropy read files: of what is broken in just the right place it raises nearly everything that there is.

    Raises:
        _Unreadable: whatever it was. Memory that is not enough is no word on the file.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what breaks the standard in the same way: that is no difference
        try:
            yield
        except MemoryError:
            raise
        except Exception as error:
            raise _Unreadable(str(error) or type(error).__name__) from error


def _head(place: Path) -> bytes:
    with place.open("rb") as file:
        return file.read(_HEAD)


def _bytes(a: Path, b: Path, why: str = "") -> Comparison:
    sizes = a.stat().st_size, b.stat().st_size
    told = [why] if why else []
    if sizes[0] != sizes[1]:
        told.append(f"{sizes[0]} bytes, and {sizes[1]}")
    at = 0
    with a.open("rb") as one, b.open("rb") as other:
        while (left := one.read(1 << 16)) == (right := other.read(1 << 16)) and left:
            at += len(left)
    step = next(
        (n for n, (x, y) in enumerate(zip(left, right, strict=False)) if x != y), min(len(left), len(right))
    )
    told.append(f"differ from byte {at + step} on")
    return Comparison(identical=False, alike=False, way=Way.BYTES, differences=told, count=1)


def _fits(a: Path, b: Path, tolerance: Tolerance) -> Comparison:
    fits: Any = import_module("astropy.io.fits")  # a second to load, and few files are FITS
    report = io.StringIO()
    with _astropy():
        diff = fits.FITSDiff(
            str(a), str(b), rtol=tolerance.relative, atol=tolerance.absolute,
            ignore_keywords=list(tolerance.ignore), numdiffs=_TOLD,
        )  # fmt: skip
        same = bool(diff.identical)
        diff.report(report)
    lines = [line.rstrip() for line in report.getvalue().splitlines() if line.strip()]
    told = (
        []
        if same
        else [
            line[:_LETTERS] for line in lines if not line.lstrip().startswith(("fitsdiff:", "a: /", "b: /"))
        ]
    )
    return Comparison(
        identical=False,
        alike=same,
        way=Way.FITS,
        differences=told[: 3 * _TOLD],
        count=0 if same else max(1, len(told)),
    )


def _votable(a: Path, b: Path, tolerance: Tolerance) -> Comparison:
    parse: Any = import_module("astropy.io.votable").parse
    for place in (a, b):
        _require_all_inside(place)
    found = _Differences()
    with _astropy():
        tables = [list(parse(str(place), verify="ignore").iter_tables()) for place in (a, b)]
        if len(tables[0]) != len(tables[1]):
            found.add(f"{len(tables[0])} tables, and {len(tables[1])}")
        for number, (one, other) in enumerate(zip(*tables, strict=False)):
            _compare_tables(number, one, other, tolerance, found)
    return found.comparison(Way.VOTABLE)


def _compare_tables(number: int, one: Any, other: Any, tolerance: Tolerance, found: _Differences) -> None:
    names = [[str(field.name) for field in table.fields] for table in (one, other)]
    if names[0] != names[1]:
        found.add(f"table {number}: columns {', '.join(names[0])}; and {', '.join(names[1])}")
        return
    rows = len(one.array), len(other.array)
    if rows[0] != rows[1]:
        found.add(f"table {number}: {rows[0]} rows, and {rows[1]}")
    for row, (left, right) in enumerate(zip(one.array.tolist(), other.array.tolist(), strict=False)):
        for name, x, y in zip(names[0], left, right, strict=True):
            if not _values_alike(x, y, tolerance):
                found.add(f"table {number}, row {row}, {name}: {x!r}, and {y!r}")


def _require_all_inside(place: Path) -> None:
    """Refuse a VOTable that has its rows elsewhere: astropy opens the address, `file:` and `http:`, as whoever runs us.

    It is read as astropy reads it, by expat, with the entities that the file defines and without namespaces.
    """
    parser = expat.ParserCreate()

    def begin(name: str, attributes: Mapping[str, str]) -> None:
        if _local(name) == "stream" and "href" in map(_local, attributes):
            raise _Unreadable("its rows are in another file, which is not read")

    parser.StartElementHandler = begin
    try:
        with place.open("rb") as file:
            parser.ParseFile(file)
    except expat.ExpatError as error:
        raise _Unreadable(str(error)) from error


def _local(name: str) -> str:
    """Return the name of an element or attribute of XML without its prefix, in small letters."""
    return name.rpartition(":")[2].lower()


def _values_alike(x: Any, y: Any, tolerance: Tolerance) -> bool:
    if isinstance(x, (int, float)) and isinstance(y, (int, float)):
        return tolerance.alike(float(x), float(y))
    return str(x) == str(y)


def _text(a: Path, b: Path, tolerance: Tolerance) -> Comparison:
    """Compare line by line: tables as programs write them, with commas, tabs or blanks. Only numbers may differ."""
    found = _Differences()
    for number, (left, right) in enumerate(zip_longest(_lines(a), _lines(b)), start=1):
        if left == right:
            continue
        if left is None or right is None:
            found.add(f"line {number}: only in the {'first' if right is None else 'second'} file")
            continue
        words = _SPLIT.split(left.strip()), _SPLIT.split(right.strip())
        alike = len(words[0]) == len(words[1])
        if not alike or not all(_words_alike(x, y, tolerance) for x, y in zip(*words, strict=True)):
            found.add(f"line {number}: {left.strip()[:120]!r}, and {right.strip()[:120]!r}")
    return found.comparison(Way.TEXT)


def _lines(place: Path) -> Iterator[str]:
    with place.open(encoding="utf-8", newline="") as file:
        while line := file.readline(_LINE):
            yield line


def _words_alike(x: str, y: str, tolerance: Tolerance) -> bool:
    if x == y:
        return True
    try:
        return tolerance.alike(float(x), float(y))
    except ValueError:
        return False


class _Differences:
    """The first of many, and how many there are."""

    def __init__(self) -> None:
        self._told: list[str] = []
        self._count = 0

    def add(self, what: str) -> None:
        self._count += 1
        if len(self._told) < _TOLD:
            self._told.append(what[:_LETTERS])

    def comparison(self, way: Way) -> Comparison:
        return Comparison(
            identical=False, alike=not self._count, way=way, differences=self._told, count=self._count
        )
