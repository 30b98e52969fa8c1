"""A platform on the fake engine with a bit of everything in it, and the browsers of people who use it."""

from __future__ import annotations

import html
import re
import zipfile
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
import pyotp
from astropy.io import fits
from platform_process import RunningPlatform
from playwright.sync_api import APIRequestContext, APIResponse, BrowserContext, expect
from pretended_workers import PretendedWorkers

PASSWORD = "correct horse battery"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5TTPRkbTzdUL6UOPSOtsCEjtnjJMgkM9pO4ChMvd1p ada@laptop"
ALLOCATION = {"cores": "4", "ram": "8", "disk": "50", "storage": "100", "batch_cores": "16"}
SUBMIT = "executable = count.sh\narguments = $(Process)\nrequest_memory = 512M\n"
ON_HOLD, AT_ONCE = SUBMIT + "hold = true\nqueue 40\n", SUBMIT + "queue 2\n"
OVER = SUBMIT + "transfer_output_files = count.txt\nqueue 2\n"


@dataclass
class Person:
    """Somebody's browser, as far as forms are sent with it; its pages share the cookies."""

    context: BrowserContext
    origin: str
    """of the portal"""

    @property
    def http(self) -> APIRequestContext:
        return self.context.request

    def get(self, path: str) -> str:
        reply = self.http.get(path)
        assert reply.ok, f"{path}: {reply.status}"
        return reply.text()

    def post(self, path: str, page: str = "/", **fields: Any) -> APIResponse:
        """Send a form with the token of `page`."""
        token = re.search(r'name="csrf" value="([0-9a-f]+)"', self.get(page))
        assert token
        reply = self.http.post(path, multipart={"csrf": token.group(1), **fields})
        assert reply.ok, f"{path}: {reply.status} {problem(reply.text())}"
        return reply

    def sign_in(self, user_name: str, password: str) -> None:
        self.post("/sign-in", "/sign-in", user_name=user_name, password=password)

    def find(self, path: str, pattern: str) -> str:
        found = re.search(pattern, self.get(path))
        assert found, f"{path} has no {pattern}"
        return html.unescape(found.group(1))


def problem(page: str) -> str:
    """What a page says went wrong."""
    found = re.search(r'class="problem".*?</div>', page, re.DOTALL)
    return re.sub(r"<[^>]+>|\s+", " ", found.group(0)) if found else ""


@dataclass
class Furnished:
    """People, and the addresses of what was made."""

    admin: Person
    stranger: Person
    half: Person
    """gave the right password, and owes the code"""
    made: dict[str, str] = field(default_factory=dict[str, str])


def a_galaxy() -> bytes:
    """A FITS file with something bright in the middle."""
    distance = np.hypot(*np.mgrid[-16:16, -16:16])
    file = BytesIO()
    fits.PrimaryHDU(np.exp(-distance / 6).astype("float32")).writeto(file)
    return file.getvalue()


def snapshot(person: Person, machine: str) -> str:
    """Make a snapshot of a machine when it runs; return where it is deleted."""
    page = person.context.new_page()
    page.goto(machine)
    expect(page.get_by_role("heading", level=1)).to_contain_text("running", timeout=60_000)
    person.post(f"{machine}/snapshot", name="with-software")
    page.goto("/images")
    row = page.get_by_role("row", name="with-software")
    expect(row).to_contain_text("ready", timeout=60_000)
    row.get_by_role("link", name="with-software").click()
    where = page.locator('a[href$="/delete"]').first.get_attribute("href")
    page.close()
    assert where
    return where


def import_of(person: Person, cluster: int) -> str:
    """Bring the crate of a cluster in again, with a file in it that no record accounts for, and as it is; return the page of the first."""
    crate = person.http.get(f"/jobs/{cluster}/crate.zip").body()
    packed = BytesIO(crate)
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("notes.txt", b"by somebody else")
    pages: list[str] = []
    for name, data in (("changed.zip", packed.getvalue()), ("m51.zip", crate)):
        file = {"name": name, "mimeType": "application/zip", "buffer": data}
        pages.append(person.post("/crates", key="", crate=file).url.removeprefix(person.origin))
    page = person.context.new_page()
    page.goto(pages[1])
    page.get_by_role("checkbox").check(timeout=60_000)
    page.get_by_role("button", name="Import").click()
    page.wait_for_url("**/imports/1*", timeout=60_000)
    page.close()
    return pages[0]


def furnish(*, platform: RunningPlatform, admin: Person, stranger: Person, half: Person) -> Furnished:
    """Give the administrator a machine, jobs, files, a key and a token, and two people who wait for a decision."""
    admin.sign_in("admin", platform.password)
    admin.post("/keys", key=KEY, name="laptop")
    token = re.search(r'id="secret">([^<]+)<', admin.post("/tokens", label="scripts", days="7").text())
    assert token, "no token is shown"
    form = admin.get("/machines/launch")
    image = re.search(r'<(?:option|input)[^>]*value="([0-9a-f]{128})"', form)
    assert image, "no image is offered"
    admin.post("/machines/launch", image=image.group(1), flavor="c1-1gb-5", name="workbench", key=KEY)
    made = {"image": f"/images/{image.group(1)}"}
    made |= {"machine": admin.find("/machines", r'href="(/machines/(?:east|west)/[0-9a-f-]{36})"')}
    script = {"name": "count.sh", "mimeType": "text/x-shellscript", "buffer": b"#!/bin/sh\nwc -c *\n"}
    batch = {"image": image.group(1), "flavor": "c2-2gb-10", "files": script}
    admin.post("/jobs/submit", submit_text=ON_HOLD, **batch)
    admin.get("/files")
    with PretendedWorkers(platform):
        admin.post("/jobs/submit", submit_text=OVER, **batch)
        page = admin.context.new_page()
        page.goto("/jobs/2")
        expect(page.get_by_role("main")).to_contain_text("2 completed", timeout=60_000)
        page.close()
    bearer = {"authorization": f"Bearer {token.group(1)}"}
    kept = admin.http.post("/api/v1/provenance/frozen", data={"cluster": 2}, headers=bearer)
    assert kept.status == 201, kept.text()
    made["crate"] = import_of(admin, 2)
    admin.post("/jobs/submit", submit_text=AT_ONCE, **batch)  # a few workers, and room beside them
    table = {"name": "stars.csv", "mimeType": "text/csv", "buffer": b"ra,dec\n10.5,41.2\n11.1,40.9\n"}
    admin.post("/files/home/admin", action="upload", files=table)
    admin.post("/groups", name="observers", description="Who observes.")
    picture = {"name": "m51.fits", "mimeType": "application/fits", "buffer": a_galaxy()}
    admin.post("/files/home/admin", action="upload", files=picture)
    made["image_delete"] = snapshot(admin, made["machine"])
    for person, name in ((stranger, "ada"), (half, "vera")):
        person.post(
            "/register",
            "/register",
            user_name=name,
            full_name=f"{name.capitalize()} Lovelace",
            email=f"{name}@example.org",
            institute="Analytical Engines",
            password=PASSWORD,
            password_again=PASSWORD,
            project_name=f"of-{name}",
            reason="To count galaxies.",
            **ALLOCATION,
        )
    stranger.post("/sign-out")
    secret = half.find("/security/second-factor", r"<code>([A-Z2-7]{32})</code>")
    half.post("/security/second-factor", code=pyotp.TOTP(secret).now())
    half.post("/sign-out")
    half.sign_in("vera", PASSWORD)
    link = admin.post("/admin/reset-link", user_name="ada").text()
    made["reset"] = "/reset/" + link.split("/reset/")[1].split("<")[0]
    return Furnished(admin=admin, stranger=stranger, half=half, made=made)
