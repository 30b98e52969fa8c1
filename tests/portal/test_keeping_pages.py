"""The pages where a submit is kept for ever, cited, carried away, and let go."""

from __future__ import annotations

import zipfile
from io import BytesIO

import pytest
from batch_desk import BatchDesk
from portal_visitor import REGISTRATION, Browser

from armillary.accounts.model import Principal, Project
from armillary.accounts.service import AccountsService
from armillary.base.ids import ClusterId
from armillary.crates.bounds import open_bounded
from armillary.crates.verify import verify
from armillary.fleet.fake import FakeCloud
from armillary.portal.citing import citation_of
from armillary.provenance.doi import Work
from armillary.provenance.freezing import Freezes
from armillary.vospace.model import Change
from armillary.vospace.service import VOSpaceService

FILES = [("files", ("count.sh", b"#!/bin/sh\n"))]


@pytest.fixture
def queued(
    ada: Browser,
    accounts: AccountsService,
    vospace: VOSpaceService,
    clouds: list[FakeCloud],
    project: Project,
) -> Browser:
    """Ada, with a submit of two jobs."""
    image = str(clouds[0].images(project)[0].sha512)
    submit = "executable = count.sh\nqueue 2\n"
    ada.post("/jobs/submit", {"image": image, "flavor": "c2-2gb-10", "submit_text": submit}, files=FILES)
    vospace.ensure_home(accounts.person_named("ada"))
    return ada


@pytest.fixture
def over(queued: Browser, desk: BatchDesk) -> Browser:
    """Ada, when both jobs are over."""
    desk.do_job(files={"m51.cat": b"7 sources"})
    desk.do_job(files={"m51.cat": b"8 sources"})
    return queued


def test_what_keeping_would_copy_is_said_first_and_a_click_does_it(over: Browser, freezes: Freezes) -> None:
    assert 'href="/jobs/1/keep"' in over.get("/jobs/1")
    page = over.get("/jobs/1/keep?title=Sources+in+%3Cb%3EM51")
    for told in ("It will copy", "/home/ada/frozen/cluster-1", 'value="Sources in &lt;b&gt;M51"'):
        assert told in page
    assert "armillary freeze 1 --title &#39;Sources in &lt;b&gt;M51&#39;" in page
    kept = over.post("/jobs/1/keep", {"title": "Sources in <b>M51", "to": ""})
    assert "It is kept." in kept
    assert "Sources in &lt;b&gt;M51" in kept
    assert 'href="/jobs/1/unfreeze"' in kept
    found = freezes.find(ClusterId(1))
    assert found is not None
    assert (found.title, found.path) == ("Sources in <b>M51", "/home/ada/frozen/cluster-1")


def test_what_would_be_refused_is_said_before_the_click(queued: Browser, desk: BatchDesk) -> None:
    assert "Nothing is written down" in queued.get("/jobs/1/keep")
    desk.do_job()
    page = queued.get("/jobs/1/keep?to=vos:me")
    assert "1 of 2 jobs are over and recorded." in page
    assert "/home/ada exists already." in page
    assert "formmethod" not in page, "there is no button that does it"
    assert "1 of 2 jobs are over and recorded." in queued.post("/jobs/1/keep", {"to": ""})


def test_a_full_home_is_said_before_the_click(
    over: Browser, accounts: AccountsService, vospace: VOSpaceService
) -> None:
    admin = Principal(person=accounts.person_named("admin"))
    vospace.set_properties(admin, "/home/ada", Change(quota=100))
    page = over.get("/jobs/1/keep")
    assert "100 B are left in the home" in page
    assert "formmethod" not in page


def test_the_machine_image_is_kept_along_when_that_is_ticked(
    over: Browser, vospace: VOSpaceService, accounts: AccountsService
) -> None:
    assert "armillary freeze 1 --with-image" in over.get("/jobs/1/keep?image=1")
    assert "in the folder" in over.post("/jobs/1/keep", {"image": "1"})
    ada = Principal(person=accounts.person_named("ada"))
    found = {node.name for node in vospace.children(ada, "/home/ada/frozen/cluster-1/image")}
    assert "image.json" in found
    assert any(name.startswith("disk.") for name in found)


def test_its_owner_lets_it_go_after_a_warning(over: Browser, freezes: Freezes) -> None:
    over.post("/jobs/1/keep", {})
    assert "Nothing is deleted now." in over.get("/jobs/1/unfreeze")
    assert "It is kept no more; nothing was deleted." in over.post("/jobs/1/unfreeze")
    assert freezes.find(ClusterId(1)) is None
    assert "/home/ada/frozen/cluster-1 exists already." in over.get("/jobs/1/keep")


def test_who_did_not_keep_it_is_offered_nothing_and_refused(over: Browser, outsider: str) -> None:
    over.post("/jobs/1/keep", {})
    over.client.cookies.clear()
    eve = Browser(over.client).sign_in(outsider)
    for page in ("/jobs/1/keep", "/jobs/1/unfreeze", "/jobs/1/crate.zip", "/rerun/1"):
        eve.get(page, status=404)
    eve.post("/jobs/1/keep", {}, status=404)
    eve.post("/jobs/1/unfreeze", {}, status=403)
    eve.post("/jobs/1/cite", {}, status=403)


def test_without_a_registry_there_is_no_doi_and_the_page_is_cited(over: Browser) -> None:
    over.post("/jobs/1/keep", {"title": "Sources in M51"})
    assert "This platform gives no DOIs." in over.get("/jobs/1/keep")
    over.post("/jobs/1/cite", {}, status=404)
    page = over.get("/frozen/1")
    assert f"{REGISTRATION['full_name']} (20" in page
    assert "Sources in M51 [RO-Crate]. galaxies. http://localhost/frozen/1" in page
    assert "@misc{Lovelace20" in page


class Registry:
    """Implements `Registrar` in a list."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def draft(self, work: Work) -> str:
        assert work.title
        self.known["10.5072/a1b2"] = "draft"
        return "10.5072/a1b2"

    def publish(self, doi: str, work: Work) -> None:
        assert work.url.endswith("/frozen/1")
        self.known[doi] = "findable"

    def discard(self, doi: str) -> None:
        del self.known[doi]


class TestWithARegistryOfDois:
    @pytest.fixture
    def registrar(self) -> Registry:
        return Registry()

    def test_a_doi_is_reserved_and_made_public_once_the_folder_is(
        self, over: Browser, registrar: Registry, vospace: VOSpaceService, accounts: AccountsService
    ) -> None:
        assert "Reserve a DOI (draft)" in over.post("/jobs/1/keep", {"title": "Sources in M51"})
        page = over.post("/jobs/1/cite")
        assert "10.5072/a1b2 · a draft" in page
        assert "Make the DOI public" not in page, "its folder is private"
        assert "is not open to everybody." in over.post("/jobs/1/cite", {"publish": "1"}, status=409)
        ada = Principal(person=accounts.person_named("ada"))
        vospace.set_properties(ada, "/home/ada/frozen/cluster-1", Change(is_public=True))
        assert "Make the DOI public" in over.get("/jobs/1/keep")
        assert "10.5072/a1b2 · public" in over.post("/jobs/1/cite", {"publish": "1"})
        assert registrar.known == {"10.5072/a1b2": "findable"}
        page = over.get("/frozen/1")
        assert "galaxies. https://doi.org/10.5072/a1b2" in page
        assert "doi = {10.5072/a1b2}" in page
        assert "will lead to nothing" in over.get("/jobs/1/unfreeze")
        assert "It is cited as 10.5072/a1b2." in over.post("/jobs/1/unfreeze", status=409)

    def test_a_draft_goes_with_what_it_was_for(self, over: Browser, registrar: Registry) -> None:
        over.post("/jobs/1/keep")
        over.post("/jobs/1/cite")
        assert "The draft of its DOI is dropped." in over.get("/jobs/1/unfreeze")
        over.post("/jobs/1/unfreeze")
        assert registrar.known == {}


def test_a_crate_is_downloaded_whole(over: Browser) -> None:
    for address, jobs in (("/jobs/1/crate.zip", 2), ("/jobs/1/1/crate.zip", 1)):
        reply = over.client.get(address)
        assert reply.headers["content-type"] == "application/zip"
        assert "attachment" in reply.headers["content-disposition"]
        with open_bounded(BytesIO(reply.content), lambda _read: None) as shelf:
            report = verify(shelf)
        assert (report.good, len(report.crate.jobs) if report.crate else 0) == (True, jobs)
        assert zipfile.is_zipfile(BytesIO(reply.content))


def test_a_title_does_not_break_out_of_its_citation(over: Browser, freezes: Freezes) -> None:
    over.post("/jobs/1/keep", {"title": "100 % {of} \\input M51_a"})
    found = freezes.find(ClusterId(1))
    assert found is not None
    cited = citation_of(found, author="Ada & Co", project="gal_axies", page="http://localhost/frozen/1")
    assert r"title = {{100 \% \{of\} \textbackslash{}input M51\_a}}" in cited.bibtex
    assert r"author = {{Ada \& Co}}" in cited.bibtex
