"""Tables that are texts: CSV, TSV and ECSV line by line, and VOTable element by element. Neither is read whole."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import Any

from armillary.base.errors import Invalid, TooLarge
from armillary.vospace.views.astro import etree
from armillary.vospace.views.parameters import Rows
from armillary.vospace.views.ranges import RangeFile

MAX_SCANNED = 64 << 20
"""bytes that are gone through to find the rows that were asked for"""
MAX_LINE = 1 << 20
_PIECE = 256 << 10
_SNIFFED = 20
_COLUMN = re.compile(r"^#\s*-\s*\{?\s*name:\s*(?P<name>[^,}]+)(?P<rest>.*)$")


def delimited(file: RangeFile, wanted: Rows) -> dict[str, Any]:
    """Return rows of a text whose first line names the columns, after comments with `#`.

    Raises:
        Invalid: it has one column only, or is no text.
        TooLarge: the rows come too late in it.
    """
    lines = _lines(file)
    described: list[dict[str, str]] = []
    head = ""
    for line in lines:
        if line.startswith("#"):
            if match := _COLUMN.match(line):
                described.append(_described(match.group("name"), match.group("rest")))
        elif line.strip():
            head = line
            break
    separator = max(("\t", ",", ";", "|"), key=head.count)
    if separator not in head:
        separator = " "
    first = _split(head, separator)
    if len(first) < 2:
        raise Invalid("There is no table in this file.", code="no_table", remedy="Look at it as a text.")
    by_name = {column["name"]: column for column in described}
    found: list[list[str]] = []
    more = False
    for number, line in enumerate((line for line in lines if line.strip()), 1):
        if number < wanted.start:
            continue
        if len(found) == wanted.count:
            more = True
            break
        found.append(_split(line, separator))
    columns = [
        by_name.get(
            name,
            {"name": name, "unit": "", "type": _guessed([row[index] for row in found if index < len(row)])},
        )
        for index, name in enumerate(first)
    ]
    return {"columns": columns, "rows": found, "start": wanted.start, "more": more, "total": None}


def votable(file: RangeFile, wanted: Rows) -> dict[str, Any]:
    """Return rows of the first table of a VOTable with TABLEDATA.

    Raises:
        Invalid: it is not well-formed, or has its rows in binary.
        TooLarge: the rows come too late in it.
    """
    parser = etree.XMLPullParser(
        events=("start", "end"),
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        recover=False,
    )
    columns: list[dict[str, str]] = []
    found: list[list[str]] = []
    seen, scanned = 0, 0
    total: int | None = None
    try:
        while piece := file.read(_PIECE):
            scanned += len(piece)
            if scanned > MAX_SCANNED:
                raise _too_late()
            parser.feed(piece)
            for event, element in parser.read_events():
                tag = etree.QName(element).localname if isinstance(element.tag, str) else ""
                if event == "start":
                    if tag == "TABLE":
                        said = re.fullmatch(r"[0-9]{1,15}", element.get("nrows", ""))
                        total = int(said.group()) if said else None
                    if tag in {"BINARY", "BINARY2", "FITS"}:
                        raise Invalid(
                            "The rows of this table are in binary.",
                            code="no_table",
                            remedy="Fetch the whole file.",
                        )
                elif tag == "FIELD":
                    columns.append(_field(element))
                elif tag == "TR":
                    seen += 1
                    if seen >= wanted.start and len(found) < wanted.count:
                        found.append(["".join(cell.itertext()).strip() for cell in element])
                    element.clear()
                    while element.getprevious() is not None:
                        del element.getparent()[0]
                    if seen >= wanted.start + wanted.count:
                        return _told(columns, found, wanted, total, more=True)
                elif tag == "TABLE":
                    return _told(columns, found, wanted, seen, more=False)
    except etree.XMLSyntaxError as error:
        raise Invalid(
            "This VOTable is not well-formed.", code="no_table", remedy="Look at it as a text, and mend it."
        ) from error
    if not columns:
        raise Invalid("There is no table in this file.", code="no_table", remedy="Look at it as a text.")
    return _told(columns, found, wanted, total, more=False)


def _told(
    columns: list[dict[str, str]], found: list[list[str]], wanted: Rows, total: int | None, *, more: bool
) -> dict[str, Any]:
    return {"columns": columns, "rows": found, "start": wanted.start, "more": more, "total": total}


def _field(element: Any) -> dict[str, str]:
    size = element.get("arraysize", "")
    return {
        "name": element.get("name") or element.get("ID") or "",
        "unit": element.get("unit") or "",
        "type": (element.get("datatype") or "") + (f"[{size}]" if size else ""),
    }


def _described(name: str, rest: str) -> dict[str, str]:
    """Read what ECSV says of a column."""
    said = dict(re.findall(r"(unit|datatype):\s*([^,}]+)", rest))
    return {
        "name": name.strip().strip("'\""),
        "unit": said.get("unit", "").strip(),
        "type": said.get("datatype", "").strip(),
    }


def _lines(file: RangeFile) -> Iterator[str]:
    scanned = 0
    reader = io.BufferedReader(file, _PIECE)
    while line := reader.readline(MAX_LINE):
        scanned += len(line)
        if scanned > MAX_SCANNED:
            raise _too_late()
        yield line.decode("utf-8-sig" if scanned == len(line) else "utf-8", "replace").rstrip("\r\n")


def _split(line: str, separator: str) -> list[str]:
    if separator == " ":
        return line.split()
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=separator), [""])]
    except csv.Error:
        return [cell.strip() for cell in line.split(separator)]


def _guessed(cells: list[str]) -> str:
    """Say what the first cells of a column look like."""
    some = [cell for cell in cells[:_SNIFFED] if cell]
    for name, kind in (("int", int), ("float", float)):
        try:
            for cell in some:
                kind(cell)
        except ValueError:
            continue
        return name if some else ""
    return "text"


def _too_late() -> TooLarge:
    return TooLarge(
        f"These rows come after the first {MAX_SCANNED >> 20} MiB.",
        code="view_too_large",
        facts={"limit": MAX_SCANNED},
        remedy="Fetch the whole file.",
    )
