"""The pixels of a box, as they are stored: from plain images by ranges, from compressed ones by their tiles."""

from __future__ import annotations

import math
import warnings
import zlib
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from armillary.base.errors import TooLarge
from armillary.vospace.views.astro import CodecError, fits
from armillary.vospace.views.boxes import Box, Span
from armillary.vospace.views.ranges import MAX_SPANS, RangeFile, RangeReader
from armillary.vospace.views.structure import BLOCK, HDU, broken

PIECE = 4 << 20
"""Bytes that are read, and handed on, at once."""
MAX_TILE = 256 << 20
"""Bytes of one tile, and of the table of tiles."""

_GAP = 256 << 10
"""Rather than ask again, read over this many bytes that nobody wants."""
_WASTE = 8
_TYPES = {8: ">u1", 16: ">i2", 32: ">i4", 64: ">i8", -32: ">f4", -64: ">f8"}
_CODECS = frozenset({"GZIP_1", "GZIP_2", "RICE_1", "RICE_ONE", "PLIO_1", "HCOMPRESS_1", "NOCOMPRESS"})
# An empty primary HDU, so that one extension alone makes a file.
_PRIMARY = "".join(
    text.ljust(80)
    for text in (f"SIMPLE  = {'T':>20}", f"BITPIX  = {8:>20}", f"NAXIS   = {0:>20}", f"EXTEND  = {'T':>20}", "END")
).ljust(BLOCK).encode()  # fmt: skip
# What astropy raises on tiles that are not what they should be, as seen with broken ones.
_NONSENSE = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, OSError, EOFError, RuntimeError,
    zlib.error, CodecError, fits.VerifyError, NotImplementedError, UnboundLocalError,
)  # fmt: skip

Pixels = NDArray[Any]


def read(reader: RangeReader, hdu: HDU, box: Box) -> Iterator[Pixels]:
    """Return the pixels of a box in FITS order, big-endian and unscaled, in pieces of whole rows.

    Raises:
        Invalid: with code `fits_invalid`; the data are not what the header says.
        TooLarge: with code `tile_too_large`.
    """
    if hdu.is_truncated:
        raise broken("the file ends within its data", hdu.number)
    return _tiled(reader, hdu, box) if hdu.is_compressed else _plain(reader, hdu, box)


def pixel_type(hdu: HDU) -> np.dtype[Any]:
    """Return the type of the pixels that `read` gives."""
    return np.dtype(_TYPES[hdu.bitpix])


def _plain(reader: RangeReader, hdu: HDU, box: Box) -> Iterator[Pixels]:
    kind = pixel_type(hdu)
    x = box.spans[0]
    y = box.spans[1] if len(box.spans) > 1 else Span(first=1, count=1)
    row = (x.high - x.low + 1) * kind.itemsize
    if row > MAX_TILE:
        raise TooLarge(
            "A row of this image is too long.",
            code="view_too_large",
            facts={"bytes": row, "limit": MAX_TILE},
            remedy="Ask for fewer pixels, or fetch the whole file.",
        )
    apart = abs(y.step) * hdu.axes[0] * kind.itemsize

    def size(count: int) -> int:
        return (count - 1) * apart + row

    for batch in _batches(_blocks(hdu, box, row, apart), size):
        spans = [(start, start + size(count)) for start, count in batch]
        for (_, count), data in zip(batch, reader.read_many(spans), strict=True):
            found = np.lib.stride_tricks.as_strided(
                np.frombuffer(data, dtype=np.uint8)[: kind.itemsize].view(kind),
                shape=(count, x.count),
                strides=(apart, abs(x.step) * kind.itemsize),
                writeable=False,
            )
            yield found[:: _sign(y), :: _sign(x)]


def _blocks(hdu: HDU, box: Box, row: int, apart: int) -> Iterator[tuple[int, int]]:
    """Return where blocks of rows begin in the file, and how many rows they have, in the order of the cutout.

    `row` are the bytes that are wanted of a row, and the rows that are wanted are `apart`.
    """
    item = pixel_type(hdu).itemsize
    x = box.spans[0]
    y = box.spans[1] if len(box.spans) > 1 else Span(first=1, count=1)
    strides = [hdu.axes[0] * item]  # of the axes from the second on
    for length in hdu.axes[1:]:
        strides.append(strides[-1] * length)
    rows = max(1, (PIECE - row) // apart + 1)
    if apart > row * _WASTE and apart - row > _GAP:
        rows = 1
    outer = [
        range(span.first - 1, span.last - 1 + _sign(span), span.step) for span in reversed(box.spans[2:])
    ]
    for place in product(*outer):
        plane = hdu.data_start + sum(
            n * stride for n, stride in zip(reversed(place), strides[1:], strict=False)
        )
        for begin in range(0, y.count, rows):
            count = min(rows, y.count - begin)
            lowest = min(y.first + begin * y.step, y.first + (begin + count - 1) * y.step)
            yield plane + (lowest - 1) * strides[0] + (x.low - 1) * item, count


def _batches(
    blocks: Iterator[tuple[int, int]], size: Callable[[int], int]
) -> Iterator[list[tuple[int, int]]]:
    """Put blocks together that are read at once."""
    batch: list[tuple[int, int]] = []
    octets = 0
    for start, count in blocks:
        if batch and (octets + size(count) > PIECE or len(batch) >= MAX_SPANS):
            yield batch
            batch, octets = [], 0
        batch.append((start, count))
        octets += size(count)
    if batch:
        yield batch


def _sign(span: Span) -> int:
    return 1 if span.step > 0 else -1


def _tiled(reader: RangeReader, hdu: HDU, box: Box) -> Iterator[Pixels]:
    tile = _checked_tiles(hdu)
    kind = pixel_type(hdu)
    file: Any = RangeFile(reader, hdu.start, hdu.data_start + hdu.data_size, prefix=_PRIMARY)
    try:
        with (
            warnings.catch_warnings(),
            fits.open(file, mode="readonly", memmap=False, do_not_scale_image_data=True) as hdus,
        ):
            warnings.simplefilter("ignore")  # about headers that were mended
            image: Any = hdus[1]
            if image.shape != hdu.axes[::-1]:
                raise broken("the tiles are of another image", hdu.number)
            for part in _parts(box, tile, kind.itemsize):
                where = tuple(slice(s.low - 1, s.high, abs(s.step)) for s in reversed(part.spans))
                found = np.asarray(image.section[where])
                found = found[tuple(slice(None, None, _sign(span)) for span in reversed(part.spans))]
                yield found.astype(kind, copy=False).reshape(-1, part.spans[0].count)
    except MemoryError as error:
        raise _too_large(hdu) from error
    except _NONSENSE as error:
        said = " ".join(str(error).split())[:200]
        raise broken(f"a tile cannot be unpacked ({said or type(error).__name__})", hdu.number) from error


def _checked_tiles(hdu: HDU) -> list[int]:
    codec = hdu.values.get("ZCMPTYPE")
    if codec not in _CODECS:
        raise broken(f"ZCMPTYPE is {codec!r}", hdu.number)
    axes = hdu.axes
    # Without ZTILEn a tile is a row (FITS 4.0, 10.1.1).
    sizes = [
        hdu.integer(f"ZTILE{n + 1}", 1) if f"ZTILE{n + 1}" in hdu.values else (axes[0] if n == 0 else 1)
        for n in range(len(axes))
    ]
    tile = [min(size, length) for size, length in zip(sizes, axes, strict=True)]
    table = hdu.integer("NAXIS1") * hdu.integer("NAXIS2")
    if math.prod(tile) * 8 > MAX_TILE or table > MAX_TILE:
        raise _too_large(hdu)
    if math.prod(-(-length // size) for length, size in zip(axes, tile, strict=True)) > hdu.integer("NAXIS2"):
        raise broken("tiles are missing", hdu.number)
    return tile


def _too_large(hdu: HDU) -> TooLarge:
    return TooLarge(
        f"The tiles of HDU {hdu.number} are too large to be unpacked here.",
        code="tile_too_large",
        facts={"hdu": hdu.number, "limit": MAX_TILE},
        remedy="Fetch the whole file, or pack it anew in smaller tiles.",
    )


def _parts(box: Box, tile: list[int], item: int) -> Iterator[Box]:
    """Cut a box into parts that fit into memory with all their tiles, whole tiles together where they fit."""
    axis = max((n for n, span in enumerate(box.spans) if span.count > 1), default=0)
    span = box.spans[axis]
    one = math.prod(_unpacked(other, size) for other, size in zip(box.spans[:axis], tile, strict=False))
    one *= math.prod(tile[axis + 1 :]) * item
    if axis == 0 or one * _unpacked(span, tile[axis]) <= PIECE:
        yield box
        return
    layer = one * tile[axis]
    at_once = 1
    if layer <= PIECE:
        at_once = PIECE // layer * tile[axis]
    elif layer <= MAX_TILE:
        at_once = tile[axis]
    begin = 0
    while begin < span.count:
        first = span.first + begin * span.step
        # To the end of a tile, so that none is unpacked twice.
        room = at_once - ((first - 1) % tile[axis] if span.step > 0 else (-first) % tile[axis])
        count = min(max(1, -(-room // abs(span.step))), span.count - begin)
        part = box.with_span(axis, Span(first=first, count=count, step=span.step))
        if count == 1 and axis > 1:
            yield from _parts(part, tile, item)
        else:
            yield part
        begin += count


def _unpacked(span: Span, tile: int) -> int:
    """How long the tiles of a span are together."""
    return ((span.high - 1) // tile - (span.low - 1) // tile + 1) * tile
