"""What a notice is. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Wanted(StrEnum):
    """HTCondor's `notification`: when mail is wanted."""

    NEVER = "NEVER"
    COMPLETE = "COMPLETE"
    ERROR = "ERROR"
    ALWAYS = "ALWAYS"


class Happened(StrEnum):
    """What a notice is about."""

    OVER = "over"
    """every job is completed or removed"""
    HELD = "held"
    """all that is left waits for a person to release it"""
    FAILING = "failing"
    """most jobs that were at it failed, and others go on"""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How the jobs of a submit stand."""

    active: int
    held: int

    @property
    def happened(self) -> Happened | None:
        """What there is to tell; None while jobs go on by themselves."""
        if self.active:
            return None
        return Happened.HELD if self.held else Happened.OVER


def wants(wanted: Wanted, happened: Happened, *, failed: int) -> bool:
    """Whether mail is wanted: ERROR when a job did not do well, COMPLETE at the end, ALWAYS also when all is held."""
    if wanted is Wanted.NEVER:
        return False
    if wanted is Wanted.ALWAYS:
        return True
    if happened is Happened.HELD:
        return wanted is Wanted.ERROR
    return wanted is Wanted.COMPLETE or failed > 0
