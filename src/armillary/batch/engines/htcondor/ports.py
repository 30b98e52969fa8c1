"""What the engine asks of an HTCondor pool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from sqlalchemy import Engine as Database

from armillary.base.clock import Clock

Ad = dict[str, Any]


class Pool(Protocol):
    """A schedd and its collector. Every call raises Unavailable `htcondor_unavailable` when they do not answer.

    After such an error nothing is known of what was asked: it may have been done.
    """

    def submit(self, shared: Mapping[str, str], each: Sequence[Mapping[str, str]]) -> tuple[int, int]:
        """Queue jobs and bring their files. Returns (the schedd's cluster, the first's number in it)."""
        ...

    def query(self, constraint: str, projection: Sequence[str]) -> list[Ad]:
        """Return these attributes of jobs in the queue, as far as they have them."""
        ...

    def act(self, action: str, jobs: Sequence[str], reason: str) -> int:
        """Hold, Release, Remove or VacateFast jobs; returns how many changed."""
        ...

    def edit(self, jobs: Sequence[str], attribute: str, value: str) -> None:
        """Set an attribute of jobs to a ClassAd expression."""
        ...

    def edit_where(self, constraint: str, attribute: str, value: str) -> None:
        """Set an attribute of all jobs for which the constraint holds; there may be none."""
        ...

    def retrieve(self, jobs: Sequence[str]) -> None:
        """Bring the files of ended jobs into the folders that they were submitted from."""
        ...

    def machines(self, constraint: str, projection: Sequence[str]) -> list[Ad]:
        """Return these attributes of the slots in the pool."""
        ...

    def forget(self, constraint: str) -> None:
        """Take the ads of machines out of the collector."""
        ...

    def ping(self) -> Ad:
        """Return the schedd's name, version and address."""
        ...


@dataclass(frozen=True, kw_only=True)
class Site:
    """What the parts of the engine share."""

    database: Database
    clock: Clock
    pool: Pool
    platform: str
    """marks our jobs and machines in a pool that others use too"""
    lease: timedelta = timedelta(seconds=120)
    """a job whose machine the schedd cannot reach for so long is run again"""
