"""What of a file's inside is shown on its page. All of it is foreign text, to be escaped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import TimeoutError as LateError
from dataclasses import dataclass
from typing import Any

from armillary.base.errors import ArmillaryError, Unavailable
from armillary.portal.context import Portal
from armillary.portal.visit import Visit
from armillary.vospace.model import Node
from armillary.vospace.views.structure import HDU

TEXT_PIECE = 64 * 2**10
"""bytes of a text on one page"""
MOST_HEADER = 4 * 2**20
"""bytes of headers that are looked at"""
CARDS_SHOWN = 500
HDUS_SHOWN = 200
ROWS_SHOWN = 50
PATIENCE = 25.0
"""seconds for a view: the process that makes it has its own, shorter bounds"""


@dataclass(frozen=True, kw_only=True)
class Text:
    """A piece of a text, from the byte `start` up to `stop` (exclusive)."""

    text: str
    start: int
    stop: int
    length: int


@dataclass(frozen=True, kw_only=True)
class Part:
    """One HDU in a list of them."""

    number: int
    name: str
    kind: str
    shape: str
    is_table: bool
    has_pixels: bool
    axes: Sequence[int]
    bitpix: int


@dataclass(frozen=True, kw_only=True)
class Header:
    """Cards of one HDU that fit a search: keyword, and the rest of the card."""

    parts: Sequence[Part]
    number: int
    cards: Sequence[tuple[str, str]]
    found: int
    whole: bool
    """Whether all HDUs were looked at."""


def text_of(portal: Portal, visit: Visit, node: Node, start: int) -> Text | None:
    """Return a piece of a file, if it is a text in UTF-8, or nearly."""
    start = min(max(start, 0), node.length)
    opened = portal.files.open_bytes(visit.who, node.path, start, start + TEXT_PIECE)
    data = b"".join(opened.chunks)
    if b"\0" in data:
        return None
    text = data.decode(errors="replace")
    if text.count("\ufffd") > len(text) // 10 + 2:
        return None
    return Text(text=text, start=start, stop=start + len(data), length=opened.node.length)


def view(portal: Portal, visit: Visit, node: Node, *pairs: tuple[str, str], most: int = MOST_HEADER) -> bytes:
    """Return the beginning of a view, up to `most` bytes, made in a process of its own.

    Raises:
        ArmillaryError: it cannot be made, or not in time.
    """
    future = portal.shelf.views.start(visit.who, node.path, pairs)
    try:
        answer = future.result(timeout=PATIENCE).answer
    except LateError as error:
        future.cancel()
        raise Unavailable(
            "Many pictures are waited for.", code="views_busy", remedy="Try again in a minute."
        ) from error
    try:
        found = bytearray()
        for piece in answer:
            found += piece
            if len(found) >= most:
                break
        return bytes(found[:most])
    finally:
        answer.close()


def header_of(portal: Portal, visit: Visit, node: Node, number: int, search: str) -> Header:
    """Return what a FITS file consists of, and the cards of one HDU in which `search` is.

    Raises:
        ArmillaryError: it is no FITS file, or its headers are broken.
    """
    lines = view(portal, visit, node, ("META", "true")).decode("ascii", "replace").split("\n")
    headers: list[list[str]] = [[]]
    for line in lines:
        if line == "END":
            headers.append([])
        else:
            headers[-1].append(line)
    headers.pop()  # behind the last END is nothing, or a header that was cut off
    whole = sum(map(len, lines)) + len(lines) <= MOST_HEADER
    parts = [_part(index, cards) for index, cards in enumerate(headers[:HDUS_SHOWN])]
    number = min(max(number, 0), max(0, len(headers) - 1))
    wanted = search.lower()
    cards = [card for card in headers[number] if wanted in card.lower()] if headers else []
    split = [_split(card) for card in cards[:CARDS_SHOWN]]
    return Header(parts=parts, number=number, cards=split, found=len(cards), whole=whole)


def table_of(portal: Portal, visit: Visit, node: Node, hdu: int | None, row: int) -> dict[str, Any]:
    """Return some rows of a table with its columns: see `vospace.views.tables`.

    Raises:
        ArmillaryError: it is no table, or cannot be read.
    """
    first = max(row, 0) + 1
    pairs = [("TABLE", "" if hdu is None else str(hdu)), ("ROWS", f"{first}:{first + ROWS_SHOWN - 1}")]
    return json.loads(view(portal, visit, node, *pairs, most=64 * 2**20))


def _split(card: str) -> tuple[str, str]:
    if card[8:10] == "= ":
        return card[:8].rstrip(), card[10:].strip()
    if card.startswith("HIERARCH ") and "=" in card:
        key, _, rest = card[9:].partition("=")
        return key.strip(), rest.strip()
    return card[:8].rstrip(), card[8:].strip()


def _part(number: int, cards: Sequence[str]) -> Part:
    hdu = HDU(number=number, start=0, data_start=0, data_size=0, file_size=0, cards=cards)
    try:
        kind = str(hdu.values.get("XTENSION", "PRIMARY")).strip()
        axes, bitpix = hdu.axes, hdu.bitpix
        is_table = kind in {"BINTABLE", "TABLE"} and not hdu.is_compressed
        has_pixels = hdu.has_pixels
    except ArmillaryError:  # a header that lies; the others are shown all the same
        kind, axes, bitpix, is_table, has_pixels = "?", (), 8, False, False
    return Part(
        number=number,
        name=hdu.name,
        kind="IMAGE" if has_pixels else kind,
        shape=" × ".join(map(str, axes)),
        is_table=is_table,
        has_pixels=has_pixels,
        axes=axes,
        bitpix=bitpix,
    )
