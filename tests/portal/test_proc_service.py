"""CANFAR's processing web service: old scripts list, submit and remove as they did."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from astropy.io import votable
from astropy.table import Table
from batch_desk import BatchDesk
from fastapi import FastAPI
from fastapi.testclient import TestClient
from portal_visitor import PASSWORD

from armillary.accounts.api import Authenticator, install_error_handlers
from armillary.accounts.model import Allocation, Role
from armillary.accounts.service import AccountsService
from armillary.base.units import GiB, MiB
from armillary.batch.api import proc_router
from armillary.fleet.api import choose_project
from armillary.fleet.service import FleetService
from armillary.portal.posting import take_posted

SUBMIT = """\
Universe = vanilla
Executable = execFile
Arguments = $(Process) <m51>
Output = out.$(Process)
Queue 2
"""
WHERE = {"image": "vmi:debian-12", "flavor": "fli:c2-2gb-10"}
ASKED = {"job": "jobFile,param:job_sub", "exec": "execFile,param:exec_ls", **WHERE}


@pytest.fixture
def script(accounts: AccountsService, desk: BatchDesk, fleet: FleetService) -> TestClient:
    """What Vera's script talks to, with her name and password."""
    allocation = Allocation(cores=4, ram=MiB(8192), disk=GiB(50), storage=GiB(10), batch_cores=8)
    for name in ("vera", "kent"):
        person = accounts.create_person(
            user_name=name, full_name=name, email=f"{name}@example.org", institute="", password=PASSWORD
        )
        project = accounts.create_project(f"project-{name}", "", allocation)
        accounts.set_role(project.id, person.id, Role.MEMBER)
    app = FastAPI()
    install_error_handlers(app)
    app.include_router(
        proc_router(
            service=desk.service,
            authenticator=Authenticator(service=accounts),
            take=lambda who, posted: take_posted(
                desk.service, who, posted, choose_project(accounts, who, posted.project)
            ),
        )
    )
    client = TestClient(app)
    client.auth = ("vera", PASSWORD)
    return client


def post(client: TestClient, text: str = SUBMIT, **asked: str) -> Any:
    parts = {"job_sub": (None, text), "exec_ls": ("ls", b"#!/bin/sh\necho $1\n")}
    return client.post("/proc/pub", params={**ASKED, **asked}, files=parts)


def table(client: TestClient, path: str = "/proc/pub", **query: str) -> Table:
    answer = client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-votable+xml"
    return votable.parse(BytesIO(answer.content), verify="exception").get_first_table().to_table()


def test_what_is_posted_is_queued_and_listed_as_a_votable(script: TestClient):
    posted = post(script)
    assert (posted.status_code, posted.text) == (201, "2 job(s) submitted to cluster 1.\n")
    for path in ("/proc/pub", "/proc/job", "/proc/jobs", "/proc/auth", "/proc/auth/job"):
        jobs = table(script, path)
        assert list(jobs["Job_ID"]) == ["1.0", "1.1"]
        assert set(jobs["Status"]) == {"Idle"}
    assert set(jobs["User"]) == {"vera"}
    assert set(jobs["VM_Type"]) == {"debian-12"}
    assert jobs["Command"][1] == "execFile 1 <m51>"
    assert jobs["Started_on"][0] == ""


def test_an_empty_queue_is_a_table_without_rows(script: TestClient):
    assert len(table(script)) == 0


def test_jobs_and_clusters_are_removed_and_shown_when_all_is_asked_for(script: TestClient):
    post(script)
    assert script.delete("/proc/job/1.0").status_code == 204
    assert list(table(script)["Job_ID"]) == ["1.1"]
    assert script.delete("/proc/job/1").status_code == 204
    assert len(table(script)) == 0
    assert set(table(script, all="true")["Status"]) == {"Removed"}
    assert script.delete("/proc/job/99").status_code == 404
    assert script.delete("/proc/job/nonsense").status_code == 400


def test_a_program_of_the_machine_is_not_sent(script: TestClient, desk: BatchDesk):
    assert post(script, exec="execFile,vm:/usr/bin/sex").status_code == 201
    assert table(script)["Command"][0] == "/usr/bin/sex 0 <m51>"


@pytest.mark.parametrize(
    "text",
    [
        "Executable = execFile\nqueue x from touch /tmp/ran |\n",
        "include : touch /tmp/ran |\nExecutable = execFile\nqueue\n",
        "include : /etc/passwd\nExecutable = execFile\nqueue\n",
        "Executable = execFile\nArguments = $ENV(HOME)\nqueue\n",
        "Executable = execFile\ngetenv = True\nqueue\n",
        "Executable = execFile\nqueue x from /etc/passwd\n",
        "Executable = /etc/passwd\nqueue\n",
    ],
)
def test_files_that_would_run_or_read_something_on_this_side_are_refused(script: TestClient, text: str):
    refused = post(script, text)
    assert refused.status_code == 400, refused.text
    assert refused.json()["error"]["message"]
    assert len(table(script)) == 0


@pytest.mark.parametrize(
    "asked",
    [
        {"job": "jobFile"},
        {"job": "jobFile,vos:vera/jobs.sub"},
        {"job": "jobFile,param:elsewhere"},
        {"job": "../jobFile,param:job_sub"},
        {"exec": "execFile,vos:vera/run.sh"},
        {"image": ""},
        {"flavor": ""},
        {"project": "project-kent"},
    ],
)
def test_what_is_not_as_the_service_says_is_refused(script: TestClient, asked: dict[str, str]):
    assert 400 <= post(script, **asked).status_code < 500


def test_nobody_sees_or_removes_the_jobs_of_others(script: TestClient):
    post(script)
    script.auth = ("kent", PASSWORD)
    assert len(table(script)) == 0
    assert script.delete("/proc/job/1.0").status_code == 404
    script.auth = None
    assert script.get("/proc/pub").status_code == 401
    assert post(script).status_code == 401


def test_what_xml_cannot_hold_does_not_break_the_table(script: TestClient):
    assert post(script, SUBMIT.replace("<m51>", "bell\x07&")).status_code == 201
    assert "&" in table(script)["Command"][0]
