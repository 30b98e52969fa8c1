"""A machine's screen and its serial line in a browser, on a cloud that only pretends."""

from __future__ import annotations

import re
import time
from collections.abc import Generator
from typing import Any

import httpx2
import pytest
from platform_process import RunningPlatform, running_platform
from playwright.sync_api import Page, Playwright, expect

from chromium import ARGUMENTS, CHROMIUM

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

STRIPES = [[192, 48, 32, 255], [32, 160, 64, 255], [32, 64, 192, 255], [224, 224, 224, 255]]
"""What the fake engine's screen shows, from left to right."""
PIXELS = """() => {
  const canvas = document.querySelector("#screen canvas");
  const paint = canvas.getContext("2d");
  return [0, 1, 2, 3].map((stripe) => {
    const x = Math.floor(((stripe + 0.5) * canvas.width) / 4);
    return Array.from(paint.getImageData(x, canvas.height / 2, 1, 1).data);
  });
}"""


class Owner:
    """Whoever has a machine on the cloud `east`, and asks for its consoles."""

    def __init__(self, platform: RunningPlatform) -> None:
        self._base = platform.clouds["east"].removesuffix("/identity/v3")
        user = {"name": "admin", "domain": {"id": "default"}, "password": platform.password}
        scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
        identity = {"methods": ["password"], "password": {"user": user}}
        self._http = httpx2.Client(trust_env=False, base_url=self._base, timeout=60)
        reply = self._http.post(
            "/identity/v3/auth/tokens", json={"auth": {"identity": identity, "scope": scope}}
        )
        reply.raise_for_status()
        token = reply.headers["x-subject-token"]
        self._http.headers.update({"x-auth-token": token, "openstack-api-version": "compute 2.90"})
        (image,) = self._asks("GET", "/image/v2/images")["images"]
        wish = {"name": "vm", "imageRef": image["id"], "flavorRef": "c1-1gb-5", "networks": "none"}
        self._server = f"/compute/v2.1/servers/{self._asks('POST', '/compute/v2.1/servers', {'server': wish})['server']['id']}"

    def console(self, protocol: str, kind: str) -> str:
        """The address of a console, as soon as the machine runs."""
        while self._asks("GET", self._server)["server"]["status"] == "BUILD":
            pass
        wish = {"remote_console": {"protocol": protocol, "type": kind}}
        return self._asks("POST", f"{self._server}/remote-consoles", wish)["remote_console"]["url"]

    def ends(self) -> None:
        self._http.delete(self._server).raise_for_status()

    def _asks(self, method: str, path: str, body: Any = None) -> Any:
        reply = self._http.request(method, path, json=body)
        assert reply.status_code < 300, reply.text
        return reply.json()


@pytest.fixture(scope="module")
def owner(tmp_path_factory: pytest.TempPathFactory) -> Generator[Owner]:
    with running_platform(tmp_path_factory.mktemp("home")) as platform:
        platform.upload_base_image("debian-12", b"a disk that nothing boots from " * 1000)
        yield Owner(platform)


@pytest.fixture
def page(playwright: Playwright) -> Generator[Page]:
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
    page = browser.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    yield page
    browser.close()
    assert complaints == []


def test_the_screen_shows_what_the_machine_shows_until_it_ends(owner: Owner, page: Page) -> None:
    page.goto(owner.console("vnc", "novnc"))
    expect(page.get_by_role("status")).to_have_text("Connected")
    expect(page).to_have_title(re.compile("^fake "))
    # Not by wait_for_function: what it looks at twice it evaluates in the page, which forbids that.
    end = time.monotonic() + 30
    while (seen := page.evaluate(PIXELS)) != STRIPES and time.monotonic() < end:
        page.wait_for_timeout(100)
    assert seen == STRIPES
    expect(page.get_by_role("button", name="Send Ctrl+Alt+Del")).to_be_enabled()


def test_the_serial_line_answers_what_one_types(owner: Owner, page: Page) -> None:
    address = owner.console("serial", "serial")
    page.goto(address.replace("ws:", "http:", 1).replace("/serial?", "/serial.html?"))
    line = page.locator(".xterm-rows")
    expect(line).to_contain_text("fake login:")
    page.keyboard.type("ada")
    page.keyboard.press("Enter")
    expect(line).to_contain_text(re.compile("login: ada.*fake login:", re.DOTALL))
    owner.ends()
    expect(page.get_by_role("status")).to_contain_text("Disconnected")
