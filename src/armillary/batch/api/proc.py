"""`/proc`: CANFAR's processing web service, for scripts that know it: a VOTable of jobs, submit, remove.

`/proc/job`, `/proc/jobs`, `/proc/pub` and `/proc/auth/job` are the same here: who asks may sign in by certificate, by
name and password, or by token, at each of them.
"""

# no `from __future__ import annotations` here: FastAPI could not resolve what closes over `authenticator`

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, BinaryIO, NamedTuple, cast
from xml.sax.saxutils import escape

from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from armillary.accounts.model import Principal
from armillary.base.clock import to_iso
from armillary.base.errors import Invalid
from armillary.base.ids import ClusterId
from armillary.batch.api.users import Authenticator
from armillary.batch.model import JobId, JobState, Selection
from armillary.batch.service import BatchService
from armillary.batch.views import JobView

PATHS = ("job", "jobs", "pub", "auth", "auth/job")
_PAGE = 1000
_LIVE = [JobState.IDLE.value, JobState.CLAIMED.value, JobState.RUNNING.value, JobState.HELD.value]
_STATUS = {
    "idle": "Idle",
    "claimed": "Running",
    "running": "Running",
    "held": "Held",
    "completed": "Completed",
    "removed": "Removed",
}
_FIELDS: dict[str, Callable[[JobView], str]] = {
    "Job_ID": lambda job: job.job,
    "User": lambda job: job.owner,
    "Project": lambda job: job.project,
    "Queued_on": lambda job: to_iso(job.submitted_at),
    "Started_on": lambda job: to_iso(job.started_at) if job.started_at else "",
    "Status": lambda job: _STATUS[job.state],
    "Priority": lambda job: str(job.priority),
    "VM_Type": lambda job: job.image.name,
    "Cloud": lambda job: job.cloud or "",
    "Command": lambda job: " ".join([job.executable, *job.arguments]),
}
_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<VOTABLE version="1.3" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">
<RESOURCE type="results">
<INFO name="QUERY_STATUS" value="OK"/>
<TABLE name="jobs">
"""
_FOOT = "</TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>\n"
_UNPRINTABLE = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""what XML 1.0 cannot hold"""
_PARTS, _FILES, _BYTES = 1100, 1000, 2**20


class Posted(NamedTuple):
    """A submit as a script posts it: the file's text, what came along by the names in it, and where it is to run."""

    text: str
    files: Mapping[str, UploadFile]
    there: Mapping[str, str]
    """programs that are on the machine already, by their names in the file"""
    image: str
    flavor: str
    project: str | None


Take = Callable[[Principal, Posted], tuple[int, int]]
"""Queues the jobs; returns the cluster and how many they are."""


def proc_router(*, service: BatchService, authenticator: Authenticator, take: Take) -> APIRouter:
    """Return the routes. `take` reads submit files: as little as a stranger's file may do on this side."""
    routes = APIRouter(prefix="/proc", tags=["proc"])
    signed_in = Depends(authenticator.principal_of)

    def jobs(
        who: Annotated[Principal, signed_in], everything: Annotated[bool, Query(alias="all")] = False
    ) -> Response:
        states = [] if everything else _LIVE
        first = service.jobs(who, limit=_PAGE, states=states)
        return StreamingResponse(_table(service, who, states, first), media_type="application/x-votable+xml")

    async def post(request: Request, who: Annotated[Principal, signed_in]) -> PlainTextResponse:
        async with request.form(max_files=_FILES, max_fields=_PARTS, max_part_size=_BYTES) as form:
            asked = dict(request.query_params)
            parts: dict[str, UploadFile | str] = {}
            for name, part in form.multi_items():
                if isinstance(part, str) and name in {"job", "exec", "image", "flavor", "project"}:
                    asked.setdefault(name, part)
                else:
                    parts[name] = part
            posted = await run_in_threadpool(_read, asked, parts)
            cluster, count = await run_in_threadpool(take, who, posted)
        return PlainTextResponse(f"{count} job(s) submitted to cluster {cluster}.\n", status_code=201)

    def remove(name: str, who: Annotated[Principal, signed_in]) -> Response:
        if name.isascii() and name.isdigit() and len(name) < 18:
            chosen = Selection(cluster=ClusterId(int(name)))
        else:
            job = JobId.parse(name)
            chosen = Selection(cluster=job.cluster, proc=job.proc)
        service.remove(who, chosen, reason="removed by /proc")
        return Response(status_code=204)

    for path in PATHS:
        routes.add_api_route(f"/{path}", jobs, methods=["GET"], response_class=Response)
        routes.add_api_route(f"/{path}", post, methods=["POST"], response_class=PlainTextResponse)
        routes.add_api_route(f"/{path}/{{name}}", remove, methods=["DELETE"], status_code=204)
    return routes


def _table(service: BatchService, who: Principal, states: list[str], page: list[JobView]) -> Iterator[str]:
    """Write the table page by page, however many jobs there are."""
    fields = "".join(f'<FIELD name="{name}" datatype="unicodeChar" arraysize="*"/>\n' for name in _FIELDS)
    yield f"{_HEAD}{fields}<DATA><TABLEDATA>\n"
    while page:
        yield "".join(_row(job) for job in page)
        page = service.jobs(who, limit=_PAGE, states=states, after=JobId.parse(page[-1].job))
    yield _FOOT


def _row(job: JobView) -> str:
    cells = (_UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", cell(job)) for cell in _FIELDS.values())
    return f"<TR>{''.join(f'<TD>{escape(text)}</TD>' for text in cells)}</TR>\n"


def _read(asked: Mapping[str, str], parts: Mapping[str, UploadFile | str]) -> Posted:
    """Find the submit file and the executable where the parameters say: `NAME,param:PART`, or `NAME,vm:PATH`."""
    _, job = _place(asked, "job")
    text = _bytes_of(_part(parts, job, "job"))
    name, place = _place(asked, "exec") if "exec" in asked else ("", "")
    files = {part: file for part, file in parts.items() if isinstance(file, UploadFile)}
    there: dict[str, str] = {}
    if place.startswith("vm:"):
        there[name] = place.removeprefix("vm:")
    elif place:
        file = _part(parts, place, "exec")
        files[name] = file if isinstance(file, UploadFile) else UploadFile(_held(file))
    try:
        submit = text.decode()
    except UnicodeDecodeError as error:
        raise Invalid("the submit file is not text", facts={"field": "job"}) from error
    return Posted(
        text=submit.replace("\r\n", "\n"),
        files=files,
        there=there,
        image=_needed(asked, "image").removeprefix("vmi:"),
        flavor=_needed(asked, "flavor").removeprefix("fli:"),
        project=asked.get("project"),
    )


def _place(asked: Mapping[str, str], what: str) -> tuple[str, str]:
    name, comma, place = _needed(asked, what).partition(",")
    if not comma or not name or "/" in name:
        raise Invalid(
            f"{what}={asked[what]} is not of the form NAME,param:PART",
            facts={"field": what},
            remedy=f"Write {what}=NAME,param:PART, and post PART.",
        )
    return name, place


def _needed(asked: Mapping[str, str], what: str) -> str:
    if not asked.get(what):
        raise Invalid(
            f"the parameter {what} is missing",
            code="parameter_missing",
            facts={"field": what},
            remedy="Name job, image and flavor; exec when a program is sent along.",
        )
    return asked[what]


def _part(parts: Mapping[str, UploadFile | str], place: str, what: str) -> UploadFile | str:
    if not place.startswith("param:"):
        raise Invalid(
            f"{what} is taken from the posted parts alone, not from {place}",
            code="not_posted",
            facts={"field": what},
            remedy=f"Post it: {what}=NAME,param:PART.",
        )
    name = place.removeprefix("param:")
    if name not in parts:
        raise Invalid(f"no part {name} was posted", code="part_missing", facts={"part": name})
    return parts[name]


def _bytes_of(part: UploadFile | str) -> bytes:
    if isinstance(part, str):
        return part.encode()
    data = part.file.read(_BYTES + 1)
    if len(data) > _BYTES:
        raise Invalid(f"a submit file may have {_BYTES} bytes", code="submit_too_long")
    return data


def _held(text: str) -> BinaryIO:
    from io import BytesIO

    return cast("BinaryIO", BytesIO(text.encode()))
