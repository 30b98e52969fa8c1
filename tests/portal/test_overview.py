"""The overview: how full it is, what runs, what needs somebody; one look says it all."""

from __future__ import annotations

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


def test_a_cloud_that_is_away_hides_nothing_else(ada: Browser, clouds: list[FakeCloud]) -> None:
    clouds[1].silent = True
    page = ada.get("/")
    assert "cores on cloud east" in page
    assert "cores on cloud west" not in page
    assert "does not answer" in page
