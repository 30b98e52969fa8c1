"""What people look for among submits and jobs, and what failures have in common. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field

from armillary.base.ids import ClusterId
from armillary.batch.model import Selection


@dataclass(frozen=True, kw_only=True)
class JobFilter:
    """The jobs of a submit that somebody looks for. Everything that is said holds for each."""

    cluster: ClusterId
    chosen: Selection = field(default_factory=Selection)
    """states and causes"""
    cloud: str = ""
    worker: str = ""
    """the beginning of its name"""
    text: str = ""
    """somewhere in the job's arguments, files or reason"""

    @property
    def whole(self) -> bool:
        """Whether all jobs of the submit are meant."""
        return self.chosen == Selection() and not (self.cloud or self.worker or self.text)


@dataclass(frozen=True, kw_only=True)
class SubmitFilter:
    """The submits that somebody looks for; what is empty holds for all."""

    project: str = ""
    owner: str = ""
    image: str = ""
    """its name, or the beginning of its digest"""
    name: str = ""
    """a part of the batch's name"""
    states: tuple[str, ...] = ()
    """that have a job in one of these"""


@dataclass(frozen=True, kw_only=True)
class CauseView:
    """Jobs of a submit that failed, or are held, for the same cause."""

    state: str
    hold_code: str | None
    exit_code: int | None
    signal: int | None
    jobs: int
    first: int
    """the lowest number of one of them"""
    memory_mib: int
    """what the one that asks for most asks for"""
