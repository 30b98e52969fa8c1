"""What goes wrong on a cloud in memory, when a test or a simulation wants it to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from armillary.base.errors import ArmillaryError
from armillary.fleet.model import ServerRequest


def _sound(_request: ServerRequest) -> str | None:
    return None


@dataclass(kw_only=True)
class Faults:
    """Set what is to happen; the cloud takes from the lists and counts down the numbers as it does it."""

    calls: list[ArmillaryError] = field(default_factory=list[ArmillaryError])
    """raised by the next calls, one each: a cloud that answers 500, 429, or whose token has expired"""
    creates: list[ArmillaryError] = field(default_factory=list[ArmillaryError])
    """raised by the next creates, one each, which make nothing"""
    lost_replies: int = 0
    """so many creates make their machine and then do not answer"""
    listed_after: timedelta = timedelta(0)
    """a new machine is in no list for so long"""
    listed_deleted: timedelta = timedelta(0)
    """a machine that is gone stays in lists for so long"""
    stuck_building: bool = False
    """machines stay in BUILD"""
    stuck_deleting: bool = False
    """machines that are to be deleted stay, with the task `deleting`"""
    dooms: Callable[[ServerRequest], str | None] = _sound
    """the fault with which a new machine goes to ERROR; None: it boots"""
    breaks: list[int] = field(default_factory=list[int])
    """the next reads of an image break off after so many bytes"""
    refused_bytes: list[int] = field(default_factory=list[int])
    """the next uploads of an image break off after so many bytes"""
    half_images: bool = False
    """an upload that breaks off leaves its image behind, as when the platform is killed in it"""
