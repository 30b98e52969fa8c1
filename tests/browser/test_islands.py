"""Pages while their scripts are late, while parts look again by themselves, and filled forms that are taken along."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from io import BytesIO
from typing import Any

import pytest
from furnished_platform import Person, a_galaxy
from PIL import Image
from platform_process import RunningPlatform, running_platform
from playwright.sync_api import Browser, Page, Playwright, Route, expect

from chromium import ARGUMENTS, CHROMIUM

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5TTPRkbTzdUL6UOPSOtsCEjtnjJMgkM9pO4ChMvd1p ada@laptop"
AGAIN = 30_000
"""Milliseconds until a part has looked again: it does every 15 s where nothing moves."""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningPlatform]:
    with running_platform(tmp_path_factory.mktemp("home")) as platform:
        platform.upload_base_image("debian-12", b"a disk that nothing boots from " * 1000)
        yield platform


@pytest.fixture(scope="module")
def chromium(playwright: Playwright) -> Generator[Browser]:
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def admin(chromium: Browser, platform: RunningPlatform) -> Generator[Person]:
    """Signed in, a member of two projects, with a machine and a picture."""
    context = chromium.new_context(base_url=platform.portal, locale="en")
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=platform.portal)
    person = Person(context, platform.portal)
    person.sign_in("admin", platform.password)
    form = {
        "project_name": "comets",
        "cores": "4",
        "ram": "8",
        "disk": "50",
        "storage": "10",
        "batch_cores": "4",
    }
    person.post("/applications", "/applications", **form, reason="To look.")
    waiting = person.find("/admin", r'action="(/admin/applications/[^"]+/approve)"')
    person.post(waiting, "/admin", **form)
    person.post("/project", project="admin")
    person.post(
        "/machines/launch", image="debian-12", flavor="c1-1gb-5", name="workbench", key=KEY, days="30"
    )
    person.get("/files")
    picture = {"name": "m51.fits", "mimeType": "application/fits", "buffer": a_galaxy()}
    person.post("/files/home/admin", action="upload", files=picture)
    yield person
    context.close()


@pytest.fixture
def page(admin: Person) -> Generator[Page]:
    admin.post("/project", project="admin")
    page = admin.context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    page.close()
    assert complaints == []


@pytest.fixture
def late(page: Page) -> Callable[[str, str], Callable[[], None]]:
    """Opens a page whose script does not come before it is told to."""

    def open_without(address: str, script: str) -> Callable[[], None]:
        held: list[Route] = []
        # once: the page after it has the script as ever
        page.route(f"**/{script}*", lambda route: route.continue_() if held else held.append(route))
        with page.expect_request(f"**/{script}*"):
            page.goto(address, wait_until="commit")
        expect(page.get_by_role("contentinfo")).to_be_visible()
        return held[0].continue_

    return open_without


def test_a_size_that_was_chosen_before_the_script_came_is_looked_at(
    page: Page, late: Callable[[str, str], Callable[[], None]]
) -> None:
    let_it_come = late("/machines/launch", "htmx.min.js")
    page.get_by_label("Size", exact=True).select_option("c4-8gb-20")
    page.get_by_label("Name", exact=True).fill("early")
    let_it_come()
    expect(page.locator("#check [data-command]").first).to_have_text(
        re.compile("^armillary machine launch early .*--flavor c4-8gb-20")
    )


def test_a_project_that_was_chosen_before_the_script_came_is_gone_to(
    page: Page, late: Callable[[str, str], Callable[[], None]]
) -> None:
    let_it_come = late("/", "portal.js")
    page.get_by_label("Project", exact=True).select_option("comets")
    let_it_come()
    expect(page.get_by_role("heading", level=1)).to_have_text("Project comets")
    page.get_by_label("Project", exact=True).select_option("admin")
    expect(page.get_by_role("heading", level=1)).to_have_text("Project admin")


def test_a_stretch_that_was_chosen_before_the_image_came_is_that_of_the_image(
    page: Page, late: Callable[[str, str], Callable[[], None]]
) -> None:
    let_it_come = late("/view/home/admin/m51.fits", "viewer.js")
    page.get_by_label("Colour map").select_option("viridis")
    page.get_by_label("Stretch").select_option("sqrt")
    let_it_come()
    expect(page.locator("[data-viewer]")).to_have_attribute("data-state", "shown", timeout=90_000)
    (frame,) = (one for one in page.frames if one.url.endswith("/viewer/frame"))
    wanted = ["viridis", "sqrt"]
    seen: Any = None
    for _ in range(100):  # not by wait_for_function: the frame's policy forbids what it does
        seen = frame.evaluate("[JS9.GetColormap().colormap, JS9.GetScale().scale]")
        if seen == wanted:
            break
        page.wait_for_timeout(100)
    assert seen == wanted


def test_the_image_in_the_viewer_is_seen_not_covered(page: Page) -> None:
    page.goto("/view/home/admin/m51.fits")
    expect(page.locator("[data-viewer]")).to_have_attribute("data-state", "shown", timeout=90_000)
    brightest = 0
    for _ in range(100):  # it is drawn after it has come
        picture = Image.open(BytesIO(page.locator("iframe").screenshot())).convert("L")
        width, height = picture.size
        middle = picture.crop((width // 2 - 20, height // 2 - 20, width // 2 + 20, height // 2 + 20))
        brightest = max(middle.tobytes())
        if brightest > 200:
            break
        page.wait_for_timeout(100)
    assert brightest > 200, "the galaxy is bright in its middle"


def test_a_part_that_looks_again_keeps_the_focus_and_what_was_chosen(page: Page, admin: Person) -> None:
    page.goto("/machines")
    expect(page.get_by_role("row", name="workbench")).to_contain_text("running", timeout=60_000)
    machine = page.get_by_role("link", name="workbench")
    machine.focus()
    page.evaluate("document.querySelector('#machines').dataset.old = 'yes'")
    expect(page.locator("#machines[data-old]")).to_have_count(0, timeout=AGAIN)
    expect(machine).to_be_focused()

    machine.click()
    page.evaluate("document.querySelector('[hx-get$=\"/state\"]').dataset.old = 'yes'")
    days = page.get_by_label("Extend by")
    days.select_option("30")
    extend = page.get_by_role("button", name="Extend", exact=True)
    extend.focus()
    expect(page.locator("[data-old]")).to_have_count(0, timeout=AGAIN)
    expect(days).to_have_value("30")
    expect(extend).to_be_focused()

    page.evaluate("document.querySelector('[hx-get$=\"/state\"]').dataset.old = 'yes'")
    days.focus()  # its list may be open: it is left alone
    with page.expect_response(re.compile("/state$"), timeout=AGAIN):
        pass
    expect(days).to_be_focused()
    expect(page.locator("[data-old]")).to_have_count(1)
    extend.focus()
    expect(page.locator("[data-old]")).to_have_count(0, timeout=AGAIN)


def test_figures_that_do_not_come_are_asked_for_again(page: Page, admin: Person) -> None:
    machine = admin.find("/machines", r'href="(/machines/(?:east|west)/[0-9a-f-]{36})"')
    page.route("**/figures.json", lambda route: route.abort())
    with page.expect_event("requestfailed"):
        page.goto(machine)
    page.unroute("**/figures.json")
    with page.expect_response("**/figures.json", timeout=AGAIN) as reply:
        pass
    assert reply.value.ok


def test_a_filled_form_is_taken_along_by_its_link_and_by_another_language(page: Page) -> None:
    page.goto("/machines/launch")
    page.get_by_label("Name", exact=True).fill("m31")
    page.get_by_label("Size", exact=True).select_option("c2-2gb-10")
    page.get_by_text("Volume", exact=True).click()
    page.get_by_label("Size of a new volume in GiB").fill("20")
    page.get_by_role("link", name="Link to this page as it is").click()
    expect(page.get_by_role("link", name="✓")).to_be_visible()
    address = page.evaluate("navigator.clipboard.readText()")
    page.goto(address)
    expect(page.get_by_label("Name", exact=True)).to_have_value("m31")
    expect(page.get_by_label("Size", exact=True)).to_have_value("c2-2gb-10")
    expect(page.get_by_label("Size of a new volume in GiB")).to_have_value("20")
    page.get_by_label("Name", exact=True).fill("m33")
    page.get_by_role("button", name="Français").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Lancer une machine")
    expect(page.get_by_label("Nom", exact=True)).to_have_value("m33")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Launch a machine")


def test_plots_have_their_moments_in_utc_wherever_the_browser_is(admin: Person, chromium: Browser) -> None:
    context = chromium.new_context(
        base_url=admin.origin,
        locale="en-US",
        timezone_id="America/Vancouver",
        storage_state=admin.context.storage_state(),
    )
    page = context.new_page()
    page.goto("/workers")
    seen = page.evaluate(
        """async () => {
            const own = document.querySelector('script[src$="/load.js"]').src;
            const clock = await import(own.replace("load.js", "clock.js"));
            const late = Date.UTC(2026, 10, 23, 23, 30) / 1000;
            return [clock.ticks(null, [late, late + 1800, late + 3600], 0, 0, 1800), clock.moment(late), clock.tzDate(late).getHours()];
        }"""
    )
    assert seen == [["23:30\nNov 23 UTC", "00:00\nNov 24 UTC", "00:30"], "2026-11-23 23:30 UTC", 23]
    context.close()
