"""Calls into running jobs: a person's program and a worker's agent meet here, and bytes go both ways.

A worker takes no connections, so both come to us: the person asks for a call, the agent hears of it on its long poll
and comes for it, and whoever is first waits for the other. Calls live in this process's memory; after a restart a
person calls again.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from armillary.accounts.model import Principal
from armillary.base.bell import Bell
from armillary.base.clock import Clock
from armillary.base.errors import Forbidden, NotFound, Unavailable
from armillary.base.ids import WorkerId
from armillary.batch.model import JobId, JobState, WrongState
from armillary.batch.seeing import WRITE, out_of_scope
from armillary.batch.service import BatchService

MOST_CALLS, MOST_OF_A_WORKER = 256, 16
ANSWER_SECONDS = 60.0
"""how long either side waits for the other"""
LONGEST_SECONDS = 8 * 3600.0


class Side(StrEnum):
    PERSON = "person"
    AGENT = "agent"


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is to run beside a job, in its directory and as its user: a command, or a login shell when there is none."""

    command: Sequence[str] | None = None
    tty: bool = False
    term: str = "dumb"
    rows: int = 24
    cols: int = 80


class Line(Protocol):
    """One side of a call. Messages are binary: a byte that says what follows, and that (see the agent protocol)."""

    async def receive(self) -> bytes | None:
        """Return the next message, None once the other end is gone."""
        ...

    async def send(self, message: bytes) -> None: ...


@dataclass(kw_only=True, eq=False)
class Call:
    """One call, from the wish to the end of the line."""

    id: str
    secret: str
    job: JobId
    attempt: int
    worker: WorkerId
    wish: Wish
    begun: datetime
    told: bool = False
    """the agent has heard of it"""
    lines: dict[Side, Line] = field(default_factory=dict[Side, Line])
    both: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Calls:
    """All calls of this process. `answer` is used from one event loop; the rest from any thread."""

    def __init__(self, *, bell: Bell, clock: Clock) -> None:
        self._bell = bell
        self._clock = clock
        self._calls: dict[str, Call] = {}
        self._stirred: dict[WorkerId, datetime] = {}

    @property
    def bell(self) -> Bell:
        """Rings `("call", worker)` when there is something for the worker's agent."""
        return self._bell

    def begin(self, *, job: JobId, attempt: int, worker: WorkerId, wish: Wish) -> Call:
        """Note a wish and tell the worker's agent. Raises Unavailable when too many calls are open."""
        self._forget_abandoned()
        open_calls = list(self._calls.values())
        if len(open_calls) >= MOST_CALLS or sum(c.worker == worker for c in open_calls) >= MOST_OF_A_WORKER:
            raise Unavailable(
                "too many calls into running jobs are open",
                code="too_many_calls",
                facts={"limit": MOST_CALLS, "limit_per_worker": MOST_OF_A_WORKER},
                remedy="End one, or try again later.",
            )
        call = Call(
            id=secrets.token_hex(16),
            secret=secrets.token_urlsafe(32),
            job=job,
            attempt=attempt,
            worker=worker,
            wish=wish,
            begun=self._clock.now(),
        )
        self._calls[call.id] = call
        self._bell.ring(("call", worker))
        return call

    def waiting(self, worker: WorkerId, *, job: JobId | None = None) -> list[Call]:
        """Return the calls that the worker's agent has not heard of yet, or those into one job; each is told once."""
        found = [
            call
            for call in list(self._calls.values())
            if call.worker == worker and not call.told and job in (None, call.job)
        ]
        for call in found:
            call.told = True
        return found

    def stir(self, workers: Sequence[WorkerId]) -> None:
        """Have agents renew their leases now: a job of theirs was held or removed, and should end soon."""
        self._forget_abandoned()
        self._stirred |= dict.fromkeys(workers, self._clock.now())
        self._bell.ring(*(("call", worker) for worker in workers))

    def stirred(self, worker: WorkerId) -> bool:
        """Return whether the worker was stirred; it is told once."""
        return self._stirred.pop(worker, None) is not None

    def of_person(self, call_id: str, secret: str) -> Call:
        """Return a call by the secret that its caller was given. Raises NotFound."""
        call = self._calls.get(call_id)
        if call is None or Side.PERSON in call.lines:
            raise _unknown(call_id)
        if not hmac.compare_digest(
            call.secret.encode(), secret.encode()
        ):  # as bytes: a header may have any letters
            raise _unknown(call_id)
        return call

    def of_worker(self, call_id: str, worker: WorkerId, *, job: JobId | None = None) -> Call:
        """Return a call into a job of this worker, or into this one. Raises NotFound."""
        call = self._calls.get(call_id)
        if call is None or Side.AGENT in call.lines or call.worker != worker or job not in (None, call.job):
            raise _unknown(call_id)
        return call

    async def answer(self, call: Call, side: Side, line: Line) -> bool:
        """Carry what this side says to the other until one of them ends; returns whether the other ever came."""
        call.lines[side] = line
        try:
            if len(call.lines) == len(Side):
                call.both.set()
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await _first(call.both.wait(), call.ended.wait())
            except TimeoutError:
                return False
            if not call.both.is_set():
                return False
            (other,) = (found for whose, found in call.lines.items() if whose is not side)
            async with asyncio.timeout(LONGEST_SECONDS):
                await _first(_carry(line, other), call.ended.wait())
        except TimeoutError:
            pass
        finally:
            call.ended.set()
            self._calls.pop(call.id, None)
        return True

    def _forget_abandoned(self) -> None:
        """Whoever asks for a call and does not come, or is stirred and does not hear, is no burden for ever."""
        since = self._clock.now() - timedelta(seconds=ANSWER_SECONDS)
        for call in list(self._calls.values()):
            if not call.lines and call.begun < since:
                self._calls.pop(call.id, None)
        for worker, when in list(self._stirred.items()):
            if when < since:
                self._stirred.pop(worker, None)


def running_on(service: BatchService, who: Principal, job: JobId) -> tuple[WorkerId, int]:
    """Return the worker on which the caller's job runs, and its attempt.

    Raises Forbidden for somebody else's job, also for managers: whoever is inside of a job acts as its owner.
    """
    if not who.allows(WRITE):
        raise out_of_scope(WRITE)
    detail = service.job(who, job)
    if detail.owner_id != who.person.id:
        raise Forbidden(
            f"job {job} is not yours",
            code="not_your_job",
            facts={"job": str(job)},
            remedy="Ask its owner to look into it.",
        )
    if detail.view.state != JobState.RUNNING or detail.live_attempt is None or not detail.view.worker:
        raise WrongState(
            f"job {job} is {detail.view.state}, not running",
            code="job_not_running",
            facts={"job": str(job), "state": detail.view.state},
            remedy=f"See why: armillary explain {job}",
        )
    return WorkerId(detail.view.worker), detail.live_attempt


async def _carry(line: Line, other: Line) -> None:
    while (message := await line.receive()) is not None:
        await other.send(message)


async def _first(*waits: Coroutine[Any, Any, object]) -> None:
    tasks = [asyncio.ensure_future(one) for one in waits]
    for task in tasks:
        task.add_done_callback(_looked_at)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _looked_at(task: asyncio.Task[object]) -> None:
    """Sending to a side that has gone fails, and is the end of the call like any other."""
    if not task.cancelled():
        task.exception()


def _unknown(call_id: str) -> NotFound:
    return NotFound(
        f"there is no call {call_id}",
        code="call_not_found",
        facts={"call": call_id},
        remedy="Call again.",
    )
