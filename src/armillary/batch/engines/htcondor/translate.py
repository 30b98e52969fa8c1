"""One of our jobs as HTCondor's submit commands. Pure: text in, text out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from armillary.base.errors import Invalid
from armillary.base.job_ads import words
from armillary.batch.engines.htcondor.keys import FILE as KEY
from armillary.batch.model import Group

OUTPUT, ERROR = "_condor_stdout", "_condor_stderr"
"""What the streams of a job are called among its outputs, with either engine."""
PLATFORM, CLUSTER, PROC, TURN = "ArmillaryPlatform", "ArmillaryCluster", "ArmillaryProc", "ArmillaryTurn"
"""Our attributes of a job: whose it is, its name with us, and which turn of it (each retry by a person is one)."""
DONE = "ArmillaryDone"
"""Set when we have all that we want of a job: it leaves the schedd's queue then."""
IMAGE, PROJECT, FLAVOR, WORKER = "ArmillaryImage", "ArmillaryProject", "ArmillaryFlavor", "ArmillaryWorker"
"""Our attributes of jobs and machines, by which they find each other; the last one is a machine's only."""

AVOID = "ArmillaryAvoid"
"""The workers that a job is not to go to, because they are to end."""

NO_PROGRAM, NOT_READY = 41, 42
"""Signals by which a job ends that could not begin: because its program is not there, or what it was to have is not.

HTCondor knows no other way for a wrapper to say so: it looks for a file that it may not read.
"""
NO_PROGRAM_HOLD, NOT_READY_HOLD = 9041, 9042
"""The subcodes of their holds."""

Commands = Mapping[str, str]

_OURS = ("vos:", "arc:")
_REMOTE = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:.*")
_DOLLARS = re.compile(r"\$\$[(\[]|\$\$|\$")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")
_EXPRESSIONS = (
    "on_exit_remove",
    "on_exit_hold",
    "on_exit_hold_reason",
    "on_exit_hold_subcode",
    "periodic_hold",
    "periodic_hold_reason",
    "periodic_hold_subcode",
    "periodic_release",
    "periodic_remove",
    "periodic_vacate",
    "retry_until",
)
_DURATIONS = {
    "allowed_execute_seconds": "allowed_execute_duration",
    "allowed_job_seconds": "allowed_job_duration",
    "kill_signal": "kill_sig",
    "kill_seconds": "kill_sig_timeout",
    "checkpoint_exit_code": "checkpoint_exit_code",
}


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What all jobs of one submit share."""

    platform: str
    cluster: int
    group: Group
    owner: str
    project: str
    batch_name: str | None
    lease_seconds: int
    avoid: Sequence[str] = ()
    """workers that are to get no more jobs"""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One job as it is to be queued: its figures are those of the records, which edits have changed since."""

    proc: int
    turn: int
    spec: Mapping[str, Any]
    cpus: int
    memory_mib: int
    disk_kib: int
    gpus: int
    priority: int
    max_retries: int
    inputs: str
    """the folder with its files, under the names of its spec"""
    outputs: str
    """the folder to bring its files to"""
    keyed: bool = False
    """its key is among its files"""


def commands(job: Asked, terms: Terms) -> dict[str, str]:
    """Return the job's submit commands. Raises Invalid `not_with_htcondor` for what a schedd cannot be told."""
    spec = job.spec
    environment: Mapping[str, str] = spec.get("environment") or {}
    said: dict[str, str] = {
        "universe": "vanilla",
        "initialdir": job.outputs,
        "executable": _staged(job, spec["executable"]) if _travels(spec) else spec["executable"],
        "transfer_executable": str(_travels(spec)).lower(),
        "arguments": _new_syntax(spec.get("arguments") or []),
        "environment": _new_syntax([f"{k}={v}" for k, v in environment.items()]),
        "output": OUTPUT,
        "error": ERROR,
        "should_transfer_files": "YES",
        "when_to_transfer_output": spec.get("when_to_transfer_output") or "ON_EXIT",
        "request_cpus": str(job.cpus),
        "request_memory": f"{job.memory_mib}M",
        "request_disk": f"{job.disk_kib}K",
        "priority": str(job.priority),
        # Until it is over, nothing ends what the schedd has lost sight of: neither hold nor vacate, and a job that is
        # released after such a hold is idle by name only. HTCondor's own is forty minutes.
        "job_lease_duration": str(terms.lease_seconds),
        "notification": "never",
        "leave_in_queue": f"(JobStatus == 3 || JobStatus == 4) && {DONE} =!= true",
        "job_machine_attrs": WORKER,
        "job_machine_attrs_history_length": "1",
        "accounting_group": _name(terms.project),
        "accounting_group_user": _name(terms.owner),
        "requirements": _requirements(spec, terms.group),
        f"MY.{PLATFORM}": _quoted(terms.platform),
        f"MY.{CLUSTER}": str(terms.cluster),
        f"MY.{PROC}": str(job.proc),
        f"MY.{TURN}": str(job.turn),
        f"MY.{IMAGE}": _quoted(terms.group.image),
        f"MY.{PROJECT}": _quoted(terms.group.project),
        f"MY.{FLAVOR}": _quoted(terms.group.flavor),
        f"MY.{AVOID}": avoided(terms.avoid),
    }
    said |= _files(job) | _wishes(spec, job.max_retries)
    said |= _hold(said)
    if job.gpus:
        said["request_gpus"] = str(job.gpus)
    if terms.batch_name:
        said["batch_name"] = terms.batch_name
    taken = {name.lower() for name in said}
    own: Mapping[str, str] = spec.get("attributes") or {}
    said |= {f"MY.{k}": v for k, v in own.items() if f"my.{k.lower()}" not in taken}
    return {name: _escaped(name, value) for name, value in said.items()}


def ours_to_fetch(spec: Mapping[str, Any]) -> list[str]:
    """Return the inputs that HTCondor does not know how to bring: what stands beside the job does it."""
    return [one for one in _inputs(spec) if one.startswith(_OURS)]


def _inputs(spec: Mapping[str, Any]) -> list[str]:
    return cast("list[str]", spec.get("transfer_input_files") or [])


def avoided(workers: Sequence[str]) -> str:
    """Return the value of the attribute that names workers which a job is not to go to."""
    return _quoted(",".join(sorted(workers)))


def of_group(platform: str, group: Group) -> str:
    """Return the constraint that holds for a group's jobs that are not over."""
    mine = ((PLATFORM, platform), (IMAGE, group.image), (PROJECT, group.project), (FLAVOR, group.flavor))
    return (
        " && ".join(f"{name} == {_quoted(value)}" for name, value in mine)
        + " && JobStatus != 3 && JobStatus != 4"
    )


def shared(all_commands: Sequence[Commands]) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Return what all jobs say alike, and of each job what differs. All must have the same commands."""
    first = all_commands[0]
    same = {k: v for k, v in first.items() if all(one[k] == v for one in all_commands)}
    return same, [{k: v for k, v in one.items() if k not in same} for one in all_commands]


def below(path: str) -> str:
    """Return a path of a spec as one below the folder of the job's files."""
    return "/".join("_up" if part == ".." else part for part in path.split("/") if part not in {"", "."})


def _travels(spec: Mapping[str, Any]) -> bool:
    return bool(spec.get("transfer_executable", True))


def _staged(job: Asked, path: str) -> str:
    # A folder's slash says: what is in it, not the folder.
    return f"{job.inputs}/{below(path)}" + ("/" if path.endswith("/") else "")


def _files(job: Asked) -> dict[str, str]:
    spec = job.spec
    said: dict[str, str] = {}
    if spec.get("input"):
        said["input"] = _staged(job, spec["input"])
    paths = [p if _REMOTE.fullmatch(p) else _staged(job, p) for p in _inputs(spec) if not p.startswith(_OURS)]
    fetched = ours_to_fetch(spec)
    if fetched and not job.keyed:
        raise Invalid(
            f"a job in an HTCondor pool cannot have {fetched[0]} transferred: its machines do not reach the platform",
            code="not_with_htcondor",
            facts={"what": fetched[0]},
            remedy="Use the file's https URL, or copy it within the job.",
        )
    if job.keyed:
        paths.append(_staged(job, KEY))
    if paths:
        said["transfer_input_files"] = _list("transfer_input_files", paths)
    if spec.get("transfer_output_files") is not None:
        said["transfer_output_files"] = _list("transfer_output_files", spec["transfer_output_files"])
    if spec.get("transfer_checkpoint_files"):
        said["transfer_checkpoint_files"] = _list(
            "transfer_checkpoint_files", spec["transfer_checkpoint_files"]
        )
    return said


def _list(name: str, paths: Sequence[str]) -> str:
    for path in paths:
        if "," in path:
            raise Invalid(
                f"HTCondor cannot be told of a file with a comma in its name: {path}",
                code="not_with_htcondor",
                facts={"command": name},
                remedy="Give the file another name.",
            )
    return ", ".join(paths) or '""'


def _wishes(spec: Mapping[str, Any], max_retries: int) -> dict[str, str]:
    policy = cast("Mapping[str, Any]", spec.get("policy") or {})
    said = {name: str(policy[name]) for name in _EXPRESSIONS if policy.get(name) is not None}
    if max_retries or "retry_until" in said:
        said["max_retries"] = str(max_retries)
        said["success_exit_code"] = str(policy.get("success_exit_code") or 0)
    if policy.get("retry_request_memory_mib"):
        said["retry_request_memory"] = ", ".join(f"{n}M" for n in policy["retry_request_memory_mib"])
    if spec.get("rank"):
        said["rank"] = spec["rank"]
    if spec.get("concurrency_limits"):
        limits: Mapping[str, float] = spec["concurrency_limits"]
        said["concurrency_limits"] = ", ".join(f"{name}:{much:g}" for name, much in limits.items())
    return said | {
        command: str(spec[name]) for name, command in _DURATIONS.items() if spec.get(name) is not None
    }


def _hold(said: Commands) -> dict[str, str]:
    """Return when a job is put on hold at its end: when it says so, or could not begin."""

    def told(no_program: str, not_ready: str, name: str) -> str:
        own = said.get(name, "undefined")
        return (
            f"ifThenElse(ExitSignal =?= {NO_PROGRAM}, {no_program},"
            f" ifThenElse(ExitSignal =?= {NOT_READY}, {not_ready}, {own}))"
        )

    not_begun = f"(ExitSignal =?= {NO_PROGRAM} || ExitSignal =?= {NOT_READY})"
    return {
        "on_exit_hold": f"({said.get('on_exit_hold', 'false')}) || {not_begun}",
        "on_exit_hold_reason": told(
            'strcat("there is no program ", Cmd, " on the worker")',
            '"what the job acts with, or an input, could not be had"',
            "on_exit_hold_reason",
        ),
        "on_exit_hold_subcode": told(str(NO_PROGRAM_HOLD), str(NOT_READY_HOLD), "on_exit_hold_subcode"),
    }


def _requirements(spec: Mapping[str, Any], group: Group) -> str:
    ours = (
        f"(TARGET.{IMAGE} =?= {_quoted(group.image)}) && (TARGET.{PROJECT} =?= {_quoted(group.project)})"
        f" && (TARGET.{FLAVOR} =?= {_quoted(group.flavor)})"
        f" && (stringListMember(TARGET.{WORKER}, MY.{AVOID}) =!= true)"
    )
    return f"({spec['requirements']}) && {ours}" if spec.get("requirements") else ours


def _new_syntax(arguments: Sequence[str]) -> str:
    return '"' + words(arguments).replace('"', '""') + '"'


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _name(text: str) -> str:
    """Return a name that HTCondor's accountant takes."""
    return _NOT_IN_NAMES.sub("_", text)


def _escaped(name: str, value: str) -> str:
    """Return the value as it stands in a submit description, where `$` begins a macro and a line ends a command."""
    if "\n" in value or "\r" in value or "\x1f" in value:
        raise Invalid(
            f"HTCondor cannot be told of a line break in {name}",
            code="not_with_htcondor",
            facts={"command": name},
            remedy="Put such text into an input file.",
        )
    return _DOLLARS.sub(_dollar, value)


def _dollar(found: re.Match[str]) -> str:
    # Two of them would be read together after the first one is expanded. `$$(Name)` is the machine's affair.
    return {"$$(": "$$(", "$$[": "$$[", "$$": "$$(DOLLARDOLLAR)"}.get(found[0], "$(DOLLAR)")
