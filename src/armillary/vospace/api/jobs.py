"""UWS 1.1 jobs: `/<service>/transfers`, `/<service>/async-delete` and `/<service>/async-setprops`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from armillary.accounts.model import Principal
from armillary.base.clock import to_iso
from armillary.base.errors import Invalid, NotFound
from armillary.vospace.api.context import Context, Endpoint, base_url, document
from armillary.vospace.api.transfers import PULL, PUSH, answered, check, form
from armillary.vospace.core.properties import change_of
from armillary.vospace.model import Job, JobKind
from armillary.vospace.paths import VOSPath, parse_uri
from armillary.vospace.transfer_xml import TransferDocument, parse_transfer, transfer_text
from armillary.vospace.uws import job_text, jobs_text, results_text
from armillary.vospace.xml import parse_node

_DETAILS = "results/transferDetails"
_TEXT = "text/xml"
_READING = frozenset({"GET", "HEAD"})


def job_list(context: Context, service: str, kind: JobKind) -> Endpoint:
    """Return the endpoint where jobs are made and listed."""

    async def endpoint(request: Request) -> Response:
        who = await context.principal(request)
        if request.method in _READING:
            jobs = await run_in_threadpool(context.jobs.jobs, who, kind)
            return Response(jobs_text(jobs), media_type=_TEXT)
        posted = await _posted(context, request, kind)
        job = await run_in_threadpool(context.jobs.create, who, kind, posted)
        where = f"{base_url(request)}/{service}/{kind.value}/{job.id}"
        if request.query_params.get("PHASE", request.query_params.get("phase", "")).upper() == "RUN":
            await _run(context, who, job, where)
        return RedirectResponse(where, status_code=303)

    return endpoint


def job_parts(context: Context, service: str, kind: JobKind) -> Endpoint:
    """Return the endpoint of one job and its parts."""

    async def endpoint(request: Request) -> Response:
        who = await context.principal(request)
        job_id: str = request.path_params["job"]
        part: str = request.path_params.get("part", "")
        where = f"{base_url(request)}/{service}/{kind.value}/{job_id}"
        job = await run_in_threadpool(context.jobs.job, who, kind, job_id)
        if request.method in _READING:
            return await _part(context, f"{base_url(request)}/{service}", who, job, part)
        if request.method == "POST" and part == "phase":
            wanted = {name.upper(): value.upper() for name, value in await form(request)}.get("PHASE")
            if wanted == "RUN":
                await _run(context, who, job, where)
            elif wanted == "ABORT":
                await run_in_threadpool(context.jobs.abort, who, kind, job_id)
            else:
                raise Invalid("PHASE is RUN or ABORT.", code="invalid_argument", remedy="Post PHASE=RUN.")
            return RedirectResponse(where, status_code=303)
        if request.method == "DELETE" and not part:
            await run_in_threadpool(context.jobs.abort, who, kind, job_id)
            return RedirectResponse(where.rpartition("/")[0], status_code=303)
        raise Invalid("This cannot be done with a job.", code="operation_not_supported")

    return endpoint


async def _posted(context: Context, request: Request, kind: JobKind) -> str:
    """Return the document of a new job, seen to make sense."""
    if kind is JobKind.DELETE:
        fields = {name.upper(): value for name, value in await form(request)}
        target = fields.get("TARGET") or request.query_params.get("target", "")
        parse_uri(target, context.service.authorities)
        return target
    body = await document(request)
    if kind is JobKind.PROPERTIES:
        change_of(parse_node(body).properties)
    else:
        transfer = parse_transfer(body)
        parse_uri(transfer.target, context.service.authorities)
        if transfer.direction not in {PULL, PUSH}:
            _goal(context, transfer)
    return body.decode()


async def _run(context: Context, who: Principal, job: Job, where: str) -> None:
    """Run a job to its end. All of these are one transaction each, so the client may as well wait for it."""
    works: Mapping[JobKind, Callable[[Job], Mapping[str, str]]] = {
        JobKind.DELETE: lambda job: _delete(context, who, job),
        JobKind.PROPERTIES: lambda job: _set_properties(context, who, job),
        JobKind.TRANSFER: lambda job: _transfer(context, who, job, where),
    }
    await run_in_threadpool(context.jobs.run, who, job.kind, job.id, works[job.kind])


def _delete(context: Context, who: Principal, job: Job) -> Mapping[str, str]:
    path = parse_uri(job.document, context.service.authorities)
    return {"successcount": f"final:{context.service.delete(who, path)}"}


def _set_properties(context: Context, who: Principal, job: Job) -> Mapping[str, str]:
    wanted = parse_node(job.document.encode())
    path = parse_uri(wanted.uri, context.service.authorities)
    done, refused = context.service.set_properties_below(who, path, change_of(wanted.properties))
    # The stock client takes the mere presence of an error count, also "0", for failure.
    return {"successcount": f"final:{done}"} | ({"errorcount": f"final:{refused}"} if refused else {})


def _transfer(context: Context, who: Principal, job: Job, where: str) -> Mapping[str, str]:
    transfer = parse_transfer(job.document.encode())
    if transfer.direction in {PULL, PUSH}:
        check(context, who, transfer)
        return {"transferDetails": f"{where}/{_DETAILS}"}
    source = parse_uri(transfer.target, context.service.authorities)
    goal = _goal(context, transfer)
    if transfer.keep_bytes:
        context.service.copy(who, source, goal)
    else:
        context.service.move(who, source, goal)
    return {"transferDetails": f"{where}/{_DETAILS}"}


def _goal(context: Context, transfer: TransferDocument) -> VOSPath:
    if not transfer.direction.startswith("vos:"):
        raise Invalid(
            "Transfers with a third service are not offered.",
            code="operation_not_supported",
            facts={"field": "direction", "direction": transfer.direction[:100]},
            remedy=f"Use {PULL}, {PUSH} or the URI of a node.",
        )
    return parse_uri(transfer.direction, context.service.authorities)


async def _part(context: Context, home: str, who: Principal, job: Job, part: str) -> Response:
    texts: Mapping[str, str] = {
        "phase": job.phase.value,
        "error": job.error,
        "owner": job.owner_name,
        "quote": "",
        "executionduration": "0",
        "destruction": to_iso(job.destroy_at),
        "parameters": job.document,
    }
    if part in texts:
        return PlainTextResponse(texts[part])
    documents: Mapping[str, Callable[[], str]] = {
        "": lambda: job_text(job),
        "results": lambda: results_text(job.results),
    }
    if part in documents:
        return Response(documents[part](), media_type=_TEXT)
    if part == _DETAILS and job.kind is JobKind.TRANSFER:
        transfer = parse_transfer(job.document.encode())
        if transfer.direction in {PULL, PUSH}:
            path, asker = await run_in_threadpool(check, context, who, transfer)
            transfer = answered(context, home, transfer, path, asker)
        return Response(transfer_text(transfer), media_type=_TEXT)
    raise NotFound("A job has no such part.", code="job_not_found", remedy="Look at the job itself.")
