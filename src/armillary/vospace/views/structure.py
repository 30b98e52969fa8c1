"""The HDUs of a FITS file: where they begin, what they hold, found without reading their data.

Written for files that lie: nothing is believed before it was compared with the length of the file, and nothing
grows with a number that stands in a header.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from armillary.base.errors import Invalid
from armillary.vospace.views.ranges import RangeFile, RangeReader

BLOCK = 2880
CARD = 80
MAX_CARDS = 1 << 16
MAX_HDUS = 5000
MAX_HEADER_BYTES = 64 << 20
"""Of all headers of a file together."""
MAX_AXES = 16

_INTEGER = re.compile(r"[+-]?\d{1,18}")
_PRINTABLE = bytes(octet if 32 <= octet < 127 else ord("?") for octet in range(256))
_BITPIX = frozenset({8, 16, 32, 64, -32, -64})


@dataclass(frozen=True, kw_only=True)
class HDU:
    """One header and data unit. `cards` are its header as it is stored, 80 characters each, without END."""

    number: int
    start: int
    data_start: int
    data_size: int
    file_size: int
    cards: Sequence[str]

    @cached_property
    def values(self) -> Mapping[str, str | int | bool]:
        """The integers, strings and flags of the header by keyword; of several the first."""
        found: dict[str, str | int | bool] = {}
        for card in self.cards:
            if card[8:10] == "= " and (value := _value(card[10:])) is not None:
                found.setdefault(card[:8].rstrip(), value)
        return found

    @property
    def end(self) -> int:
        """Where the next one begins: data fill whole blocks."""
        return self.data_start + -(-self.data_size // BLOCK) * BLOCK

    @property
    def is_truncated(self) -> bool:
        """Whether the file ends before the data."""
        return self.data_start + self.data_size > self.file_size

    @property
    def is_compressed(self) -> bool:
        """Whether it is a table with the tiles of an image."""
        return self.values.get("XTENSION") == "BINTABLE" and self.values.get("ZIMAGE") is True

    @property
    def is_image(self) -> bool:
        """Whether it is an image, perhaps compressed, perhaps without pixels."""
        if self.is_compressed:
            return True
        if self.values.get("GROUPS") is True and self.axes[:1] == (0,):
            return False
        return self.values.get("XTENSION", "IMAGE") == "IMAGE"

    @property
    def has_pixels(self) -> bool:
        """Whether it is an image with pixels."""
        return self.is_image and bool(self.axes) and math.prod(self.axes) > 0

    @property
    def axes(self) -> tuple[int, ...]:
        """The lengths of the axes of its image, or else of its data."""
        z = "Z" if self.is_compressed else ""
        count = self.integer(f"{z}NAXIS", 0, MAX_AXES)
        return tuple(self.integer(f"{z}NAXIS{n + 1}") for n in range(count))

    @property
    def bitpix(self) -> int:
        """The type of a pixel: 8, 16, 32 and 64 for integers, -32 and -64 for floating point."""
        key = "ZBITPIX" if self.is_compressed else "BITPIX"
        bitpix = self.values.get(key)
        if isinstance(bitpix, bool) or bitpix not in _BITPIX:
            raise broken(f"{key} is {bitpix!r}", self.number)
        return int(bitpix)

    @property
    def name(self) -> str:
        """EXTNAME, or nothing."""
        return str(self.values.get("EXTNAME", "")).strip()

    @property
    def version(self) -> int:
        """EXTVER."""
        version = self.values.get("EXTVER", 1)
        return version if isinstance(version, int) else 1

    def integer(self, key: str, minimum: int = 0, maximum: int = 1 << 50) -> int:
        """Return a number that must be there and in bounds.

        Raises:
            Invalid: with code `fits_invalid`.
        """
        value = self.values.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
            raise broken(f"{key} is {value!r}", self.number)
        return value


def walk(reader: RangeReader) -> Iterator[HDU]:
    """Return the HDUs of a file, one after the other; only the headers up to the one in hand are read.

    A file that ends within the data of an HDU ends with that HDU. What follows the last HDU without being one
    is passed over, as the standard says.

    Raises:
        Invalid: with code `fits_invalid`; this is not FITS, or a header breaks its rules.
    """
    file = RangeFile(reader)
    start = 0
    spent = 0
    for number in range(MAX_HDUS):
        file.seek(start)
        if number:
            beginning = file.read(8)
            if beginning != b"XTENSION":
                return
            file.seek(start)
        else:
            _check_beginning(file)
        cards = _header(file, number)
        hdu = HDU(
            number=number,
            start=start,
            data_start=file.tell(),
            data_size=0,
            file_size=reader.size,
            cards=cards,
        )
        hdu = HDU(
            number=number,
            start=start,
            data_start=hdu.data_start,
            data_size=_data_size(hdu),
            file_size=reader.size,
            cards=cards,
        )
        yield hdu
        spent += hdu.data_start - start
        start = hdu.end
        if start >= reader.size:
            return
        if spent > MAX_HEADER_BYTES:
            raise broken("its headers are larger than 64 MiB together", number)
    raise broken(f"it has more than {MAX_HDUS} HDUs", MAX_HDUS)


def _check_beginning(file: RangeFile) -> None:
    beginning = file.read(30)
    if beginning[:2] == b"\x1f\x8b":
        raise Invalid(
            "This file is packed with gzip as a whole; a part of it cannot be reached.",
            code="fits_invalid",
            remedy="Unpack it, or pack its images in tiles with fpack.",
        )
    if not re.fullmatch(rb"SIMPLE  = {20}[TF]", beginning):
        raise Invalid("This is not a FITS file.", code="fits_invalid", remedy="Fetch the whole file.")
    file.seek(0)


def _header(file: RangeFile, number: int) -> list[str]:
    cards: list[str] = []
    while len(cards) <= MAX_CARDS:
        block = file.read(BLOCK)
        if len(block) < BLOCK:
            raise broken("the file ends within its header", number)
        text = block.translate(_PRINTABLE).decode("ascii")
        for place in range(0, BLOCK, CARD):
            card = text[place : place + CARD]
            if card.rstrip() == "END":
                return cards
            cards.append(card)
    raise broken(f"its header has more than {MAX_CARDS} cards", number)


def _data_size(hdu: HDU) -> int:
    count = hdu.integer("NAXIS", 0, 999)
    axes = [hdu.integer(f"NAXIS{n + 1}") for n in range(count)]
    if not axes:
        return 0
    # A primary HDU of random groups (FITS 4.0, 6): its first axis is 0 and does not count.
    groups = hdu.number == 0 and axes[0] == 0 and hdu.values.get("GROUPS") is True
    values = hdu.values
    pcount = hdu.integer("PCOUNT") if "PCOUNT" in values and (hdu.number or groups) else 0
    gcount = hdu.integer("GCOUNT", 1) if "GCOUNT" in values and (hdu.number or groups) else 1
    bitpix = values.get("BITPIX")
    if isinstance(bitpix, bool) or bitpix not in _BITPIX:
        raise broken(f"BITPIX is {bitpix!r}", hdu.number)
    return abs(int(bitpix)) // 8 * gcount * (pcount + math.prod(axes[1:] if groups else axes))


def _value(field: str) -> str | int | bool | None:
    """Read a string, an integer or a flag; None for anything else, which the structure does not need."""
    text = field.lstrip()
    if text.startswith("'"):
        match = re.match(r"'((?:[^']|'')*)'", text)
        return match.group(1).replace("''", "'").rstrip() if match else None
    word = text.partition("/")[0].strip()
    if word in {"T", "F"}:
        return word == "T"
    return int(word) if _INTEGER.fullmatch(word) else None


def broken(problem: str, number: int) -> Invalid:
    """Return the refusal of a file that is not what it says."""
    return Invalid(
        f"This FITS file cannot be read: in HDU {number}, {problem}.",
        code="fits_invalid",
        facts={"hdu": number},
        remedy="Check it with fitsverify; the whole file can still be fetched.",
    )
