"""What a schedd says of a job. Pure: from an ad to a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from armillary.base.job_ads import COMPLETED, HELD, IDLE, REMOVED, RUNNING
from armillary.batch.core.hold_codes import HOLD_CODES
from armillary.batch.engines.htcondor.translate import (
    CLUSTER,
    NO_PROGRAM_HOLD,
    NOT_READY_HOLD,
    PROC,
    TURN,
    WORKER,
)

TRANSFERRING_OUTPUT, SUSPENDED = 6, 7
ON_MACHINE = frozenset({RUNNING, TRANSFERRING_OUTPUT, SUSPENDED})
SPOOLING = 16
"""HoldReasonCode of a job whose files are on their way to the schedd: on hold by name only"""
_AFTER_THE_END = frozenset({3, 5})
"""HoldReasonCodes of policies, which may hold a job because of how its program ended"""
OURS = "Armillary: "
"""In front of reasons that we give: what we told the schedd is no news when it says it back."""

_MACHINE = f"MachineAttr{WORKER}0"
PROJECTION = (
    *(CLUSTER, PROC, TURN, _MACHINE),
    *(
        "ClusterId",
        "ProcId",
        "JobStatus",
        "EnteredCurrentStatus",
        "NumJobStarts",
        "NumJobCompletions",
        "NumHolds",
    ),
    *("JobCurrentStartDate", "JobCurrentStartExecutingDate", "CompletionDate"),
    *("HoldReasonCode", "HoldReasonSubCode", "HoldReason", "RemoveReason", "VacateReason"),
    *("ExitBySignal", "ExitCode", "ExitSignal", "OnExitHold"),
    *(
        "LastRemoteWallClockTime",
        "RemoteWallClockTime",
        "RemoteUserCpu",
        "RemoteSysCpu",
        "MemoryUsage",
        "DiskUsage",
        "RequestMemory",
    ),
)
"""The attributes that are asked for."""

_CODES = {
    1: "held_by_user",
    3: "policy_hold",
    5: "policy_undefined",
    6: "job_invalid",
    12: "output_invalid",
    13: "input_fetch_failed",
    15: "submitted_on_hold",
    34: "policy_hold",
    46: "job_time_exceeded",
    47: "time_exceeded",
}
"""Where one number of HTCondor's stands for several codes of ours, the plainest."""
_NOT_BEGUN = {(3, NO_PROGRAM_HOLD): "executable_missing", (3, NOT_READY_HOLD): "input_fetch_failed"}
_EXACT = _NOT_BEGUN | {
    (known.number, known.subcode): code for code, known in HOLD_CODES.items() if known.subcode
}


@dataclass(frozen=True, kw_only=True)
class Sight:
    """A job as the schedd had it at one moment."""

    cluster: int
    proc: int
    turn: int
    schedd_cluster: int
    schedd_proc: int
    status: int
    entered: int
    run: int
    """when the last attempt began; 0: there was none"""
    executing: bool
    completions: int
    mark: str
    """differs from another one's if anything has happened in between"""
    worker: str
    exit_code: int | None
    signal: int | None
    hold_code: str
    hold_subcode: int | None
    reason: str
    usage: Mapping[str, float]
    memory_mib: int
    ended: bool
    """whether the last program's end may be the last word: the job is completed, or a policy holds it"""

    def failures(self, *, counted: int, run: int) -> int | None:
        """Return how many programs have ended, besides those counted, after which the job was to run again.

        None: it cannot be said yet. A shadow counts the program's end before its job leaves the machine, so that
        one more of the same `run` says nothing of what comes next. It is -1 where the last look could not know that
        a program which had ended already was the last one.
        """
        if self.status in ON_MACHINE and self.run == run:
            return None
        more = self.completions - counted
        if self.status == COMPLETED:
            return more - 1
        return more - 1 if self.ended and more > 0 else more

    def dated(self, *, run: int, status: int) -> bool:
        """Whether this says all of a change from that `run` and `status`.

        A schedd says that a job runs a moment before it says since when. What is seen in between is no word on any
        run, and above all not that one goes on which we do not want any more.
        """
        return self.status not in ON_MACHINE or self.run != run or status in ON_MACHINE

    @property
    def name(self) -> str:
        """What the schedd calls it."""
        return f"{self.schedd_cluster}.{self.schedd_proc}"


def sight(ad: Mapping[str, Any]) -> Sight | None:
    """Read an ad; None for one that is not a job of ours, or whose files are still on their way."""
    if any(name not in ad for name in (CLUSTER, PROC, TURN, "JobStatus")):
        return None
    status = int(ad["JobStatus"])
    code = int(ad.get("HoldReasonCode") or 0)
    if status == HELD and code == SPOOLING:
        return None
    run = int(ad.get("JobCurrentStartDate") or 0)
    executing = status in ON_MACHINE and int(ad.get("JobCurrentStartExecutingDate") or 0) >= run > 0
    entered, completions = int(ad.get("EnteredCurrentStatus") or 0), int(ad.get("NumJobCompletions") or 0)
    by_signal = bool(ad.get("ExitBySignal"))
    holds, starts = int(ad.get("NumHolds") or 0), int(ad.get("NumJobStarts") or 0)
    return Sight(
        cluster=int(ad[CLUSTER]),
        proc=int(ad[PROC]),
        turn=int(ad[TURN]),
        schedd_cluster=int(ad["ClusterId"]),
        schedd_proc=int(ad["ProcId"]),
        status=status,
        entered=entered,
        run=run,
        executing=executing,
        completions=completions,
        mark=f"{status}:{entered}:{run}:{int(executing)}:{completions}:{holds}:{starts}",
        worker=str(ad.get(_MACHINE) or ""),
        exit_code=None if by_signal or "ExitCode" not in ad else int(ad["ExitCode"]),
        signal=int(ad["ExitSignal"]) if by_signal and "ExitSignal" in ad else None,
        hold_code=hold_code(code, int(ad.get("HoldReasonSubCode") or 0)) if status == HELD else "",
        hold_subcode=int(ad["HoldReasonSubCode"]) if status == HELD and ad.get("HoldReasonSubCode") else None,
        reason=str(_reason(ad, status)),
        usage=_usage(ad),
        memory_mib=int(ad.get("RequestMemory") or 0),
        ended=status == COMPLETED or (status == HELD and _held_at_its_end(ad, code)),
    )


def _held_at_its_end(ad: Mapping[str, Any], code: int) -> bool:
    """Whether it may be the end of its program that put it on hold.

    A hold by `periodic_hold` has the same number. There `on_exit_hold` does not hold, or it would have before.
    """
    return code in _AFTER_THE_END and ad.get("OnExitHold") is not False


def hold_code(number: int, subcode: int) -> str:
    """Return our code of a hold by HTCondor's numbers."""
    known = _EXACT.get((number, subcode)) or _CODES.get(number)
    return known or "held_by_htcondor"


def _reason(ad: Mapping[str, Any], status: int) -> Any:
    name = {HELD: "HoldReason", REMOVED: "RemoveReason", IDLE: "VacateReason"}.get(status)
    return ad.get(name, "") if name else ""


def _usage(ad: Mapping[str, Any]) -> dict[str, float]:
    """Return what the attempts used, by the names that our agents use."""
    found = {
        # The other one is of all attempts together.
        "wall_seconds": (ad.get("LastRemoteWallClockTime", ad.get("RemoteWallClockTime")), 1),
        "user_seconds": (ad.get("RemoteUserCpu"), 1),
        "system_seconds": (ad.get("RemoteSysCpu"), 1),
        "max_rss_kib": (ad.get("MemoryUsage"), 1024),
        "disk_kib": (ad.get("DiskUsage"), 1),
    }
    return {
        name: float(value) * unit for name, (value, unit) in found.items() if isinstance(value, int | float)
    }
