"""What a submit file says once it is read: jobs with every macro expanded, and what to tell the person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from operator import eq, is_, itemgetter
from typing import Any

from armillary.base.errors import Invalid

CLUSTER = "$(Cluster)"
"""Stands in a value for the number of the cluster, which only the server knows; the server replaces it."""
DEFAULT_MEMORY_MIB = 512
DEFAULT_DISK_KIB = 512 * 1024
DEFAULT_RETRIES = 2
"""HTCondor's DEFAULT_JOB_MAX_RETRIES: for a file that says when to stop trying and not how often to try."""
LONGEST_TEXT = 32_768
"""Characters of one value of a job; the service takes no longer one."""


class SubmitError(Invalid):
    """A submit file cannot be honoured. `facts["line"]` is the line to look at, when there is one."""

    code = "submit_file"

    def __init__(
        self, message: str, *, line: int | None = None, remedy: str = "", code: str | None = None
    ) -> None:
        where = f"line {line}: " if line else ""
        super().__init__(where + message, code=code, remedy=remedy, facts={"line": line} if line else {})


@dataclass(frozen=True, kw_only=True)
class Note:
    """Something in the file that will not have the effect that its author may expect."""

    message: str
    line: int | None = None

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}" if self.line else self.message


@dataclass(kw_only=True)
class Policy:
    """What becomes of a job by itself: ClassAd expressions, as the file has them. None is HTCondor's default."""

    success_exit_code: int = 0
    retry_until: str | None = None
    retry_request_memory_mib: list[int] = field(default_factory=list[int])
    on_exit_remove: str | None = None
    on_exit_hold: str | None = None
    on_exit_hold_reason: str | None = None
    on_exit_hold_subcode: str | None = None
    periodic_hold: str | None = None
    periodic_hold_reason: str | None = None
    periodic_hold_subcode: str | None = None
    periodic_release: str | None = None
    periodic_remove: str | None = None
    periodic_vacate: str | None = None
    leave_in_queue: str | None = None

    def as_dict(self) -> dict[str, Any] | None:
        """Return what differs from the defaults; None when nothing does."""
        return {name: value for name, value in vars(self).items() if value} or None


@dataclass(kw_only=True)
class JobSpec:
    """One job. Names of inputs are keys of the submission's files, or URLs; names of outputs are the user's.

    Jobs of one queue statement share the lists and mappings that are alike for them: do not change them in place.
    """

    proc: int
    executable: str = ""
    transfer_executable: bool = True
    arguments: list[str] = field(default_factory=list[str])
    environment: dict[str, str] = field(default_factory=dict[str, str])
    input: str | None = None
    output: str | None = None
    error: str | None = None
    log: str | None = None
    transfer_input_files: list[str] = field(default_factory=list[str])
    transfer_output_files: list[str] | None = None
    transfer_output_remaps: dict[str, str] = field(default_factory=dict[str, str])
    request_cpus: int = 1
    request_memory_mib: int = DEFAULT_MEMORY_MIB
    request_disk_kib: int = DEFAULT_DISK_KIB
    request_gpus: int = 0
    max_retries: int = 0
    priority: int = 0
    on_hold: bool = False
    iwd: str = ""
    requirements: str | None = None
    rank: str | None = None
    concurrency_limits: dict[str, float] = field(default_factory=dict[str, float])
    stream_output: bool = False
    stream_error: bool = False
    when_to_transfer_output: str = "ON_EXIT"
    preserve_relative_paths: bool = False
    checkpoint_exit_code: int | None = None
    transfer_checkpoint_files: list[str] = field(default_factory=list[str])
    kill_signal: int = 15
    kill_seconds: int | None = None
    allowed_execute_seconds: int | None = None
    allowed_job_seconds: int | None = None
    attributes: dict[str, str] = field(default_factory=dict[str, str])
    policy: dict[str, Any] | None = None

    def like(self, *, proc: int) -> JobSpec:
        """Return the job that differs from this one in its number alone."""
        twin = object.__new__(JobSpec)
        twin.__dict__.update(self.__dict__)
        twin.proc = proc
        return twin

    def as_dict(self) -> dict[str, Any]:
        """Return the whole shape on the wire."""
        return dict(vars(self))

    @property
    def input_keys(self) -> list[str]:
        """The files that must be sent for this job."""
        keys = [self.executable] if self.transfer_executable else []
        keys += [self.input] if self.input else []
        return keys + [name for name in self.transfer_input_files if not is_address(name)]


@dataclass(frozen=True, kw_only=True)
class Submission:
    """All jobs of one submit file, in order. `sources` maps each key of a file to the path that it was read as.

    What stands beside the jobs here is HTCondor's command of that name, one value for the whole cluster.
    """

    jobs: Sequence[JobSpec]
    sources: Mapping[str, str]
    warnings: Sequence[Note]
    text: str
    batch_name: str | None = None
    accounting_group: str | None = None
    max_materialize: int | None = None
    max_idle: int | None = None
    notification: str = "NEVER"
    notify_user: str | None = None

    def shared(self) -> dict[str, Any]:
        """Return what is said once for the whole cluster, as the service takes it."""
        names = (
            "batch_name",
            "accounting_group",
            "max_materialize",
            "max_idle",
            "notification",
            "notify_user",
        )
        return {name: getattr(self, name) for name in names}

    def wire(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Return the fields that all jobs share, and for each job those that differ.

        What most jobs have in common is said once, so that 100,000 jobs stay small on the wire.
        """
        rows = [vars(job) for job in self.jobs]
        common, varying = dict[str, Any](), ["proc"]
        for name, value in rows[0].items():
            # the same object for nearly every field, as the jobs of a queue statement are copies of its first
            if all(map(is_, map(itemgetter(name), rows), repeat(value))):
                common[name] = value
            elif name != "proc":
                if all(map(eq, map(itemgetter(name), rows), repeat(value))):
                    common[name] = value
                else:
                    varying.append(name)
        common.pop("proc", None)
        return common, [{name: row[name] for name in varying} for row in rows]


def is_address(name: str) -> bool:
    """Whether an input is fetched by the worker from an address, not sent by us."""
    return "://" in name or name.startswith("vos:")
