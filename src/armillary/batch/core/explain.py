"""Why a job is where it is, as data that every voice renders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from armillary.batch.model import JobId, JobState, Machine, MachineState, Refusal


@dataclass(frozen=True, kw_only=True)
class Known:
    """What there is to know about a job's wait."""

    job: JobId
    state: JobState
    now: datetime
    entered_at: datetime
    reason: str | None = None
    hold_code: str | None = None
    stopping: bool = False
    """an attempt before this state has not ended yet"""
    ahead: int = 0
    """idle jobs of the group that were submitted before"""
    machines: Sequence[Machine] = field(default_factory=tuple[Machine, ...])
    refusals: Sequence[Refusal] = field(default_factory=tuple[Refusal, ...])
    looked: bool = False
    """whether the scaler has looked at the group since the job came"""
    exit_code: int | None = None
    signal: int | None = None


def explain(known: Known) -> list[Refusal]:
    """Return every reason for the job's state, the most telling first; never an empty list."""
    seconds = int((known.now - known.entered_at).total_seconds())
    match known.state:
        case JobState.IDLE:
            return _idle(known, seconds)
        case JobState.HELD:
            return [
                Refusal(
                    code=known.hold_code or "held",
                    message=f"held {seconds} s ago: {known.reason or 'no reason was given'}",
                    facts={"seconds": seconds},
                    remedy="Mend the cause, then release the job.",
                )
            ]
        case JobState.CLAIMED:
            text = f"a worker took it {seconds} s ago and gathers its files"
            return [Refusal(code="claimed", message=text, facts={"seconds": seconds})]
        case JobState.RUNNING:
            return [Refusal(code="running", message=f"runs for {seconds} s", facts={"seconds": seconds})]
        case JobState.REMOVED:
            text = f"removed {seconds} s ago" + (f": {known.reason}" if known.reason else "")
            return [Refusal(code="removed", message=text, facts={"seconds": seconds})]
        case JobState.COMPLETED:
            how = f"signal {known.signal}" if known.signal is not None else f"exit code {known.exit_code}"
            facts = {"exit_code": known.exit_code, "signal": known.signal}
            return [Refusal(code="completed", message=f"ended with {how}", facts=facts)]


def _idle(known: Known, seconds: int) -> list[Refusal]:
    reasons: list[Refusal] = []
    if known.stopping:
        reasons.append(
            Refusal(
                code="earlier_attempt_stopping",
                message="an earlier attempt is still being stopped; two never run at once",
            )
        )
    for machine in known.machines:
        if machine.state in {MachineState.PLANNED, MachineState.BOOTING}:
            since = int((known.now - (machine.booted_at or machine.created_at)).total_seconds())
            step = "boots" if machine.state is MachineState.BOOTING else "is being prepared"
            note = f" ({machine.reason})" if machine.reason else ""
            reasons.append(
                Refusal(
                    cloud=machine.cloud,
                    code=f"worker_{machine.state.value}",
                    message=f"worker {machine.id} {step} on {machine.cloud} for {since} s{note}",
                    facts={"worker": machine.id, "seconds": since},
                )
            )
    ready = [machine for machine in known.machines if machine.state is MachineState.READY]
    if ready:
        reasons.append(
            Refusal(
                code="workers_busy",
                message=f"{len(ready)} worker(s) run jobs for this image; {known.ahead} job(s) are before this one",
                facts={"workers": len(ready), "ahead": known.ahead},
            )
        )
    reasons.extend(known.refusals)
    if not reasons:
        text = (
            "the next round of placement has not come yet"
            if not known.looked
            else "a worker is about to take it"
        )
        reasons.append(
            Refusal(code="not_looked_yet", message=f"{text} ({seconds} s)", facts={"seconds": seconds})
        )
    return reasons
