"""Cutouts, headers and pictures for the stock clients: `vcp`, pyvo, and anything that speaks HTTP."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
import requests
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from pyvo.dal.adhoc import DatalinkResults, SodaQuery
from space_clients import Space, Terminal

from armillary.accounts.model import TokenKind

pytestmark = pytest.mark.interop

DATA = (np.arange(400 * 500) % 30011).reshape(400, 500).astype(">i2")
PLACE = "/home/ada/cutouts/m51.fits"


def made() -> bytes:
    """An image of M51 in an extension, and packed in tiles in another."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = [202.47, 47.195], [250.5, 200.5], [-3e-4, 3e-4]
    header = wcs.to_header()
    hdus = [
        fits.PrimaryHDU(),
        fits.ImageHDU(DATA, header, name="SCI"),
        fits.CompImageHDU(DATA + 1, header, name="TILES", tile_shape=(40, 50)),
    ]
    hdus[0].header["OBJECT"] = "M51"
    file = io.BytesIO()
    fits.HDUList(hdus).writeto(file)
    return file.getvalue()


@pytest.fixture(scope="module")
def file(space: Space) -> bytes:
    data = made()
    space.put(PLACE, data)
    return data


@pytest.fixture
def session(space: Space) -> Iterator[requests.Session]:
    """A client of HTTP with ada's token."""
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {space.token('vospace:read')}"
        session.trust_env = False  # or it would trust what the environment says, and not our authority
        session.verify = str(space.authority.ca_path)
        yield session


def first(path: Any) -> Any:
    with fits.open(path, do_not_scale_image_data=True) as hdus:
        return hdus[0].data.copy(), hdus[0].header, len(hdus)


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("[1][1:100,1:50]", DATA[:50, :100]),
        ("[2][101:110,201:220]", DATA[200:220, 100:110] + 1),
        ("[1:100,1:50]", DATA[:50, :100]),
        ("[1][*:10,*:20]", DATA[::20, ::10]),
        ("[1][20:11,*]", DATA[:, 19:9:-1]),
    ],
)
def test_vcp_cuts_out_pixels(ada: Terminal, file: bytes, section: str, expected: Any) -> None:
    ada("vcp", f"vos:home/ada/cutouts/m51.fits{section}", "part.fits")
    data, _, count = first(ada.home / "part.fits")
    assert count == 1
    assert np.array_equal(data, expected)


def test_vcp_cuts_out_a_circle_on_the_sky(ada: Terminal, file: bytes) -> None:
    ada("vcp", "vos:home/ada/cutouts/m51.fits(202.47,47.195,0.003)", "part.fits")
    with fits.open(ada.home / "part.fits") as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "SCI", "TILES"]
        assert hdus[1].data.shape == (20, 20)
        middle = WCS(hdus[1].header).pixel_to_world(9.5, 9.5)
        assert middle.separation(SkyCoord(202.47, 47.195, unit="deg")).arcsec < 0.01


def test_vcp_brings_the_headers(ada: Terminal, file: bytes) -> None:
    ada("vcp", "--head", "vos:home/ada/cutouts/m51.fits", "m51.txt")
    parts = (ada.home / "m51.txt").read_text().split("\nEND\n")[:-1]
    found = [fits.Header.fromstring(part, sep="\n") for part in parts]
    assert found[0]["OBJECT"] == "M51"
    assert found[1]["EXTNAME"] == "SCI"


def test_vcp_names_a_cutout_in_a_directory(ada: Terminal, file: bytes) -> None:
    (ada.home / "out").mkdir()
    ada("vcp", "vos:home/ada/cutouts/m51.fits[1][1:10,1:10]", "out/")
    (path,) = (ada.home / "out").iterdir()
    assert path.name.startswith("m51")
    assert first(path)[0].shape == (10, 10)


def test_vcp_says_why_there_is_no_cutout(ada: Terminal, file: bytes) -> None:
    for wanted in ("[7][1:10,1:10]", "[1][900:910,1:10]", "(10,10,0.1)"):
        ada.refused("vcp", f"vos:home/ada/cutouts/m51.fits{wanted}", "none.fits")
        assert not (ada.home / "none.fits").exists()


def test_vcat_shows_the_whole_file_as_before(ada: Terminal, space: Space) -> None:
    space.put("/home/ada/cutouts/hello.txt", b"hello")
    assert ada.out("vcat", "vos:home/ada/cutouts/hello.txt").rstrip() == "hello"


def test_pyvo_cuts_out_by_soda(space: Space, file: bytes, session: requests.Session) -> None:
    query = SodaQuery(
        f"https://{space.host}/soda/sync",
        id="vos://armillary.example~vault" + PLACE,
        circle=(202.47 * units.deg, 47.195 * units.deg, 0.003 * units.deg),
        session=session,
    )
    with fits.open(io.BytesIO(query.execute_stream().read())) as hdus:
        assert hdus[1].data.shape == (20, 20)


def test_pyvo_finds_all_forms_by_datalink(space: Space, file: bytes, session: requests.Session) -> None:
    uri = "vos://armillary.example~vault" + PLACE
    table = DatalinkResults.from_result_url(f"https://{space.host}/soda/links?ID={uri}", session=session)
    links = {row["semantics"]: row["access_url"] for row in table}
    session.headers.pop("Authorization")
    assert session.get(links["#this"]).content == file
    assert session.get(links["#preview"]).content.startswith(b"\x89PNG")
    assert "OBJECT" in session.get(links["#detached-header"]).text
    service = table.get_adhocservice_by_ivoid("ivo://ivoa.net/std/SODA#sync-1.0")
    assert service.ID == "soda-sync"


def test_a_browser_that_is_signed_in_sees_pictures(
    space: Space, file: bytes, session: requests.Session
) -> None:
    person = space.accounts.person_named("ada").id
    cookie = space.accounts.issue_token(person, kind=TokenKind.SESSION, lifetime=timedelta(hours=1)).secret
    session.headers.pop("Authorization")
    for name in ("vault", "arc"):
        url = f"https://{space.host}/{name}/files{PLACE}?PREVIEW=thumbnail"
        assert session.get(url).status_code == 401
        got = session.get(url, cookies={"__Host-armillary_session": cookie})
        assert got.headers["content-type"] == "image/png"
        assert len(got.content) < 30_000


def test_head_of_a_view_ends(space: Space, file: bytes, session: requests.Session) -> None:
    told = session.head(f"https://{space.host}/arc/files{PLACE}", params={"META": "true"}, timeout=20)
    assert told.status_code == 200
    assert told.headers["content-type"].startswith("text/plain")
    assert session.get(f"https://{space.host}/arc/files{PLACE}", params={"META": "true"}).text.startswith(
        "SIMPLE"
    )
