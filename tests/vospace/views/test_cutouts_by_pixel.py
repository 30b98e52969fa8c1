"""Cutouts by pixel: the same pixels, at the same place in the sky."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from made_fits import Memory, Sparse, block, card, cards, opened, ramp, sky, view, written

from armillary.base.errors import ArmillaryError, Invalid, NotFound, TooLarge
from armillary.vospace.views.overlap import NoOverlapError

IMAGE = ramp(100, 120)
SLICES: list[tuple[str, tuple[slice, slice]]] = [
    ("[11:20,31:50]", (slice(30, 50), slice(10, 20))),
    ("[11:20]", (slice(None), slice(10, 20))),
    ("[*,31:31]", (slice(30, 31), slice(None))),
    ("[*:7,*:10]", (slice(None, None, 10), slice(None, None, 7))),
    ("[20:11,31:50]", (slice(30, 50), slice(19, 9, -1))),
    ("[-*,-*]", (slice(None, None, -1), slice(None, None, -1))),
    ("[110:13:9,50:31:4]", (slice(49, 29, -4), slice(109, 11, -9))),
    ("[101:900,95:200]", (slice(94, 100), slice(100, 120))),
    ("[0:10:3,1:1]", (slice(0, 1), slice(2, 10, 3))),
    ("[118:,:3]", (slice(0, 3), slice(117, 120))),
    ("[120:120,100:100]", (slice(99, 100), slice(119, 120))),
]


@pytest.mark.parametrize(("section", "where"), SLICES)
@pytest.mark.parametrize("dtype", [">u1", ">i2", ">i4", ">i8", ">f4", ">f8"])
def test_pixels_are_those_of_the_original(section: str, where: tuple[slice, slice], dtype: str) -> None:
    data = (IMAGE % 251).astype(dtype)
    found = opened(view(written(fits.PrimaryHDU(data)), ("SUB", section)))
    assert len(found) == 1
    assert np.array_equal(found[0].data, data[where])
    assert found[0].data.dtype == np.dtype(dtype)


@pytest.mark.parametrize(("section", "where"), SLICES)
@pytest.mark.parametrize("step_wcs", ["CDELT", "PC", "CD", "CROTA"])
def test_a_pixel_keeps_its_place_in_the_sky(section: str, where: tuple[slice, slice], step_wcs: str) -> None:
    header = sky()
    turn = np.radians(30)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    if step_wcs in {"PC", "CD"}:
        scale = np.diag([-3e-4, 4e-4]) if step_wcs == "CD" else np.eye(2)
        for (i, j), value in np.ndenumerate(scale @ matrix):
            header[f"{step_wcs}{i + 1}_{j + 1}"] = value
    if step_wcs == "CD":
        del header["CDELT1"], header["CDELT2"]
    if step_wcs == "CROTA":
        header["CDELT2"] = 4e-4
        header["CROTA2"] = 30.0
    data = np.arange(IMAGE.size, dtype=">i4").reshape(IMAGE.shape)
    original = WCS(header)
    found = opened(view(written(fits.PrimaryHDU(data, header)), ("SUB", section)))[0]
    for y, x in [(0, 0), (found.data.shape[0] - 1, found.data.shape[1] - 1)]:
        before = divmod(int(found.data[y, x]), IMAGE.shape[1])
        there = WCS(found.header).all_pix2world([[x, y]], 0)
        assert np.allclose(there, original.all_pix2world([before[::-1]], 0), rtol=0, atol=1e-10)


def test_the_star_is_where_it_was_also_with_sip() -> None:
    header = sky()
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN-SIP", "DEC--TAN-SIP"
    for key, value in {"A_ORDER": 2, "B_ORDER": 2, "A_2_0": 2e-5, "A_1_1": -1e-5, "B_0_2": 3e-5}.items():
        header[key] = value
    data = np.zeros((100, 120), dtype=">f4")
    data[60, 70] = 1000  # the star
    original = WCS(header).all_pix2world([[70, 60]], 0)
    for section in ("[51:90,41:80]", "[51:91:2,81:41:4]"):
        found = opened(view(written(fits.PrimaryHDU(data, header)), ("SUB", section)))[0]
        y, x = np.unravel_index(np.argmax(found.data), found.data.shape)
        assert found.data[y, x] == 1000
        assert np.allclose(WCS(found.header).all_pix2world([[x, y]], 0), original, rtol=0, atol=1e-10)


def test_other_descriptions_move_too() -> None:
    header = sky()
    header.update(LTV1=-100.0, LTM1_1=0.5, CTYPE1A="LINEAR", CRPIX1A=3.0, CRVAL1A=7.0, CDELT1A=2.0)
    found = opened(view(written(fits.PrimaryHDU(IMAGE, header)), ("SUB", "[11:30:2,1:5]")))[0].header
    assert (found["CRPIX1A"], found["CDELT1A"]) == ((3 - 11) / 2 + 1, 4)
    assert (found["LTV1"], found["LTM1_1"]) == ((-100 - 11) / 2 + 1, 0.25)


def test_scaled_integers_stay_as_they_are_stored() -> None:
    data = (IMAGE.astype("i4") + 30000).astype("u2")
    file = written(fits.PrimaryHDU(data))
    made = view(file, ("SUB", "[5:9,6:8]"))
    assert opened(made)[0].header["BZERO"] == 32768
    with fits.HDUList.fromstring(made) as scaled:
        assert np.array_equal(scaled[0].data, data[5:8, 4:9])


def test_other_cards_are_kept_word_for_word() -> None:
    header = sky()
    header["OBJECT"] = ("M51", "what was seen")
    header["HIERARCH ESO INS FILT"] = "a long keyword"
    header["LONG"] = "x" * 150
    header.add_comment("said by hand")
    header["CHECKSUM"] = "0000000000000000"
    found = opened(view(written(fits.PrimaryHDU(IMAGE, header)), ("SUB", "[1:5,1:5]")))[0].header
    for key in ("OBJECT", "ESO INS FILT", "LONG"):
        assert found[key] == header[key]
    assert found.comments["OBJECT"] == "what was seen"
    assert "said by hand" in str(found["COMMENT"])
    assert "CHECKSUM" not in found
    assert "Cutout of HDU 0: [1:5,1:5]" in str(found["HISTORY"])


@pytest.fixture(scope="module")
def extensions() -> bytes:
    primary = fits.PrimaryHDU(header=cards(TELESCOP="Gemini", EXPTIME=30.0))
    table = fits.BinTableHDU.from_columns([fits.Column("a", "J", array=np.arange(5))], name="CAT")
    images = [
        fits.ImageHDU(IMAGE + n, sky(), name="SCI" if n < 2 else "VAR", ver=n + 1 if n < 2 else 1)
        for n in range(3)
    ]
    images[0].header["INHERIT"] = True
    return written(primary, *images, table)


@pytest.mark.parametrize(
    ("section", "added"),
    [("[1][1:4,1:2]", 0), ("[sci,2][1:4,1:2]", 1), ("[VAR][1:4,1:2]", 2)],
)
def test_extensions_are_found_by_number_name_and_version(extensions: bytes, section: str, added: int) -> None:
    (found,) = opened(view(extensions, ("SUB", section)))
    assert np.array_equal(found.data, (IMAGE + added)[:2, :4])


def test_without_a_name_it_is_the_first_with_pixels(extensions: bytes) -> None:
    (found,) = opened(view(extensions, ("SUB", "[1:4,1:2]")))
    assert found.header["EXTNAME"] == "SCI"
    assert found.header["TELESCOP"] == "Gemini"  # INHERIT = T
    (plain,) = opened(view(extensions, ("SUB", "[2][1:4,1:2]")))
    assert "TELESCOP" not in plain.header


def test_several_sections_are_several_extensions(extensions: bytes) -> None:
    found = opened(view(extensions, ("SUB", "[VAR][1:4,1:2]"), ("SUB", "[1][5:6,1:2]"), ("SUB", "[CAT]")))
    assert [hdu.name for hdu in found] == ["PRIMARY", "VAR", "SCI", "CAT"]
    assert found[0].header["TELESCOP"] == "Gemini"
    assert np.array_equal(found[2].data, IMAGE[:2, 4:6])
    assert list(found[3].data["a"]) == [0, 1, 2, 3, 4]


def test_a_whole_hdu_of_any_kind_can_be_had(extensions: bytes) -> None:
    assert np.array_equal(opened(view(extensions, ("SUB", "[2]")))[0].data, IMAGE + 1)
    assert list(opened(view(extensions, ("SUB", "[4]")))[1].data["a"]) == [0, 1, 2, 3, 4]
    assert opened(view(extensions, ("SUB", "[0]")))[0].header["TELESCOP"] == "Gemini"


@pytest.mark.parametrize(
    ("section", "refusal", "code"),
    [
        ("[9][1:2,1:2]", NotFound, "hdu_not_found"),
        ("[NONE][1:2,1:2]", NotFound, "hdu_not_found"),
        ("[SCI,7]", NotFound, "hdu_not_found"),
        ("[0][1:2,1:2]", Invalid, "no_image"),
        ("[CAT][1:2,1:2]", Invalid, "no_image"),
        ("[1][1:2,1:2,1:2]", Invalid, "invalid_argument"),
    ],
)
def test_what_is_not_there_is_refused(
    extensions: bytes, section: str, refusal: type[ArmillaryError], code: str
) -> None:
    with pytest.raises(refusal) as error:
        view(extensions, ("SUB", section))
    assert error.value.code == code
    assert error.value.remedy


@pytest.mark.parametrize("section", ["[200:300,1:2]", "[1:2,101:]", "[0:0,1:1]", "[500:400,1:2]", "[1:2,:0]"])
def test_pixels_outside_are_nothing(section: str) -> None:
    with pytest.raises(NoOverlapError):
        view(written(fits.PrimaryHDU(IMAGE)), ("SUB", section))


def test_cubes_and_more_axes() -> None:
    data = ramp(2, 6, 10, 12)
    file = written(fits.PrimaryHDU(data))
    found = opened(view(file, ("SUB", "[3:5,2:9:2,6:2:2,2]")))[0].data
    assert np.array_equal(found, data[1:2, 5:0:-2, 1:9:2, 2:5])
    assert np.array_equal(opened(view(file, ("SUB", "[3:5]")))[0].data, data[..., 2:5])
    line = ramp(50)
    assert np.array_equal(
        opened(view(written(fits.PrimaryHDU(line)), ("SUB", "[40:2:3]")))[0].data, line[39:0:-3]
    )


@pytest.mark.parametrize(
    ("section", "shape"), [("[500:519,500:509,1:512]", (512, 10, 20)), ("[*,*,7]", (1, 1024, 1024))]
)
def test_only_what_is_needed_is_read(section: str, shape: tuple[int, ...]) -> None:
    size = 1 << 31  # a cube of 2 GiB
    axes = [card(f"NAXIS{n}", length) for n, length in ((1, 1024), (2, 1024), (3, 512))]
    header = block(card("SIMPLE", True), card("BITPIX", -32), card("NAXIS", 3), *axes)
    reader = Sparse(header, len(header) + size)
    made = view(reader, ("SUB", section))
    assert opened(made)[0].data.shape == shape
    assert reader.octets < size // 30


def test_too_much_is_refused_before_it_is_read() -> None:
    header = block(card("SIMPLE", True), card("BITPIX", -32), card("NAXIS", 2), card("NAXIS1", 1 << 20), card("NAXIS2", 1 << 20))  # fmt: skip
    reader: Any = Sparse(header, len(header) + (1 << 42))
    with pytest.raises(TooLarge) as refusal:
        view(reader, ("SUB", "[*,*]"))
    assert refusal.value.code == "cutout_too_large"
    assert refusal.value.facts["bytes"] == 1 << 42
    assert reader.octets < 1 << 20
    counted = Memory(written(fits.PrimaryHDU(IMAGE)))
    with pytest.raises(TooLarge):
        view(counted, ("SUB", "[*,*]"), max_bytes=1000)
