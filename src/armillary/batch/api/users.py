"""`/api/v1/batch`: submit, look, change."""

# no `from __future__ import annotations` here: FastAPI could not resolve what closes over `who`

import time
from collections.abc import Sequence
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse

from armillary.accounts.model import Principal
from armillary.base.errors import Forbidden, Invalid
from armillary.base.ids import ClusterId
from armillary.batch.api.bodies import body_of, read, take_body, whole_body
from armillary.batch.api.bounds import known
from armillary.batch.api.taking import request_of
from armillary.batch.api.wire_submit import SubmitIn
from armillary.batch.api.wire_user import (
    BlobOut,
    BlobsCheckIn,
    BlobsCheckOut,
    ChangedOut,
    ChangeIn,
    ClusterExplainOut,
    ClusterOut,
    ClustersOut,
    EventOut,
    EventsOut,
    ExplainOut,
    JobDetailOut,
    JobOut,
    JobsOut,
    KindOut,
    OutputOut,
    OutputsOut,
    ReasonIn,
    ReasonOut,
    Stream,
    SubmitOut,
    WorkerOut,
    WorkersOut,
)
from armillary.batch.core.hold_codes import codes_of
from armillary.batch.model import JobId, JobState, Selection
from armillary.batch.seeing import WRITE
from armillary.batch.service import BatchService
from armillary.batch.views import JobDetail

Limit = Annotated[int, Query(ge=1, le=1000)]
Number = Annotated[int, Field(ge=0, le=2**53)]
"""of a cluster or an event; the records know no larger ones"""


class Authenticator(Protocol):
    """Whoever knows who asks: `armillary.accounts.api.Authenticator`."""

    def principal_of(self, request: Request) -> Principal: ...


def router(*, service: BatchService, authenticator: Authenticator) -> APIRouter:
    """Return the routes for people's programs."""
    routes = APIRouter(prefix="/api/v1/batch", tags=["batch"], route_class=known(authenticator.principal_of))
    signed_in = Depends(authenticator.principal_of)

    def writer(who: Annotated[Principal, signed_in]) -> Principal:
        if not who.allows(WRITE):
            raise Forbidden("this credential is not for batch jobs", code="scope_missing")
        return who

    may_write = Depends(writer)

    @routes.post("/blobs/check")
    def check_blobs(body: BlobsCheckIn, who: Annotated[Principal, may_write]) -> BlobsCheckOut:
        return BlobsCheckOut(missing=service.files.missing(who, body.sha256))

    @routes.put("/blobs/{sha256}", status_code=201)
    async def put_blob(request: Request, sha256: str, who: Annotated[Principal, may_write]) -> BlobOut:
        blob = await take_body(request, service.files.writer(who), expected=sha256)
        return BlobOut(sha256=blob.sha256, size=blob.size)

    @routes.post("/clusters", status_code=201, openapi_extra=body_of(SubmitIn))
    async def submit(
        request: Request,
        who: Annotated[Principal, signed_in],
        idempotency_key: Annotated[str | None, Header(max_length=255)] = None,
    ) -> SubmitOut:
        body = await whole_body(request)

        def queue() -> SubmitOut:
            # To read a hundred thousand jobs takes a second, which nobody else is to wait for.
            return SubmitOut.model_validate(
                service.submit(who, request_of(read(body, SubmitIn), idempotency_key))
            )

        return await run_in_threadpool(queue)

    @routes.get("/clusters")
    def clusters(
        who: Annotated[Principal, signed_in], limit: Limit = 100, marker: Number | None = None
    ) -> ClustersOut:
        found = service.clusters(who, limit=limit, before=marker)
        following = str(found[-1].cluster) if len(found) == limit else None
        return ClustersOut(clusters=[ClusterOut.model_validate(c) for c in found], next=following)

    @routes.get("/clusters/{cluster}")
    def cluster(cluster: Number, who: Annotated[Principal, signed_in]) -> ClusterOut:
        return ClusterOut.model_validate(service.cluster(who, ClusterId(cluster)))

    @routes.get("/clusters/{cluster}/events")
    async def events(
        cluster: Number,
        who: Annotated[Principal, signed_in],
        after: Number = 0,
        limit: Limit = 1000,
        wait: Annotated[float, Query(ge=0, le=20)] = 0,
    ) -> EventsOut:
        deadline = time.monotonic() + wait
        with service.bell.listen(("cluster", cluster)) as ear:
            while True:
                found, active = await run_in_threadpool(
                    service.events, who, ClusterId(cluster), after=after, limit=limit
                )
                left = deadline - time.monotonic()
                if found or left <= 0 or not active or service.bell.closed:
                    break
                await ear.wait(min(left, 2.0))
        return EventsOut(
            events=[EventOut.model_validate(event) for event in found],
            next=found[-1].seq if found else after,
            active=active,
        )

    @routes.get("/jobs")
    def jobs(
        who: Annotated[Principal, signed_in],
        cluster: Number | None = None,
        state: Annotated[Sequence[JobState], Query()] = (),
        owner: Annotated[str | None, Query(max_length=255)] = None,
        project: Annotated[str | None, Query(max_length=255)] = None,
        spec: Annotated[bool, Query()] = False,
        limit: Limit = 100,
        marker: str | None = None,
    ) -> JobsOut:
        found = service.jobs(
            who,
            limit=limit,
            cluster=ClusterId(cluster) if cluster is not None else None,
            states=[one.value for one in state],
            after=JobId.parse(marker) if marker else None,
            owner=owner,
            project=project,
            with_spec=spec,
        )
        following = found[-1].job if len(found) == limit else None
        return JobsOut(jobs=[JobOut.model_validate(job) for job in found], next=following)

    @routes.get("/jobs/{job}")
    def job(job: str, who: Annotated[Principal, signed_in]) -> JobDetailOut:
        return _detail(service.job(who, JobId.parse(job)))

    @routes.get("/jobs/{job}/logs")
    def logs(
        job: str,
        who: Annotated[Principal, signed_in],
        stream: Stream = "stdout",
        offset: Annotated[int, Query(ge=0)] = 0,
        attempt: Annotated[int | None, Query(ge=1)] = None,
        limit: Annotated[int, Query(ge=1, le=16 * 2**20)] = 2**20,
    ) -> Response:
        """Bytes from `offset`. At most 10 MiB of a stream are kept: its first and its last 5 MiB.

        `X-Log-Offset` says where the bytes begin: further on than asked when those before were not kept;
        `X-Log-Next` what to ask for next, `X-Log-Size` how long the stream is so far, `X-Log-Complete` whether no
        more will come.
        """
        piece, complete = service.read_log(
            who, JobId.parse(job), stream, offset=offset, attempt=attempt, limit=limit
        )
        following = piece.offset + len(piece.data)
        headers = {
            "X-Log-Offset": str(piece.offset),
            "X-Log-Next": str(following),
            "X-Log-Size": str(piece.size),
            "X-Log-Complete": "true" if complete and following >= piece.size else "false",
        }
        return Response(piece.data, media_type="application/octet-stream", headers=headers)

    @routes.get("/jobs/{job}/outputs")
    def outputs(job: str, who: Annotated[Principal, signed_in]) -> OutputsOut:
        detail = service.job(who, JobId.parse(job))
        return OutputsOut(
            attempt=detail.committed_attempt,
            outputs=[OutputOut.model_validate(output) for output in detail.outputs],
        )

    @routes.get("/jobs/{job}/outputs/{name:path}")
    def output(job: str, name: str, who: Annotated[Principal, signed_in]) -> FileResponse:
        found, path = service.output(who, JobId.parse(job), name)
        headers = {"X-SHA256": found.sha256, "ETag": f'"{found.sha256}"'}
        return FileResponse(
            path,
            media_type="application/octet-stream",
            headers=headers,
            filename=found.name.rsplit("/", 1)[-1],
        )

    @routes.get("/jobs/{job}/explain")
    def explain(job: str, who: Annotated[Principal, signed_in]) -> ExplainOut:
        state, reasons = service.explain(who, JobId.parse(job))
        return ExplainOut(
            job=job, state=state, reasons=[ReasonOut.model_validate(reason.as_dict()) for reason in reasons]
        )

    @routes.get("/clusters/{cluster}/explain")
    def explain_cluster(cluster: Number, who: Annotated[Principal, signed_in]) -> ClusterExplainOut:
        shown, kinds = service.explain_cluster(who, ClusterId(cluster))
        return ClusterExplainOut(
            cluster=cluster,
            states=dict(shown.states),
            kinds=[
                KindOut(
                    job=kind.job,
                    jobs=kind.jobs,
                    state=kind.state,
                    reasons=[ReasonOut.model_validate(reason.as_dict()) for reason in reasons],
                )
                for kind, reasons in kinds
            ],
        )

    @routes.get("/workers")
    def workers(
        who: Annotated[Principal, signed_in],
        limit: Limit = 100,
        marker: str | None = None,
        gone: Annotated[bool, Query()] = False,
    ) -> WorkersOut:
        found = service.workers(who, limit=limit, marker=marker, gone=gone)
        following = found[-1].worker if len(found) == limit else None
        return WorkersOut(workers=[WorkerOut.model_validate(worker) for worker in found], next=following)

    @routes.post("/{kind}/{name}/hold")
    def hold(
        chosen: Annotated[Selection, Depends(_selection)],
        who: Annotated[Principal, signed_in],
        body: ReasonIn | None = None,
    ) -> ChangedOut:
        return ChangedOut(changed=service.hold(who, chosen, reason=body.reason if body else ""))

    @routes.post("/{kind}/{name}/remove")
    def remove(
        chosen: Annotated[Selection, Depends(_selection)],
        who: Annotated[Principal, signed_in],
        body: ReasonIn | None = None,
    ) -> ChangedOut:
        return ChangedOut(changed=service.remove(who, chosen, reason=body.reason if body else ""))

    @routes.post("/{kind}/{name}/release")
    def release(
        chosen: Annotated[Selection, Depends(_selection)], who: Annotated[Principal, signed_in]
    ) -> ChangedOut:
        return ChangedOut(changed=service.release(who, chosen))

    @routes.post("/{kind}/{name}/retry")
    def retry(
        chosen: Annotated[Selection, Depends(_selection)], who: Annotated[Principal, signed_in]
    ) -> ChangedOut:
        return ChangedOut(changed=service.retry(who, chosen))

    @routes.post("/changes")
    def change(body: ChangeIn, who: Annotated[Principal, signed_in]) -> ChangedOut:
        """Changes many jobs at once: all that the selection means and the caller may change."""
        asked = body.selection
        job = JobId.parse(asked.job) if asked.job else None
        if job is not None and asked.cluster not in (None, job.cluster):
            raise Invalid(f"job {job} is not of cluster {asked.cluster}", facts={"field": "job"})
        cluster = job.cluster if job else asked.cluster
        chosen = Selection(
            cluster=ClusterId(cluster) if cluster is not None else None,
            proc=job.proc if job else None,
            last_proc=asked.last_proc if job else None,
            states=tuple(asked.states),
            failed=asked.failed,
            hold_codes=tuple(code for text in asked.hold_codes for code in _hold_codes(text)),
            exit_codes=tuple(asked.exit_codes),
            signals=tuple(asked.signals),
        )
        chosen = service.select(who, chosen, owner=asked.owner, project=asked.project)
        acts = {
            "hold": lambda: service.hold(who, chosen, reason=body.reason),
            "release": lambda: service.release(who, chosen, memory_mib=body.memory_mib),
            "remove": lambda: service.remove(who, chosen, reason=body.reason),
            "retry": lambda: service.retry(who, chosen),
            "prioritize": lambda: service.prioritize(who, chosen, body.priority or 0),
        }
        return ChangedOut(changed=acts[body.action]())

    return routes


def _selection(kind: Annotated[str, Path(pattern="^(jobs|clusters)$")], name: str) -> Selection:
    if kind == "jobs":
        job = JobId.parse(name)
        return Selection(cluster=job.cluster, proc=job.proc)
    if not (name.isascii() and name.isdigit()) or len(name) > 18:
        raise Invalid(f"not a cluster: {name!r}", facts={"field": "cluster"})
    return Selection(cluster=ClusterId(int(name)))


def _hold_codes(text: str) -> list[str]:
    """Codes by HTCondor's number; one that has no code here selects nothing, and not everything."""
    return sorted(codes_of(int(text)) or {text}) if text.isascii() and text.isdigit() else [text]


def _detail(detail: JobDetail) -> JobDetailOut:
    fields: dict[str, Any] = {name: getattr(detail.view, name) for name in JobOut.model_fields}
    return JobDetailOut.model_validate(
        {
            **fields,
            "spec": dict(detail.spec),
            "retried": detail.retried,
            "lost": detail.lost,
            "attempt_list": detail.attempt_list,
            "outputs": detail.outputs,
        }
    )
