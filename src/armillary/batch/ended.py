"""Jobs that are over, with all that batch knows of how they came to their results. For those who write it down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from armillary.base.ids import PersonId, ProjectId
from armillary.batch.model import InputFile, JobId
from armillary.batch.views import OutputView


@dataclass(frozen=True, kw_only=True)
class EndedAttempt:
    """The attempt that counts: the one whose files are the job's, else the last."""

    number: int
    worker: str
    claimed_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    exit_code: int | None
    signal: int | None
    error: str | None
    usage: Mapping[str, float]
    cpus: int
    memory_mib: int
    disk_kib: int
    gpus: int
    cloud: str | None
    flavor: str | None
    server: str | None
    agent_version: str | None
    image: str | None
    """SHA-512 of the image that its machine was made from"""
    hardware: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """what the machine said of itself: cpu_model, kernel, architecture"""


@dataclass(frozen=True, kw_only=True)
class EarlierAttempt:
    """An attempt that does not count: its machine was lost or gave it back, or the job was run again."""

    number: int
    worker: str
    cloud: str | None
    server: str | None
    image: str | None
    started_at: datetime
    ended_at: datetime | None
    exit_code: int | None
    signal: int | None
    error: str | None


@dataclass(frozen=True, kw_only=True)
class EndedJob:
    """One job that is over. Without an attempt nothing of it ever ran."""

    id: JobId
    state: str
    succeeded: bool
    reason: str | None
    owner: PersonId
    attempts: int
    submitted_at: datetime
    finished_at: datetime
    exit_code: int | None
    signal: int | None
    spec: Mapping[str, Any]
    inputs: Sequence[InputFile]
    attempt: EndedAttempt | None
    outputs: Sequence[OutputView]
    earlier: Sequence[EarlierAttempt] = ()
    """the last of those before, oldest first"""


@dataclass(frozen=True, kw_only=True)
class EndedCluster:
    """What the jobs of one submit share."""

    id: int
    batch_name: str | None
    owner: PersonId
    owner_name: str
    project: ProjectId
    project_name: str
    submitted_at: datetime
    submit_text: str
    jobs: int
    flavor: str
    image: str
    image_name: str
    wishes: Mapping[str, Any]


class Ending(NamedTuple):
    """That a job came to its end; later ones have higher numbers."""

    seq: int
    job: JobId
