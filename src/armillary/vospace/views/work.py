"""One door to all views: what was asked and where the bytes are, in; the pieces of the answer, out."""

from __future__ import annotations

from collections.abc import Iterator

from armillary.vospace.views.parameters import Asked, View
from armillary.vospace.views.ranges import RangeReader


def perform(reader: RangeReader, asked: Asked, max_bytes: int) -> Iterator[bytes]:
    """Make a view. Memory does not grow with the file, nor with the answer.

    Raises:
        NoOverlapError: nothing of the file was asked for.
        ArmillaryError: it cannot be made, with the reason.
    """
    # Astropy is loaded by those who need it: headers do not.
    if asked.view is View.HEADER:
        from armillary.vospace.views.headers import headers

        yield from headers(reader)
    elif asked.view is View.PREVIEW:
        from armillary.vospace.views.pictures import draw

        yield draw(reader, asked)
    elif asked.view is View.TABLE:
        from armillary.vospace.views.tables import rows

        yield rows(reader, asked)
    else:
        from armillary.vospace.views.cutting import cut

        yield from cut(reader, asked, max_bytes)
