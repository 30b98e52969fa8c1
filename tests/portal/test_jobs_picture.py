from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batch_desk import BatchDesk
from portal_visitor import ALLOCATION, PASSWORD, Browser

from armillary.accounts.model import Project, Role
from armillary.accounts.service import AccountsService
from armillary.base.ids import ClusterId
from armillary.batch.core.picture import bins, run_lengths
from armillary.batch.looking import JobFilter
from armillary.fleet.fake import FakeCloud


def queue(ada: Browser, clouds: list[FakeCloud], project: Project, jobs: int = 6) -> None:
    form = {
        "way": "form",
        "image": str(clouds[0].images(project)[0].sha512),
        "flavor": "c2-2gb-10",
        "executable": "/bin/echo",
        "there": "1",
        "arguments": "field-$(Process)",
        "memory": "1G",
        "count": str(jobs),
    }
    ada.post("/jobs/submit", form)


def picture(ada: Browser, query: str = "") -> Mapping[str, Any]:
    reply = ada.client.get(f"/jobs/1/picture?{query}")
    assert reply.status_code == 200, reply.text
    return reply.json()


def fail(desk: BatchDesk, exit_code: int) -> None:
    desk.do_job(exit_code=exit_code)


def too_much_memory(desk: BatchDesk) -> None:
    desk.do_job(fault=("memory_exceeded", "used 1740.8 MiB of 1024 MiB of memory"))


def test_neighbours_in_the_same_state_are_told_together() -> None:
    assert run_lengths([(0, "d"), (1, "d"), (2, "f"), (5, "i")]) == "d2f1.2i1"
    assert run_lengths([]) == ""
    assert bins([(0, "d", 98), (0, "f", 2), (1, "i", 100)]) == {0: "d98f2", 1: "i100"}


def test_the_picture_has_a_cell_for_each_job_and_then_only_what_changed(
    ada: Browser, clouds: list[FakeCloud], project: Project, desk: BatchDesk
) -> None:
    queue(ada, clouds, project)
    whole = picture(ada)
    assert (whole["whole"], whole["cells"], whole["jobs"], whole["width"]) == (True, "i6", 6, 1)
    assert picture(ada, f"since={whole['seq']}")["changes"] == {}
    fail(desk, 3)
    ada.post("/jobs/1/5/hold")
    changed = picture(ada, f"since={whole['seq']}")
    assert (changed["whole"], changed["changes"]) == (False, {"0": "f", "5": "h"})
    assert picture(ada, f"since={changed['seq']}")["changes"] == {}


def test_a_picture_of_very_many_jobs_has_cells_of_several(
    ada: Browser, clouds: list[FakeCloud], project: Project, desk: BatchDesk, accounts: AccountsService
) -> None:
    queue(ada, clouds, project, jobs=8)
    who, all_jobs = accounts.principal(accounts.person_named("ada").id), JobFilter(cluster=ClusterId(1))
    whole = desk.small_board.picture(who, all_jobs)
    assert (whole.width, whole.changes) == (3, {0: "i3", 1: "i3", 2: "i2"})
    fail(desk, 3)
    assert desk.small_board.picture(who, all_jobs, since=whole.seq).changes == {0: "f1i2"}


def test_the_filter_of_the_address_leaves_jobs_out_of_the_picture_and_of_the_list(
    ada: Browser, clouds: list[FakeCloud], project: Project, desk: BatchDesk
) -> None:
    queue(ada, clouds, project)
    fail(desk, 3)
    desk.do_job()
    assert picture(ada)["cells"] == "f1d1i4"
    assert picture(ada, "state=failed")["cells"] == "f1-5"
    assert picture(ada, "exit_code=3")["cells"] == "f1-5"
    assert picture(ada, "cloud=east")["cells"] == "f1d1-4"
    assert picture(ada, "cloud=west")["cells"] == "-6"
    assert picture(ada, "worker=w-")["cells"] == "f1d1-4"
    assert picture(ada, "text=FIELD-3")["cells"] == "-3i1-2"
    assert picture(ada, "text=bin/ECHO")["cells"] == "f1d1i4"  # what all of them say alike
    assert picture(ada, "text=%25")["cells"] == "-6"
    page = ada.get("/jobs/1?state=failed")
    assert 'id="job-1-0"' in page
    assert 'id="job-1-1"' not in page
    assert "No job is like this." in ada.get("/jobs/1?text=nothing")
    ada.get("/jobs/1?state=sleepy", status=400)
    ada.get("/jobs/1?exit_code=three", status=400)


def test_failures_are_grouped_by_cause_and_each_group_is_run_again_at_a_click(
    ada: Browser, clouds: list[FakeCloud], project: Project, desk: BatchDesk
) -> None:
    queue(ada, clouds, project)
    fail(desk, 3)
    fail(desk, 3)
    fail(desk, 4)
    too_much_memory(desk)
    page = ada.get("/jobs/1")
    assert "2 jobs: Ended with exit code 3" in page
    assert "Retry these 2" in page
    assert "1 job: More memory than asked for" in page
    assert "used 1740.8 MiB of 1024 MiB of memory" in page
    assert "asked for 1 GiB and had 1.7 GiB when they were stopped: ask for 2.2 GiB" in page
    assert "armillary retry 1 --failed --exit-code 3" in page
    assert "armillary release 1 --state held --hold-code memory_exceeded --memory 2304" in page
    assert "Release with 2.2 GiB" in page
    ada.post("/jobs/1/retry", {"state": "failed", "exit_code": "3"})
    assert picture(ada)["cells"] == "i2f1h1i2"
    held = {"state": "held", "hold_code": "memory_exceeded"}
    assert "more than the workers of these jobs have: 2048 MiB" in ada.post(
        "/jobs/1/release", {**held, "memory_mib": "2304"}, status=400
    )
    ada.post("/jobs/1/release", {**held, "memory_mib": "2000"})
    assert picture(ada)["cells"] == "i2f1i3"
    [demand] = desk.queue.demand()
    assert {shape.resources.memory_mib: shape.jobs for shape in demand.shapes} == {1024: 4, 2000: 1}


def test_causes_are_those_of_the_submit_that_is_looked_at(
    ada: Browser, clouds: list[FakeCloud], project: Project, desk: BatchDesk
) -> None:
    queue(ada, clouds, project, jobs=2)
    queue(ada, clouds, project, jobs=2)
    fail(desk, 3)
    ada.post("/jobs/1/1/hold")
    assert "1 job: Ended with exit code 3" in ada.get("/jobs/1")
    assert "Ended with exit code" not in ada.get("/jobs/2")
    assert "1 job: " not in ada.get("/jobs/2/causes")


def test_what_a_worker_says_of_a_failure_is_escaped(
    ada: Browser, clouds: list[FakeCloud], project: Project, desk: BatchDesk
) -> None:
    queue(ada, clouds, project)
    desk.do_job(fault=("<b>", "<script>alert(1)</script>"))
    page = ada.get("/jobs/1")
    assert "&lt;script&gt;" in page
    assert "<script>alert" not in page
    assert "<b>" not in page


def test_jobs_are_ranked_held_and_removed_together(
    ada: Browser, clouds: list[FakeCloud], project: Project, desk: BatchDesk
) -> None:
    queue(ada, clouds, project)
    desk.do_job()
    ada.post("/jobs/1/priority", {"priority": "7"})
    assert "<dd>7</dd>" in ada.get("/jobs/1/3")
    ada.post("/jobs/1/priority", {"priority": "high"}, status=400)
    ada.post("/jobs/1/hold", {"state": "idle"})
    assert picture(ada)["cells"] == "d1h5"
    ada.post("/jobs/1/remove", {"state": "held"})
    assert picture(ada)["cells"] == "d1x5"


def test_submits_have_pages_and_filters(
    ada: Browser, clouds: list[FakeCloud], project: Project, desk: BatchDesk
) -> None:
    for _ in range(52):
        queue(ada, clouds, project, jobs=1)
    page = ada.get("/jobs")
    assert 'id="submit-52"' in page
    assert 'id="submit-2"' not in page
    assert "/jobs?before=3" in page
    assert 'id="submit-2"' in ada.get("/jobs?before=3")
    ada.post("/jobs/7/hold")
    held = ada.get("/jobs?state=held")
    assert 'id="submit-7"' in held
    assert 'id="submit-8"' not in held
    assert "No submit is like this." in ada.get("/jobs?owner=nobody")
    assert 'id="submit-7"' in ada.get("/jobs?owner=ada&of=galaxies&image=debian-12&state=unfinished&before=9")
    ada.get("/jobs?state=sleepy", status=400)


def test_a_submit_that_moves_says_when_it_will_be_over(
    ada: Browser, clouds: list[FakeCloud], project: Project, desk: BatchDesk
) -> None:
    queue(ada, clouds, project)
    assert "at this pace" not in ada.get("/jobs/1")
    desk.do_job()
    desk.do_job()
    assert "2 of 6 jobs are over" in ada.get("/jobs/1/standing")
    assert "at this pace all are over at" in ada.get("/jobs/1/standing")


def test_nothing_of_a_foreign_submit_is_shown(
    ada: Browser, clouds: list[FakeCloud], project: Project, accounts: AccountsService
) -> None:
    queue(ada, clouds, project)
    eve = accounts.create_person(user_name="eve", password=PASSWORD)
    theirs = accounts.create_project("others", "", ALLOCATION)
    accounts.set_role(theirs.id, eve.id, Role.ADMIN)
    ada.post("/sign-out")
    ada.sign_in("eve")
    for path in ("picture", "standing", "causes", "table", "file", "again"):
        ada.get(f"/jobs/1/{path}", status=404)
    assert 'id="submit-1"' not in ada.get("/jobs")
    form = {"way": "form", "again": "1", "executable": "/bin/echo", "there": "1"}
    ada.post("/jobs/submit", {**form, "image": "debian-12", "flavor": "c2-2gb-10"}, status=404)
