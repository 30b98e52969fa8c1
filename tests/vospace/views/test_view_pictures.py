"""Pictures for pages: small, grey, the right way up."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from made_fits import Memory, Sparse, block, card, ramp, view, written
from PIL import Image


def picture(source: Any, *pairs: tuple[str, str]) -> Any:
    data = view(source, *(pairs or (("PREVIEW", "64"),)))
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.mode) == ("PNG", "L")
        return np.asarray(image)


def sky_with_star(dtype: str = ">f4") -> Any:
    data = np.random.default_rng(1).normal(100, 3, (100, 200))
    data[10:14, 150:154] = 1000  # low and to the right
    return data.astype(dtype)


@pytest.mark.parametrize("dtype", [">u1", ">i2", ">i4", ">i8", ">f4", ">f8"])
@pytest.mark.parametrize("stretch", ["asinh", "linear", "log", "sqrt"])
def test_a_star_low_on_the_right_is_low_on_the_right(dtype: str, stretch: str) -> None:
    data = np.clip(sky_with_star(), 0, 250).astype(dtype)
    shown = picture(written(fits.PrimaryHDU(data)), ("PREVIEW", "64"), ("STRETCH", stretch))
    assert shown.shape == (25, 50)
    y, x = np.unravel_index(np.argmax(shown), shown.shape)
    assert (y, x) in {(21, 38), (22, 37), (22, 38), (21, 37)}


@pytest.mark.parametrize(
    ("size", "shape"), [("thumbnail", (50, 100)), ("true", (100, 200)), ("1", (1, 1)), ("10", (5, 10))]
)
def test_the_longer_side_is_bounded(size: str, shape: tuple[int, int]) -> None:
    assert picture(written(fits.PrimaryHDU(sky_with_star())), ("PREVIEW", size)).shape == shape


def test_gaps_are_black_and_do_no_harm() -> None:
    data = sky_with_star()
    data[50:, :] = np.nan
    data[:10, :10] = np.inf
    shown = picture(written(fits.PrimaryHDU(data)))
    assert np.all(shown[:12] == 0)
    assert shown.max() == 255
    for empty in (
        np.full((20, 20), np.nan, ">f4"),
        np.zeros((20, 20), ">f4"),
        np.full((20, 20), 1e38, ">f8") * 1e200,
    ):
        assert len(np.unique(picture(written(fits.PrimaryHDU(empty))))) == 1


def test_blank_pixels_of_integers_are_gaps() -> None:
    data = ramp(20, 20)
    data[:10] = -32768
    hdu = fits.PrimaryHDU(data)
    hdu.header["BLANK"] = -32768
    assert np.all(picture(written(hdu), ("PREVIEW", "20"), ("LIMITS", "minmax"))[10:] == 0)


def test_a_cube_shows_its_middle_or_the_plane_that_was_asked_for() -> None:
    data = np.zeros((5, 20, 20), ">f4")
    data[2, :10], data[4, :, :10] = 1, 1
    file = written(fits.PrimaryHDU(data))
    middle = picture(file, ("PREVIEW", "20"), ("LIMITS", "minmax"))
    assert middle[-1, -1] == 255
    assert middle[0, 0] == 0
    last = picture(file, ("PREVIEW", "20"), ("LIMITS", "minmax"), ("SUB", "[*,*,5]"))
    assert last[0, 0] == 255
    assert last[0, -1] == 0


def test_a_part_and_another_hdu_can_be_shown() -> None:
    file = written(
        fits.PrimaryHDU(), fits.ImageHDU(ramp(50, 60), name="SCI"), fits.CompImageHDU(ramp(40, 30))
    )
    assert picture(file, ("PREVIEW", "64"), ("SUB", "[1][11:30,21:25]")).shape == (5, 20)
    assert picture(file, ("PREVIEW", "64"), ("SUB", "[2]")).shape == (40, 30)
    assert picture(file, ("PREVIEW", "64")).shape == (50, 60)
    assert picture(written(fits.PrimaryHDU(ramp(50))), ("PREVIEW", "64")).shape == (1, 50)


def test_a_percentage_leaves_out_the_extremes() -> None:
    data = np.tile(np.linspace(0, 1, 100, dtype=">f4"), (100, 1))
    data[0, 0] = 1e6
    file = written(fits.PrimaryHDU(data))
    pairs = [("PREVIEW", "100"), ("STRETCH", "linear")]
    assert len(np.unique(picture(file, *pairs, ("LIMITS", "98")))) > 90
    assert len(np.unique(picture(file, *pairs, ("LIMITS", "minmax")))) == 2


def test_a_huge_image_is_sampled() -> None:
    header = block(
        card("SIMPLE", True),
        card("BITPIX", 16),
        card("NAXIS", 2),
        card("NAXIS1", 20000),
        card("NAXIS2", 30000),
    )
    reader = Sparse(header, len(header) + 20000 * 30000 * 2 + 2880)
    assert picture(reader, ("PREVIEW", "100")).shape == (100, 67)
    assert reader.octets < 100 * 40000 * 2
    counted = Memory(written(fits.PrimaryHDU(sky_with_star())))
    assert picture(counted, ("PREVIEW", "3")).shape == (2, 3)
