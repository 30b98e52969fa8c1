"""FITS files made for tests, and how views of them are had."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from armillary.vospace.views.parameters import parse
from armillary.vospace.views.work import perform


class Memory:
    """Bytes in memory that count what is read of them."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.octets = 0
        self.reads = 0

    @property
    def size(self) -> int:
        return len(self._data)

    def read(self, start: int, stop: int) -> bytes:
        assert 0 <= start < stop <= len(self._data)
        self.octets += stop - start
        self.reads += 1
        return self._data[start:stop]

    def read_many(self, spans: Sequence[tuple[int, int]]) -> Sequence[bytes]:
        return [self.read(*span) for span in spans]

    def descriptor(self) -> int | None:
        return None


class Sparse:
    """A file with a header, then zeros as far as it goes: it takes no room."""

    def __init__(self, header: bytes, size: int) -> None:
        self._header = header
        self.size = size
        self.octets = 0

    def read(self, start: int, stop: int) -> bytes:
        self.octets += stop - start
        return self._header[start:stop].ljust(stop - start, b"\0")

    def read_many(self, spans: Sequence[tuple[int, int]]) -> Sequence[bytes]:
        return [self.read(*span) for span in spans]

    def descriptor(self) -> int | None:
        return None


def view(source: Any, *pairs: tuple[str, str], max_bytes: int = 1 << 30) -> bytes:
    """Make a view of bytes, or of a reader, here and now."""
    asked = parse(pairs)
    assert asked is not None
    reader = Memory(source) if isinstance(source, bytes) else source
    return b"".join(perform(reader, asked, max_bytes))


def opened(data: bytes) -> fits.HDUList:
    """Read what was made, strictly, pixels as they are stored."""
    hdus = fits.open(io.BytesIO(data), do_not_scale_image_data=True)
    hdus.verify("exception")
    assert len(data) % 2880 == 0
    return hdus


def written(*hdus: Any) -> bytes:
    file = io.BytesIO()
    fits.HDUList(list(hdus)).writeto(file)
    return file.getvalue()


def ramp(*shape: int, dtype: str = ">i2") -> Any:
    return (np.arange(np.prod(shape)) % 30011).reshape(shape).astype(dtype)


def sky(
    *,
    projection: str = "TAN",
    at: Sequence[float] = (202.47, 47.195),
    degrees: float = 3e-4,
    middle: float = 50.5,
) -> fits.Header:
    """Return the header of an image of M51's surroundings."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = [f"RA---{projection}", f"DEC--{projection}"]
    wcs.wcs.crval = at
    wcs.wcs.crpix = [middle, middle]
    wcs.wcs.cdelt = [-degrees, degrees]
    return wcs.to_header()


def cards(**values: Any) -> fits.Header:
    header = fits.Header()
    for key, value in values.items():
        header[key] = value
    return header


def block(*lines: str) -> bytes:
    """Return a header of cards as they are written, END behind them."""
    text = "".join(line.ljust(80) for line in (*lines, "END"))
    return text.ljust(-(-len(text) // 2880) * 2880).encode("latin-1")


def card(key: str, value: object) -> str:
    shown = {True: "T", False: "F"}.get(value, value) if isinstance(value, bool) else value
    return (
        f"{key:<8}= {shown!r:<20}"
        if isinstance(shown, str) and shown not in {"T", "F"}
        else f"{key:<8}= {shown:>20}"
    )
