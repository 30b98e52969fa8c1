"""The state machine of a job: what each event makes of it. Every change of state in the queue goes through here."""

from __future__ import annotations

from dataclasses import dataclass, replace

from armillary.batch.core import policy
from armillary.batch.core.policy import AtExit, Ending
from armillary.batch.model import AttemptState, JobState, WrongState

MOVES: dict[JobState, frozenset[JobState]] = {
    JobState.IDLE: frozenset({JobState.CLAIMED, JobState.HELD, JobState.REMOVED}),
    JobState.CLAIMED: frozenset(
        {JobState.RUNNING, JobState.IDLE, JobState.COMPLETED, JobState.HELD, JobState.REMOVED}
    ),
    JobState.RUNNING: frozenset({JobState.IDLE, JobState.COMPLETED, JobState.HELD, JobState.REMOVED}),
    JobState.HELD: frozenset({JobState.IDLE, JobState.REMOVED}),
    JobState.COMPLETED: frozenset({JobState.IDLE}),
    JobState.REMOVED: frozenset({JobState.IDLE}),
}
"""Which state may follow which."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Why an attempt could not do its work. `retry`: the job itself is not to blame."""

    code: str
    message: str
    retry: bool = False


@dataclass(frozen=True, kw_only=True)
class Result:
    """How an attempt ended by its agent's word: an exit code, a signal, or an error of ours."""

    exit_code: int | None = None
    signal: int | None = None
    error: Fault | None = None

    @property
    def success(self) -> bool:
        """Whether the program ended well."""
        return self.exit_code == 0 and self.signal is None and self.error is None

    def __str__(self) -> str:
        if self.error is not None:
            return self.error.message
        return f"signal {self.signal}" if self.signal is not None else f"exit code {self.exit_code}"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What becomes of the job and of the attempt. `commits`: the attempt's files become the job's."""

    job: JobState
    attempt: AttemptState
    commits: bool = False
    hold_code: str | None = None
    hold_subcode: int | None = None
    """which a policy gave; the codes have their own"""
    reason: str | None = None
    memory_mib: int | None = None
    """the job asks for this much from now on"""
    succeeded: bool | None = None
    """of a completed job: whether it ended as it should"""
    retried: bool = False
    """one of the job's own retries was used"""
    lost: bool = False
    """the attempt counts against what a job may lose"""


def after_finish(
    result: Result, *, retried: int, max_retries: int, lost: int, max_lost: int, said: AtExit | None = None
) -> Outcome:
    """Decide after an attempt that ended by its agent's word.

    A program that fails is run again up to `max_retries` times, then the job is completed with its exit code, as
    in HTCondor; `said` is what the job's own policy says. An attempt that failed through no fault of the job
    counts as lost, in `lost` too; one that could never work puts the job on hold.
    """
    said = said or AtExit()
    if result.error is not None and result.error.retry:
        outcome = after_loss(lost=lost + 1, max_lost=max_lost, why=result.error.message)
        return replace(outcome, attempt=AttemptState.FAILED)
    if result.error is not None:
        return _after_fault(result.error, said)
    ending, hold = policy.after_exit(
        said, exit_code=result.exit_code, signal=result.signal, retried=retried, max_retries=max_retries
    )
    if hold is not None:
        return Outcome(
            job=JobState.HELD,
            attempt=AttemptState.FINISHED,
            hold_code=hold.code,
            hold_subcode=hold.subcode,
            reason=hold.reason,
        )
    if ending is Ending.AGAIN:
        return Outcome(
            job=JobState.IDLE,
            attempt=AttemptState.FINISHED,
            reason=f"tried again after {result}",
            retried=True,
        )
    well = result.signal is None and result.exit_code == said.success_exit_code
    reason = None if well else str(result)
    return Outcome(
        job=JobState.COMPLETED, attempt=AttemptState.FINISHED, commits=True, reason=reason, succeeded=well
    )


def _after_fault(fault: Fault, said: AtExit) -> Outcome:
    more = policy.more_memory(said) if fault.code == "memory_exceeded" else None
    if more is not None:
        reason = f"tried again with {more} MiB of memory: {fault.message}"
        return Outcome(job=JobState.IDLE, attempt=AttemptState.FAILED, reason=reason, memory_mib=more)
    return Outcome(job=JobState.HELD, attempt=AttemptState.FAILED, hold_code=fault.code, reason=fault.message)


def cause_of(result: Result, outcome: Outcome) -> str | None:
    """Return in one word why an attempt did not do well, for reports; None when it did."""
    if result.error is not None:
        return result.error.code
    if outcome.succeeded:
        return None
    if outcome.job is JobState.HELD:
        return outcome.hold_code
    return "signal" if result.signal is not None else "exit_code"


def after_loss(*, lost: int, max_lost: int, why: str) -> Outcome:
    """Decide after an attempt was lost; `lost` counts it in. A job that takes its machines down ends on hold."""
    if lost >= max_lost:
        reason = f"{lost} attempts were lost, the last one: {why}"
        return Outcome(
            job=JobState.HELD,
            attempt=AttemptState.LOST,
            hold_code="lost_too_often",
            reason=reason,
            lost=True,
        )
    return Outcome(job=JobState.IDLE, attempt=AttemptState.LOST, reason=why, lost=True)


def hold(state: JobState) -> bool:
    """Whether a hold changes anything. Raises WrongState for a job that is over."""
    if state in {JobState.COMPLETED, JobState.REMOVED}:
        raise WrongState(f"the job is {state} already", facts={"state": state.value})
    return state is not JobState.HELD


def release(state: JobState) -> bool:
    """Whether a release changes anything. Raises WrongState for a job that is over."""
    if state in {JobState.COMPLETED, JobState.REMOVED}:
        raise WrongState(
            f"the job is {state}, not held", facts={"state": state.value}, remedy="Use retry to run it again."
        )
    return state is JobState.HELD


def remove(state: JobState) -> bool:
    """Whether a removal changes anything. Raises WrongState for a completed job."""
    if state is JobState.COMPLETED:
        raise WrongState("the job is completed already", facts={"state": state.value})
    return state is not JobState.REMOVED


def retry(state: JobState, *, succeeded: bool) -> bool:
    """Whether the job is to run again from the start. Raises WrongState when there is nothing to repeat."""
    if state is JobState.COMPLETED and succeeded:
        raise WrongState(
            "the job succeeded; its results are kept",
            facts={"state": state.value},
            remedy="Submit it again if you want it to run once more.",
        )
    return not state.active
