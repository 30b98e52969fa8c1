"""The pages that say what made a file, and how a job came to its results."""

from __future__ import annotations

import pytest
from batch_desk import BatchDesk
from portal_visitor import Browser

from armillary.accounts.model import Project
from armillary.batch.ended import EndedCluster
from armillary.crates.record import ClusterRecord, JobRecord
from armillary.fleet.fake import FakeCloud
from armillary.provenance import clerk
from armillary.provenance.making import cluster_record

SUBMIT = "executable = count.sh\narguments = <b>m51</b>\nqueue\n"
FILES = [("files", ("count.sh", b"#!/bin/sh\n"))]


@pytest.fixture
def queued(ada: Browser, clouds: list[FakeCloud], project: Project) -> Browser:
    image = str(clouds[0].images(project)[0].sha512)
    ada.post("/jobs/submit", {"image": image, "flavor": "c2-2gb-10", "submit_text": SUBMIT}, files=FILES)
    return ada


def test_a_job_that_is_over_shows_its_record(queued: Browser, desk: BatchDesk) -> None:
    assert "/jobs/1/0/record" not in queued.get("/jobs/1/0")
    desk.do_job(files={"m51.cat": b"7 sources"})
    assert 'href="/jobs/1/0/record"' in queued.get("/jobs/1/0")
    page = queued.get("/jobs/1/0/record")
    assert "&lt;b&gt;m51&lt;/b&gt;" in page
    assert "m51.cat" in page
    assert "good" in page
    assert "armillary why 1.0" in page


def test_where_an_image_comes_from_is_said_to_be_unknown_when_no_cloud_could_say_it(
    queued: Browser, desk: BatchDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(cluster: EndedCluster, *, platform: str, **_: object) -> ClusterRecord:
        return cluster_record(cluster, platform=platform, lineage=())

    monkeypatch.setattr(clerk, "cluster_record", silent)
    desk.do_job(files={"m51.cat": b"7 sources"})
    unknown = "This is not known: no cloud that answered had the image when this was written down."
    assert unknown in queued.get("/jobs/1/0/record")
    queued.language = "fr"
    assert "On ne le sait pas : aucun nuage" in queued.get("/jobs/1/0/record")


def test_a_job_that_waits_has_a_page_that_says_so(queued: Browser) -> None:
    assert "Nothing is written down of this job yet." in queued.get("/jobs/1/0/record")


def test_a_file_says_which_job_made_its_bytes(queued: Browser, desk: BatchDesk) -> None:
    desk.do_job(files={"m51.cat": b"7 sources"})
    queued.get("/files")
    uploads = [("files", ("mine.cat", b"7 sources")), ("files", ("other.cat", b"8 sources"))]
    queued.post("/files/home/ada", {"action": "upload"}, files=uploads)
    assert 'href="/made-by/home/ada/mine.cat"' in queued.get("/files/home/ada/mine.cat?about=1")
    queued.get("/jobs/1/0/record")
    page = queued.get("/made-by/home/ada/mine.cat")
    assert "Job 1.0 made these bytes, at another place or under another name: m51.cat" in page
    assert "armillary why vos:/home/ada/mine.cat" in page
    assert "No record has these bytes" in queued.get("/made-by/home/ada/other.cat")


def test_a_job_of_which_no_record_can_be_made_says_so_to_its_owner_and_to_administrators(
    queued: Browser, desk: BatchDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(*_: object, **__: object) -> JobRecord:
        raise ValueError("a number <is> too large")

    monkeypatch.setattr(clerk, "job_record", cannot)
    desk.do_job(files={"m51.cat": b"7 sources"})
    said = "No record can be made of this job: a number &lt;is&gt; too large"
    assert said in queued.get("/jobs/1/0")
    assert said in queued.get("/jobs/1/0/record")
    queued.language = "fr"
    assert "Aucun procès-verbal ne peut être dressé de cette tâche" in queued.get("/jobs/1/0/record")
    queued.language = "en"
    queued.post("/sign-out")
    page = queued.sign_in("admin").get("/admin/records")
    assert "a number &lt;is&gt; too large" in page
    assert "<td>1.0</td>" in page
    assert "Each job that ran has its record." not in page
