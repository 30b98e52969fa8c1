"""`/agent/v1/pool`: what stands beside jobs that HTCondor runs calls, with the key of its job."""

# no `from __future__ import annotations` here: FastAPI could not resolve what closes over the services

import base64
import binascii
import time
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request, WebSocket
from pydantic import Field, StringConstraints
from starlette.concurrency import run_in_threadpool

from armillary.base.errors import ArmillaryError, Invalid, Unauthorized
from armillary.batch.api.agents import LOOK_AGAIN, credential_wire
from armillary.batch.api.bounds import known
from armillary.batch.api.calls import POLICY, AgentCallsOut, carry_call, told
from armillary.batch.api.shortcut import session_key
from armillary.batch.api.wire_agent import (
    CredentialWire,
    LogsOut,
    MachineFacts,
    MeasuredWire,
    OkOut,
    Secret,
    Stream,
)
from armillary.batch.api.wire_submit import Wire
from armillary.batch.calls import Calls, Side
from armillary.batch.engines.htcondor.admitting import Admission
from armillary.batch.engines.htcondor.attending import Attending
from armillary.disks.probing import Answers

POLL_SECONDS = 25.0


class RunIn(Wire):
    """An attempt; `run` is its JobCurrentStartDate."""

    run: int = Field(ge=0)


class StartIn(RunIn):
    """`POST start`: the job is on its machine."""

    machine: MachineFacts = Field(default_factory=dict[str, str])


class StartOut(Wire):
    """What it is to begin with. 409 `job_not_begun`: ask again in a second."""

    job: str
    attempt: int
    cpus: int
    fetch: list[str]
    given: list[str]
    credential: CredentialWire | None


class JoinIn(Wire):
    """`POST join`, without a key: the one-time token of the user data, and what the machine is made of (`POST probe`)."""

    bootstrap_token: Secret
    measured: MeasuredWire | None = None


class JoinOut(Wire):
    """The token with which the machine joins the pool. May be asked for again until it has."""

    token: str


class FailIn(RunIn):
    """`POST fail`: the job cannot begin; it ends, and is put on hold for it."""

    why: str = Field(max_length=4000)


class RenewJobIn(Wire):
    """`POST renew`."""

    attempt: int = Field(ge=1)


class RenewJobOut(Wire):
    """A new credential, when the old one ends soon."""

    credential: CredentialWire | None


class JobLogsIn(Wire):
    """`POST logs`: bytes of a stream from `offset`; sending a range again changes nothing."""

    job: str
    attempt: int = Field(ge=1)
    stream: Stream
    offset: int = Field(ge=0)
    data: Annotated[str, StringConstraints(max_length=2_800_000)]


def pool_job_router(*, attending: Attending, admission: Admission, calls: Calls) -> APIRouter:
    """Return the routes."""

    def key_of(request: Request) -> str:
        return session_key(request)

    of_running_jobs = known(lambda request: attending.attended(session_key(request)))
    routes = APIRouter(prefix="/agent/v1/pool", tags=["agent"], route_class=of_running_jobs)
    with_key = Depends(key_of)

    @routes.post("/start")
    def start(body: StartIn, key: Annotated[str, with_key]) -> StartOut:
        begun = attending.begin(key, run=body.run, machine=body.machine)
        return StartOut(
            job=str(begun.job),
            attempt=begun.attempt,
            cpus=begun.cpus,
            fetch=list(begun.fetch),
            given=list(begun.given),
            credential=credential_wire(begun.credential) if begun.credential else None,
        )

    @routes.post("/join")
    def join(body: JoinIn) -> JoinOut:
        told = body.measured
        measured = Answers(files=told.files, folders=told.folders) if told else None
        return JoinOut(token=admission.admit(body.bootstrap_token, measured))

    @routes.post("/fail")
    def fail(body: FailIn, key: Annotated[str, with_key]) -> OkOut:
        attending.fail(key, run=body.run, why=body.why)
        return OkOut()

    @routes.post("/renew")
    def renew(body: RenewJobIn, key: Annotated[str, with_key]) -> RenewJobOut:
        fresh = attending.renew(key, attempt=body.attempt)
        return RenewJobOut(credential=credential_wire(fresh) if fresh else None)

    @routes.post("/logs")
    def logs(body: JobLogsIn, key: Annotated[str, with_key]) -> LogsOut:
        try:
            data = base64.b64decode(body.data, validate=True)
        except binascii.Error as error:
            raise Invalid("`data` is not base64", facts={"field": "data"}) from error
        size = attending.log(key, body.stream, attempt=body.attempt, offset=body.offset, data=data)
        return LogsOut(size=size)

    @routes.post("/calls")
    async def wait(key: Annotated[str, with_key]) -> AgentCallsOut:
        here = await run_in_threadpool(attending.attended, key)
        deadline = time.monotonic() + POLL_SECONDS
        with calls.bell.listen(("call", here.worker)) as ear:
            while True:
                found, left = calls.waiting(here.worker, job=here.job), deadline - time.monotonic()
                if found or left <= 0 or calls.bell.closed:
                    return AgentCallsOut(calls=[told(call) for call in found])
                await ear.wait(min(left, LOOK_AGAIN))

    @routes.websocket("/calls/{call_id}")
    async def carry(websocket: WebSocket, call_id: str, authorization: Annotated[str, Header()] = "") -> None:
        try:
            scheme, _, key = authorization.partition(" ")
            if scheme.lower() != "bearer":
                raise Unauthorized("this needs the key of a job", code="no_credentials", remedy="Send it.")
            here = await run_in_threadpool(attending.attended, key.strip())
            call = calls.of_worker(call_id, here.worker, job=here.job)
        except ArmillaryError as error:
            await websocket.close(POLICY, error.message)
            return
        await carry_call(websocket, calls, call, Side.AGENT)

    return routes
