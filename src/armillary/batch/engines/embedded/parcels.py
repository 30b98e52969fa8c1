"""What passes between the embedded queue and the agents' service. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from armillary.base.ids import PersonId
from armillary.batch.model import InputFile, JobId, JobState, Resources


@dataclass(frozen=True, kw_only=True)
class LeaseKey:
    """Names an attempt and proves that it is the caller's."""

    job: JobId
    attempt: int
    secret: str


@dataclass(frozen=True, kw_only=True)
class Leased:
    """A job given to a worker."""

    key: LeaseKey
    owner: PersonId
    spec: Mapping[str, Any]
    inputs: tuple[InputFile, ...]
    share: Resources
    credential: str | None = None
    """one that its owner's jobs on this worker act with already"""


@dataclass(frozen=True, kw_only=True)
class Held:
    """A credential that a person's jobs on a worker act with."""

    reference: str
    expires: datetime


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """The answer to a claim: jobs, or the wish that the worker go."""

    jobs: tuple[Leased, ...] = ()
    retire: bool = False


@dataclass(frozen=True, kw_only=True)
class Renewed:
    """The answer to a renewal. `fading`: attempts whose credential ends soon, with their owners."""

    lost: tuple[LeaseKey, ...]
    remove: tuple[LeaseKey, ...]
    fading: tuple[tuple[LeaseKey, PersonId], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What became of the job, and what the worker got in its place."""

    state: JobState
    claimed: Claimed = field(default_factory=Claimed)


@dataclass(frozen=True, kw_only=True)
class OutputRef:
    """A file that an attempt says it has brought."""

    name: str
    sha256: str
    size: int
