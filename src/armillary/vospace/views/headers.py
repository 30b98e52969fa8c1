"""The headers of a file as text, as the stock client's `vcp --head` and CADC's tools read them."""

from __future__ import annotations

from collections.abc import Iterator

from armillary.vospace.views.ranges import RangeReader
from armillary.vospace.views.structure import walk


def headers(reader: RangeReader) -> Iterator[bytes]:
    """Return the cards of all HDUs as they are stored, one on a line, each header up to its END.

    Raises:
        Invalid: with code `fits_invalid`.
    """
    for hdu in walk(reader):
        # All 80 columns: readers find the parts of a long string by them.
        yield "\n".join([*hdu.cards, "END", ""]).encode("ascii")
