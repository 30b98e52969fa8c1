"""The overview: how full it is, what runs, what needs somebody; one look says it all."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from batch_desk import BatchDesk
from portal_visitor import Browser

from armillary.accounts.model import Project
from armillary.fleet.fake import FakeCloud
from armillary.fleet.service import FleetService

SUBMIT = "executable = count.sh\noutput = out.txt\nqueue 2\n"


def test_a_new_project_sees_its_bars_and_where_to_ask_for_more(ada: Browser, project: Project) -> None:
    page = ada.get("/")
    for bar in (
        "cores on cloud east",
        "RAM on cloud west",
        "batch cores",
        "core-hours of this month",
        "storage",
    ):
        assert bar in page
    assert "0 / 100" in page, "the budget of core-hours"
    assert "Nothing runs." in page
    assert "To do" not in page
    assert "they last." in page
    assert page.count("Ask for more") == 8


def test_what_runs_and_what_failed_is_there(
    ada: Browser, project: Project, fleet: FleetService, clouds: list[FakeCloud], desk: BatchDesk
) -> None:
    image = fleet.find_image(project, "debian-12")
    for name in ("works", "broken"):
        fleet.create_server("east", project, name=name, image_id=image.id, flavor="c1-1gb-5")
    [bad] = [server for server in clouds[0].servers(project) if server.name == "broken"]
    clouds[0].set_status(bad.id, "ERROR")
    ada.post(
        "/jobs/submit",
        {"image": str(image.sha512), "flavor": "c2-2gb-10", "submit_text": SUBMIT},
        files=[("files", ("count.sh", b"#!/bin/sh\n"))],
    )
    desk.do_job(output=b"")
    page = ada.get("/")
    todo, running = page.split("What runs now")[0], page.split("What runs now")[1]
    assert "broken" in todo
    assert "works" in running
    assert "broken" not in running
    assert 'href="/jobs/1"' in running


def test_failed_jobs_are_to_be_done_by_their_causes_and_lead_to_another_run(
    ada: Browser, project: Project, fleet: FleetService, desk: BatchDesk
) -> None:
    image = fleet.find_image(project, "debian-12")
    ada.post(
        "/jobs/submit",
        {
            "image": str(image.sha512),
            "flavor": "c2-2gb-10",
            "submit_text": SUBMIT.replace("queue 2", "queue 4"),
        },
        files=[("files", ("count.sh", b"#!/bin/sh\n"))],
    )
    for exit_code in (3, 3, 4, 0):
        desk.do_job(exit_code=exit_code)
    todo = ada.get("/").split("What runs now")[0].partition("To do")[2]
    assert "2 jobs: Ended with exit code 3" in todo
    assert "1 job: Ended with exit code 4" in todo
    assert 'href="/jobs/1#causes"' in todo
    for exit_code in ("3", "4"):
        ada.post("/jobs/1/retry", {"state": "failed", "exit_code": exit_code})
    assert "To do" not in ada.get("/")


def test_a_machine_is_shown_with_since_when_and_until_when_it_runs(ada: Browser) -> None:
    ada.post("/machines/launch", {"image": "debian-12", "flavor": "c1-1gb-5", "name": "first", "days": "30"})
    running = ada.get("/").partition("What runs now")[2]
    row = running.partition(">first</a>")[2].partition("</tr>")[0]
    since, until = (datetime.fromisoformat(moment) for moment in re.findall(r'<time datetime="([^"]+)"', row))
    assert abs(datetime.now(UTC) - since) < timedelta(minutes=10)
    assert abs(until - since - timedelta(days=30)) < timedelta(minutes=10)


def test_a_cloud_that_is_away_hides_nothing_else(ada: Browser, clouds: list[FakeCloud]) -> None:
    clouds[1].silent = True
    page = ada.get("/")
    assert "cores on cloud east" in page
    assert "cores on cloud west" not in page
    assert "does not answer" in page


def test_jobs_that_a_person_holds_are_nothing_to_do(
    ada: Browser, project: Project, fleet: FleetService, desk: BatchDesk
) -> None:
    image = fleet.find_image(project, "debian-12")
    form = {"image": str(image.sha512), "flavor": "c2-2gb-10"}
    files = [("files", ("count.sh", b"#!/bin/sh\n"))]
    ada.post("/jobs/submit", {**form, "submit_text": "hold = true\n" + SUBMIT}, files=files)
    ada.post("/jobs/submit", {**form, "submit_text": SUBMIT}, files=files)
    ada.post("/jobs/2/hold", {})
    assert "Submitted on hold" in ada.get("/jobs/1")
    assert "Held by a person" in ada.get("/jobs/2")
    assert "To do" not in ada.get("/")
