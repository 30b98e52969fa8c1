"""What the page of a file shows of its inside: all of it foreign, all of it text."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from portal_visitor import PASSWORD, Browser

from armillary.accounts.model import Principal
from armillary.accounts.service import AccountsService
from armillary.vospace.service import VOSpaceService

Put = Callable[[str, bytes], str]
HOSTILE = "<script src=x> & 'quotes'"


@pytest.fixture
def put(ada: Browser, vospace: VOSpaceService, accounts: AccountsService) -> Put:
    """Writes a file of ada's and returns its page's address."""
    ada.get("/files")
    who = Principal(person=accounts.person_named("ada"))

    def put(name: str, data: bytes) -> str:
        vospace.put_bytes(who, f"/home/ada/{name}", [data])
        return f"/files/home/ada/{name}"

    return put


def an_image(axes: tuple[int, ...] = (60, 50), **cards: object) -> bytes:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [202.47, 47.195]
    wcs.wcs.crpix = [25.5, 30.5]
    wcs.wcs.cdelt = [-3e-4, 3e-4]
    header = wcs.to_header()
    header.update(cards)
    table = fits.BinTableHDU.from_columns(
        [fits.Column("NAME", "30A", unit="<m>", array=[HOSTILE])], name="CAT"
    )
    file = io.BytesIO()
    image = fits.ImageHDU(np.zeros(axes, dtype=">i2"), name="SCI")
    fits.HDUList([fits.PrimaryHDU(np.zeros(axes, dtype=">i2"), header), image, table]).writeto(file)
    return file.getvalue()


def test_a_fits_file_shows_its_parts_and_header(ada: Browser, put: Put) -> None:
    there = put("m51.fits", an_image(OBJECT=HOSTILE))
    page = ada.get(there)
    assert "50 × 60" in page
    assert "SCI" in page
    assert "&lt;script src=x&gt; &amp; &#39;&#39;quotes" in page
    assert "<script src=x>" not in page
    assert 'src="/arc/files/home/ada/m51.fits?PREVIEW=512"' in page


def test_a_header_is_searched(ada: Browser, put: Put) -> None:
    there = put("m51.fits", an_image())
    page = ada.get(f"{there}?hdu=0&find=crval")
    assert re.findall(r'<th scope="row"><code>(CRVAL\d|CRPIX\d)', page) == ["CRVAL1", "CRVAL2"]
    assert "XTENSION" in ada.get(f"{there}?hdu=1")
    assert ada.get(f"{there}?hdu=99")
    assert ada.get(f"{there}?hdu=-1%27")


def test_a_fits_table_shows_its_rows_with_units(ada: Browser, put: Put) -> None:
    page = ada.get(put("m51.fits", an_image()) + "?hdu=2")
    assert "&lt;m&gt;" in page
    assert "30A" in page
    assert '<td class="figure">&lt;script src=x&gt; &amp; &#39;quotes&#39;</td>' in page


@pytest.mark.parametrize(
    "data",
    [
        b"SIMPLE  =",
        b"\0" * 5000,
        an_image()[:5000],
        an_image()[:2880],
        an_image().replace(b"BITPIX  =                   16", b"BITPIX  =                   17"),
    ],
)
def test_broken_fits_files_have_a_page_that_says_so(ada: Browser, put: Put, data: bytes) -> None:
    there = put("broken.fits", data)
    page = ada.get(there)
    assert "broken.fits" in page
    assert "Download" in page
    assert ada.client.get("/view/home/ada/broken.fits").status_code in (200, 400)


def test_a_text_comes_in_pieces_and_is_only_text(ada: Browser, put: Put) -> None:
    there = put("job.log", b"<script src=x>" + b"line\n" * 30_000 + "é".encode())
    page = ada.get(there)
    assert "&lt;script src=x&gt;line" in page
    assert "<script src=x>" not in page
    assert f'href="{there}?at=65536"' in page
    last = ada.get(f"{there}?at=131072")
    assert "é</pre>" in last
    assert f'href="{there}?at=65536"' in last
    assert ada.get(f"{there}?at=99999999999")


def test_what_is_no_text_is_not_shown_as_one(ada: Browser, put: Put) -> None:
    assert "This is no text" in ada.get(put("a.dat", bytes(range(256)) * 10))


def test_tables_and_pictures_are_shown(ada: Browser, put: Put) -> None:
    lines = "".join(f"{n},<b>{n}</b>\n" for n in range(120))
    there = put("cat.csv", f"x,name\n{lines}".encode())
    page = ada.get(there)
    assert "&lt;b&gt;49&lt;/b&gt;" in page
    assert "<b>1</b>" not in page
    assert f'href="{there}?hdu=0&amp;row=50#table"' in page
    assert "&lt;b&gt;99&lt;/b&gt;" in ada.get(f"{there}?row=50")
    assert "There is no table in this file." in ada.get(put("no.csv", b"word\n"))
    assert '?PREVIEW=512"' in ada.get(put("a.png", b"\x89PNG"))


def test_the_viewer_gets_pixels_at_the_resolution_of_a_screen(ada: Browser, put: Put) -> None:
    put("small.fits", an_image())
    page = ada.get("/view/home/ada/small.fits")
    assert 'data-viewer="/arc/files/home/ada/small.fits?SUB=%5B0%5D%5B1:50:1%2C1:60:1%5D"' in page
    assert 'data-step="1"' in page
    put("large.fits", an_image((3000, 2500)))
    page = ada.get("/view/home/ada/large.fits?hdu=1")
    assert "?SUB=%5B1%5D%5B1:2500:2%2C1:3000:2%5D" in page
    assert "one pixel in 2 is shown" in page
    put("cube.fits", an_image((3, 20, 30)))
    page = ada.get("/view/home/ada/cube.fits?plane=2")
    assert "1:30:1%2C1:20:1%2C2%5D" in page
    assert "Plane 2 of 3" in page


def test_only_the_frame_may_run_what_it_needs_and_it_has_no_origin(ada: Browser, put: Put) -> None:
    put("small.fits", an_image())
    reply = ada.client.get("/view/home/ada/small.fits")
    policy = reply.headers["content-security-policy"]
    assert "frame-src 'self'" in policy
    assert "script-src 'self';" in policy
    assert 'sandbox="allow-scripts"' in reply.text
    frame = ada.client.get("/viewer/frame")
    policy = frame.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts;")
    assert "unsafe-eval'" not in policy.replace("'wasm-unsafe-eval'", "")
    assert "script-src 'self' 'wasm-unsafe-eval';" in policy
    assert "allow-same-origin" not in policy + reply.text
    assert "csrf" not in frame.text
    [wasm] = set(re.findall(r'src="([^"]+/js9/)js9.min.js"', frame.text))
    served = ada.client.get(f"{wasm}astroemw.wasm")
    assert served.headers["access-control-allow-origin"] == "*"
    assert served.headers["content-type"] == "application/wasm"


def test_a_thumbnail_is_a_picture_or_a_blank_one_and_only_for_who_may_see_it(
    ada: Browser, put: Put, accounts: AccountsService
) -> None:
    put("m51.fits", an_image())
    picture = ada.client.get("/thumbnail/home/ada/m51.fits?of=1")
    assert picture.content.startswith(b"\x89PNG")
    assert "max-age" in picture.headers["cache-control"]
    put("no.fits", b"SIMPLE  =")
    blank = ada.client.get("/thumbnail/home/ada/no.fits")
    assert (blank.status_code, blank.headers["content-type"]) == (200, "image/svg+xml")
    accounts.create_person(user_name="eve", password=PASSWORD)
    ada.post("/sign-out")
    ada.sign_in("eve")
    ada.get("/thumbnail/home/ada/m51.fits", status=403)
