"""Pictures of pictures: PNG, JPEG and the like, drawn anew, so that nothing of the file itself reaches a browser."""

from __future__ import annotations

import io
import warnings
from typing import Any

from armillary.base.errors import Invalid, TooLarge
from armillary.vospace.views.astro import Image
from armillary.vospace.views.ranges import RangeFile, RangeReader

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "TIFF")
MAX_PIXELS = 50_000_000


def is_fits(reader: RangeReader) -> bool:
    """Whether a file begins as FITS does, or is packed with gzip, which the readers of FITS refuse in their words."""
    head = reader.read(0, min(9, reader.size)) if reader.size else b""
    return head.startswith((b"SIMPLE  =", b"\x1f\x8b")) or not head.startswith(
        (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"II*\0", b"MM\0*")
    )


def photograph(reader: RangeReader, size: int) -> bytes:
    """Return a PNG with sides of `size` pixels at most.

    Raises:
        Invalid: with code `picture_invalid`; it cannot be read.
        TooLarge: it has too many pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image: Any = Image.open(io.BufferedReader(RangeFile(reader)), formats=FORMATS)
            if image.width * image.height > MAX_PIXELS:
                raise TooLarge(
                    "The picture is too large to be shown.",
                    code="view_too_large",
                    facts={"pixels": image.width * image.height, "limit": MAX_PIXELS},
                    remedy="Fetch the whole file.",
                )
            image.draft("RGB", (size, size))
            image.thumbnail((size, size))
            file = io.BytesIO()
            image.convert("RGBA" if "A" in image.getbands() else "RGB").save(file, format="PNG")
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise Invalid(
            "This picture cannot be read.", code="picture_invalid", remedy="Fetch the whole file."
        ) from error
    return file.getvalue()
