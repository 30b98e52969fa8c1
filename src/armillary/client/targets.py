"""Which jobs a person means: `12` (a cluster), `13.4` (a job), `14.0-99` (some jobs of a cluster)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from armillary.base.errors import Invalid

_TARGET = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,9})(?:-(?:\1\.)?([0-9]{1,9}))?)?")


@dataclass(frozen=True, kw_only=True)
class Target:
    """A cluster, or those of its jobs from `first` to `last`."""

    cluster: int
    first: int | None = None
    last: int | None = None

    def __str__(self) -> str:
        if self.first is None:
            return str(self.cluster)
        return f"{self.cluster}.{self.first}" + ("" if self.last in (None, self.first) else f"-{self.last}")

    @property
    def job(self) -> str | None:
        """The name of the job, if it is one."""
        return None if self.first is None or self.last != self.first else f"{self.cluster}.{self.first}"

    def has(self, job: Mapping[str, Any]) -> bool:
        """Whether a job of a list is meant."""
        if int(job["cluster"]) != self.cluster:
            return False
        return self.first is None or self.first <= int(job["proc"]) <= (self.last or self.first)

    def selection(self) -> dict[str, Any]:
        """Return the shape on the wire."""
        if self.first is None:
            return {"cluster": self.cluster}
        chosen: dict[str, Any] = {"job": f"{self.cluster}.{self.first}"}
        return chosen if self.last == self.first else {**chosen, "last_proc": self.last}


def read_target(text: str) -> Target:
    """Read one. Raises Invalid `bad_target`."""
    match = _TARGET.fullmatch(text.strip())
    if not match:
        raise Invalid(
            f"{text!r} names no jobs",
            code="bad_target",
            remedy="Name a cluster (12), a job (13.4) or a part of a cluster (14.0-99).",
        )
    cluster, first, last = match.groups()
    if first is None:
        return Target(cluster=int(cluster))
    low, high = int(first), int(last or first)
    if high < low:
        raise Invalid(
            f"{text!r} ends before it begins",
            code="bad_target",
            remedy=f"Write {cluster}.{high}-{low}.",
        )
    return Target(cluster=int(cluster), first=low, last=high)


def read_targets(texts: Iterable[str]) -> list[Target]:
    """Read several."""
    return [read_target(text) for text in texts]


def is_target(text: str) -> bool:
    """Whether a text names jobs, and not a person."""
    return _TARGET.fullmatch(text) is not None


def meant(jobs: Iterable[Mapping[str, Any]], targets: Iterable[Target]) -> Iterator[Mapping[str, Any]]:
    """Yield those of the jobs that one of the targets means; all when there is no target."""
    wanted = list(targets)
    for job in jobs:
        if not wanted or any(target.has(job) for target in wanted):
            yield job


def in_runs(jobs: Iterable[tuple[int, int]]) -> list[Target]:
    """Name jobs (cluster, proc) in as few targets as there are runs of neighbours."""
    runs: list[Target] = []
    for cluster, proc in sorted(set(jobs)):
        last = runs[-1] if runs else None
        if last is not None and (last.cluster, last.last) == (cluster, proc - 1):
            runs[-1] = replace(last, last=proc)
        else:
            runs.append(Target(cluster=cluster, first=proc, last=proc))
    return runs
