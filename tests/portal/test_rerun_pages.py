"""The pages where jobs are run again, and what they made is compared."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from astropy.io import fits
from batch_desk import BatchDesk
from portal_visitor import Browser

from armillary.accounts.model import Project
from armillary.base.clock import SystemClock
from armillary.crates.runs import GOOD
from armillary.fleet.fake import FakeCloud
from armillary.portal.chores import Chores
from armillary.portal.pages.rerunning import Compared

FILES = [("files", ("count.sh", b"#!/bin/sh\n"))]


@pytest.fixture
def over(ada: Browser, clouds: list[FakeCloud], project: Project, desk: BatchDesk) -> Browser:
    """Ada, whose job has made a table."""
    image = str(clouds[0].images(project)[0].sha512)
    submit = "executable = count.sh\nqueue\n"
    ada.post("/jobs/submit", {"image": image, "flavor": "c2-2gb-10", "submit_text": submit}, files=FILES)
    desk.do_job(files={"m51.csv": b"x,y\n1.0,2.0\n", "log": b"fine\n"})
    return ada


def test_a_submit_is_run_again_from_its_page_and_compared_when_it_is_over(
    over: Browser, desk: BatchDesk
) -> None:
    assert 'href="/rerun/1"' in over.get("/jobs/1")
    page = over.get("/rerun/1?on=east")
    assert "<option selected>east</option>" in page
    assert "armillary rerun 1 --on east" in page
    page = over.post("/rerun/1", {"on": "east", "of": "galaxies", "key": "once"})
    assert "They are compared when all jobs are over." in page
    assert 'hx-trigger="every 3s"' in page
    again = over.post("/rerun/1", {"on": "east", "of": "galaxies", "key": "once"})
    assert "Submit 2" in again, "asked twice, queued once"
    desk.do_job(files={"m51.csv": b"x,y\n1.0,2.000001\n", "log": b"fine\n"})
    page = over.get("/compare?first=1&second=2")
    assert "1 result differs." in page
    assert "armillary compare 1 2" in page
    assert "2.000001" in page
    page = over.get("/compare?first=1&second=2&rtol=1e-5")
    assert "Every result is the same." in page
    assert "alike, within the tolerance (1)" in page


def test_what_no_record_has_since_it_is_secret_is_said_before_the_click(
    ada: Browser, clouds: list[FakeCloud], project: Project, desk: BatchDesk
) -> None:
    image = str(clouds[0].images(project)[0].sha512)
    submit = 'executable = count.sh\nenvironment = "API_TOKEN=abc123secret"\nqueue\n'
    ada.post("/jobs/submit", {"image": image, "flavor": "c2-2gb-10", "submit_text": submit}, files=FILES)
    desk.do_job(files={"log": b"fine"})
    page = ada.get("/rerun/1")
    assert "the jobs run without these variables: API_TOKEN" in page
    assert "abc123secret" not in page


def test_one_job_is_run_again(over: Browser, desk: BatchDesk) -> None:
    page = over.post("/rerun/1.0", {"on": "", "of": "", "key": "one"})
    assert 'value="2.0"' in page
    desk.do_job(files={"m51.csv": b"x,y\n1.0,2.0\n", "log": b"fine\n"})
    assert "Every result is the same." in over.get("/compare?first=1.0&second=2.0")


def test_fits_files_are_compared_by_what_they_hold_in_a_process_of_its_own(
    ada: Browser, clouds: list[FakeCloud], project: Project, desk: BatchDesk
) -> None:
    def picture(value: float) -> bytes:
        file = BytesIO()
        fits.PrimaryHDU(np.full((4, 4), value)).writeto(file)
        return file.getvalue()

    image = str(clouds[0].images(project)[0].sha512)
    submit = {"image": image, "flavor": "c2-2gb-10", "submit_text": "executable = count.sh\nqueue\n"}
    for value in (1.0, 1.5):
        ada.post("/jobs/submit", submit, files=FILES)
        desk.do_job(files={"m51.fits": picture(value)})
    page = ada.get("/compare?first=1&second=2")
    assert "Data contains differences" in page
    assert "FITS" in page


def test_what_cannot_be_run_again_is_said_before_the_click(
    over: Browser, clouds: list[FakeCloud], project: Project
) -> None:
    clouds[0].delete(project, clouds[0].images(project)[0].id)
    page = over.get("/rerun/1")
    assert "There is no such image." in page
    assert "<button>Run again</button>" not in page
    assert "There is no such image." in over.post("/rerun/1", {"on": "", "of": "", "key": ""})


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("first=x&second=1", "x"),
        ("first=1&second=1&rtol=-1", "Correct the marked fields."),
        ("first=1&second=1&rtol=nan", "Correct the marked fields."),
        ("first=import-9&second=1", "There is no import 9."),
    ],
)
def test_what_cannot_be_compared_is_said_beside_the_form(over: Browser, query: str, told: str) -> None:
    page = over.get(f"/compare?{query}")
    assert 'class="problem"' in page
    assert told in page


def test_what_was_kept_does_not_count_as_different() -> None:
    found = Compared()
    found.counts.update(dict.fromkeys(GOOD, 2) | {"missing": 1})
    assert "kept" in GOOD
    assert (found.good, found.bad) == (2 * len(GOOD), 1)


def test_an_empty_page_asks_for_two_runs(over: Browser) -> None:
    page = over.get("/compare")
    assert 'name="second"' in page
    assert 'class="problem"' not in page


class TestSlowly:
    @pytest.fixture
    def chores(self, clock: SystemClock) -> Chores:
        """Work that never begins."""
        return Chores(clock=clock, run=lambda _work: None, soon=0)

    def test_a_page_that_waits_says_so_and_looks_again(self, over: Browser) -> None:
        for address in ("/rerun/1", "/jobs/1/keep", "/compare?first=1&second=1"):
            page = over.get(address)
            assert "<progress" in page
            assert "Look again" in page
            assert 'hx-select="#chore"' in page
