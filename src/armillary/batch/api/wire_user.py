"""What users' programs say to the batch service and hear from it (`/api/v1/batch`), as JSON shapes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from armillary.batch.api.wire_submit import Digest256, JobName, Short, Wire
from armillary.batch.model import JobState


class ImageOut(Wire):
    """The image that the jobs run on: the name when submitted, and the digest that counts."""

    name: str
    sha512: str


class SubmitOut(Wire):
    """The reply to a submit: what was queued."""

    cluster: int
    jobs: int
    image: ImageOut
    flavor: str
    project: str
    warnings: list[str]


class BlobsCheckIn(Wire):
    """`POST /blobs/check`: which of these must still be sent?"""

    sha256: list[Digest256] = Field(max_length=10_000)


class BlobsCheckOut(Wire):
    """The digests that the spool does not hold."""

    missing: list[str]


class BlobOut(Wire):
    """A blob that the spool now holds."""

    sha256: str
    size: int


class ClusterOut(Wire):
    """A submit and how its jobs stand: `states` counts them by state."""

    cluster: int
    batch_name: str | None
    project: str
    owner: str
    image: ImageOut
    flavor: str
    submitted_at: datetime
    jobs: int
    states: dict[str, int]


class ClustersOut(Wire):
    """A page of clusters, newest first; `next` is the marker of the next page."""

    clusters: list[ClusterOut]
    next: str | None


class JobOut(Wire):
    """One job in a list."""

    job: JobName
    cluster: int
    proc: int
    batch_name: str | None
    project: str
    owner: str
    state: str
    image: ImageOut
    flavor: str
    executable: str
    arguments: list[str]
    priority: int
    attempts: int
    exit_code: int | None
    signal: int | None
    succeeded: bool | None
    """of a completed job: whether it ended as it should"""
    hold_code: str | None
    hold_reason_code: int | None
    """HTCondor's number of `hold_code`"""
    hold_reason_subcode: int | None
    reason: str | None
    worker: str | None
    cloud: str | None
    submitted_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    entered_at: datetime
    """when the job came into its present state"""
    spec: dict[str, Any] | None = None
    """what was submitted, when it was asked for"""


class JobsOut(Wire):
    """A page of jobs in order of (cluster, proc); `next` is the marker of the next page."""

    jobs: list[JobOut]
    next: str | None


class AttemptOut(Wire):
    """One try at running a job. `state`: leased, running, stopping, finished, lost, failed, removed."""

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
    usage: dict[str, float]


class OutputOut(Wire):
    """A file that the job brought back."""

    name: str
    sha256: str
    size: int


class OutputsOut(Wire):
    """All files of the committed attempt; `attempt` is None when nothing was committed yet."""

    attempt: int | None
    outputs: list[OutputOut]


class JobDetailOut(JobOut):
    """One job with its spec, its attempts and the files it brought back."""

    retried: int
    lost: int
    attempt_list: list[AttemptOut]
    outputs: list[OutputOut]


class ReasonOut(Wire):
    """Why a job is not running (one refusal, perhaps of one cloud), and what to do."""

    cloud: str | None
    code: str
    message: str
    remedy: str
    facts: dict[str, Any]


class ExplainOut(Wire):
    """The state of a job with every reason for it."""

    job: str
    state: str
    reasons: list[ReasonOut]


class KindOut(Wire):
    """`jobs` jobs that are alike, with every reason of the first of them."""

    job: str
    jobs: int
    state: str
    reasons: list[ReasonOut]


class ClusterExplainOut(Wire):
    """How a submit stands, and why those of its jobs do not run that do not: at most twenty kinds of them."""

    cluster: int
    states: dict[str, int]
    kinds: list[KindOut]


class WorkerOut(Wire):
    """A worker machine. `state`: planned, booting, ready, draining, ending, gone."""

    worker: str
    cloud: str
    project: str
    image_sha512: str
    flavor: str
    state: str
    reason: str | None
    server_id: str | None
    jobs: list[str]
    cpus: int | None
    memory_mib: int | None
    created_at: datetime
    booted_at: datetime | None
    registered_at: datetime | None
    last_seen_at: datetime | None
    idle_since: datetime | None
    ended_at: datetime | None


class WorkersOut(Wire):
    """Worker machines, newest first."""

    workers: list[WorkerOut]
    next: str | None


class EventOut(Wire):
    """A change of a job's state. `detail` has exit_code, signal, reason, usage, … as they apply."""

    seq: int
    job: str
    at: datetime
    state: str
    attempt: int | None
    worker: str | None
    cloud: str | None
    detail: dict[str, Any]


class EventsOut(Wire):
    """Changes after `after`, oldest first; ask again with `after=next`. `active` counts unfinished jobs."""

    events: list[EventOut]
    next: int
    active: int


class ReasonIn(Wire):
    """Body of hold and remove; may be left out."""

    reason: Annotated[str, StringConstraints(max_length=1000)] = ""


class SelectionIn(Wire):
    """Jobs for which everything holds that is said; of several states, codes or signals any one will do.

    `job`, `cluster`, `owner` (a user name) or `project` must be there. With `last_proc`, all jobs from `job` to that one
    of its cluster. `failed`: those that ended without success. `hold_codes` are ours, or HTCondor's numbers.
    """

    job: JobName | None = None
    last_proc: int | None = Field(default=None, ge=0, lt=1_000_000_000)
    cluster: int | None = Field(default=None, ge=0, le=2**53)
    owner: Short | None = None
    project: Short | None = None
    states: list[JobState] = Field(default_factory=list[JobState], max_length=10)
    failed: bool = False
    hold_codes: list[Short] = Field(default_factory=list[str], max_length=100)
    exit_codes: list[int] = Field(default_factory=list[int], max_length=300)
    signals: list[int] = Field(default_factory=list[int], max_length=100)


class ChangeIn(Wire):
    """`POST /changes`: one change of many jobs. `reason` is for hold and remove, `priority` for prioritize."""

    action: Literal["hold", "release", "remove", "retry", "prioritize"]
    selection: SelectionIn
    reason: Annotated[str, StringConstraints(max_length=1000)] = ""
    priority: int | None = Field(default=None, ge=-1_000_000, le=1_000_000)
    memory_mib: int | None = Field(default=None, ge=1, le=2**31)
    """to ask for from now on, with release"""

    @model_validator(mode="after")
    def _says_which(self) -> ChangeIn:
        if self.memory_mib is not None and self.action != "release":
            raise ValueError("`memory_mib` goes with release only")
        if (self.priority is None) == (self.action == "prioritize"):
            raise ValueError("`priority` goes with prioritize, and only with it")
        return self


class ChangedOut(Wire):
    """How many jobs a change has changed."""

    changed: int


Stream = Literal["stdout", "stderr"]
