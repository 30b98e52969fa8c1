"""What a submit file says once it is read: jobs with every macro expanded, and what to tell the person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from armillary.base.errors import Invalid

CLUSTER = "$(Cluster)"
"""Stands in a value for the number of the cluster, which only the server knows; the server replaces it."""
DEFAULT_MEMORY_MIB = 512
DEFAULT_DISK_KIB = 512 * 1024


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
class JobSpec:
    """One job. Names of inputs are keys of the submission's files, or URLs; names of outputs are the user's."""

    proc: int
    executable: str
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
    max_retries: int = 0
    priority: int = 0
    on_hold: bool = False
    iwd: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the shape on the wire."""
        return asdict(self)

    @property
    def input_keys(self) -> list[str]:
        """The files that must be sent for this job."""
        keys = [self.executable] if self.transfer_executable else []
        keys += [self.input] if self.input else []
        return keys + [name for name in self.transfer_input_files if not is_address(name)]


@dataclass(frozen=True, kw_only=True)
class Submission:
    """All jobs of one submit file, in order. `sources` maps each key of a file to the path that it was read as."""

    jobs: Sequence[JobSpec]
    batch_name: str | None
    sources: Mapping[str, str]
    warnings: Sequence[Note]
    text: str


def is_address(name: str) -> bool:
    """Whether an input is fetched by the worker from an address, not sent by us."""
    return "://" in name or name.startswith("vos:")
