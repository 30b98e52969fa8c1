"""Links for people without an account, as they meet them."""

from __future__ import annotations

import io
import re
import zipfile

import pytest
from fastapi.testclient import TestClient
from portal_visitor import PASSWORD, Browser

from armillary.accounts.model import Principal
from armillary.accounts.service import AccountsService
from armillary.vospace.service import VOSpaceService


@pytest.fixture
def guest(client: TestClient) -> TestClient:
    """Somebody who has an address and nothing else."""
    return TestClient(client.app, base_url="http://localhost:8080")


@pytest.fixture
def folder(ada: Browser, vospace: VOSpaceService, accounts: AccountsService) -> str:
    ada.get("/files")
    who = Principal(person=accounts.person_named("ada"))
    vospace.make_container(who, "/home/ada/run")
    vospace.put_bytes(who, "/home/ada/run/<b>.html", [b"<script>alert(1)</script>"])
    vospace.put_bytes(who, "/home/ada/secret", [b"secret"])
    return "/files/home/ada/run"


def link(page: str) -> str:
    return re.findall(r"http://localhost:8080(/s/[0-9a-f]{32}\.[0-9a-f]{32})", page)[0]


def test_a_file_is_fetched_by_a_link_and_only_to_be_saved(
    ada: Browser, folder: str, guest: TestClient
) -> None:
    there = link(ada.post(f"{folder}/%3Cb%3E.html", {"action": "link", "days": "7"}))
    page = guest.get(there)
    assert page.status_code == 200
    assert "Ada" not in page.text
    assert "&lt;b&gt;.html" in page.text
    reply = guest.get(f"{there}?download=1")
    assert reply.content == b"<script>alert(1)</script>"
    assert reply.headers["content-type"] == "application/octet-stream"
    assert reply.headers["content-disposition"].startswith("attachment")
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["content-security-policy"] == "sandbox"
    assert reply.headers["referrer-policy"] == "no-referrer"
    rest = guest.get(f"{there}?download=1", headers={"range": "bytes=8-"})
    assert (rest.status_code, rest.content) == (206, b"alert(1)</script>")
    assert rest.headers["content-range"] == "bytes 8-24/25"
    assert guest.get(f"{there}?download=1", headers={"range": "bytes=25-"}).status_code == 416
    assert '<td class="number">1</td>' in ada.get("/shares")


def test_a_folder_shows_what_is_in_it_and_nothing_beside(
    ada: Browser, folder: str, guest: TestClient
) -> None:
    there = link(ada.post(folder, {"action": "link", "days": "7", "lists": "yes"}))
    page = guest.get(there).text
    assert f'href="{there}/%3Cb%3E.html"' in page
    assert guest.get(f"{there}/%3Cb%3E.html").headers["content-disposition"].startswith("attachment")
    for below in ("/..", "/%2e%2e/secret", "/../secret", "/nothing", "/%00"):
        assert guest.get(f"{there}{below}").status_code in (400, 404)
    with zipfile.ZipFile(io.BytesIO(guest.get(f"{there}?download=1").content)) as archive:
        assert "run/<b>.html" in archive.namelist()


def test_the_zip_of_a_shared_folder_follows_no_links_out_of_it(
    ada: Browser, folder: str, guest: TestClient, vospace: VOSpaceService, accounts: AccountsService
) -> None:
    who = Principal(person=accounts.person_named("ada"))
    authority = vospace.authorities[0].replace("/", "~")
    vospace.make_link(who, "/home/ada/run/out", f"vos://{authority}/home/ada/secret")
    own = ada.client.post(folder, data={"csrf": ada.token(), "action": "zip"})
    with zipfile.ZipFile(io.BytesIO(own.content)) as archive:
        assert archive.read("run/out") == b"secret"
    there = link(ada.post(folder, {"action": "link", "days": "7", "lists": "yes"}))
    with zipfile.ZipFile(io.BytesIO(guest.get(f"{there}?download=1").content)) as archive:
        assert archive.namelist() == ["run/", "run/<b>.html"]


def test_a_link_may_show_nothing_but_a_download(ada: Browser, folder: str, guest: TestClient) -> None:
    there = link(ada.post(folder, {"action": "link", "days": "1", "lists": "no"}))
    assert "html" not in guest.get(there).text.partition("<main")[2].partition("</main>")[0]
    assert guest.get(f"{there}/%3Cb%3E.html").status_code == 404
    assert guest.get(f"{there}?download=1").status_code == 200


def test_revoked_used_up_and_guessed_links_are_the_same_nothing(
    ada: Browser, folder: str, guest: TestClient
) -> None:
    once = link(ada.post(folder, {"action": "link", "days": "7", "most": "1"}))
    assert guest.get(f"{once}?download=1").status_code == 200
    gone = link(ada.post(folder, {"action": "link", "days": "7"}))
    page = ada.post(f"/shares/{gone[3:35]}")
    assert "revoked" in page
    answers = [
        guest.get(path) for path in (once, gone, "/s/0", f"{gone[:-1]}0", "/s/" + "0" * 32 + "." + "0" * 32)
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert all("nothing at this address" in answer.text for answer in answers)


def test_somebody_elses_link_is_not_revoked_and_their_files_not_shared(
    ada: Browser, folder: str, guest: TestClient, accounts: AccountsService
) -> None:
    there = link(ada.post(folder, {"action": "link", "days": "7"}))
    accounts.create_person(user_name="eve", password=PASSWORD)
    ada.post("/sign-out")
    ada.sign_in("eve")
    ada.post(f"/shares/{there[3:35]}", status=404)
    ada.post(folder, {"action": "link", "days": "7"}, status=403)
    assert guest.get(there).status_code == 200
    page = ada.get("/shares")
    assert "You have shared nothing by a link." in page
    assert "You have shared nothing with a project or a group." in page


@pytest.mark.parametrize(
    "fields",
    [
        {"days": "0"},
        {"days": "9999"},
        {"days": "x"},
        {"days": "7", "most": "-1"},
        {"days": "7", "most": "999999999"},
    ],
)
def test_links_that_make_no_sense_are_refused(ada: Browser, folder: str, fields: dict[str, str]) -> None:
    ada.post(folder, {"action": "link", **fields}, status=400)
