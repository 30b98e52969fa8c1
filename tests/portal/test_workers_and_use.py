from __future__ import annotations

import csv
import io

from batch_desk import BatchDesk
from portal_visitor import ALLOCATION, PASSWORD, Browser

from armillary.accounts.model import Project, Role
from armillary.accounts.service import AccountsService
from armillary.fleet.fake import FakeCloud


def work(ada: Browser, clouds: list[FakeCloud], project: Project, desk: BatchDesk) -> None:
    image = str(clouds[0].images(project)[0].sha512)
    form = {"way": "form", "image": image, "flavor": "c2-2gb-10", "executable": "/bin/true", "there": "1"}
    ada.post("/jobs/submit", {**form, "count": "2"})
    desk.do_job()
    desk.do_job(exit_code=1)


def test_workers_are_shown_with_the_load_of_their_clouds(
    ada: Browser, clouds: list[FakeCloud], project: Project, desk: BatchDesk
) -> None:
    assert "No worker runs now." in ada.get("/workers")
    work(ada, clouds, project, desk)
    page = ada.get("/workers")
    assert "0 of 4 cores busy" in page  # two workers with two cores, whose jobs are over
    assert "w-" in page
    assert "Load over time" in page
    assert "armillary workers" in page


def test_the_load_is_kept_as_a_series_by_cloud_for_those_who_may_see_it(
    ada: Browser, clouds: list[FakeCloud], project: Project, desk: BatchDesk, accounts: AccountsService
) -> None:
    work(ada, clouds, project, desk)
    assert ada.client.get("/workers/load").json() == {"times": [], "clouds": {}}
    desk.board.load.tick()
    desk.board.load.tick()  # in the same minute: kept once
    told = ada.client.get("/workers/load?hours=1").json()
    assert len(told["times"]) == 1
    assert told["clouds"]["east"] == {"workers": [2.0], "cores": [4.0], "busy": [0.0], "jobs": [0.0]}
    eve = accounts.create_person(user_name="eve", password=PASSWORD)
    theirs = accounts.create_project("others", "", ALLOCATION)
    accounts.set_role(theirs.id, eve.id, Role.ADMIN)
    ada.post("/sign-out")
    ada.sign_in("eve")
    assert ada.client.get("/workers/load?hours=1").json() == {"times": [], "clouds": {}}
    assert "east" not in ada.get("/workers")


def test_what_was_used_is_shown_and_comes_as_csv(
    ada: Browser, clouds: list[FakeCloud], project: Project, desk: BatchDesk
) -> None:
    assert "Nothing has been used yet." in ada.get("/jobs/usage")
    work(ada, clouds, project, desk)
    page = ada.get("/jobs/usage?by=owner&by=cloud&since=2026-01-01")
    assert "<td>ada</td><td>east</td>" in page
    assert "exit_code: 1" in page
    assert "armillary usage --by owner --by cloud --since 2026-01-01" in page
    reply = ada.client.get("/jobs/usage.csv?by=owner&by=cloud")
    assert "attachment" in reply.headers["content-disposition"]
    [head, line] = csv.reader(io.StringIO(reply.text))
    assert head[:4] == ["owner", "cloud", "jobs", "failed"]
    assert line[:4] == ["ada", "east", "2", "1"]
    ada.get("/jobs/usage?since=yesterday", status=400)
