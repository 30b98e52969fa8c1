from __future__ import annotations

import hashlib

import pytest
from batch_desk import BatchDesk
from portal_visitor import ALLOCATION, PASSWORD, Browser

from armillary.accounts.model import Project, Role
from armillary.accounts.service import AccountsService
from armillary.base.ids import ClusterId
from armillary.batch.model import JobId
from armillary.fleet.fake import FakeCloud

SUBMIT = """\
executable = count.sh
arguments = field-$(Process)
output = $(Process).out
transfer_input_files = data/field.fits
request_memory = 512M
queue 2
"""
FILES = [("files", ("count.sh", b"#!/bin/sh\nwc -c field.fits\n")), ("files", ("field.fits", b"SIMPLE  ="))]


def submit(
    ada: Browser, clouds: list[FakeCloud], project: Project, text: str = SUBMIT, status: int = 200
) -> str:
    image = clouds[0].images(project)[0]
    form = {"image": str(image.sha512), "flavor": "c2-2gb-10", "submit_text": text}
    return ada.post("/jobs/submit", form, files=FILES, status=status)


def test_jobs_are_queued_with_their_files_from_the_form(
    ada: Browser, clouds: list[FakeCloud], project: Project, desk: BatchDesk
) -> None:
    page = submit(ada, clouds, project)
    assert "The jobs are queued." in page
    assert "2 waiting" in page
    job = ada.get("/jobs/1/0")
    assert "count.sh field-0" in job
    assert "placement comes in a moment" in job
    assert not desk.spool.missing([hashlib.sha256(FILES[0][1][1]).hexdigest()])
    assert "debian-12" in ada.get("/jobs")


def test_a_file_that_was_not_uploaded_is_named(
    ada: Browser, clouds: list[FakeCloud], project: Project
) -> None:
    image = clouds[0].images(project)[0]
    form = {"image": str(image.sha512), "flavor": "c2-2gb-10", "submit_text": SUBMIT}
    page = ada.post("/jobs/submit", form, files=FILES[:1], status=400)
    assert "The submit file names data/field.fits, which was not uploaded." in page
    assert "queue 2" in page


def test_a_form_that_is_sent_twice_queues_once(
    ada: Browser, clouds: list[FakeCloud], project: Project
) -> None:
    image = clouds[0].images(project)[0]
    form = {"image": str(image.sha512), "flavor": "c2-2gb-10", "submit_text": SUBMIT, "key": "same"}
    for _ in range(2):
        ada.post("/jobs/submit", form, files=FILES)
    ada.get("/jobs/2", status=404)


@pytest.mark.parametrize(
    "line",
    [
        "include : /etc/passwd",
        "include command : id",
        "@include : x",
        "use template : x",
        "getenv = True",
        "environment = SECRET=$ENV(HOME)",
        "arguments = $(undefined_macro)",
        "arguments = $$(Memory)",
        "arguments = $EVAL(1)",
        "queue name from id |",
        "queue name from /etc/passwd",
        "queue name matching *.fits",
        "queue name matching files (*)",
        "x @=end",
        "if true",
        "docker_image = x",
        "grid_resource = batch x",
    ],
)
def test_a_submit_file_that_would_run_or_read_something_here_is_refused(
    ada: Browser, clouds: list[FakeCloud], project: Project, line: str
) -> None:
    page = submit(ada, clouds, project, f"executable = count.sh\n{line}\nqueue\n", status=400)
    assert "Line 2 of the submit file" in page


def test_a_job_is_held_released_and_removed(ada: Browser, clouds: list[FakeCloud], project: Project) -> None:
    submit(ada, clouds, project)
    assert "It was held" in ada.post("/jobs/1/0/hold")
    assert "placement" in ada.post("/jobs/1/0/release")
    assert "2 removed" in ada.post("/jobs/1/remove")
    ada.post("/jobs/1/0/explode", status=404)


def test_a_log_is_escaped_and_only_its_end_is_shown(
    ada: Browser, clouds: list[FakeCloud], project: Project, desk: BatchDesk
) -> None:
    submit(ada, clouds, project)
    desk.do_job(output=b"x" * 100_000 + b"<script>alert(1)</script>")
    page = ada.get("/jobs/1/0/log/stdout")
    assert "&lt;script&gt;" in page
    assert "Only the end is shown." in page
    assert len(page) < 80_000
    ada.get("/jobs/1/0/log/passwd", status=404)


def test_a_finished_job_shows_where_it_ran_and_gives_its_outputs(
    ada: Browser, clouds: list[FakeCloud], project: Project, desk: BatchDesk
) -> None:
    submit(ada, clouds, project)
    desk.do_job(output=b"done\n", files={"field.cat": b"1 2 3\n"})
    page = ada.get("/jobs/1/0")
    assert "completed" in page
    assert "east" in page
    reply = ada.client.get("/jobs/1/0/outputs/field.cat")
    assert reply.content == b"1 2 3\n"
    assert reply.headers["content-disposition"].startswith("attachment")
    assert "east" in ada.get("/workers")


def test_jobs_of_a_foreign_project_do_not_exist(
    ada: Browser, clouds: list[FakeCloud], project: Project, accounts: AccountsService, desk: BatchDesk
) -> None:
    submit(ada, clouds, project)
    eve = accounts.create_person(user_name="eve", password=PASSWORD)
    theirs = accounts.create_project("others", "", ALLOCATION)
    accounts.set_role(theirs.id, eve.id, Role.ADMIN)
    ada.post("/sign-out")
    ada.sign_in("eve")
    ada.get("/jobs/1", status=404)
    ada.get("/jobs/1/0", status=404)
    ada.get("/jobs/1/0/log/stdout", status=404)
    ada.post("/jobs/1/remove", status=404)
    admin = accounts.principal(accounts.person_named("admin").id)
    assert desk.service.job(admin, JobId(ClusterId(1), 0)).view.state == "idle"
