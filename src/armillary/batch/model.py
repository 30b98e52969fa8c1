"""What batch is made of: jobs, attempts, workers, reasons. Values only: no clock, no storage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from armillary.base.errors import Conflict, Invalid
from armillary.base.ids import CloudName, ClusterId, PersonId, ProjectId, ServerId, Sha512, WorkerId


class JobId(NamedTuple):
    """A job's name, `cluster.proc`, as HTCondor writes it."""

    cluster: ClusterId
    proc: int

    def __str__(self) -> str:
        return f"{self.cluster}.{self.proc}"

    @classmethod
    def parse(cls, text: str) -> JobId:
        """Read `12.0`. Raises Invalid when the text is no job's name."""
        cluster, dot, proc = text.partition(".")
        digits = cluster.isascii() and cluster.isdigit() and proc.isascii() and proc.isdigit()
        if not (dot and digits) or len(cluster) > 18 or len(proc) > 9:
            raise Invalid(f"not a job: {text!r}", facts={"field": "job"}, remedy="Name it like 12.0.")
        return cls(ClusterId(int(cluster)), int(proc))


class JobState(StrEnum):
    IDLE = "idle"
    """waits for a worker"""
    CLAIMED = "claimed"
    """a worker has it and gathers its files"""
    RUNNING = "running"
    COMPLETED = "completed"
    """ran to its end; the exit code says how well"""
    HELD = "held"
    """waits for a person to release it"""
    REMOVED = "removed"

    @property
    def active(self) -> bool:
        """Whether more is to come without anybody acting."""
        return self in {JobState.IDLE, JobState.CLAIMED, JobState.RUNNING}

    @property
    def on_worker(self) -> bool:
        """Whether an attempt is under way."""
        return self in {JobState.CLAIMED, JobState.RUNNING}


class AttemptState(StrEnum):
    LEASED = "leased"
    RUNNING = "running"
    STOPPING = "stopping"
    """its job was held or removed; the agent is to kill it, or the lease runs out"""
    FINISHED = "finished"
    FAILED = "failed"
    """ended with an error that is not the program's exit"""
    LOST = "lost"
    """its lease ran out or its worker went away"""
    REMOVED = "removed"


@dataclass(frozen=True, kw_only=True, order=True)
class Resources:
    """A share of a machine."""

    cpus: int
    memory_mib: int
    disk_kib: int
    gpus: int = 0

    def fits(self, other: Resources) -> bool:
        """Whether this much is contained in `other`."""
        return (
            self.cpus <= other.cpus
            and self.memory_mib <= other.memory_mib
            and self.disk_kib <= other.disk_kib
            and self.gpus <= other.gpus
        )

    def nearly_fits(self, other: Resources) -> bool:
        """Whether this much is contained in `other` when a tenth more counts as the same, but for cores and GPUs."""
        return (
            self.cpus <= other.cpus
            and self.memory_mib * 10 <= other.memory_mib * 11
            and self.disk_kib * 10 <= other.disk_kib * 11
            and self.gpus <= other.gpus
        )

    def __sub__(self, other: Resources) -> Resources:
        return Resources(
            cpus=self.cpus - other.cpus,
            memory_mib=self.memory_mib - other.memory_mib,
            disk_kib=self.disk_kib - other.disk_kib,
            gpus=self.gpus - other.gpus,
        )

    def cut_to(self, other: Resources) -> Resources:
        """Return the smaller of each figure: a job that asks for a whole flavor gets the whole machine.

        GPUs are never cut: a job that wants two cannot make do with one.
        """
        return Resources(
            cpus=min(self.cpus, other.cpus),
            memory_mib=min(self.memory_mib, other.memory_mib),
            disk_kib=min(self.disk_kib, other.disk_kib),
            gpus=self.gpus,
        )


OPEN_FLAVOR = "auto"
"""The flavor of jobs whose submit names none: their workers have whichever fits, by least waste and cost."""


class Group(NamedTuple):
    """Jobs that the same kind of worker runs: one project, one image, one flavor (or OPEN_FLAVOR)."""

    project: ProjectId
    image: Sha512
    flavor: str

    def __str__(self) -> str:
        return f"{self.project}:{self.image}:{self.flavor}"


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """A file that a job needs: its path as the job's spec writes it, and its content in the spool."""

    path: str
    sha256: str
    size: int
    mode: int = 0o644


@dataclass(frozen=True, kw_only=True)
class JobSpec:
    """One job of a submit, with every macro expanded. `data` is the wire form, kept whole for the agent."""

    proc: int
    resources: Resources
    priority: int = 0
    max_retries: int = 0
    on_hold: bool = False
    inputs: tuple[InputFile, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What a submit says of all its jobs together.

    At most `max_materialize` of them are on workers at once. Their use counts for `accounting_group`. When the last
    one is over, `notify_user` gets mail, as `notification` says (NEVER, COMPLETE, ERROR, ALWAYS), and `notify_url` a
    POST. At most `max_idle` of those that wait ask for workers at once: HTCondor makes no more of them until one starts.
    """

    accounting_group: str | None = None
    max_materialize: int | None = None
    max_idle: int | None = None
    notification: str = "NEVER"
    notify_user: str | None = None
    notify_url: str | None = None


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A checked submit: the image is a digest, the project is known, every file is in the spool."""

    group: Group
    owner: PersonId
    owner_name: str
    project_name: str
    image_name: str
    batch_name: str | None
    submit_text: str
    jobs: tuple[JobSpec, ...]
    idempotency_key: str | None = None
    request_hash: str = ""
    wishes: Wishes = field(default_factory=Wishes)


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The jobs for which everything holds that is said: one job, a cluster, an owner's, a project's, by cause.

    `failed`: those that ended without success. Of several states, codes or signals any one will do.
    """

    cluster: ClusterId | None = None
    proc: int | None = None
    last_proc: int | None = None
    """with `proc`: all jobs of the cluster from that one to this"""
    owner: PersonId | None = None
    projects: tuple[ProjectId, ...] | None = None
    """None: all"""
    states: tuple[JobState, ...] = ()
    failed: bool = False
    hold_codes: tuple[str, ...] = ()
    exit_codes: tuple[int, ...] = ()
    signals: tuple[int, ...] = ()

    @property
    def job(self) -> JobId | None:
        """The one job that is meant, if it is one."""
        if self.cluster is None or self.proc is None or self.last_proc is not None:
            return None
        return JobId(self.cluster, self.proc)

    @property
    def name(self) -> str:
        """How a person writes it."""
        if self.job is not None:
            return str(self.job)
        return "of this selection" if self.cluster is None else str(self.cluster)


@dataclass(frozen=True, kw_only=True)
class Event:
    """A change of a job's state."""

    seq: int
    job: JobId
    at: datetime
    state: JobState
    attempt: int | None
    worker: WorkerId | None
    detail: Mapping[str, Any]


class Wants(NamedTuple):
    """What a job says of its machine, as texts: ClassAd expressions, and its own attributes as a JSON object."""

    requirements: str = ""
    rank: str = ""
    attributes: str = ""


NO_WANTS = Wants()
"""of a job that takes any machine"""


class Shape(NamedTuple):
    """What one job asks for, and how many idle jobs ask for just that."""

    resources: Resources
    jobs: int
    wants: Wants = NO_WANTS


@dataclass(frozen=True, kw_only=True)
class Demand:
    """The idle jobs of one group, and since when the first of them waits."""

    group: Group
    shapes: tuple[Shape, ...]
    since: datetime
    used: float = 0.0
    """what its project has used of late, in core-seconds"""

    @property
    def jobs(self) -> int:
        """How many jobs wait."""
        return sum(shape.jobs for shape in self.shapes)


@dataclass(frozen=True, kw_only=True)
class WorkerReport:
    """What the engine knows of a worker that has come to it."""

    id: WorkerId
    group: Group
    registered_at: datetime
    last_seen_at: datetime
    idle_since: datetime | None
    """None while it has jobs"""
    free: Resources
    server_id: str | None
    draining: bool
    left: bool
    """it said goodbye"""
    jobs: int


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """One reason why something does not happen, as data. `cloud` is None when it holds for all clouds."""

    code: str
    message: str
    cloud: CloudName | None = None
    remedy: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON shape."""
        return {
            "cloud": self.cloud,
            "code": self.code,
            "message": self.message,
            "remedy": self.remedy,
            "facts": dict(self.facts),
        }


class MachineState(StrEnum):
    """A worker machine as the scaler sees it. Its server exists between BOOTING and ENDING."""

    PLANNED = "planned"
    """recorded; the image is being brought to the cloud, or the create call is under way"""
    BOOTING = "booting"
    READY = "ready"
    """its agent has registered"""
    DRAINING = "draining"
    ENDING = "ending"
    """its server is to be deleted"""
    GONE = "gone"

    @property
    def counts(self) -> bool:
        """Whether it uses up cores of the project."""
        return self is not MachineState.GONE


@dataclass(frozen=True, kw_only=True)
class Machine:
    """One worker machine from plan to end."""

    id: WorkerId
    group: Group
    cloud: CloudName
    project_name: str
    vcpus: int
    size: Resources
    """what it shares out among jobs, by its flavor"""
    state: MachineState
    created_at: datetime
    size_flavor: str | None = None
    """its flavor, where the group leaves that open"""
    server_id: ServerId | None = None
    reason: str | None = None
    reason_code: str | None = None
    asked_at: datetime | None = None
    """when the cloud was asked for its server: from then on there may be one"""
    booted_at: datetime | None = None
    registered_at: datetime | None = None
    ending_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def flavor(self) -> str:
        """What its cloud calls its size."""
        return self.size_flavor or self.group.flavor


class StaleAttempt(Conflict):
    """The attempt is no longer the caller's: its lease ran out, or its job was given to somebody else."""

    code = "stale_attempt"

    def __init__(self, job: str, attempt: int) -> None:
        super().__init__(
            f"attempt {attempt} of job {job} is no longer yours",
            remedy="Kill the job and drop its results.",
            facts={"job": job, "attempt": attempt},
        )


class LogGap(Conflict):
    """Bytes of a log came before the ones in front of them."""

    code = "log_gap"


class WrongState(Conflict):
    """The job is in a state that does not allow this."""

    code = "wrong_state"
