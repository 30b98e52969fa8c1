"""Images that are packed in tiles: the same pixels as astropy unpacks, and no more tiles than are needed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from made_fits import Memory, block, card, opened, ramp, sky, view, written

from armillary.base.errors import Invalid, TooLarge
from armillary.vospace.views.structure import walk

SECTIONS = ["[1][11:20,31:50]", "[1][*:7,*:10]", "[1][110:13:9,50:31:4]", "[1][-*,-*]", "[1]"]


def packed(codec: str, data: Any, **settings: Any) -> bytes:
    return written(
        fits.PrimaryHDU(), fits.CompImageHDU(data, sky(), compression_type=codec, name="SCI", **settings)
    )


def unpacked(file: bytes) -> Any:
    with fits.HDUList.fromstring(file, do_not_scale_image_data=True) as hdus:
        return hdus[1].data.copy()


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("tile", [(1, 120), (16, 32), (100, 120), (7, 11)])
@pytest.mark.parametrize("codec", ["RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1", "PLIO_1", "NOCOMPRESS"])
def test_every_codec_gives_the_pixels(codec: str, tile: tuple[int, int], section: str) -> None:
    if codec == "HCOMPRESS_1" and min(tile) < 4:
        tile = (4, 120)  # it packs squares of pixels
    if codec == "HCOMPRESS_1" and tile == (7, 11):
        tile = (10, 12)
    file = packed(codec, ramp(100, 120, dtype="i4") % 1000, tile_shape=tile)
    whole = view(written(fits.PrimaryHDU(unpacked(file))), ("SUB", section.replace("[1]", "[0]")))
    (found,) = opened(view(file, ("SUB", section)))
    assert np.array_equal(found.data, opened(whole)[0].data)
    assert found.data.dtype == np.dtype(">i4")


@pytest.mark.parametrize("codec", ["RICE_1", "HCOMPRESS_1", "GZIP_2"])
def test_floating_point_numbers_and_gaps(codec: str) -> None:
    data = np.random.default_rng(7).normal(100, 5, (100, 120)).astype("f4")
    data[40:45, 15:25] = np.nan
    file = packed(codec, data, tile_shape=(20, 30), quantize_level=16)
    (found,) = opened(view(file, ("SUB", "[SCI][11:40,31:50]")))
    assert np.array_equal(found.data, unpacked(file)[30:50, 10:40], equal_nan=True)
    assert np.isnan(found.data).sum() == 50


def test_unsigned_integers_and_cubes() -> None:
    data = (ramp(6, 40, 50, dtype="i4") + 30000).astype("u2")
    file = packed("RICE_1", data, tile_shape=(2, 8, 50))
    made = view(file, ("SUB", "[1][3:40:3,30:5,5:2]"))
    with fits.HDUList.fromstring(made) as scaled:
        assert np.array_equal(scaled[0].data, data[4:0:-1, 29:3:-1, 2:40:3])


def test_the_header_is_that_of_an_image() -> None:
    header = opened(view(packed("RICE_1", ramp(100, 120)), ("SUB", "[1][11:20,31:50]")))[0].header
    assert header["EXTNAME"] == "SCI"
    assert header["CRPIX1"] == 50.5 - 10
    left = [key for key in header if key.startswith(("Z", "TTYPE", "TFORM", "TFIELDS"))]
    assert left == []


def test_a_sky_cutout_of_a_packed_image_is_found_without_its_number() -> None:
    found = opened(view(packed("RICE_1", ramp(100, 120)), ("CIRCLE", "202.47 47.195 0.0015")))
    assert len(found) == 1
    assert found[0].data.shape[0] in {10, 11, 12}


def test_only_the_tiles_that_are_needed_are_read() -> None:
    data = np.random.default_rng(7).integers(0, 30000, (2000, 2000), dtype="i2")
    reader = Memory(packed("GZIP_1", data, tile_shape=(100, 100)))
    found = opened(view(reader, ("SUB", "[1][1001:1010,1001:1010]")))
    assert np.array_equal(found[0].data, data[1000:1010, 1000:1010])
    assert reader.octets < reader.size // 10


def tiles(*changed: tuple[str, object], file: bytes | None = None) -> bytes:
    """Return a packed image with cards that lie."""
    file = file or packed("RICE_1", ramp(100, 120), tile_shape=(10, 120))
    for key, value in changed:
        at = file.index(key.ljust(8).encode() + b"= ", 2880)
        file = file[:at] + card(key, value).ljust(80).encode() + file[at + 80 :]
    return file


@pytest.mark.parametrize(
    "lie",
    [
        [("ZCMPTYPE", "NONE")],
        [("ZBITPIX", 12)],
        [("ZNAXIS1", -5)],
        [("ZNAXIS1", 1 << 40)],
        [("ZNAXIS2", 5000)],
        [("ZTILE1", 0)],
        [("ZNAXIS", 999)],
        [("NAXIS2", 3)],
        [("PCOUNT", 10)],
        [("PCOUNT", -1)],
        [("PCOUNT", 1 << 48)],
        [("TFIELDS", 9)],
        [("ZVAL1", 0)],
        [("ZVAL2", 99)],
        [("TFORM1", "1PZ(4)")],
        [("TTYPE1", "SOMETHING")],
    ],
)
def test_headers_that_lie_are_refused(lie: list[tuple[str, object]]) -> None:
    with pytest.raises((Invalid, TooLarge)) as refusal:
        view(tiles(*lie), ("SUB", "[1][1:50,1:60]"))
    assert refusal.value.code in {"fits_invalid", "tile_too_large", "no_image"}


def test_tiles_that_are_elsewhere_are_refused() -> None:
    file = packed("GZIP_1", ramp(100, 120), tile_shape=(10, 120))
    *_, hdu = walk(Memory(file))
    for where in (0x7FFFFFFF, 1 << 20):
        lying = bytearray(file)
        lying[hdu.data_start + 4 : hdu.data_start + 8] = where.to_bytes(4, "big")
        with pytest.raises(Invalid):
            view(bytes(lying), ("SUB", "[1][1:50,1:60]"))


def test_rubbish_in_tiles_is_refused_or_rubbish_but_never_more() -> None:
    random = np.random.default_rng(3)
    for codec in ("GZIP_1", "GZIP_2"):
        file = packed(codec, ramp(100, 120), tile_shape=(10, 120))
        *_, hdu = walk(Memory(file))
        table = hdu.integer("NAXIS1") * hdu.integer("NAXIS2")
        rubbish = random.integers(0, 256, hdu.data_size - table, dtype="u1").tobytes()
        start = hdu.data_start + table
        with pytest.raises(Invalid):
            view(file[:start] + rubbish + file[start + len(rubbish) :], ("SUB", "[1][1:50,1:60]"))


def test_a_tile_as_large_as_the_sky_is_refused_before_it_is_read() -> None:
    reader = Memory(
        tiles(("ZTILE1", 1 << 20), ("ZTILE2", 1 << 20), ("ZNAXIS1", 1 << 20), ("ZNAXIS2", 1 << 20))
    )
    with pytest.raises(TooLarge) as refusal:
        view(reader, ("SUB", "[1][1:50,1:60]"))
    assert refusal.value.code == "tile_too_large"
    assert block(card("SIMPLE", True))  # the helper writes whole blocks
