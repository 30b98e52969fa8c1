"""A person's whole path in a browser: from registration to results, on clouds that only pretend."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from platform_process import RunningPlatform, running_platform
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect
from pretended_workers import FAILS_ONCE, PretendedWorkers

from chromium import ARGUMENTS, CHROMIUM

PASSWORD = "correct horse battery"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5TTPRkbTzdUL6UOPSOtsCEjtnjJMgkM9pO4ChMvd1p ada@laptop"
ROWS = "\n".join(["field,threshold", *(f"m{n}.fits,{n / 2}" for n in range(11)), f"{FAILS_ONCE},3.5"])

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


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


@pytest.fixture
def complaints() -> Generator[list[str]]:
    """What browsers complain of on their consoles; nothing, at the end of a test."""
    complaints: list[str] = []
    yield complaints
    assert complaints == []


@pytest.fixture
def a_person(
    chromium: Browser, platform: RunningPlatform, complaints: list[str]
) -> Generator[Callable[[str], Page]]:
    """Opens a browser of one's own, in a language."""
    contexts: list[BrowserContext] = []

    def a_person(locale: str) -> Page:
        context = chromium.new_context(base_url=platform.portal, locale=locale)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda said: complaints.append(f"{said.text} {said.location}") if said.type == "error" else None,
        )
        return page

    yield a_person
    for context in contexts:
        context.close()


def sign_in(page: Page, user_name: str, password: str) -> None:
    page.goto("/sign-in")
    page.get_by_label("User name").fill(user_name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("main").get_by_role("button", name="Sign in").click()


def register(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name="Register and ask for a project").click()
    for label, value in {
        "User name": "ada",
        "Name": "Ada Lovelace",
        "E-mail": "ada@example.org",
        "Institute": "Analytical Engines",
        "Password": PASSWORD,
        "Password again": PASSWORD,
        "Project name": "galaxies",
        "What is it for?": "To count galaxies.",
    }.items():
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_role("main")).to_contain_text("waiting for approval")


def launch(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name="Launch a machine").click()
    page.get_by_label("Size", exact=True).select_option("c2-2gb-10")
    page.get_by_label("Name", exact=True).fill("workbench")
    page.get_by_label("Paste a public key").fill(KEY)
    page.get_by_role("button", name="Launch").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("running")
    expect(page.get_by_text("ssh debian@127.16.0.")).to_be_visible()
    expect(page.get_by_role("log")).to_contain_text("boot 1 of workbench")


def snapshot(page: Page) -> str:
    """Make a snapshot, and return its digest as it is shown."""
    page.get_by_label("Name of the snapshot").fill("with-software")
    page.get_by_role("button", name="Make a snapshot").click()
    row = page.get_by_role("row", name="with-software")
    expect(row).to_contain_text("ready")
    digest = row.locator("code").inner_text()
    row.get_by_role("link", name="Run jobs with this image").click()
    return digest


def submit(page: Page, digest: str) -> None:
    expect(page.get_by_label("Image").locator("option:checked")).to_contain_text(digest)
    page.get_by_label("Program", exact=True).fill("count.sh")
    page.get_by_label("Arguments").fill("$(field) $(threshold)")
    page.get_by_label("Table of parameters").fill(ROWS)
    page.get_by_label("Input files of each job").fill("field.fits")
    page.get_by_label("Memory").fill("512M")
    page.get_by_label("Program and input files").set_input_files(
        [
            {"name": "count.sh", "mimeType": "text/x-shellscript", "buffer": b"#!/bin/sh\nwc -c *\n"},
            {"name": "field.fits", "mimeType": "application/fits", "buffer": b"SIMPLE  =" * 320},
        ]
    )
    ahead = page.locator("#ahead")
    expect(ahead).to_contain_text("workers could start now")
    expect(ahead).to_contain_text("queue field, threshold from (")
    page.get_by_role("button", name="Submit", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("The jobs are queued.")


def watch(page: Page, digest: str) -> None:
    picture = page.get_by_role("application", name="Picture of the jobs")
    expect(picture).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("11 completed", timeout=60_000)
    cause = page.get_by_role("listitem").filter(has_text="1 job: Ended with exit code 3")
    expect(cause).to_be_visible(timeout=30_000)
    cause.get_by_role("button", name="Retry this one").click()
    expect(page.get_by_role("main")).to_contain_text("12 completed", timeout=60_000)
    expect(page.locator("[data-picture]")).to_have_attribute("data-shown", "12")
    picture.focus()
    for key in ("Home", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    expect(page.locator("#picture-said")).to_contain_text("1.2: completed", timeout=30_000)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Job 1.2")
    expect(page.get_by_role("log", name="Standard output")).to_contain_text("field.fits: 2880 bytes")
    expect(page.get_by_role("main")).to_contain_text(digest)
    with page.expect_download() as fetched:
        page.get_by_role("link", name="count.txt").click()
    assert "field.fits: 2880 bytes" in Path(fetched.value.path()).read_text()
    page.goto("/workers")
    expect(page.get_by_role("main")).to_contain_text(digest)


def files(page: Page) -> None:
    page.get_by_role("link", name="Files").click()
    upload = {"name": "m51.fits", "mimeType": "application/fits", "buffer": b"SIMPLE  =" * 1000}
    page.get_by_label("Upload files").set_input_files([upload])
    expect(page.get_by_role("link", name="m51.fits").first).to_be_visible(timeout=30_000)
    page.get_by_label("New folder").fill("catalogues")
    page.get_by_role("button", name="Make the folder").click()
    expect(page.get_by_role("link", name="catalogues").first).to_be_visible()
    page.get_by_label("Choose m51.fits").check()
    page.get_by_label("Folder to move or copy to").fill("catalogues")
    page.get_by_role("button", name="Move").click()
    expect(page.get_by_role("link", name="m51.fits")).to_have_count(0)
    page.get_by_role("link", name="catalogues").first.click()
    expect(page.get_by_role("link", name="m51.fits").first).to_be_visible()


def test_from_registration_to_results(a_person: Callable[[str], Page], platform: RunningPlatform) -> None:
    ada, admin = a_person("en-CA"), a_person("en-CA")
    register(ada)
    sign_in(admin, "admin", platform.password)
    admin.get_by_role("link", name="Decide").click()
    admin.get_by_label("Batch cores").fill("8")
    admin.get_by_role("button", name="Approve with these figures").click()
    expect(admin.get_by_role("main")).to_contain_text("8 batch cores")
    ada.reload()
    expect(ada.get_by_role("main")).to_contain_text("approved, with")

    launch(ada)
    digest = snapshot(ada)
    submit(ada, digest)
    with PretendedWorkers(platform):
        watch(ada, digest)
    files(ada)

    ada.goto("/machines")
    ada.get_by_role("link", name="workbench").click()
    ada.get_by_role("link", name="Delete").click()
    ada.get_by_role("button", name="Delete it").click()
    expect(ada.get_by_role("main")).to_contain_text("No machine yet.")


def test_a_browser_that_asks_for_french_is_answered_in_french(a_person: Callable[[str], Page]) -> None:
    page = a_person("fr-CA")
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Un nuage de recherche pour les astronomes")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("A research cloud for astronomers")
