"""Calls into running jobs over HTTP: asked for and told of in JSON, carried by WebSockets from both sides."""

# no `from __future__ import annotations` here: FastAPI could not resolve what closes over the services

import contextlib
import json
import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, WebSocket
from pydantic import Field, StringConstraints
from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocketDisconnect, WebSocketState

from armillary.accounts.model import Principal
from armillary.base.errors import ArmillaryError, Unauthorized
from armillary.batch.agents import AgentService
from armillary.batch.api.agents import LOOK_AGAIN
from armillary.batch.api.bounds import BoundedRoute, known
from armillary.batch.api.users import Authenticator
from armillary.batch.api.wire_submit import Text, Wire
from armillary.batch.calls import Call, Calls, Side, Wish, running_on
from armillary.batch.engines.embedded.register import Session
from armillary.batch.model import JobId
from armillary.batch.service import BatchService

ERROR = b"\x05"
_NORMAL, POLICY, _TRY_LATER = 1000, 1008, 1013
"""Close codes of RFC 6455 (7.4.1) and its registry."""


class CallIn(Wire):
    """`POST /jobs/JOB/calls`: a command, or a login shell when there is none; with `tty` it has a terminal."""

    command: list[Text] | None = Field(default=None, min_length=1, max_length=10_000)
    tty: bool = False
    term: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.+-]{1,64}$")] = "dumb"
    rows: int = Field(default=24, ge=1, le=10_000)
    cols: int = Field(default=80, ge=1, le=10_000)


class CallOut(Wire):
    """Open a WebSocket at `path` of this host with the header `X-Call-Secret`, within a minute."""

    call: str
    secret: str
    path: str


class AgentCallOut(Wire):
    """What the agent is to run, and for whose call it comes."""

    call: str
    job: str
    attempt: int
    command: list[str] | None
    tty: bool
    term: str
    rows: int
    cols: int


class AgentCallsOut(Wire):
    """New calls; `renew` when a job of the worker was held or removed, so that the agent asks at once."""

    calls: list[AgentCallOut]
    renew: bool = False


def call_router(*, service: BatchService, calls: Calls, authenticator: Authenticator) -> APIRouter:
    """Return the routes for people's programs."""
    routes = APIRouter(prefix="/api/v1/batch", tags=["batch"], route_class=known(authenticator.principal_of))
    signed_in = Depends(authenticator.principal_of)

    @routes.post("/jobs/{job}/calls", status_code=201)
    def begin(job: str, who: Annotated[Principal, signed_in], body: CallIn | None = None) -> CallOut:
        wanted = body or CallIn()
        name = JobId.parse(job)
        worker, attempt = running_on(service, who, name)
        wish = Wish(**wanted.model_dump())
        call = calls.begin(job=name, attempt=attempt, worker=worker, wish=wish)
        return CallOut(call=call.id, secret=call.secret, path=f"{routes.prefix}/calls/{call.id}")

    @routes.websocket("/calls/{call_id}")
    async def carry(websocket: WebSocket, call_id: str, x_call_secret: Annotated[str, Header()] = "") -> None:
        try:
            call = calls.of_person(call_id, x_call_secret)
        except ArmillaryError as error:
            await websocket.close(POLICY, error.message)  # before it is accepted: the server answers 403
            return
        await carry_call(websocket, calls, call, Side.PERSON)

    return routes


def agent_call_router(*, agents: AgentService, calls: Calls) -> APIRouter:
    """Return the routes for agents."""
    routes = APIRouter(prefix="/agent/v1", tags=["agent"], route_class=BoundedRoute)

    def session_of(authorization: str) -> Session:
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise Unauthorized("this needs a session key", code="no_credentials", remedy="Register first.")
        return agents.session(key.strip())

    @routes.post("/calls")
    async def wait(authorization: Annotated[str, Header()] = "") -> AgentCallsOut:
        session = await run_in_threadpool(session_of, authorization)
        deadline = time.monotonic() + agents.terms.poll.total_seconds()
        with calls.bell.listen(("call", session.worker)) as ear:
            while True:
                found, renew = calls.waiting(session.worker), calls.stirred(session.worker)
                left = deadline - time.monotonic()
                if found or renew or left <= 0 or calls.bell.closed:
                    return AgentCallsOut(calls=[told(call) for call in found], renew=renew)
                await ear.wait(min(left, LOOK_AGAIN))

    @routes.websocket("/calls/{call_id}")
    async def carry(websocket: WebSocket, call_id: str, authorization: Annotated[str, Header()] = "") -> None:
        try:
            session = await run_in_threadpool(session_of, authorization)
            call = calls.of_worker(call_id, session.worker)
        except ArmillaryError as error:
            await websocket.close(POLICY, error.message)
            return
        await carry_call(websocket, calls, call, Side.AGENT)

    return routes


class _Line:
    """A side of a call that came by WebSocket."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket

    async def receive(self) -> bytes | None:
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        data: bytes = message.get("bytes") or b""
        return data

    async def send(self, message: bytes) -> None:
        await self._websocket.send_bytes(message)


async def carry_call(websocket: WebSocket, calls: Calls, call: Call, side: Side) -> None:
    """Be one side of a call, over its WebSocket."""
    await websocket.accept()
    came = await calls.answer(call, side, _Line(websocket))
    if websocket.client_state is WebSocketState.DISCONNECTED:
        return
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # it went in this moment
        if not came:
            why = {"code": "no_answer", "message": f"the worker of job {call.job} does not answer"}
            await websocket.send_bytes(ERROR + json.dumps(why).encode())
        await websocket.close(_NORMAL if came else _TRY_LATER)


def told(call: Call) -> AgentCallOut:
    """Return a call as whoever stands beside its job is told of it."""
    facts: dict[str, Any] = {name: getattr(call.wish, name) for name in Wish.__dataclass_fields__}
    return AgentCallOut(call=call.id, job=str(call.job), attempt=call.attempt, **facts)
