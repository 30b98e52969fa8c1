"""Speaks UWS with a space, as a client does."""

from __future__ import annotations

from anyio.from_thread import start_blocking_portal
from lxml import etree
from starlette.testclient import TestClient

from armillary.accounts.model import Principal
from armillary.vospace.job_model import Job
from armillary.vospace.service import JobService

UWS = "http://www.ivoa.net/xml/UWS/v1.0"
XLINK = "http://www.w3.org/1999/xlink"
VOS = "http://www.ivoa.net/xml/VOSpace/v2.0"
CORE = "ivo://ivoa.net/vospace/core#"
OVER = {"COMPLETED", "ERROR", "ABORTED"}
XML = {"Content-Type": "text/xml"}


def uri(path: str) -> str:
    return f"vos://cadc.nrc.ca~vault{path}"


def transfer(target: str, direction: str, *, inner: str = "", keep: str = "true") -> str:
    return (
        f'<vos:transfer xmlns:vos="{VOS}" version="2.1"><vos:target>{uri(target)}</vos:target>'
        f"<vos:direction>{direction}</vos:direction>{inner}<vos:keepBytes>{keep}</vos:keepBytes>"
        "</vos:transfer>"
    )


def protocol(name: str, endpoint: str = "") -> str:
    inner = f"<vos:endpoint>{endpoint}</vos:endpoint>" if endpoint else ""
    return f'<vos:protocol uri="{CORE}{name}">{inner}</vos:protocol>'


def made(http: TestClient, where: str, body: str = "", **fields: str) -> str:
    """Make a job; return its address."""
    answer = (
        http.post(where, content=body, headers=XML, params=fields or None)
        if body
        else http.post(where.partition("?")[0], data=fields)
    )
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def run(http: TestClient, where: str, body: str = "", **fields: str) -> etree._Element:
    """Make a job, let it run, and return its document when it is over."""
    job = made(http, where, body, **fields)
    assert http.post(job + "/phase", data={"PHASE": "RUN"}).status_code == 303
    return over(http, job)


def over(http: TestClient, job: str) -> etree._Element:
    """Wait for the end of a job and return its document."""
    phase = http.get(job + "/phase").text
    while phase not in OVER:
        assert phase != "PENDING", "nobody has started it"
        phase = phase_of(document(http, f"{job}?WAIT=20&PHASE={phase}"))
    return document(http, job)


def document(http: TestClient, job: str) -> etree._Element:
    answer = http.get(job)
    assert answer.status_code == 200, answer.text
    return etree.fromstring(answer.content)


def phase_of(job: etree._Element) -> str:
    return job.findtext(f"{{{UWS}}}phase") or ""


def results(job: etree._Element) -> dict[str, str]:
    found = job.iterfind(f"{{{UWS}}}results/{{{UWS}}}result")
    return {result.get("id", ""): result.get(f"{{{XLINK}}}href", "") for result in found}


def fault(job: etree._Element) -> str:
    return job.findtext(f"{{{UWS}}}errorSummary/{{{UWS}}}message") or ""


def ended_here(service: JobService, who: Principal, job: Job) -> Job:
    """Return the job when it has ended in this process and its worker has left it."""

    async def wait() -> None:
        with service.bell.listen(("job", job.id)) as ear:
            while not service.job(who, job.kind, job.id).is_over:
                assert await ear.wait(20)

    # In a thread of its own: a browser test in this process leaves its loop running in ours.
    with start_blocking_portal() as portal:
        portal.call(wait)
    service.close()
    return service.job(who, job.kind, job.id)
