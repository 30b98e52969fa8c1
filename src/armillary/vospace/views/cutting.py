"""Cutouts: which HDUs and pixels were meant, and the FITS file that is made of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from armillary.base.errors import ArmillaryError, Invalid, NotFound, TooLarge
from armillary.vospace.views.boxes import Box, Span, box_of, whole
from armillary.vospace.views.cards import header, history, image_cards, inherited, moved
from armillary.vospace.views.overlap import NoOverlapError
from armillary.vospace.views.parameters import Asked, Section
from armillary.vospace.views.pixels import PIECE, pixel_type, read
from armillary.vospace.views.ranges import RangeReader
from armillary.vospace.views.structure import BLOCK, HDU, broken, walk
from armillary.vospace.views.world import NoAxisError, World

MAX_PIECES = 1000
"""Images in one answer."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Pixels of an image; or, without a box, an HDU as it is."""

    hdu: HDU
    box: Box | None

    @property
    def size(self) -> int:
        """Bytes of its data."""
        return self.box.pixels * pixel_type(self.hdu).itemsize if self.box else self.hdu.data_size


def cut(reader: RangeReader, asked: Asked, max_bytes: int) -> Iterator[bytes]:
    """Return the FITS file with the cutouts: one image as primary HDU, several as extensions.

    Raises:
        NoOverlapError: there are no such pixels.
        TooLarge: with code `cutout_too_large`; it would have more than `max_bytes`.
        Invalid, NotFound: what was asked for makes no sense for this file, or the file is broken.
    """
    hdus: list[HDU] = []
    pieces = choose(reader, asked, hdus)
    size = sum(piece.size for piece in pieces)
    if size > max_bytes or len(pieces) > MAX_PIECES:
        raise TooLarge(
            f"The cutout would have {size >> 20} MiB in {len(pieces)} images.",
            code="cutout_too_large",
            facts={"bytes": size, "limit": max_bytes, "images": len(pieces), "max_images": MAX_PIECES},
            remedy="Ask for fewer pixels, or fetch the whole file.",
        )
    alone = len(pieces) == 1 and (pieces[0].box is not None or pieces[0].hdu.number == 0)
    if not alone:
        pieces = [piece for piece in pieces if piece.box is not None or piece.hdu.number]
        yield header(image_cards(hdus[0]), (), 8, extension=False, extend=True)
    for piece in pieces:
        yield from _written(reader, hdus[0], piece, alone=alone)


def choose(reader: RangeReader, asked: Asked, hdus: list[HDU]) -> list[Piece]:
    """Return the pixels that were asked for; the HDUs that were looked at are added to `hdus`.

    Raises:
        NoOverlapError, Invalid, NotFound: see `cut`.
    """
    walking = walk(reader)

    def walked() -> Iterator[HDU]:
        yield from hdus
        for hdu in walking:
            hdus.append(hdu)
            yield hdu

    if asked.by_world:
        return _by_world(walked(), asked)
    pieces: list[Piece] = []
    for section in asked.sections:
        hdu = _named(walked(), section)
        if not hdu.has_pixels and not section.axes:
            pieces.append(Piece(hdu=hdu, box=None))
        elif not hdu.has_pixels:
            raise Invalid(
                f"HDU {hdu.number} has no pixels.",
                code="no_image",
                facts={"hdu": hdu.number},
                remedy="Name one that has, such as [1][1:100,1:100]; META=true shows them all.",
            )
        elif (box := box_of(section.axes, hdu.axes)) is not None:
            pieces.append(Piece(hdu=hdu, box=box))
    if not pieces:
        raise NoOverlapError
    return pieces


def first_image(hdus: Iterable[HDU]) -> HDU:
    """Return the first HDU with pixels.

    Raises:
        Invalid: with code `no_image`.
    """
    for hdu in hdus:
        if hdu.has_pixels:
            return hdu
    raise Invalid("There is no image in this file.", code="no_image", remedy="Fetch the whole file.")


def _named(hdus: Iterator[HDU], section: Section) -> HDU:
    if section.number is None and not section.name:
        return first_image(hdus)
    for hdu in hdus:
        if section.number == hdu.number:
            return hdu
        same = section.name and section.name.upper() == hdu.name.upper()
        if same and section.version in {None, hdu.version}:
            return hdu
    wanted = section.name or str(section.number)
    if section.version is not None:
        wanted += f",{section.version}"
    raise NotFound(
        f"There is no HDU [{wanted}] in this file.",
        code="hdu_not_found",
        facts={"hdu": wanted},
        remedy="META=true shows them all.",
    )


def _by_world(hdus: Iterator[HDU], asked: Asked) -> list[Piece]:
    pieces: list[Piece] = []
    missing: set[str] = set()
    refusal: ArmillaryError | None = None
    found_axes = False
    for hdu in hdus:
        if not hdu.has_pixels:
            continue
        try:
            pieces += [Piece(hdu=hdu, box=box) for box in _boxes(hdu, asked)]
            found_axes = True
        except NoAxisError as error:
            missing.add(str(error))
        except Invalid as error:  # one image may be broken, and another what was meant
            refusal = error
        if len(pieces) > MAX_PIECES:
            break
    if pieces:
        return pieces
    if refusal:
        raise refusal
    if not found_axes:
        raise Invalid(
            f"No image in this file has a {' and '.join(sorted(missing)) or 'coordinate'} axis.",
            code="no_coordinates",
            facts={"missing": sorted(missing)},
            remedy="Choose pixels with SUB; META=true shows the headers.",
        )
    raise NoOverlapError


def _boxes(hdu: HDU, asked: Asked) -> Iterator[Box]:
    full = whole(hdu.axes)
    world = World(header(image_cards(hdu), hdu.axes, hdu.bitpix, extension=False), hdu.axes, hdu.number)
    for shape, band, time in product(asked.shapes or (None,), asked.bands or (None,), asked.times or (None,)):
        box = world.sky(shape) if shape else full
        found: list[tuple[int, Span | None]] = []
        if band:
            found.append(world.band(*band))
        if time:
            found.append(world.time(*time))
        if asked.states:
            found.append(world.states(asked.states))
        for axis, span in found:
            box = box.with_span(axis, span) if box and span else None
        if box:
            yield box


def _written(reader: RangeReader, primary: HDU, piece: Piece, *, alone: bool) -> Iterator[bytes]:
    hdu, box = piece.hdu, piece.box
    if box is None:
        yield from _copied(reader, hdu)
        return
    cards: Sequence[str] = image_cards(hdu)
    if alone and hdu.number and hdu.values.get("INHERIT") is True:
        cards = [card for card in cards if not card.startswith("INHERIT ")]
        cards = [*inherited(primary, cards), *cards]
    cards = [*moved(cards, box), history(f"Cutout of HDU {hdu.number}: {box}")]
    yield header(cards, box.shape, hdu.bitpix, extension=not alone)
    size = 0
    for pixels in read(reader, hdu, box):
        data = pixels.tobytes()
        size += len(data)
        yield data
    if size != piece.size:
        raise broken("there are fewer pixels than it says", hdu.number)
    yield bytes(-size % BLOCK)


def _copied(reader: RangeReader, hdu: HDU) -> Iterator[bytes]:
    if hdu.is_truncated:
        raise broken("the file ends within its data", hdu.number)
    stop = hdu.data_start + hdu.data_size
    for start in range(hdu.start, stop, PIECE):
        yield reader.read(start, min(start + PIECE, stop))
    yield bytes(-hdu.data_size % BLOCK)
