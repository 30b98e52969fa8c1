"""Records as they are kept, and the answer to "what made this?". Values only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from armillary.batch.model import JobId
from armillary.crates.record import ClusterRecord, JobRecord, read
from armillary.crates.signing import Signature

RECORD_PROPERTY = "ivo://armillary/provenance#record"
"""On a node that a job has written: the SHA-256 of the job's record."""
JOB_PROPERTY = "ivo://armillary/provenance#job"
"""On the same node: the job, as `12.0`."""
MARKS = frozenset({RECORD_PROPERTY, JOB_PROPERTY})
MAX_RECORDS = 128 << 20
"""bytes of the records that are in memory for one request"""


@dataclass(frozen=True, kw_only=True)
class Signed:
    """A document with its signature."""

    document: bytes
    """canonical JSON"""
    signature: Signature
    made_at: datetime


@dataclass(frozen=True, kw_only=True)
class SignedJob(Signed):
    """The record of one job, of its attempt that counts."""

    job: JobId
    attempt: int

    @property
    def record(self) -> JobRecord:
        """What it says."""
        return read(JobRecord, self.document)


@dataclass(frozen=True, kw_only=True)
class SignedCluster(Signed):
    """The record of what the jobs of one submit share."""

    cluster: int

    @property
    def record(self) -> ClusterRecord:
        """What it says."""
        return read(ClusterRecord, self.document)


@dataclass(frozen=True, kw_only=True)
class PublicKey:
    """A key of the platform that signs, or once signed, records."""

    id: str
    """SHA-256 of its 32 bytes"""
    pem: str
    since: datetime
    current: bool = False


class Verdict(StrEnum):
    """What can be said of where a file's bytes come from."""

    MADE = "made"
    """a job wrote these bytes here"""
    COPIED = "copied"
    """a job wrote these bytes, at another place or under another name"""
    CHANGED = "changed"
    """a job wrote this file, and its bytes are others now"""
    UNKNOWN = "unknown"
    """no record has these bytes"""


@dataclass(frozen=True, kw_only=True)
class Maker:
    """A job that made certain bytes."""

    job: str
    name: str
    """as it called them"""
    uri: str | None
    """where it wrote them, if it did so in VOSpace"""


@dataclass(frozen=True, kw_only=True)
class Gap:
    """That no record could be made of an end of a job."""

    job: JobId
    attempt: int
    reason: str
    """for people: what of the job no document can say"""
    at: datetime
    """when it was tried last"""


@dataclass(frozen=True, kw_only=True)
class Why:
    """What made a file, as far as records tell. `makers`: all jobs that made these bytes, the likeliest first."""

    path: str
    size: int
    sha256: str
    verdict: Verdict
    makers: Sequence[Maker]
    record: SignedJob | None
    """of the first of them; of a changed file, of the job that wrote it before"""
    cluster: SignedCluster | None
    intact: bool | None
    """whether both signatures are good; None without a record"""
    gap: Gap | None = None
    """without a record: of the job that the file names, if none could be made of it"""
