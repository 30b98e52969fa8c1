"""A job as HTCondor's job ClassAd: its attribute names, its numbers, its units. One mapping for all who speak ClassAd."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

IDLE, RUNNING, REMOVED, COMPLETED, HELD = 1, 2, 3, 4, 5
STATUS = {
    "idle": IDLE,
    "claimed": RUNNING,  # HTCondor, too, calls a job running while its inputs travel
    "running": RUNNING,
    "removed": REMOVED,
    "completed": COMPLETED,
    "held": HELD,
}
LETTERS = {IDLE: "I", RUNNING: "R", REMOVED: "X", COMPLETED: "C", HELD: "H"}
_CLUSTER = "$(Cluster)"
_VANILLA = 5
_TEXTS = {
    "input": "In",
    "output": "Out",
    "error": "Err",
    "log": "UserLog",
    "when_to_transfer_output": "WhenToTransferOutput",
}
_LISTS = {
    "transfer_input_files": "TransferInput",
    "transfer_output_files": "TransferOutput",
    "transfer_checkpoint_files": "TransferCheckpoint",
}
_PLAIN = {
    "iwd": "Iwd",
    "request_cpus": "RequestCpus",
    "request_memory_mib": "RequestMemory",
    "request_disk_kib": "RequestDisk",
    "request_gpus": "RequestGPUs",
    "max_retries": "JobMaxRetries",
    "checkpoint_exit_code": "CheckpointExitCode",
    "allowed_execute_seconds": "AllowedExecuteDuration",
    "allowed_job_seconds": "AllowedJobDuration",
    "transfer_executable": "TransferExecutable",
    "stream_output": "StreamOut",
    "stream_error": "StreamErr",
}
_POLICY = {
    "on_exit_remove": "OnExitRemove",
    "on_exit_hold": "OnExitHold",
    "periodic_hold": "PeriodicHold",
    "periodic_release": "PeriodicRelease",
    "periodic_remove": "PeriodicRemove",
    "periodic_vacate": "PeriodicVacate",
    "leave_in_queue": "LeaveJobInQueue",
}


class Expression(str):
    """The text of a ClassAd expression, to be evaluated and not quoted."""

    __slots__ = ()


def job_ad(job: Mapping[str, Any], spec: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the ClassAd of a job: text, numbers, booleans and `Expression`s by HTCondor's names.

    `job` has the fields of a job in a list of `/api/v1/batch/jobs`, `spec` those of a submit; moments may be ISO texts
    or datetimes. What is not known is left out, as in HTCondor. A job's own attributes (`+Name`) hide
    none of the facts.
    """
    cluster, proc = int(job["cluster"]), int(job["proc"])
    spec = spec or {}
    ad: dict[str, Any] = {
        "MyType": "Job",
        "TargetType": "Machine",
        "ClusterId": cluster,
        "ProcId": proc,
        "JobUniverse": _VANILLA,
        "Owner": job["owner"],
        "User": f"{job['owner']}@armillary",
        "ProjectName": job["project"],
        "VMImage": job["image"]["sha512"],
        "VMImageName": job["image"]["name"],
        "VMInstanceType": job["flavor"],
        "Cmd": spec.get("executable") or job["executable"],
        "JobPrio": job["priority"],
        "NumJobStarts": job["attempts"],
        "NumShadowStarts": job["attempts"],
        "ShouldTransferFiles": "YES",
        **_arguments([_filled(one, cluster) for one in spec.get("arguments") or job["arguments"]]),
        **_standing(job),
        **_asked(spec, cluster),
    }
    if job.get("batch_name"):
        ad["JobBatchName"] = job["batch_name"]
    known = {name.lower() for name in ad}  # names of attributes have no case
    own: Mapping[str, str] = spec.get("attributes") or {}
    return ad | {name: Expression(value) for name, value in own.items() if name.lower() not in known}


def words(arguments: Sequence[str]) -> str:
    """Return arguments or assignments in HTCondor's new syntax, without the outer quotes."""
    return " ".join(_quoted(one) for one in arguments)


def _standing(job: Mapping[str, Any]) -> dict[str, Any]:
    status = STATUS[job["state"]]
    moments = {
        "QDate": job.get("submitted_at"),
        "EnteredCurrentStatus": job.get("entered_at"),
        "JobStartDate": job.get("started_at"),
        "JobCurrentStartDate": job.get("started_at") if status == RUNNING else None,
        "CompletionDate": job.get("finished_at") if status == COMPLETED else None,
    }
    ad: dict[str, Any] = {"JobStatus": status}
    ad |= {name: _epoch(moment) for name, moment in moments.items() if moment}
    ad["GlobalJobId"] = f"armillary#{job['cluster']}.{job['proc']}#{ad.get('QDate', 0)}"
    if job["state"] == "claimed":
        ad["TransferringInput"] = True
    if job.get("worker"):
        host = f"slot1@{job['worker']}.{job.get('cloud') or 'cloud'}"
        ad["RemoteHost" if status == RUNNING else "LastRemoteHost"] = host
    if job.get("started_at") and job.get("finished_at"):
        ad["RemoteWallClockTime"] = float(_epoch(job["finished_at"]) - _epoch(job["started_at"]))
    if job.get("signal") is not None:
        ad |= {"ExitBySignal": True, "ExitSignal": job["signal"]}
    elif job.get("exit_code") is not None:
        ad |= {"ExitBySignal": False, "ExitCode": job["exit_code"], "ExitStatus": job["exit_code"]}
    if status == HELD:
        ad["HoldReason"] = job.get("reason") or "no reason given"
        ad["HoldReasonCode"] = int(job.get("hold_reason_code") or 0)
        ad["HoldReasonSubCode"] = int(job.get("hold_reason_subcode") or 0)
    elif status == REMOVED and job.get("reason"):
        ad["RemoveReason"] = job["reason"]
    return ad


def _asked(spec: Mapping[str, Any], cluster: int) -> dict[str, Any]:
    ad: dict[str, Any] = {}
    for name, attribute in _TEXTS.items():
        if spec.get(name):
            ad[attribute] = _filled(spec[name], cluster)
    for name, attribute in _LISTS.items():
        if spec.get(name):
            ad[attribute] = ",".join(_filled(one, cluster) for one in spec[name])
    ad |= {attribute: spec[name] for name, attribute in _PLAIN.items() if spec.get(name) not in (None, "")}
    if spec.get("environment"):
        ad["Environment"] = words([f"{key}={value}" for key, value in spec["environment"].items()])
    if spec.get("transfer_output_remaps"):
        ad["TransferOutputRemaps"] = ";".join(f"{a}={b}" for a, b in spec["transfer_output_remaps"].items())
    if spec.get("concurrency_limits"):
        ad["ConcurrencyLimits"] = ",".join(f"{a}:{b:g}" for a, b in spec["concurrency_limits"].items())
    policy: Mapping[str, Any] = spec.get("policy") or {}
    expressions = {
        "Requirements": spec.get("requirements"),
        "Rank": spec.get("rank"),
        **{attribute: policy.get(name) for name, attribute in _POLICY.items()},
    }
    ad |= {name: Expression(text) for name, text in expressions.items() if text}
    if policy:
        ad["JobSuccessExitCode"] = policy.get("success_exit_code", 0)
    return ad


def _arguments(arguments: Sequence[str]) -> dict[str, str]:
    """`Args` is HTCondor's old syntax, which knows no quotes; `Arguments` the new one."""
    if not arguments:
        return {"Args": ""}
    plain = all(one and not set(one) & set(" \t\n'\"") for one in arguments)
    return {"Args": " ".join(arguments)} if plain else {"Arguments": words(arguments)}


def _quoted(text: str) -> str:
    if text and not set(text) & set(" \t\n'"):
        return text
    return "'" + text.replace("'", "''") + "'"


def _filled(text: str, cluster: int) -> str:
    """A platform may keep $(Cluster) as the submit file has it."""
    return text.replace(_CLUSTER, str(cluster))


def _epoch(moment: object) -> int:
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    return int(cast("datetime", moment).timestamp())
