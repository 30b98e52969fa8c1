"""UWS 1.1: what clients see of jobs."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from lxml import etree
from pyvo.io.uws import parse_job, parse_job_list
from starlette.testclient import TestClient
from uws_talk import UWS, XLINK, document, fault, made, over, phase_of, results, run, transfer, uri

from armillary.accounts.model import Principal
from armillary.base.clock import VirtualClock
from armillary.vospace.service import JobService, VOSpaceService

ORDER = [
    "jobId",
    "runId",
    "ownerId",
    "phase",
    "quote",
    "creationTime",
    "startTime",
    "endTime",
    "executionDuration",
    "destruction",
    "parameters",
    "results",
    "errorSummary",
    "jobInfo",
]
MOVE = transfer("/home/ada/x", uri("/home/ada/y"), keep="false")


@pytest.fixture
def jobs_made(http: TestClient, clock: VirtualClock) -> list[str]:
    """Three jobs of ada's, a minute apart; the second has run."""
    found: list[str] = []
    for number in range(3):
        found.append(made(http, "/vault/transfers", MOVE, RUNID=f"run {number}"))
        if number == 1:
            http.post(found[1] + "/phase", data={"PHASE": "RUN"})
            over(http, found[1])
        clock.advance(timedelta(minutes=1))
    return found


def ids(http: TestClient, query: str = "") -> list[str]:
    listed = etree.fromstring(http.get(f"/vault/transfers{query}").content)
    return [job.get("id") for job in listed.iterfind(f"{{{UWS}}}jobref")]


def test_a_job_document_has_the_elements_of_the_schema_in_its_order(http: TestClient) -> None:
    job = run(http, "/vault/transfers?RUNID=mine", MOVE)
    names = [etree.QName(element).localname for element in job]
    assert names == ORDER
    assert (job.tag, job.get("version")) == (f"{{{UWS}}}job", "1.1")
    assert job.findtext(f"{{{UWS}}}ownerId") == "ada"
    assert job.findtext(f"{{{UWS}}}creationTime") == "2026-01-01T00:00:00Z"


def test_pyvo_reads_jobs_and_their_list(http: TestClient, jobs_made: list[str]) -> None:
    job = parse_job(io.BytesIO(http.get(jobs_made[1]).content), pedantic=True)
    assert (job.phase, job.runid, job.ownerid) == ("ERROR", "run 1", "ada")
    assert "Node Not Found" in job.errorsummary.message.content
    listed = parse_job_list(io.BytesIO(http.get("/vault/transfers").content), pedantic=True)
    assert [one.phase for one in listed] == ["PENDING", "ERROR", "PENDING"]


def test_the_list_refers_to_the_jobs_newest_first(http: TestClient, jobs_made: list[str]) -> None:
    listed = etree.fromstring(http.get("/vault/transfers").content)
    found = listed.findall(f"{{{UWS}}}jobref")
    assert [job.get(f"{{{XLINK}}}href") for job in found] == jobs_made[::-1]
    assert found[0].findtext(f"{{{UWS}}}runId") == "run 2"
    assert found[0].findtext(f"{{{UWS}}}creationTime") == "2026-01-01T00:02:00Z"
    assert ids(http, "?PHASE=ERROR") == [jobs_made[1].rpartition("/")[2]]
    assert len(ids(http, "?PHASE=ERROR&PHASE=PENDING&phase=HELD")) == 3
    assert ids(http, "?PHASE=HELD") == []
    assert len(ids(http, "?AFTER=2026-01-01T00:00:30.000Z")) == 2
    assert ids(http, "?LAST=1") == [jobs_made[2].rpartition("/")[2]]
    assert ids(http, "?LAST=2&PHASE=ERROR&AFTER=2026-01-01T00:00:30Z") == [jobs_made[1].rpartition("/")[2]]


@pytest.mark.parametrize("query", ["?LAST=0", "?LAST=x", "?AFTER=yesterday", "?PHASE=DONE"])
def test_a_filter_that_makes_no_sense_is_400(http: TestClient, query: str) -> None:
    assert http.get("/vault/transfers" + query).status_code == 400


def test_lists_and_jobs_are_their_owners(http: TestClient, jobs_made: list[str]) -> None:
    bob = {"Authorization": "Bearer bob"}
    assert b"jobref" not in http.get("/vault/transfers", headers=bob).content
    assert http.get(jobs_made[0], headers=bob).status_code == 403
    assert http.post(jobs_made[0] + "/phase", data={"PHASE": "RUN"}, headers=bob).status_code == 403
    assert http.delete(jobs_made[0], headers=bob).status_code == 403
    assert http.get("/vault/transfers", headers={"Authorization": ""}).status_code == 401
    assert http.get("/vault/transfers/nothing").status_code == 404
    assert http.get(jobs_made[0].replace("transfers", "async-delete")).status_code == 404


def test_the_parts_of_a_job(http: TestClient, jobs_made: list[str]) -> None:
    job = jobs_made[1]
    parts = {name: http.get(f"{job}/{name}").text for name in ("phase", "owner", "quote", "error")}
    assert (parts["phase"], parts["owner"], parts["quote"]) == ("ERROR", "ada", "")
    assert parts["error"].startswith("NodeNotFound - /home/ada/x does not exist.")
    assert http.get(job + "/executionduration").text == "86400"
    assert http.get(job + "/destruction").text == "2026-01-08T00:01:00Z"
    assert etree.fromstring(http.get(job + "/results").content).tag == f"{{{UWS}}}results"
    assert etree.fromstring(http.get(job + "/parameters").content).tag == f"{{{UWS}}}parameters"
    assert http.get(job + "/nonsense").status_code == 404


def test_limits_are_changed_within_bounds(http: TestClient, jobs_made: list[str]) -> None:
    job = jobs_made[0]
    for asked, given in (("60", "60"), ("99999999", "604800"), ("0", "604800")):
        answer = http.post(job + "/executionduration", data={"EXECUTIONDURATION": asked})
        assert (answer.status_code, answer.headers["location"]) == (303, job)
        assert http.get(job + "/executionduration").text == given
    for asked, given in (
        ("2026-01-02T00:00:00Z", "2026-01-02T00:00:00Z"),
        ("2099-01-01T00:00:00Z", "2026-01-31T00:03:00Z"),
    ):
        assert http.post(job + "/destruction", data={"DESTRUCTION": asked}).headers["location"] == job
        assert http.get(job + "/destruction").text == given
    assert http.post(job + "/destruction", data={"DESTRUCTION": "soon"}).status_code == 400
    assert http.post(job + "/executionduration", data={"EXECUTIONDURATION": "-5"}).status_code == 400
    assert http.post(job + "/owner", data={"OWNER": "bob"}).status_code == 501


def test_a_job_is_forgotten_when_its_time_has_come(
    http: TestClient, jobs_made: list[str], jobs: JobService, clock: VirtualClock
) -> None:
    http.post(jobs_made[0] + "/destruction", data={"DESTRUCTION": "2026-01-02T00:00:00Z"})
    clock.advance(timedelta(days=2))
    jobs.tick()
    assert http.get(jobs_made[0]).status_code == 404
    assert http.get(jobs_made[1]).status_code == 200


@pytest.mark.parametrize("how", ["DELETE", "ACTION"])
def test_a_job_is_deleted(http: TestClient, jobs_made: list[str], how: str) -> None:
    job = jobs_made[0]
    answer = http.delete(job) if how == "DELETE" else http.post(job, data={"ACTION": "DELETE"})
    assert (answer.status_code, answer.headers["location"]) == (303, job.rpartition("/")[0])
    assert http.get(job).status_code == 404


def test_a_job_runs_once(http: TestClient, jobs_made: list[str]) -> None:
    assert http.post(jobs_made[1] + "/phase", data={"PHASE": "RUN"}).status_code == 403
    assert http.post(jobs_made[0] + "/phase", data={"PHASE": "WALK"}).status_code == 400
    assert http.post(jobs_made[0] + "/phase", data={"PHASE": "ABORT"}).status_code == 303
    assert phase_of(document(http, jobs_made[0])) == "ABORTED"
    assert http.post(jobs_made[0] + "/phase", data={"PHASE": "RUN"}).status_code == 403


def test_a_job_may_run_when_it_is_made(http: TestClient, space: VOSpaceService) -> None:
    job = over(http, made(http, "/vault/transfers?PHASE=RUN", MOVE))
    assert phase_of(job) == "ERROR"
    job = over(http, made(http, "/vault/async-delete", PHASE="RUN", TARGET=uri("/home/ada/x")))
    assert fault(job).startswith("Node Not Found: /home/ada/x")
    assert http.post("/vault/transfers?PHASE=ABORT", content=MOVE).status_code == 400


def test_waiting_returns_at_once_when_there_is_nothing_to_wait_for(
    http: TestClient, jobs_made: list[str]
) -> None:
    assert phase_of(document(http, jobs_made[1] + "?WAIT=-1")) == "ERROR"
    assert phase_of(document(http, jobs_made[0] + "?WAIT=60&PHASE=QUEUED")) == "PENDING"
    assert phase_of(document(http, jobs_made[0] + "?WAIT=0")) == "PENDING"
    assert http.get(jobs_made[0] + "?WAIT=long").status_code == 400


def test_what_a_job_is_to_do_stands_in_its_document(http: TestClient) -> None:
    job = run(http, "/vault/async-delete", TARGET=uri("/home/ada/a&b"))
    parameter = job.find(f"{{{UWS}}}parameters/{{{UWS}}}parameter")
    assert (parameter.get("id"), parameter.text) == ("target", uri("/home/ada/a&b"))
    job = run(http, "/vault/transfers", '<?xml version="1.0" encoding="utf-8"?>' + MOVE)
    assert job.find(f"{{{UWS}}}jobInfo")[0].findtext("{*}direction") == uri("/home/ada/y")


@pytest.mark.parametrize("body", ["", "<a/>", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", MOVE[:-5]])
def test_what_is_no_transfer_makes_no_job(http: TestClient, body: str) -> None:
    assert http.post("/vault/transfers", content=body).status_code == 400
    assert ids(http) == []


def test_results_tell_how_many_nodes_were_deleted(
    http: TestClient, space: VOSpaceService, ada: Principal
) -> None:
    space.put_bytes(ada, "/home/ada/x", [b"x"])
    job = run(http, "/vault/async-delete", TARGET=uri("/home/ada/x"))
    assert results(job) == {"successcount": "final:1"}
