"""Every page of the portal in both languages, both themes and two widths: it is accessible, and nothing sticks out.

What each looks like is in `build/screens`, to be looked at.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from furnished_platform import Furnished, Person, furnish
from platform_process import running_platform
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, Playwright, expect

from armillary.portal.app import ROOMS
from chromium import ARGUMENTS, CHROMIUM

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

SCREENS = Path(__file__).parents[2] / "build" / "screens"
WIDTHS = (1280, 360)
THEMES = ("light", "dark")
LANGUAGES = ("en", "fr")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
FIRST_LOAD = 150_000
"""Bytes on the wire, of a first visit."""

PAGES = {
    "/": "/",
    "/register": "stranger /register",
    "/sign-in": "stranger /sign-in",
    "/sign-in/code": "half /sign-in/code",
    "/reset": "stranger /reset",
    "/reset/{secret}": "stranger {reset}",
    "/applications": "/applications",
    "/security": "/security",
    "/security/second-factor": "/security/second-factor",
    "/keys": "/keys",
    "/tokens": "/tokens",
    "/access": "/access",
    "/notices": "/notices",
    "/admin": "/admin",
    "/admin/people": "/admin/people",
    "/admin/projects": "/admin/projects",
    "/admin/clouds": "/admin/clouds",
    "/admin/announcements": "/admin/announcements",
    "/admin/records": "/admin/records",
    "/admin/trail": "/admin/trail",
    "/admin/usage": "/admin/usage",
    "/applications/more": "/applications/more",
    "/groups": "/groups",
    "/groups/{name}": "/groups/observers",
    "/machines": "/machines",
    "/machines/launch": "/machines/launch",
    "/machines/{cloud}/{server_id}": "{machine}",
    "/machines/{cloud}/{server_id}/delete": "{machine}/delete",
    "/machines/{cloud}/{server_id}/inside/{kind}": "{machine}/inside/shell",
    "/volumes": "/volumes",
    "/networks": "/networks",
    "/images": "/images",
    "/images/{key}": "{image}",
    "/images/{key}/compare": "{image}/compare",
    "/images/{cloud}/{image_id}/delete": "{image_delete}",
    "/jobs": "/jobs",
    "/jobs/submit": "/jobs/submit",
    "/jobs/{cluster}": "/jobs/1",
    "/jobs/{cluster}/{proc}": "/jobs/1/0",
    "/jobs/{cluster}/{proc}/record": "/jobs/2/0/record",
    "/jobs/{cluster}/keep": "/jobs/2/keep",
    "/jobs/{cluster}/unfreeze": "/jobs/2/unfreeze",
    "/rerun/{target}": "/rerun/2",
    "/compare": "/compare?first=2&second=2.0",
    "/crates": "/crates",
    "/crates/{ticket}": "{crate}",
    "/imports/{number}": "/imports/1",
    "/jobs/usage": "/jobs/usage",
    "/workers": "/workers",
    "/files/{where:path}": "/files/home/admin",
    "/view/{where:path}": "/view/home/admin/m51.fits",
    "/made-by/{where:path}": "/made-by/home/admin/frozen/cluster-2/outputs/2.0/count.txt",
    "/frozen/{cluster}": "/frozen/2",
    "/shared": "/shared",
    "/shares": "/shares",
}
"""Route → where a page of it is seen, by the administrator or by who is named."""

PARTS = {
    "/sign-in/oidc": "the way to a provider, which this platform has not",
    "/sign-in/oidc/back": "the way back",
    "/admin/trail.csv": "a file",
    "/admin/usage.csv": "a file",
    "/machines/launch/check": "a part of the form",
    "/machines/table": "a part of the list",
    "/machines/{cloud}/{server_id}/state": "a part of the machine's page",
    "/machines/{cloud}/{server_id}/figures.json": "figures of the plots",
    "/machines/{cloud}/{server_id}/log": "a stream",
    "/machines/{cloud}/{server_id}/log/part": "a part of the machine's page",
    "/machines/{cloud}/{server_id}/log/download": "a file",
    "/machines/{cloud}/{server_id}/inside/screen/elsewhere": "leads to the screen of a cloud that is not ours",
    "/machines/{cloud}/{server_id}/inside/{kind}/start": "needs a machine that runs something",
    "/machines/{cloud}/{server_id}/inside/{kind}/standing": "a part of that",
    "/machines/{cloud}/{server_id}/inside/{kind}/open": "leads into the machine",
    "/volumes/{cloud}/{volume_id}/delete": "as that of a machine",
    "/images/table": "a part of the list",
    "/submit": "leads to the form",
    "/jobs/{cluster}/again": "leads to the form",
    "/jobs/table": "a part of the list",
    "/jobs/{cluster}/standing": "a part of the submit's page",
    "/jobs/{cluster}/causes": "a part of the submit's page",
    "/jobs/{cluster}/table": "a part of the submit's page",
    "/jobs/{cluster}/picture": "the cells of the picture",
    "/jobs/{cluster}/file": "a file",
    "/jobs/{cluster}/crate.zip": "a file",
    "/jobs/{cluster}/{proc}/crate.zip": "a file",
    "/jobs/{cluster}/{proc}/state": "a part of the job's page",
    "/jobs/{cluster}/{proc}/log/{stream}": "a part of the job's page",
    "/jobs/{cluster}/{proc}/log/{stream}/bytes": "a part of the job's page",
    "/jobs/{cluster}/{proc}/log/{stream}/file": "a file",
    "/jobs/{cluster}/{proc}/outputs/{name:path}": "a file",
    "/workers/load": "figures of the plot",
    "/jobs/usage.csv": "a file",
    "/workers/table": "a part of the list",
    "/files": "leads to one's home",
    "/join/{secret}": "needs a link",
    "/notices/{note_id}": "leads to what it is about",
    "/s/{secret}": "needs a link; a folder there is shown as any",
    "/s/{secret}/{below:path}": "needs a link",
    "/thumbnail/{where:path}": "a picture",
    "/viewer/frame": "the frame of the viewer, without an origin",
}
"""Routes that answer GET with no page of their own, and why."""


def routes() -> list[str]:
    return [
        route.path
        for room in ROOMS
        for route in room.router.routes
        if "GET" in (getattr(route, "methods", None) or ())
    ]


def test_no_page_is_forgotten() -> None:
    known = {*PAGES, *PARTS}
    there = set(routes())
    assert there - known == set(), "say in PAGES where it is seen, or in PARTS why it is no page"
    assert known - there == set(), "there are no such routes any more"


@pytest.fixture(scope="module")
def chromium(playwright: Playwright) -> Generator[Browser]:
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def world(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Generator[Furnished]:
    with running_platform(tmp_path_factory.mktemp("home")) as platform:
        platform.upload_base_image("debian-12", b"a disk that nothing boots from " * 1000)
        admin, stranger, half = (
            Person(chromium.new_context(base_url=platform.portal, reduced_motion="reduce"), platform.portal)
            for _ in range(3)
        )
        yield furnish(platform=platform, admin=admin, stranger=stranger, half=half)
        for person in (admin, stranger, half):
            person.context.close()


@pytest.fixture(scope="module")
def tabs(world: Furnished) -> dict[str, Page]:
    """One page of each person's browser, kept for all tests."""
    return {name: getattr(world, name).context.new_page() for name in ("admin", "stranger", "half")}


def where(route: str, world: Furnished, tabs: dict[str, Page]) -> tuple[Page, str]:
    place = PAGES[route]
    who, _, address = place.partition(" ") if " " in place else ("admin", "", place)
    return tabs[who], address.format_map(world.made)


def violations(page: Page) -> list[str]:
    found: dict[str, Any] = Axe().run(page, options={"runOnly": TAGS, "resultTypes": ["violations"]}).response
    return [
        f"{rule['id']}: {node['target']} {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


def name_of(route: str) -> str:
    """What the pictures of a page are called."""
    words = route.strip("/").replace(":path", "").replace("{", "").replace("}", "")
    return words.replace("/", "-") or "overview"


def widest(page: Page) -> str:
    """What sticks out, as far as it can be told."""
    return page.evaluate(
        """() => [...document.querySelectorAll("main *, footer *, header *")]
        .filter(it => it.getBoundingClientRect().right > document.documentElement.clientWidth + 1 && !it.closest(".scroll, .log, .places, .tabs"))
        .slice(0, 3).map(it => `${it.tagName}.${it.className}`).join(", ")"""
    )


def too_wide(page: Page) -> int:
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


@pytest.mark.parametrize("route", PAGES)
def test_a_page_is_accessible_and_fits(route: str, world: Furnished, tabs: dict[str, Page]) -> None:
    page, address = where(route, world, tabs)
    complaints: list[str] = []

    def complain(said: ConsoleMessage) -> None:
        if said.type == "error":
            complaints.append(said.text)

    def fail(error: Error) -> None:
        complaints.append(str(error))

    page.on("console", complain)
    page.on("pageerror", fail)
    SCREENS.mkdir(parents=True, exist_ok=True)
    found: list[str] = []
    for language in LANGUAGES:
        page.set_extra_http_headers({"accept-language": language})
        answer = page.goto(address)
        assert answer
        assert answer.status == 200, f"{address}: {answer.status}"
        expect(page.locator("html")).to_have_attribute("lang", language)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            if sticks := too_wide(page):
                found.append(f"{language}, {width}: {sticks} pixels too wide: {widest(page)}")
            for theme in THEMES:
                page.emulate_media(color_scheme=theme)
                page.screenshot(
                    path=SCREENS / f"{name_of(route)}-{language}-{theme}-{width}.png", full_page=True
                )
                if language == LANGUAGES[0] and width == WIDTHS[0]:
                    found += [f"{theme}: {one}" for one in violations(page)]
    page.remove_listener("console", complain)
    page.remove_listener("pageerror", fail)
    assert complaints == []
    assert found == []


def views(admin: Person, machine: str) -> dict[str, str]:
    """Pages that look otherwise than the one of their route in PAGES, with what they show made first."""
    home = "/files/home/admin"
    cloud = machine.split("/")[2]
    link = r"(/s/[0-9a-f]{32}\.[0-9a-f]{32})"
    admin.post(home, home, action="mkdir", name="to share")
    note = {"name": "note.txt", "mimeType": "text/plain", "buffer": b"Seen at dawn.\n"}
    admin.post(f"{home}/to share", home, action="upload", files=note)
    shared = re.search(
        link, admin.post(f"{home}/to share", home, action="link", days="7", lists="yes").text()
    )
    admin.post(home, home, action="upload", files={**note, "name": "gone.txt"})
    deleted = admin.post(f"{home}/gone.txt", home, action="delete").url.removeprefix(admin.origin)
    invited = admin.post("/groups/observers/invite", "/groups/observers", days="7", place="member").text()
    join = re.search(r"(/join/[A-Za-z0-9_.-]+)", invited)
    admin.post("/volumes", "/volumes", cloud=cloud, name="spare", size="5")
    assert shared
    assert join
    return {
        **{f"machine-{part}": f"{machine}?part={part}" for part in ("network", "disks", "history", "change")},
        "machine-log": f"{machine}/log",
        "machine-screen": f"{machine}/inside/screen",
        "jupyter": f"{machine}/inside/jupyter/start",
        "volume-delete": admin.find("/volumes", r'href="(/volumes/[^"]+/delete)"'),
        "file-fits": f"{home}/m51.fits",
        "file-table": f"{home}/stars.csv",
        "file-text": f"{home}/to share/note.txt",
        "folder-about": f"{home}/to share?about=1",
        "folder-weights": f"{home}?weights=1",
        "bin": f"{home}/.bin",
        "undo": deleted,
        "shared-folder": shared[1],
        "join": join[1],
    }


def test_other_views_of_pages_are_accessible_and_fit(world: Furnished) -> None:
    page = world.admin.context.new_page()
    found: list[str] = []
    for name, address in views(world.admin, world.made["machine"]).items():
        for language, width in (("en", 1280), ("fr", 360)):
            page.set_extra_http_headers({"accept-language": language})
            page.set_viewport_size({"width": width, "height": 800})
            answer = page.goto(address)
            assert answer
            assert answer.status == 200, f"{address}: {answer.status}"
            page.screenshot(path=SCREENS / f"{name}-{language}-light-{width}.png", full_page=True)
            if sticks := too_wide(page):
                found.append(f"{name}, {language}, {width}: {sticks} pixels too wide: {widest(page)}")
        found += [f"{name}: {one}" for one in violations(page)]
    page.close()
    assert found == []


def test_a_first_visit_is_small_and_the_next_takes_the_files_from_the_browser(
    chromium: Browser, world: Furnished
) -> None:
    context = chromium.new_context(storage_state=world.admin.context.storage_state())
    page = context.new_page()
    sizes: dict[str, int] = {}
    page.on(
        "requestfinished", lambda request: sizes.update({request.url: request.sizes()["responseBodySize"]})
    )
    root = world.admin.origin
    page.goto(f"{root}/", wait_until="networkidle")
    assert sum(sizes.values()) < FIRST_LOAD, sizes
    assert all("/static/v-" in url for url in sizes if "/static/" in url), sizes
    context.close()


def tab_to(page: Page, name: str, role: str) -> None:
    """Press Tab until what has the focus has that role and begins with that name."""
    wanted = page.get_by_role(role, name=re.compile(f"^{re.escape(name)}")).first  # type: ignore[arg-type]
    for _ in range(80):
        page.keyboard.press("Tab")
        if wanted.evaluate("it => it === document.activeElement"):
            return
    raise AssertionError(f"the {role} {name!r} is not reached by Tab")


def test_a_machine_is_launched_and_jobs_are_submitted_by_keyboard_alone(world: Furnished) -> None:
    page = world.admin.context.new_page()
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto("/machines")
    tab_to(page, "Launch a machine", "link")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Launch a machine")
    tab_to(page, "Size", "combobox")
    page.keyboard.type("c1-1gb")
    tab_to(page, "Name", "textbox")
    page.keyboard.type("by-keyboard")
    tab_to(page, "Launch", "button")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("by-keyboard")

    page.goto("/jobs")
    tab_to(page, "Submit jobs", "link")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Submit jobs")
    tab_to(page, "Program", "textbox")
    page.keyboard.type("/bin/true")
    tab_to(page, "The program is in the image already", "checkbox")
    page.keyboard.press("Space")
    tab_to(page, "Submit", "button")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("The jobs are queued.")
    page.close()


def test_a_skip_link_comes_first_and_leads_to_the_content(world: Furnished) -> None:
    page = world.admin.context.new_page()
    page.goto("/jobs")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    page.close()


def test_what_is_not_accessible_is_noticed(world: Furnished) -> None:
    page = world.admin.context.new_page()
    page.set_content("<html><body><img src='x'><input><p style='color:#aaa'>pale</p></body></html>")
    assert {found.partition(":")[0] for found in violations(page)} >= {"image-alt", "label", "html-has-lang"}
    page.close()
