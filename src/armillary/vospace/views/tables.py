"""Rows of tables: of FITS, VOTable, CSV and its relatives, as JSON that a page can show.

`{"columns": [{"name", "unit", "type"}], "rows": [["…"]], "start": 1, "more": true, "total": 1000}`; cells are text,
short enough for a page, and `total` is null where nobody has counted.
"""

from __future__ import annotations

import io
import json
import math
from typing import Any

from armillary.base.errors import Invalid, TooLarge
from armillary.vospace.views.astro import fits
from armillary.vospace.views.parameters import Asked, Rows
from armillary.vospace.views.ranges import RangeFile, RangeReader
from armillary.vospace.views.structure import BLOCK, HDU, broken, walk
from armillary.vospace.views.texts import delimited, votable

MAX_CELL = 200
"""letters of a cell"""
MAX_COLUMNS = 400
MAX_ROW_BYTES = 8 << 20
"""of all rows of an answer together, in a FITS table"""

_HEAD = 512


def rows(reader: RangeReader, asked: Asked) -> bytes:
    """Return some rows of a table.

    Raises:
        Invalid: with code `no_table`, or for a broken file; there is no table, or it cannot be read.
        TooLarge: the rows are.
    """
    wanted = asked.rows or Rows()
    head = reader.read(0, min(_HEAD, reader.size)) if reader.size else b""
    if head.startswith(b"SIMPLE  ="):
        found = _fits(reader, wanted)
    elif b"<VOTABLE" in head or head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<?xml"):
        found = votable(RangeFile(reader), wanted)
    elif b"\0" in head:
        raise no_table()
    else:
        found = delimited(RangeFile(reader), wanted)
    found["columns"] = [
        {key: _clipped(str(value)) for key, value in column.items()}
        for column in found["columns"][:MAX_COLUMNS]
    ]
    found["rows"] = [[_clipped(cell) for cell in row[:MAX_COLUMNS]] for row in found["rows"]]
    return json.dumps(found, ensure_ascii=True, allow_nan=False).encode()


def no_table() -> Invalid:
    """Return the refusal for what has no rows."""
    return Invalid("There is no table in this file.", code="no_table", remedy="Fetch the whole file.")


def _fits(reader: RangeReader, wanted: Rows) -> dict[str, Any]:
    hdu = _chosen(reader, wanted.hdu)
    width, total = hdu.axes if len(hdu.axes) == 2 else (0, 0)
    fields = hdu.integer("TFIELDS", 0, 999)
    if total and width * fields == 0:
        raise broken("its rows are empty", hdu.number)
    first = min(wanted.start - 1, total)
    count = min(wanted.count, total - first)
    if width and count * width > MAX_ROW_BYTES:
        count = max(1, MAX_ROW_BYTES // width)
        if width > MAX_ROW_BYTES:
            raise TooLarge(
                "One row of this table is too large to be shown.",
                code="view_too_large",
                facts={"bytes": width, "limit": MAX_ROW_BYTES},
                remedy="Fetch the whole file.",
            )
    start = hdu.data_start + first * width
    there = max(0, min(count, (reader.size - start) // width)) if width else 0
    data = reader.read(start, start + there * width) if there else b""
    columns, cells = _read(hdu, data, there)
    return {
        "columns": columns,
        "rows": cells,
        "start": first + 1,
        "more": first + there < total and there == count,
        "total": total,
    }


def _chosen(reader: RangeReader, number: int | None) -> HDU:
    for hdu in walk(reader):
        is_table = hdu.values.get("XTENSION") in {"BINTABLE", "TABLE"} and not hdu.is_compressed
        if is_table and number in {None, hdu.number}:
            return hdu
        if number is not None and hdu.number >= number:
            break
    raise no_table()


def _read(hdu: HDU, data: bytes, count: int) -> tuple[list[dict[str, str]], list[list[str]]]:
    """Read rows as a table of their own: without the heap, so that arrays of any length only say how long they are."""
    changes = {"NAXIS2": count, "PCOUNT": 0}
    cards = [
        f"{card[:8]}= {changes[card[:8].rstrip()]:>20}".ljust(80) if card[:8].rstrip() in changes else card
        for card in hdu.cards
        if not card.startswith(("THEAP", "CHECKSUM", "DATASUM"))
    ]
    text = "".join([*cards, "END".ljust(80)])
    header = text.ljust(-(-len(text) // BLOCK) * BLOCK).encode("ascii")
    primary = "".join(
        part.ljust(80) for part in (f"SIMPLE  = {'T':>20}", f"BITPIX  = {8:>20}", f"NAXIS   = {0:>20}", "END")
    )
    file = primary.ljust(BLOCK).encode() + header + data.ljust(-(-len(data) // BLOCK) * BLOCK, b"\0")
    try:
        with fits.open(io.BytesIO(file), memmap=False, character_as_bytes=False) as hdus:
            table = hdus[1]
            shown = [
                {"name": column.name or "", "unit": column.unit or "", "type": str(column.format)}
                for column in table.columns[:MAX_COLUMNS]
            ]
            cells = [_column(table, index, count) for index in range(len(shown))]
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        OSError,
        OverflowError,
        AttributeError,
        AssertionError,
        fits.VerifyError,
    ) as error:
        raise broken("its table cannot be read", hdu.number) from error
    return shown, [list(row) for row in zip(*cells, strict=True)] if cells else []


def _column(table: Any, index: int, count: int) -> list[str]:
    form = str(table.columns[index].format).lstrip("0123456789")
    if form[:1] in {"P", "Q"}:
        return ["[…]"] * count
    return [_text(value) for value in table.data.field(index)[:count]] if count else []


def _text(value: Any) -> str:
    if hasattr(value, "shape") and value.shape:
        flat = value.ravel()[:8]
        return f"[{', '.join(_text(one) for one in flat)}{', …' if value.size > len(flat) else ''}]"
    if isinstance(value, bytes):
        return value.decode("latin-1").rstrip()
    if isinstance(value, str):
        return value.rstrip()
    item = value.item() if hasattr(value, "item") else value
    if isinstance(item, float):
        return "" if math.isnan(item) else f"{item:.9g}"
    return str(item)


def _clipped(text: str) -> str:
    return text if len(text) <= MAX_CELL else f"{text[:MAX_CELL]}…"
