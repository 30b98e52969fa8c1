"""What people see of batch: values that the store returns, and every voice renders. Fields are named as on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from armillary.batch.model import InputFile


@dataclass(frozen=True, kw_only=True)
class ImageView:
    """The image's name when submitted, and the digest that counts."""

    name: str
    sha512: str


@dataclass(frozen=True, kw_only=True)
class ClusterView:
    """A submit, and how its jobs stand."""

    cluster: int
    batch_name: str | None
    project: str
    owner: str
    image: ImageView
    flavor: str
    submitted_at: datetime
    jobs: int
    states: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class JobView:
    """One job as it stands."""

    job: str
    cluster: int
    proc: int
    batch_name: str | None
    project: str
    owner: str
    state: str
    image: ImageView
    flavor: str
    executable: str
    arguments: Sequence[str]
    priority: int
    attempts: int
    exit_code: int | None
    signal: int | None
    succeeded: bool | None
    hold_code: str | None
    hold_reason_code: int | None
    hold_reason_subcode: int | None
    reason: str | None
    worker: str | None
    cloud: str | None
    submitted_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    entered_at: datetime
    spec: Mapping[str, Any] | None = None
    """what was submitted, when it was asked for"""


@dataclass(frozen=True, kw_only=True)
class KindView:
    """Jobs of a submit that do not run, and are alike in what they ask for and in what keeps them."""

    job: str
    """the first of them"""
    jobs: int
    state: str


@dataclass(frozen=True, kw_only=True)
class AttemptView:
    """One try at running a job."""

    attempt: int
    state: str
    worker: str
    cloud: str | None
    image_sha512: str
    claimed_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    exit_code: int | None
    signal: int | None
    error: str | None
    usage: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class OutputView:
    """A file that a job brought back."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True, kw_only=True)
class JobDetail:
    """One job with all that is kept of it."""

    view: JobView
    spec: Mapping[str, Any]
    retried: int
    lost: int
    committed_attempt: int | None
    live_attempt: int | None
    project_id: str
    owner_id: str
    attempt_list: Sequence[AttemptView]
    outputs: Sequence[OutputView]
    inputs: Sequence[InputFile] = ()


@dataclass(frozen=True, kw_only=True)
class WorkerView:
    """A worker machine, with what its cloud and its engine know."""

    worker: str
    cloud: str
    project: str
    image_sha512: str
    flavor: str
    state: str
    reason: str | None
    server_id: str | None
    jobs: Sequence[str]
    cpus: int | None
    memory_mib: int | None
    created_at: datetime
    booted_at: datetime | None
    registered_at: datetime | None
    last_seen_at: datetime | None
    idle_since: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class EventView:
    """A change of a job's state, for those who wait."""

    seq: int
    job: str
    at: datetime
    state: str
    attempt: int | None
    worker: str | None
    cloud: str | None
    detail: Mapping[str, Any]
