"""UWS jobs as values: no clock, no storage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from armillary.base.ids import PersonId


class JobKind(StrEnum):
    """What a job does; also the name of its list in URLs."""

    TRANSFER = "transfers"
    DELETE = "async-delete"
    PROPERTIES = "async-setprops"


class Phase(StrEnum):
    """The phases of UWS 1.1 that we use."""

    PENDING = "PENDING"
    QUEUED = "QUEUED"
    EXECUTING = "EXECUTING"
    COMPLETED = "COMPLETED"
    ERROR = "ERROR"
    ABORTED = "ABORTED"


ACTIVE = frozenset({Phase.PENDING, Phase.QUEUED, Phase.EXECUTING})
"""Phases that a job leaves again."""


@dataclass(frozen=True, kw_only=True)
class Credential:
    """What is left of who asked, for the time when the job runs. Groups are looked up anew then.

    `name` is that of the token or certificate, empty for a password.
    """

    name: str = ""

    is_admin: bool = False
    may_read: bool = True
    may_write: bool = True
    confined: bool = False
    job: str = ""
    """of a running job that asked: its name"""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A UWS job.

    `document` is what was posted: the XML, or the URI of what is to be deleted. `results` are hrefs by id, those
    that begin with `results/` below the job's own address. `error` is the fault of VOSpace, a colon and the text.
    `progress` counts what has been done so far. `runner` names the process that runs it, which says at `seen_at`
    that it still does.
    """

    id: str
    kind: JobKind
    owner_id: PersonId
    owner_name: str
    phase: Phase
    document: str
    created_at: datetime
    destroy_at: datetime
    run_id: str = ""
    credential: Credential = field(default_factory=Credential)
    duration_seconds: int = 0
    queued_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    seen_at: datetime | None = None
    runner: str = ""
    progress: Mapping[str, int] = field(default_factory=dict[str, int])
    results: Mapping[str, str] = field(default_factory=dict[str, str])
    error: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return self.phase not in ACTIVE


@dataclass(frozen=True, kw_only=True)
class JobFilter:
    """Which of a person's jobs: in one of `phases` (none: any), made after `after`, the newest `last` of them."""

    phases: frozenset[Phase] = frozenset()
    after: datetime | None = None
    last: int = 10_000
