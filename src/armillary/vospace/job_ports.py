"""Where UWS jobs are kept, and who carries bytes to and from other services."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from armillary.base.ids import PersonId
from armillary.vospace.job_model import Job, JobFilter, JobKind, Phase


class JobRecords(Protocol):
    """Jobs, durably. Several processes may share them."""

    def add(self, job: Job) -> None:
        """Add a job. It is on disk when this returns."""
        ...

    def job(self, job_id: str) -> Job | None:
        """Return a job."""
        ...

    def jobs(self, kind: JobKind, owner_id: PersonId, wanted: JobFilter) -> Sequence[Job]:
        """Return a person's jobs of a kind, newest first. Their documents and results are left out."""
        ...

    def update(self, job: Job, *, among: Collection[Phase], runner: str | None = None) -> bool:
        """Write a job whose record is in one of the phases `among`, and run by `runner` if that is given.

        False, and nothing is written, when it is not so any more: somebody else was faster, or it is gone.
        """
        ...

    def claim(self, runner: str, moment: datetime, at_most: int) -> Job | None:
        """Let `runner` execute the next job that is QUEUED, and return it; None when there is none.

        The next is of the person with the fewest jobs EXECUTING, of those the one that waits longest. Nobody has
        more than `at_most` at a time. No job is ever given to two.
        """
        ...

    def active(self, owner_id: PersonId) -> int:
        """Return how many jobs of a person are not over."""
        ...

    def beat(self, runner: str, moment: datetime, silent_since: datetime) -> Sequence[Job]:
        """Note that `runner` still runs the jobs that it has claimed; return those whose runner is dead.

        They are EXECUTING, and their runner was last heard before `silent_since`.
        """
        ...

    def forget(self, *, job_id: str = "", before: datetime | None = None) -> None:
        """Remove one job, or all whose time had come before a moment."""
        ...


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """Bytes that another service sends. `length` is None and `md5` empty when it does not say."""

    length: int | None
    md5: str
    content_type: str
    chunks: Iterator[bytes]


class Courier(Protocol):
    """Carries bytes to and from services elsewhere that a user names. It goes only where the operator lets it.

    Every method raises `Forbidden` (code `host_not_allowed`) for a place where it does not go, and `Unavailable`
    (code `transfer_failed`) when the other side does not do its part.
    """

    def fetch(self, url: str) -> AbstractContextManager[Arrival]:
        """Open the bytes at an address. The connection ends with the context."""
        ...

    def send(
        self, url: str, *, length: int, md5: str, content_type: str, chunks: Callable[[], Iterator[bytes]]
    ) -> None:
        """PUT bytes to an address; all have been taken there when this returns.

        `chunks` begins anew each time it is called: a redirect asks for them again.
        """
        ...
