"""What becomes of a job by its own policy: HTCondor's rules, over expressions that were evaluated before.

An expression that is neither true nor a number other than zero does not count as true; so does one that cannot be
evaluated. `None` stands for both undefined and error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from armillary.batch.model import JobState

HOLD = "policy_hold"
UNDECIDED = "policy_undefined"


@dataclass(frozen=True, kw_only=True)
class Hold:
    """A hold that a policy asks for."""

    reason: str
    subcode: int | None = None
    code: str = HOLD


@dataclass(frozen=True, kw_only=True)
class AtExit:
    """What a job's policy says when its program has ended.

    `has_remove` tells whether there is an `on_exit_remove` at all; `remove` is its value.
    """

    success_exit_code: int = 0
    hold: Hold | None = None
    has_remove: bool = False
    remove: bool | None = None
    until: bool = False
    """retry_until holds: nothing is gained by trying again"""
    memory_steps: Sequence[int] = ()
    """retry_request_memory, in MiB"""
    memory_mib: int = 0
    """what the job asked for until now"""


class Ending(StrEnum):
    """What the exit of a program means for its job."""

    OVER = "over"
    AGAIN = "again"
    HELD = "held"


def after_exit(
    said: AtExit, *, exit_code: int | None, signal: int | None, retried: int, max_retries: int
) -> tuple[Ending, Hold | None]:
    """Decide after a program has ended by itself: on_exit_hold first, then on_exit_remove and the retries.

    With `max_retries`, the job is over when it succeeded, when they are used up, when `retry_until` holds or when
    `on_exit_remove` does, as condor_submit joins them. Without, `on_exit_remove` alone decides; when it cannot be
    evaluated the job is held: else it would run again for ever.
    """
    if said.hold is not None:
        return Ending.HELD, said.hold
    success = signal is None and exit_code == said.success_exit_code
    if said.has_remove and not max_retries:
        if said.remove is None:
            return Ending.HELD, Hold(
                code=UNDECIDED, reason="on_exit_remove has no value for this job: neither true nor false"
            )
        return (Ending.OVER if said.remove else Ending.AGAIN), None
    over = success or said.until or said.remove is True or retried >= max_retries
    return (Ending.OVER if over else Ending.AGAIN), None


def more_memory(said: AtExit) -> int | None:
    """Return what to ask for after the job was ended over its memory: the next larger step, None when there is none."""
    larger = [step for step in said.memory_steps if step > said.memory_mib]
    return min(larger, default=None)


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What a periodic look at a job sees."""

    state: JobState
    now: datetime
    claimed_at: datetime | None = None
    """when the present attempt was given to a worker"""
    started_at: datetime | None = None
    """when its program started"""
    allowed_job: timedelta | None = None
    allowed_execute: timedelta | None = None
    grace: timedelta = timedelta(0)
    """time that the agent has to end the job itself, with what it used, before we do"""


@dataclass(frozen=True, kw_only=True)
class Periodic:
    """What the periodic expressions say at this moment. A missing one is not true."""

    hold: Hold | None = None
    release: bool = False
    remove: bool = False
    vacate: bool = False


class Deed(StrEnum):
    """What is to be done with a job."""

    HOLD = "hold"
    RELEASE = "release"
    REMOVE = "remove"
    VACATE = "vacate"


@dataclass(frozen=True, kw_only=True)
class Act:
    """A deed, and why."""

    deed: Deed
    hold: Hold | None = None
    reason: str = ""


def look(job: Watched, said: Periodic) -> Act | None:
    """Decide what becomes of a job now, in HTCondor's order: durations, hold, release, remove, vacate."""
    if not (job.state.active or job.state is JobState.HELD):
        return None
    late = _too_long(job)
    if late is not None:
        return Act(deed=Deed.HOLD, hold=late, reason=late.reason)
    if job.state is not JobState.HELD and said.hold is not None:
        return Act(deed=Deed.HOLD, hold=said.hold, reason=said.hold.reason)
    if job.state is JobState.HELD and said.release:
        return Act(deed=Deed.RELEASE, reason="periodic_release became true")
    if said.remove:
        return Act(deed=Deed.REMOVE, reason="periodic_remove became true")
    if job.state.on_worker and said.vacate:
        return Act(deed=Deed.VACATE, reason="periodic_vacate became true")
    return None


def _too_long(job: Watched) -> Hold | None:
    if not job.state.on_worker:
        return None
    if job.allowed_job is not None and _since(job.claimed_at, job) > job.allowed_job + job.grace:
        seconds = int(job.allowed_job.total_seconds())
        return Hold(code="job_time_exceeded", reason=f"it was on a worker for more than {seconds} s")
    if job.allowed_execute is not None and _since(job.started_at, job) > job.allowed_execute + job.grace:
        seconds = int(job.allowed_execute.total_seconds())
        return Hold(code="time_exceeded", reason=f"it ran for more than {seconds} s")
    return None


def _since(moment: datetime | None, job: Watched) -> timedelta:
    return timedelta(0) if moment is None else job.now - moment
