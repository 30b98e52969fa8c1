"""`/agent/v1`: what workers' agents call. They need outbound HTTPS and nothing else."""

# no `from __future__ import annotations` here: FastAPI could not resolve what closes over `session`

import base64
import binascii
import time
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse

from armillary.base.errors import Invalid
from armillary.base.ids import Sha512
from armillary.batch.agents import AgentService, Assignment
from armillary.batch.api.bodies import take_body
from armillary.batch.api.bounds import known
from armillary.batch.api.shortcut import session_key
from armillary.batch.api.wire_agent import (
    AttemptErrorWire,
    CheckpointIn,
    ClaimedJob,
    ClaimIn,
    ClaimOut,
    CredentialWire,
    FinishIn,
    FinishOut,
    InputWire,
    LeaseWire,
    LogsIn,
    LogsOut,
    OkOut,
    ProbeIn,
    ProbeOut,
    RegisterIn,
    RegisterOut,
    RenewIn,
    RenewOut,
    ResourcesWire,
)
from armillary.batch.core.states import Fault, Result
from armillary.batch.engines.embedded.parcels import LeaseKey, OutputRef
from armillary.batch.engines.embedded.register import Session
from armillary.batch.model import InputFile, JobId, Resources
from armillary.batch.ports import Blob, Credential
from armillary.disks.probing import Answers

LOOK_AGAIN = 5.0
"""seconds after which a waiting claim looks again, for work that another process queued"""


def agent_router(*, service: AgentService) -> APIRouter:
    """Return the routes for agents."""

    def session_of(request: Request) -> Session:
        return service.session(session_key(request))

    routes = APIRouter(prefix="/agent/v1", tags=["agent"], route_class=known(session_of))
    worker = Depends(session_of)

    @routes.post("/probe")
    def probe(body: ProbeIn) -> ProbeOut:
        asked = service.probe(body.bootstrap_token)
        if asked is None:
            return ProbeOut()
        return ProbeOut(
            questions={
                "always": list(asked.always),
                "folders": list(asked.folders),
                "files": list(asked.files),
            }
        )

    @routes.post("/register")
    def register(body: RegisterIn) -> RegisterOut:
        worker, key = service.register(
            token=body.bootstrap_token,
            server_id=body.server_id,
            image=Sha512(body.image_sha512),
            whole=Resources(
                cpus=body.cpus, memory_mib=body.memory_mib, disk_kib=body.disk_kib, gpus=body.gpus
            ),
            version=body.agent_version,
            measured=Answers(files=body.measured.files, folders=body.measured.folders)
            if body.measured
            else None,
        )
        return RegisterOut(
            session_key=key,
            worker=worker,
            lease_seconds=int(service.terms.lease.total_seconds()),
            poll_seconds=int(service.terms.poll.total_seconds()),
        )

    @routes.post("/claim")
    async def claim(request: Request, body: ClaimIn, session: Annotated[Session, worker]) -> ClaimOut:
        deadline = time.monotonic() + service.terms.poll.total_seconds()
        topics = ("work", ("work", session.group), ("worker", session.worker))
        with service.bell.listen(*topics) as ear:
            # No connection to the database is held while waiting. An agent that went away meanwhile gets nothing:
            # what it claimed would wait for the end of a lease.
            while not await request.is_disconnected():
                found = await run_in_threadpool(service.claim, session, _resources(body.free), body.call)
                left = deadline - time.monotonic()
                if found.jobs or found.retire or left <= 0 or service.bell.closed:
                    return ClaimOut(jobs=[_claimed(job, service) for job in found.jobs], retire=found.retire)
                await ear.wait(min(left, LOOK_AGAIN))
        return ClaimOut()

    @routes.post("/renew")
    def renew(body: RenewIn, session: Annotated[Session, worker]) -> RenewOut:
        renewal = service.renew(session, [_key(item) for item in body.items])
        return RenewOut(
            lost=[str(key.job) for key in renewal.lost],
            remove=[str(key.job) for key in renewal.remove],
            credential={str(job): credential_wire(given) for job, given in renewal.credentials.items()},
        )

    @routes.get("/blobs/{sha256}")
    def blob(sha256: str, session: Annotated[Session, worker]) -> FileResponse:
        return FileResponse(service.blob(session, sha256), media_type="application/octet-stream")

    @routes.post("/logs")
    def logs(body: LogsIn, session: Annotated[Session, worker]) -> LogsOut:
        try:
            data = base64.b64decode(body.data, validate=True)
        except binascii.Error as error:
            raise Invalid("`data` is not base64", facts={"field": "data"}) from error
        return LogsOut(size=service.log(session, _key(body), body.stream, offset=body.offset, data=data))

    @routes.put("/outputs")
    async def put_output(
        request: Request,
        session: Annotated[Session, worker],
        lease: Annotated[LeaseWire, Depends(_lease_of_query)],
        name: Annotated[str, Query(min_length=1, max_length=4096)],
        x_sha256: Annotated[str, Header(pattern="^[0-9a-f]{64}$")],
        checkpoint: Annotated[bool, Query()] = False,
    ) -> OkOut:
        key = _key(lease)
        writer = service.output(session, key, name, checkpoint=checkpoint)
        stored: Blob = await take_body(request, writer, expected=x_sha256)
        output = OutputRef(name=name, sha256=stored.sha256, size=stored.size)
        await run_in_threadpool(service.add_output, session, key, output, checkpoint=checkpoint)
        return OkOut()

    @routes.post("/checkpoint")
    def checkpoint(body: CheckpointIn, session: Annotated[Session, worker]) -> OkOut:
        files = [InputFile(path=f.name, sha256=f.sha256, size=f.size, mode=f.mode) for f in body.files]
        service.save(session, _key(body), files)
        return OkOut()

    @routes.post("/finish")
    def finish(body: FinishIn, session: Annotated[Session, worker]) -> FinishOut:
        fault = _fault(body.error)
        state, following = service.finish(
            session,
            _key(body),
            Result(exit_code=body.exit_code, signal=body.signal, error=fault),
            usage=body.usage,
            outputs=[OutputRef(name=o.name, sha256=o.sha256, size=o.size) for o in body.outputs],
            then=_resources(body.free) if body.free else None,
            call=body.call,
            machine=body.machine,
        )
        jobs = [_claimed(job, service) for job in following.jobs]
        return FinishOut(state=state.value, jobs=jobs, retire=following.retire)

    @routes.post("/bye")
    def bye(session: Annotated[Session, worker]) -> OkOut:
        service.leave(session)
        return OkOut()

    return routes


def _lease_of_query(job: str, attempt: Annotated[int, Query(ge=1)], lease_secret: str) -> LeaseWire:
    return LeaseWire(job=str(JobId.parse(job)), attempt=attempt, lease_secret=lease_secret[:200] or "-")


def _fault(error: AttemptErrorWire | str | None) -> Fault | None:
    if isinstance(error, str):
        return Fault(code="attempt_failed", message=error)
    return Fault(code=error.code, message=error.message, retry=error.retry) if error else None


def _key(lease: LeaseWire) -> LeaseKey:
    return LeaseKey(job=JobId.parse(lease.job), attempt=lease.attempt, secret=lease.lease_secret)


def _resources(free: ResourcesWire) -> Resources:
    return Resources(cpus=free.cpus, memory_mib=free.memory_mib, disk_kib=free.disk_kib, gpus=free.gpus)


def _claimed(assignment: Assignment, service: AgentService) -> ClaimedJob:
    leased = assignment.leased
    spec: dict[str, Any] = {
        **leased.spec,
        "request_cpus": leased.share.cpus,
        "request_memory_mib": leased.share.memory_mib,
        "request_disk_kib": leased.share.disk_kib,
    }
    return ClaimedJob(
        job=str(leased.key.job),
        attempt=leased.key.attempt,
        lease_secret=leased.key.secret,
        lease_seconds=int(service.terms.lease.total_seconds()),
        spec=spec,
        inputs=[*_inputs(leased.inputs), *_inputs(assignment.checkpoint, checkpoint=True)],
        credential=credential_wire(assignment.credential) if assignment.credential else None,
    )


def _inputs(files: Sequence[InputFile], *, checkpoint: bool = False) -> list[InputWire]:
    return [
        InputWire(path=f.path, sha256=f.sha256, size=f.size, mode=f.mode, checkpoint=checkpoint)
        for f in files
    ]


def credential_wire(given: Credential) -> CredentialWire:
    """Return a credential as an answer has it."""
    return CredentialWire(
        token=given.token,
        certificate_pem=given.certificate_pem,
        vospace=given.vospace,
        owner=given.owner,
        expires=given.expires,
    )
