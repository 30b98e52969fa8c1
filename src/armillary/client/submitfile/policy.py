"""What becomes of a job by itself, what it needs of a machine, and what is said once for the whole cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from armillary.client.submitfile import expressions, values
from armillary.client.submitfile.getter import Getter, unquoted
from armillary.client.submitfile.model import (
    DEFAULT_DISK_KIB,
    DEFAULT_MEMORY_MIB,
    DEFAULT_RETRIES,
    JobSpec,
    Note,
    Policy,
    SubmitError,
)

MACHINE = frozenset(
    [
        "cpus",
        "memory",
        "disk",
        "gpus",
        "vmimage",
        "cloudname",
        "flavorname",
        "opsys",
        "arch",
        "totalcpus",
        "totalmemory",
        "totaldisk",
        "totalgpus",
    ]
)
"""What a worker says of itself, in lower case; anything else is UNDEFINED there."""
MOST_STEPS = 100
Warn = Callable[[Note], None]


def requests(get: Getter, spec: JobSpec, warn: Warn) -> None:
    """`request_*`, also as expressions of one another."""
    spec.request_cpus = get.number("request_cpus", default=1, least=1, most=100_000)
    known = {"RequestCpus": spec.request_cpus}
    spec.request_gpus = get.number("request_gpus", most=1000, known=known)
    known["RequestGPUs"] = spec.request_gpus
    memory = get.size("request_memory", unit="M", default=DEFAULT_MEMORY_MIB, known=known)
    spec.request_memory_mib = known["RequestMemory"] = max(1, memory)
    spec.request_disk_kib = get.size("request_disk", unit="K", default=DEFAULT_DISK_KIB, known=known)
    for name in ("request_memory", "request_disk", "request_cpus"):
        text = get.text(name) or ""
        if "usage" in text.lower():
            message = f"{name} = {text} is worked out once, now; it does not grow with what the job uses"
            warn(Note(message=f"{message}. Write retry_request_memory = 4GB, 8GB, say", line=get.line(name)))


def retries(get: Getter, spec: JobSpec) -> None:
    """How often a failed job is tried, and what success is."""
    says_when = get.text("retry_until") or get.text("success_exit_code")
    spec.max_retries = get.number("max_retries", default=DEFAULT_RETRIES if says_when else 0, most=1000)


def policy(get: Getter, spec: JobSpec) -> None:
    """The commands of PolicyIn."""
    made = Policy(success_exit_code=get.number("success_exit_code", most=255))
    until = get.expression("retry_until")
    if until and type(number := expressions.constant(until)) is int:
        until = f"ExitCode =?= {number}"
    made.retry_until = until
    made.retry_request_memory_mib = _memory_steps(get, spec.request_memory_mib)
    # an on_exit_remove that is true, and a periodic one that is false, are HTCondor's defaults
    remove = get.expression("on_exit_remove")
    made.on_exit_remove = None if remove and remove.lower() == "true" else remove
    made.leave_in_queue = get.condition("leave_in_queue")
    for what in ("on_exit_hold", "periodic_hold", "periodic_release", "periodic_remove", "periodic_vacate"):
        setattr(made, what, get.condition(what))
    for what in ("on_exit_hold", "periodic_hold"):
        if getattr(made, what):
            setattr(made, f"{what}_reason", get.expression(f"{what}_reason"))
            setattr(made, f"{what}_subcode", get.expression(f"{what}_subcode"))
    spec.policy = made.as_dict()


def _memory_steps(get: Getter, first: int) -> list[int]:
    """Return what is asked for after each time that the memory was too small, in MiB."""
    name = "retry_request_memory"
    line = get.line(name)
    if text := get.text(name):
        parts = [part for part in text.split(",") if part.strip()]
        steps = [values.read_size(part, name=name, unit="M", line=line) for part in parts]
        if any(b <= a for a, b in zip([first, *steps], steps, strict=False)):
            raise SubmitError(
                f"{name} = {text} does not grow from request_memory ({first} MiB)",
                line=line,
                remedy="Write each step larger than the one before.",
            )
        return steps[:MOST_STEPS]
    increase, most = f"{name}_increase", get.size(f"{name}_max", unit="M", default=0)
    if not (text := get.text(increase)):
        return [most] if most > first else []
    steps, current = list[int](), first
    while len(steps) < (MOST_STEPS if most else 1) and (not most or current < most):
        known = {"RequestMemory": current}
        grown = values.read_size(text, name=increase, unit="M", line=get.line(increase), known=known)
        # an expression makes the new request, a quantity is added to it
        current = grown if "requestmemory" in text.lower() else current + grown
        current = min(current, most) if most else current
        if current <= (steps[-1] if steps else first):
            raise SubmitError(f"{increase} = {text[:60]} does not grow", line=get.line(increase))
        steps.append(current)
    return steps


def machine(get: Getter, spec: JobSpec, warn: Warn) -> None:
    """`requirements` and `rank`, which look at a worker."""
    spec.requirements = get.expression("requirements")
    spec.rank = get.expression("rank")
    for name, text in (("requirements", spec.requirements), ("rank", spec.rank)):
        asked = expressions.attributes_of(text) if text else list[str]()
        own = {"my." + a for a in asked} & set(get.attributes())
        strange = [a for a in asked if a not in MACHINE and "my." + a not in own and not _of_a_job(a)]
        if strange:
            message = f"{name} looks at {', '.join(sorted(set(strange))[:5])}, which no worker here has"
            warn(
                Note(
                    message=f"{message}: it counts as UNDEFINED, and such a job may never start",
                    line=get.line(name),
                )
            )


def _of_a_job(attribute: str) -> bool:
    return attribute.startswith(
        ("request", "job", "num", "last", "exit", "owner", "cluster", "proc", "q", "user")
    )


def limits(get: Getter, spec: JobSpec) -> None:
    """Priority, durations, concurrency limits, and how the job is ended."""
    spec.priority = get.number("priority", least=-1_000_000, most=1_000_000)
    spec.on_hold = get.flag("hold")
    spec.concurrency_limits = _concurrency(get)
    spec.allowed_execute_seconds = get.optional_number("allowed_execute_duration", least=1)
    spec.allowed_job_seconds = get.optional_number("allowed_job_duration", least=1)
    signal = get.text("kill_sig")
    spec.kill_signal = (
        values.read_signal(signal, name="kill_sig", line=get.line("kill_sig")) if signal else 15
    )
    vacate = "job_max_vacate_time" if get.text("job_max_vacate_time") else "kill_sig_timeout"
    spec.kill_seconds = get.optional_number(vacate, most=86_400)


def _concurrency(get: Getter) -> dict[str, float]:
    text = get.text("concurrency_limits")
    if made := get.expression("concurrency_limits_expr"):
        found = expressions.constant(made)
        if text or not isinstance(found, str):
            raise SubmitError(
                "concurrency_limits_expr is taken only when it makes a text by itself, and instead of the other",
                line=get.line("concurrency_limits_expr"),
                remedy="Write concurrency_limits = NAME:2, say.",
            )
        text = found
    return values.read_limits(text, line=get.line("concurrency_limits")) if text else {}


def attributes(get: Getter, spec: JobSpec) -> None:
    """The job's own attributes."""
    made: dict[str, str] = {}
    for command in get.attributes():
        if text := get.expression(command):
            made[get.written(command).partition(".")[2]] = text
    if description := get.word("description"):
        quoted = description.replace("\\", "\\\\").replace('"', '\\"')
        made["JobDescription"] = f'"{quoted}"'
    spec.attributes = made


def cluster(get: Getter) -> dict[str, Any]:
    """Return what is one value for all jobs of a cluster."""
    mail = get.word("notification").upper() or "NEVER"
    if mail not in {"NEVER", "COMPLETE", "ERROR", "ALWAYS"}:
        raise SubmitError(
            f"notification = {mail[:60]}: mail is sent when jobs are over",
            line=get.line("notification"),
            remedy="Write notification = Complete, Error, Always or Never.",
        )
    group = get.word("accounting_group")
    get.not_by_cluster(group, "accounting_group")
    return {
        "batch_name": unquoted(get.text("batch_name"))[:255] or None,
        "accounting_group": group[:255] or None,
        "max_materialize": get.number("max_materialize") or None,
        "max_idle": get.number("max_idle") or None,
        "notification": mail,
        "notify_user": get.word("notify_user")[:255] or None,
    }
