"""UWS 1.1 jobs: `/<service>/transfers`, `/<service>/async-delete` and `/<service>/async-setprops`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse

from armillary.accounts.model import Principal
from armillary.base.clock import from_iso, to_iso
from armillary.base.errors import Invalid, NotFound
from armillary.vospace.api.context import Context, Endpoint, base_url, document
from armillary.vospace.api.packages import package_url
from armillary.vospace.api.transfers import answered, form
from armillary.vospace.core.names import PACKAGE_VIEW
from armillary.vospace.core.properties import change_of
from armillary.vospace.documents import inner_text
from armillary.vospace.job_model import Job, JobFilter, JobKind, Phase
from armillary.vospace.paths import bare, parse_uri
from armillary.vospace.service.job_work import DETAILS
from armillary.vospace.service.negotiation import CLIENT_MOVES, offered
from armillary.vospace.transfer_xml import parse_transfer, transfer_element, transfer_text
from armillary.vospace.uws import job_text, jobs_text, parameters_text, results_text
from armillary.vospace.xml import parse_node

GRACE_SECONDS = 0.4
"""How long the answer to RUN waits for the end: the stock client looks at once, and then sleeps two seconds."""
MAX_WAIT_SECONDS = 60
_LOOK_SECONDS = 2
"""While somebody waits, the records are read this often: another process may run the job."""
_TEXT = "text/xml"
_READING = frozenset({"GET", "HEAD"})
_NUMBER = re.compile(r"-?\d{1,9}")


def job_list(context: Context, service: str, kind: JobKind) -> Endpoint:
    """Return the endpoint where jobs are made and listed."""

    async def endpoint(request: Request) -> Response:
        who = await context.principal(request)
        where = f"{base_url(request)}/{service}/{kind.value}"
        if request.method in _READING:
            jobs = await run_in_threadpool(context.jobs.jobs, who, kind, _filter(request.query_params))
            return StreamingResponse(jobs_text(jobs, where), media_type=_TEXT)
        fields = {name.upper(): value for name, value in request.query_params.multi_items()}
        posted = await _posted(context, request, kind, fields)
        run = _phase(fields["PHASE"]) if "PHASE" in fields else ""
        if run == "ABORT":
            raise _bad("PHASE", "A new job can only be RUN.")
        job = await run_in_threadpool(
            context.jobs.create, who, kind, posted, run_id=fields.get("RUNID", "")[:200], run=bool(run)
        )
        if run:
            await _ended(context, job, GRACE_SECONDS)
        return RedirectResponse(f"{where}/{job.id}", status_code=303)

    return endpoint


def job_parts(context: Context, service: str, kind: JobKind) -> Endpoint:
    """Return the endpoint of one job and its parts."""

    async def endpoint(request: Request) -> Response:
        who = await context.principal(request)
        job_id: str = request.path_params["job"]
        part: str = request.path_params.get("part", "").rstrip("/")
        home = f"{base_url(request)}/{service}"
        where = f"{home}/{kind.value}/{job_id}"
        job = await run_in_threadpool(context.jobs.job, who, kind, job_id)
        if request.method in _READING:
            if not part:
                job = await _waited(context, who, job, request.query_params)
            return await _part(context, home, who, job, part)
        if request.method == "DELETE" and not part:
            await run_in_threadpool(context.jobs.delete, who, kind, job_id)
            return RedirectResponse(where.rpartition("/")[0], status_code=303)
        if request.method == "POST":
            fields = {name.upper(): value.strip() for name, value in await form(request)}
            if not part and fields.get("ACTION", "").upper() == "DELETE":
                await run_in_threadpool(context.jobs.delete, who, kind, job_id)
                return RedirectResponse(where.rpartition("/")[0], status_code=303)
            await _posted_part(context, who, job, part, fields)
            return RedirectResponse(where, status_code=303)
        raise Invalid("This cannot be done with a job.", code="operation_not_supported")

    return endpoint


async def _posted(context: Context, request: Request, kind: JobKind, fields: dict[str, str]) -> str:
    """Return the document of a new job, which must be one. What it asks for is looked at when it runs.

    A form may hold the parameters of the job itself besides; they are added to `fields`.
    """
    if kind is JobKind.DELETE:
        fields.update((name.upper(), bare(value)) for name, value in await form(request))
        target = fields.get("TARGET", "")
        parse_uri(target, context.service.authorities)
        return target
    body = await document(request)
    if kind is JobKind.PROPERTIES:
        wanted = parse_node(body)
        parse_uri(wanted.uri, context.service.authorities)
        change_of(wanted.properties)
    else:
        parse_transfer(body)
    return inner_text(body)


async def _posted_part(
    context: Context, who: Principal, job: Job, part: str, fields: Mapping[str, str]
) -> None:
    """Change a part of a job."""
    if part == "phase":
        if _phase(fields.get("PHASE", "")) == "RUN":
            started = await run_in_threadpool(context.jobs.start, who, job.kind, job.id)
            await _ended(context, started, GRACE_SECONDS)
        else:
            await run_in_threadpool(context.jobs.abort, who, job.kind, job.id)
    elif part == "executionduration":
        text = fields.get("EXECUTIONDURATION", "")
        if not _NUMBER.fullmatch(text) or int(text) < 0:
            raise _bad("EXECUTIONDURATION", "It is a number of seconds.")
        await run_in_threadpool(context.jobs.set_duration, who, job.kind, job.id, int(text))
    elif part == "destruction":
        try:
            moment = from_iso(fields.get("DESTRUCTION", ""))
        except ValueError as error:
            raise _bad("DESTRUCTION", "It is a moment such as 2027-01-31T12:00:00Z.") from error
        await run_in_threadpool(context.jobs.set_destruction, who, job.kind, job.id, moment)
    else:
        raise Invalid("This part of a job cannot be changed.", code="operation_not_supported")


async def _part(context: Context, home: str, who: Principal, job: Job, part: str) -> Response:
    where = f"{home}/{job.kind.value}/{job.id}"
    texts: Mapping[str, str] = {
        "phase": job.phase.value,
        "error": job.error,
        "owner": job.owner_name,
        "quote": "",
        "executionduration": str(job.duration_seconds),
        "destruction": to_iso(job.destroy_at),
    }
    if part in texts:
        return PlainTextResponse(texts[part])
    documents: Mapping[str, Callable[[], str]] = {
        "": lambda: job_text(job, where, _info(job)),
        "results": lambda: results_text(job.results, where),
        "parameters": lambda: parameters_text(job),
    }
    if part in documents:
        return Response(documents[part](), media_type=_TEXT)
    if part == DETAILS and job.kind is JobKind.TRANSFER:
        transfer = parse_transfer(job.document.encode())
        if transfer.view == PACKAGE_VIEW and job.phase is Phase.COMPLETED:
            asker = await run_in_threadpool(context.service.access.asker, who)
            url = await run_in_threadpool(
                partial(package_url, context, home, transfer, who, asker, job_id=job.id)
            )
            protocols = [replace(protocol, endpoint=url, security=()) for protocol in offered(transfer)[:1]]
            transfer = replace(transfer, protocols=protocols)
        elif transfer.direction in CLIENT_MOVES and job.phase is Phase.COMPLETED:
            target = parse_uri(job.results.get("target", transfer.target), context.service.authorities)
            transfer = replace(transfer, targets=(job.results.get("target", transfer.target),))
            asker = await run_in_threadpool(context.service.access.asker, who)
            transfer = answered(context, home, transfer, target, asker)
        elif transfer.direction in CLIENT_MOVES:
            transfer = replace(transfer, protocols=())
        return Response(transfer_text(transfer), media_type=_TEXT)
    raise NotFound("A job has no such part.", code="job_not_found", remedy="Look at the job itself.")


def _info(job: Job) -> str:
    if job.kind is JobKind.DELETE:
        return ""
    if job.kind is JobKind.PROPERTIES:
        return job.document
    return transfer_element(parse_transfer(job.document.encode()))


def _filter(query: QueryParams) -> JobFilter:
    """Read PHASE (any number of them), AFTER and LAST."""
    fields: dict[str, list[str]] = {}
    for name, value in query.multi_items():
        fields.setdefault(name.upper(), []).append(value.strip())
    known = {phase.value: phase for phase in Phase}
    # Phases of the standard that we never use are fine to ask for, and find nothing.
    unused = {"HELD", "SUSPENDED", "UNKNOWN", "ARCHIVED"}
    asked = {value.upper() for value in fields.get("PHASE", ())}
    if asked - known.keys() - unused:
        raise _bad("PHASE", "It is a phase of UWS.")
    phases = frozenset(known[name] for name in asked if name in known)
    last = fields.get("LAST", ["10000"])[-1]
    if not _NUMBER.fullmatch(last) or int(last) <= 0:
        raise _bad("LAST", "It is a number from 1.")
    try:
        after = from_iso(fields["AFTER"][-1]) if "AFTER" in fields else None
    except ValueError as error:
        raise _bad("AFTER", "It is a moment such as 2027-01-31T12:00:00Z.") from error
    if asked and not phases:
        return JobFilter(phases=phases, after=after, last=0)
    return JobFilter(phases=phases, after=after, last=min(int(last), JobFilter().last))


async def _waited(context: Context, who: Principal, job: Job, query: QueryParams) -> Job:
    """Return the job when its phase has changed, or when WAIT seconds have gone by. No thread is held meanwhile."""
    fields = {name.upper(): value for name, value in query.multi_items()}
    if "WAIT" not in fields:
        return job
    text = fields["WAIT"].strip()
    if not _NUMBER.fullmatch(text):
        raise _bad("WAIT", "It is a number of seconds, or -1.")
    if job.is_over or fields.get("PHASE", job.phase.value).upper() != job.phase.value:
        return job
    seconds = MAX_WAIT_SECONDS if int(text) < 0 else min(int(text), MAX_WAIT_SECONDS)
    return await _changed(context, job, seconds, until=lambda now: now.phase is not job.phase) or job


async def _ended(context: Context, job: Job, seconds: float) -> None:
    await _changed(context, job, seconds, until=lambda now: now.is_over)


async def _changed(context: Context, job: Job, seconds: float, *, until: Callable[[Job], bool]) -> Job | None:
    """Wait for news of a job, at most `seconds`; return it as it is then, None if it is gone."""
    bell = context.jobs.bell
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    with bell.listen(("job", job.id)) as ear:
        while True:
            found = await run_in_threadpool(context.jobs.find, job.id)
            left = end - loop.time()
            if found is None or until(found) or left <= 0 or bell.closed:
                return found
            await ear.wait(min(left, _LOOK_SECONDS))


def _phase(text: str) -> str:
    if text.upper() not in {"RUN", "ABORT"}:
        raise _bad("PHASE", "PHASE is RUN or ABORT.")
    return text.upper()


def _bad(field: str, message: str) -> Invalid:
    return Invalid(message, code="invalid_argument", facts={"field": field}, remedy=f"Correct {field}.")
