"""Pictures: an image, or a part of it, in grey, small enough for a page."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from armillary.vospace.views.astro import Image, visualization
from armillary.vospace.views.boxes import Box, Span, whole
from armillary.vospace.views.cutting import choose, first_image
from armillary.vospace.views.parameters import Asked, Picture
from armillary.vospace.views.photographs import is_fits, photograph
from armillary.vospace.views.pixels import read
from armillary.vospace.views.ranges import RangeReader
from armillary.vospace.views.structure import HDU, walk

ALL_ROWS = 64 << 20
"""An image up to so many bytes is read whole; of a larger one, one row for each row of the picture."""

_STRETCHES = {
    "asinh": visualization.AsinhStretch,
    "linear": visualization.LinearStretch,
    "log": visualization.LogStretch,
    "sqrt": visualization.SqrtStretch,
}
Grey = NDArray[np.float32]


def draw(reader: RangeReader, asked: Asked) -> bytes:
    """Return a PNG: rows upwards as in FITS, the middle plane of a cube, pixels without a value black.

    Raises:
        NoOverlapError, Invalid, NotFound, TooLarge: see `cutting.cut` and `pixels.read`.
    """
    if not asked.sections and not asked.by_world and not is_fits(reader):
        return photograph(reader, asked.picture.size)
    hdus: list[HDU] = []
    chosen = choose(reader, asked, hdus) if asked.sections or asked.by_world else []
    images = [(piece.hdu, piece.box) for piece in chosen if piece.box]
    if images:
        hdu, box = images[0]
    else:
        hdu = first_image(hdus or walk(reader))
        box = None
    grey = _reduced(reader, hdu, _plane(box or whole(hdu.axes)), asked.picture.size)
    return _png(_shades(grey, asked.picture))


def _plane(box: Box) -> Box:
    """Return the middle plane, with two axes at least."""
    for axis in range(2, len(box.spans)):
        span = box.spans[axis]
        middle = span.first + (span.count // 2) * span.step
        box = box.with_span(axis, Span(first=middle, count=1))
    return box


def _reduced(reader: RangeReader, hdu: HDU, box: Box, size: int) -> Grey:
    """Return means of squares of pixels, in units of the image; NaN where there is nothing."""
    width = box.spans[0].count
    height = box.spans[1].count if len(box.spans) > 1 else 1
    factor = max(1, -(-max(width, height) // size))
    sampled = factor > 1 and width * height * abs(hdu.bitpix) // 8 > ALL_ROWS
    if sampled and len(box.spans) > 1:
        _, y = box.spans[:2]
        # The middle row of each square; the rest of the last may be outside.
        offset = min(factor // 2, (height - 1) % factor)
        box = box.with_span(
            1, Span(first=y.first + offset * y.step, count=-(-height // factor), step=y.step * factor)
        )
    columns, lines = -(-width // factor), -(-height // factor)
    sums = np.zeros((lines, columns), dtype=np.float64)
    counts = np.zeros((lines, columns), dtype=np.int64)
    scale = _scaling(hdu)
    line = 0
    for pixels in read(reader, hdu, box):
        values = _values(pixels, scale)
        padded = np.full((len(values), columns * factor), np.nan)
        padded[:, :width] = values
        squares = padded.reshape(len(values), columns, factor)
        good = np.isfinite(squares)
        at = np.arange(line, line + len(values)) // (1 if sampled else factor)
        np.add.at(sums, at, np.where(good, squares, 0).sum(axis=2))
        np.add.at(counts, at, good.sum(axis=2))
        line += len(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (sums / counts).astype(np.float32)


def _scaling(hdu: HDU) -> tuple[float, float, float | None]:
    """Return BSCALE, BZERO and BLANK."""
    found: dict[str, float] = {}
    for card in hdu.cards:
        if card[:8] in {"BSCALE  ", "BZERO   ", "BLANK   "} and card[8:10] == "= ":
            word = card[10:].partition("/")[0].strip().upper().replace("D", "E")
            try:
                found.setdefault(card[:8].rstrip(), float(word))
            except ValueError:
                continue
    blank = found.get("BLANK") if hdu.bitpix > 0 else None
    return found.get("BSCALE", 1.0), found.get("BZERO", 0.0), blank


def _values(pixels: NDArray[Any], scale: tuple[float, float, float | None]) -> NDArray[np.float64]:
    bscale, bzero, blank = scale
    values = pixels.astype(np.float64)
    if blank is not None:
        values[values == blank] = np.nan
    with np.errstate(all="ignore"):
        values = values * bscale + bzero
    values[np.abs(values) > np.finfo(np.float32).max] = np.nan
    return values


def _shades(grey: Grey, picture: Picture) -> NDArray[np.uint8]:
    good = np.isfinite(grey)
    if not good.any():
        return np.zeros(grey.shape, dtype=np.uint8)
    low, high = _limits(grey[good], picture.limits)
    if not high > low:
        return np.where(good, 128, 0).astype(np.uint8)
    share = np.clip((np.where(good, grey, low) - low) / (high - low), 0, 1)
    shade: Any = _STRETCHES[picture.stretch]()(share)
    return np.where(good, np.rint(np.asarray(shade) * 255), 0).astype(np.uint8)


def _limits(values: Grey, limits: str) -> tuple[float, float]:
    if limits == "minmax":
        return float(values.min()), float(values.max())
    if limits == "zscale":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            low, high = visualization.ZScaleInterval().get_limits(values)
        return float(low), float(high)
    out = (100 - float(limits)) / 2
    low, high = np.percentile(values, [out, 100 - out])
    return float(low), float(high)


def _png(shades: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(shades[::-1])).save(file, format="PNG")
    return file.getvalue()
