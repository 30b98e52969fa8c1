"""What can be wrong with the space: records and bytes that do not agree. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from armillary.base.ids import PersonId
from armillary.vospace.paths import VOSPath

DAMAGED = "ivo://armillary/vospace#damaged"
"""The property of a node whose bytes were found lost or wrong; its value says which and when."""


class Fault(StrEnum):
    """Kinds of findings, in the order in which they are looked for."""

    UNREACHABLE = "unreachable"
    MISSING_BYTES = "missing_bytes"
    WRONG_LENGTH = "wrong_length"
    WRONG_CHECKSUM = "wrong_checksum"
    ORPHAN_BYTES = "orphan_bytes"
    WAITING_BYTES = "waiting_bytes"
    UNFINISHED_UPLOAD = "unfinished_upload"
    WRONG_USAGE = "wrong_usage"
    LEFT_JOB = "left_job"
    GONE_OWNER = "gone_owner"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was found: what it is about, in words, and what was done about it (empty: nothing)."""

    fault: Fault
    subject: str
    detail: str
    mended: str = ""

    @property
    def is_open(self) -> bool:
        """Whether something is still wrong. That an owner has gone is for a person to know, and no fault."""
        return not self.mended and self.fault is not Fault.GONE_OWNER


@dataclass(frozen=True, kw_only=True)
class NamedBytes:
    """What a node says of its bytes."""

    node_id: int
    blob: str | None
    length: int
    md5: str
    damaged: bool


@dataclass(frozen=True, kw_only=True)
class HomeUsage:
    """What a home says it holds, and what it holds."""

    path: VOSPath
    used: int
    held: int


@dataclass(frozen=True, kw_only=True)
class OwnerShare:
    """How much belongs to somebody."""

    owner_id: PersonId
    owner_name: str
    nodes: int
    octets: int
