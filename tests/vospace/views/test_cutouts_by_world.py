"""Cutouts by sky position, wavelength, time and polarization."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from made_fits import cards, opened, ramp, sky, view, written

from armillary.base.errors import ArmillaryError, Invalid
from armillary.vospace.views.overlap import NoOverlapError

SHAPE = (200, 240)
INF = float("inf")


def image(header: fits.Header, shape: tuple[int, ...] = SHAPE) -> bytes:
    return written(fits.PrimaryHDU(np.arange(np.prod(shape), dtype=">i4").reshape(shape), header))


def distances(header: fits.Header, ra: float, dec: float, shape: tuple[int, ...]) -> Any:
    y, x = np.mgrid[: shape[0], : shape[1]]
    places = WCS(header).celestial.pixel_to_world(x, y).icrs
    return places.separation(SkyCoord(ra, dec, unit="deg")).deg


@pytest.mark.parametrize("projection", ["TAN", "SIN", "ZEA", "CAR", "STG"])
@pytest.mark.parametrize("at", [(202.47, 47.195), (0.0, -20.0), (359.99, 0.0), (80.0, 89.99), (10.0, -90.0)])
@pytest.mark.parametrize("off", [(0.0, 0.0), (0.01, -0.008)])
def test_a_circle_is_inside_its_cutout_and_touches_its_sides(
    projection: str, at: tuple[float, float], off: tuple[float, float]
) -> None:
    header = sky(projection=projection, at=at, middle=100.5)
    if projection == "CAR" and abs(at[1]) > 80:
        return  # a plate carrée has no pole in it
    dec = max(-90.0, min(90.0, at[1] + off[1]))
    ra, radius = (at[0] + off[0]) % 360, 0.006
    within = np.argwhere(distances(header, ra, dec, SHAPE) <= radius)
    found = opened(view(image(header), ("CIRCLE", f"{ra} {dec} {radius}")))[0]
    low = np.unravel_index(found.data[0, 0], SHAPE)
    high = np.unravel_index(found.data[-1, -1], SHAPE)
    assert np.all(within.min(axis=0) >= low)
    assert np.all(within.max(axis=0) <= high)
    # Pixels whose middles are outside, but which the circle touches, are one on each side at most.
    assert np.all(within.min(axis=0) - low <= 1)
    assert np.all(high - within.max(axis=0) <= 1)


@pytest.mark.parametrize("frame", ["FK5", "FK4", "galactic"])
def test_positions_are_icrs_whatever_the_image_has(frame: str) -> None:
    star = SkyCoord(202.47, 47.195, unit="deg")
    if frame == "galactic":
        there = star.galactic
        header = sky(at=(there.l.deg, there.b.deg), middle=100.5)
        header["CTYPE1"], header["CTYPE2"] = "GLON-TAN", "GLAT-TAN"
        del header["RADESYS"]
    else:
        there = star.transform_to(frame.lower())
        header = sky(at=(there.ra.deg, there.dec.deg), middle=100.5)
        header["RADESYS"], header["EQUINOX"] = frame, 2000.0 if frame == "FK5" else 1950.0
    found = opened(view(image(header), ("CIRCLE", "202.47 47.195 0.0015")))[0]
    y, x = (np.array(found.data.shape) - 1) / 2
    here = WCS(found.header).pixel_to_world(x, y).icrs
    assert here.separation(star).deg < 2.5e-4  # a pixel's half
    assert found.data.shape[0] in {10, 11, 12}


@pytest.mark.parametrize("swapped", [False, True])
def test_latitude_may_be_the_first_axis(swapped: bool) -> None:
    header = sky(middle=100.5)
    if swapped:
        for key in ("CTYPE", "CRVAL", "CDELT", "CUNIT"):
            header[f"{key}1"], header[f"{key}2"] = header[f"{key}2"], header[f"{key}1"]
    found = opened(view(image(header), ("POS", "RANGE 202.465 202.475 47.19 47.2")))[0]
    dec, ra = 0.01 / 3e-4, 0.01 / 3e-4 * np.cos(np.radians(47.195))
    expected = (ra, dec) if swapped else (dec, ra)
    assert np.all(np.abs(np.array(found.data.shape) - expected) <= 2)


def test_shapes_of_soda_agree() -> None:
    file = image(sky(middle=100.5))
    circle = opened(view(file, ("CIRCLE", "202.47 47.195 0.005")))[0].data
    assert np.array_equal(opened(view(file, ("POS", "CIRCLE 202.47 47.195 0.005")))[0].data, circle)
    corners = "202.46265 47.19 202.47735 47.19 202.47735 47.2 202.46265 47.2"
    polygon = opened(view(file, ("POLYGON", corners)))[0].data
    box = opened(view(file, ("POS", "RANGE 202.46265 202.47735 47.19 47.2")))[0].data
    assert np.all(np.abs(np.array(polygon.shape) - circle.shape) <= 1)
    assert np.all(np.abs(np.array(polygon.shape) - box.shape) <= 1)


@pytest.mark.parametrize(
    "region", ["CIRCLE 202.47 47.195 120", "RANGE -Inf +Inf -Inf +Inf", "RANGE 0 360 0 90"]
)
def test_a_region_around_the_image_is_the_image(region: str) -> None:
    assert opened(view(image(sky(middle=100.5)), ("POS", region)))[0].data.shape == SHAPE


@pytest.mark.parametrize(
    ("region", "on_sky"),
    [
        ("CIRCLE 22.47 -47.195 0.1", "the other side"),
        ("CIRCLE 202.55 47.195 0.01", "beside"),
        ("CIRCLE 202.39467 47.23413 0.0129", "a box over the corner, but no circle"),
        ("RANGE 203 204 47 48", "beside"),
        ("POLYGON 10 10 11 10 11 11", "far away"),
    ],
)
def test_a_region_elsewhere_is_nothing(region: str, on_sky: str) -> None:
    with pytest.raises(NoOverlapError):
        view(image(sky(middle=100.5)), ("POS", region))


def test_a_region_smaller_than_a_pixel_is_that_pixel() -> None:
    header = sky(middle=100.5)
    place = WCS(header).pixel_to_world(30.3, 70.2)
    found = opened(view(image(header), ("CIRCLE", f"{place.ra.deg} {place.dec.deg} 1e-7")))[0].data
    assert found.tolist() == [[70 * 240 + 30]]


def test_a_range_may_cross_longitude_zero() -> None:
    header = sky(at=(0.0, 10.0), middle=100.5)
    found = opened(view(image(header), ("POS", "RANGE 359.995 0.005 9 11")))[0].data
    assert found.shape[0] == 200
    assert abs(found.shape[1] - 0.01 / 3e-4 * np.cos(np.radians(10))) < 3


def test_all_sky_maps_are_cut_too() -> None:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---CAR", "DEC--CAR"]
    wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = [180, 0], [180.5, 90.5], [-1, 1]
    found = opened(view(image(wcs.to_header(), (180, 360)), ("CIRCLE", "90 30 5")))[0].data
    assert found.shape[0] in {10, 11, 12}
    assert found.shape[1] in range(11, 16)


def test_every_image_that_sees_it_is_in_the_answer() -> None:
    near, far, blank = sky(middle=100.5), sky(at=(10.0, 10.0), middle=100.5), fits.Header()
    data = np.zeros(SHAPE, dtype=">f4")
    broken = sky(middle=100.5)
    broken["CTYPE1"] = "RA---XYZ"
    hdus = [
        fits.ImageHDU(data, h, name=n) for n, h in zip("ABCDE", (near, far, blank, near, broken), strict=True)
    ]
    found = opened(view(written(fits.PrimaryHDU(), *hdus), ("CIRCLE", "202.47 47.195 0.001")))
    assert [hdu.name for hdu in found] == ["PRIMARY", "A", "D"]
    only = opened(view(written(fits.PrimaryHDU(), *hdus), ("CIRCLE", "10 10 0.001")))
    assert [hdu.name for hdu in only] == ["B"]
    several = opened(view(image(near), ("CIRCLE", "202.47 47.195 0.001"), ("CIRCLE", "202.48 47.195 0.001")))
    assert len(several) == 3


def test_without_coordinates_it_is_refused() -> None:
    with pytest.raises(Invalid) as refusal:
        view(image(fits.Header()), ("CIRCLE", "1 2 3"))
    assert refusal.value.code == "no_coordinates"
    header = sky(middle=100.5)
    header["CTYPE1"], header["CTYPE2"] = "RA---XYZ", "DEC--XYZ"
    with pytest.raises(Invalid) as refusal:
        view(image(header), ("CIRCLE", "1 2 3"))
    assert refusal.value.code in {"fits_invalid", "no_coordinates"}


def test_tables_of_distortions_do_not_stand_in_the_way() -> None:
    header = sky(middle=100.5)
    header.update(CPDIS1="LOOKUP", CPDIS2="LOOKUP", CPERR1=0.1, D2IMDIS1="LOOKUP")
    header["DP1"] = "EXTVER: 1"
    found = opened(view(image(header), ("CIRCLE", "202.47 47.195 0.001")))[0]
    assert "CPDIS1" not in found.header
    assert "DP1" not in found.header


def axis(kind: str, value: float, step: float, unit: str) -> dict[str, Any]:
    """Return the cards of a third axis, whose first pixel has a value."""
    return {"CTYPE3": kind, "CRVAL3": value, "CRPIX3": 1.0, "CDELT3": step, "CUNIT3": unit}


METRES = axis("WAVE", 5e-7, 1e-9, "m")
LIGHT = 299792458.0


def cube(described: dict[str, Any]) -> bytes:
    header = sky(middle=5.5)
    header.update(described)
    return image(header, (50, 10, 10))


def planes(made: bytes) -> tuple[int, int]:
    data = opened(made)[0].data
    return int(data.flat[0]) // 100 + 1, int(data.flat[-1]) // 100 + 1


@pytest.mark.parametrize(
    ("described", "band", "expected"),
    [
        (METRES, "5.1e-7 5.2e-7", (11, 21)),
        (axis("WAVE", 500.0, 1.0, "nm"), "5.1e-7 5.2e-7", (11, 21)),
        (METRES, "5.103e-7", (11, 11)),
        (METRES, "-Inf 5.02e-7", (1, 3)),
        (METRES, "5.45e-7 +Inf", (46, 50)),
        (axis("FREQ", 1.4e9, 1e6, "Hz"),
         f"{LIGHT / 1.4202e9} {LIGHT / 1.4098e9}", (11, 21)),
        (axis("VRAD", 0.0, 1000.0, "m/s") | {"RESTFRQ": 1.420405752e9},
         f"{LIGHT / 1.420405752e9} {LIGHT / 1.420405752e9 * (1 + 1e4 / LIGHT)}", (1, 11)),
    ],
)  # fmt: skip
def test_bands_are_wavelengths_whatever_the_axis_has(
    described: dict[str, Any], band: str, expected: tuple[int, int]
) -> None:
    assert planes(view(cube(described), ("BAND", band))) == expected


def test_a_band_elsewhere_is_nothing_and_an_image_has_none() -> None:
    file = cube(METRES)
    with pytest.raises(NoOverlapError):
        view(file, ("BAND", "1e-6 2e-6"))
    with pytest.raises(Invalid) as refusal:
        view(image(sky()), ("BAND", "1e-6 2e-6"))
    assert refusal.value.facts["missing"] == ["spectral"]


def test_position_and_band_together_cut_both_ways() -> None:
    file = cube(METRES)
    made = opened(view(file, ("CIRCLE", "202.47 47.195 0.0004"), ("BAND", "5.1e-7 5.2e-7")))[0]
    assert made.data.shape == (11, 4, 4)
    assert made.header["CRPIX3"] == 1 - 10


@pytest.mark.parametrize(
    ("described", "time", "expected"),
    [
        (axis("TIME", 0.0, 60.0, "s"), "55100.0069444 55100.0138889", (11, 21)),
        (axis("UTC", 2.0, 1.0, "d"), "55105 55106", (4, 5)),
        (axis("TAI", 0.0, 1.0, "s"),
         f"{55100 - 34 / 86400} {55100 - 29 / 86400}", (1, 6)),
    ],
)  # fmt: skip
def test_times_are_mjd_in_utc(described: dict[str, Any], time: str, expected: tuple[int, int]) -> None:
    assert planes(view(cube({**described, "MJDREF": 55100.0}), ("TIME", time))) == expected


@pytest.mark.parametrize(
    ("wanted", "values"),
    [(["I"], [0]), (["I", "V"], [0, 3]), (["Q", "U"], [1, 2]), (["I", "Q", "V"], [0, 1, 2, 3])],
)
def test_polarization_states_are_one_filter(wanted: list[str], values: list[int]) -> None:
    header = cards(CTYPE3="STOKES", CRVAL3=1.0, CRPIX3=1.0, CDELT3=1.0)
    data = ramp(4, 3, 3)
    found = opened(view(written(fits.PrimaryHDU(data, header)), *(("POL", state) for state in wanted)))[0]
    assert np.array_equal(found.data, data[values])
    kept = [
        found.header["CRVAL3"] + (n + 1 - found.header["CRPIX3"]) * found.header["CDELT3"]
        for n in range(len(values))
    ]
    assert kept == [value + 1 for value in values]
    with pytest.raises(NoOverlapError):
        view(written(fits.PrimaryHDU(data, header)), ("POL", "XX"))


VALUES = [
    "0",
    "-1",
    "1E400",
    "NaN",
    "T",
    "'RA---XXX'",
    "'GLON-SIP'",
    "'TIME'",
    "'-TAB'",
    "'WAVE-TAB'",
    "99999999999",
    "''",
    "1.5D3",
    "'FREQ-LSR'",
    "'VELO-F2V'",
    "'AWAV'",
    "(1.0,2.0)",
    "rubbish",
    "'unclosed",
    "0.0",
    "-32",
    "8",
    "'DEC--HPX'",
    "'RA---ZPN'",
    "'UTC'",
]
KEYS = [
    "CD1_1",
    "PC1_2",
    "CTYPE1",
    "CTYPE2",
    "CDELT1",
    "CDELT2",
    "WCSAXES",
    "PV1_3",
    "PS1_1",
    "A_ORDER",
    "A_2_0",
    "CPDIS1",
    "TIMESYS",
    "MJDREF",
    "CUNIT3",
    "CUNIT1",
    "LTM1_1",
    "CRPIX1",
    "CROTA2",
    "RADESYS",
    "INHERIT",
    "BSCALE",
    "BLANK",
    "GROUPS",
    "CONTINUE",
    "NAXIS3",
    "NAXIS1",
    "BITPIX",
]


@pytest.mark.parametrize("seed", range(8))
def test_headers_full_of_nonsense_are_refused_or_cut_and_nothing_else(seed: int) -> None:
    random = Random(seed)
    header = sky(middle=10.5)
    header.update(METRES, CTYPE4="STOKES", CRVAL4=1.0, CRPIX4=1.0, CDELT4=1.0, CROTA2=3.0, MJDREF=5e4)
    file = written(fits.PrimaryHDU(ramp(4, 6, 20, 24), header))
    wanted = [("CIRCLE", "202.47 47.195 0.001"), ("BAND", "5e-7 5.02e-7"), ("POL", "I"), ("TIME", "5 60000")]
    wanted += [("PREVIEW", "8"), ("SUB", "[-*:2,*]"), ("POS", "RANGE 0 360 -90 90")]
    outcomes = set[str]()
    for _ in range(60):
        lying = bytearray(file)
        for _ in range(random.randint(1, 4)):
            at = random.randrange(len(header) + 8) * 80
            text = f"{random.choice(KEYS):<8}= {random.choice(VALUES)}".ljust(80).encode()
            whole = random.random() < 0.5
            lying[at if whole else at + 10 : at + 80] = text if whole else text[10:]
        try:
            view(bytes(lying), random.choice(wanted))
            outcomes.add("made")
        except NoOverlapError:
            outcomes.add("nothing")
        except ArmillaryError as refusal:
            outcomes.add(refusal.code)
    known = {
        "made",
        "nothing",
        "fits_invalid",
        "no_coordinates",
        "no_image",
        "cutout_too_large",
        "view_too_large",
    }
    assert outcomes <= known
    assert {"made", "fits_invalid"} <= outcomes
