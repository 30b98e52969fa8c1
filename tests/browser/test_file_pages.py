"""Files in a browser: dropped, broken off, resumed, seen, and read at a click."""

from __future__ import annotations

import hashlib
import io
import re
from base64 import b64encode
from collections.abc import Generator

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from platform_process import RunningPlatform, running_platform
from playwright.sync_api import Page, Playwright, Route, expect

from chromium import ARGUMENTS, CHROMIUM

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

DROP = """async ([name, text]) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], name, { lastModified: 1 }));
  const event = new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
  document.querySelector("[data-upload]").dispatchEvent(event);
}"""
"""Lets a file fall onto the page, as a hand would."""


def an_image() -> bytes:
    """A galaxy of sorts, tilted, and large enough to be sent in several pieces."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [202.47, 47.195]
    wcs.wcs.crpix = [700.5, 800.5]
    wcs.wcs.cd = [[-2.1e-4, 0.7e-4], [0.7e-4, 2.1e-4]]
    y, x = np.mgrid[0:1600, 0:1500].astype("f4")
    pixels = 1000 * np.exp(-np.hypot(x - 750, y - 800) / 90) + np.random.default_rng(1).normal(10, 2, x.shape)
    file = io.BytesIO()
    fits.PrimaryHDU(pixels.astype(">f4"), wcs.to_header()).writeto(file)
    return file.getvalue()


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningPlatform]:
    with running_platform(tmp_path_factory.mktemp("home")) as platform:
        yield platform


@pytest.fixture
def page(playwright: Playwright, platform: RunningPlatform) -> Generator[Page]:
    """A browser of the administrator, who is signed in."""
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
    context = browser.new_context(base_url=platform.portal, locale="en")
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.goto("/sign-in")
    page.locator("main input[name=user_name]").fill("admin")
    page.locator("main input[name=password]").fill(platform.password)
    page.locator("main form[action^='/sign-in'] button").first.click()
    page.wait_for_url(re.compile(r"/(?!sign-in)"))
    yield page
    browser.close()
    # an answer that we broke off is what the test is about
    assert [one for one in complaints if "ERR_FAILED" not in one] == []


def test_a_file_that_was_chosen_before_the_script_came_is_sent(page: Page) -> None:
    held: list[Route] = []
    page.route("**/upload.js*", lambda route: held.append(route))  # noqa: PLW0108 -- builtins take no marks
    with page.expect_request("**/upload.js*"):
        page.goto("/files", wait_until="commit")
    table = {"name": "early.csv", "mimeType": "text/csv", "buffer": b"ra,dec\n"}
    page.get_by_label("Upload files").set_input_files([table])
    expect(page.get_by_label("Upload files")).to_have_js_property("files.length", 1)
    (script,) = held
    script.continue_()
    expect(page.get_by_role("link", name="early.csv").first).to_be_visible(timeout=30_000)


def test_an_upload_goes_on_where_it_stopped_after_the_page_was_loaded_again(page: Page) -> None:
    data = bytes(range(256)) * (36 << 10)  # 9 MiB: two pieces
    held: list[Route] = []
    pieces: list[int] = []

    def hold_the_second(route: Route) -> None:
        pieces.append(int(route.request.headers["upload-offset"]))
        if len(pieces) == 2:
            held.append(route)
        else:
            route.continue_()

    page.route(
        "**/vault/uploads/*",
        lambda route: hold_the_second(route) if route.request.method == "PATCH" else route.continue_(),
    )
    page.goto("/files")
    packed = b64encode(data).decode()
    page.evaluate(DROP, ["night.dat", packed])
    expect(page.locator("[data-uploads] li")).to_contain_text("88 %", timeout=60_000)
    with page.expect_request(lambda request: request.method == "HEAD" and "/vault/uploads/" in request.url):
        page.goto("/files")  # the second piece never comes
        page.evaluate(DROP, ["night.dat", packed])
    row = page.get_by_role("row").filter(has_text="night.dat")
    expect(row).to_be_visible(timeout=60_000)
    assert pieces == [0, 8 << 20, 8 << 20], "what had come is not sent again"
    expect(row.locator("code.digest")).to_have_attribute("title", hashlib.md5(data).hexdigest())


def test_an_image_is_dropped_breaks_off_goes_on_and_is_read_at_a_click(
    page: Page, platform: RunningPlatform
) -> None:
    data = an_image()
    pieces: list[int] = []

    def break_the_second(route: Route) -> None:
        pieces.append(int(route.request.headers["upload-offset"]))
        if len(pieces) == 2:
            route.abort("failed")
        else:
            route.continue_()

    page.route(
        "**/vault/uploads/*",
        lambda route: break_the_second(route) if route.request.method == "PATCH" else route.continue_(),
    )
    page.goto("/files")
    page.evaluate(DROP, ["m51 <b>.fits", b64encode(data).decode()])
    row = page.get_by_role("row").filter(has_text="m51 <b>.fits")
    expect(row).to_be_visible(timeout=60_000)
    assert pieces == [0, 8 << 20, 8 << 20]
    expect(row.locator("code.digest")).to_have_attribute("title", hashlib.md5(data).hexdigest())

    thumbnail = row.locator("img")
    expect(thumbnail).to_have_js_property("complete", True, timeout=60_000)
    assert thumbnail.evaluate("(image) => image.naturalWidth") > 0

    row.get_by_role("link", name="View").click()
    viewer = page.locator("[data-viewer]")
    expect(viewer).to_have_attribute("data-state", "shown", timeout=90_000)
    page.get_by_label("Stretch").select_option("asinh")
    page.get_by_label("Colour map").select_option("viridis")
    page.locator("iframe").click(position={"x": 300, "y": 200})
    sky = page.locator("[data-sky]")
    expect(sky).to_have_text(re.compile(r"\d+\.\d+, \d+\.\d+"))
    x, y = map(float, page.locator("[data-pixel]").inner_text().split(", "))
    with fits.open(io.BytesIO(data)) as hdus:
        header = hdus[0].header
    page.get_by_label("x", exact=True).fill("123")
    page.get_by_label("y", exact=True).fill("1456")
    page.get_by_role("button", name="Read").click()
    expect(page.locator("[data-pixel]")).to_have_text("123.0, 1456.0")
    there = WCS(header).all_pix2world([[123, 1456], [x, y]], 1)
    # JS9 tells places to a hundredth of a second of arc, which is a hundredth of a pixel here
    shown = [float(sky.get_attribute(f"data-{name}") or "nan") for name in ("ra", "dec")]
    assert shown == pytest.approx(list(there[0]), abs=5e-6)
    assert abs(x - 750) < 800
