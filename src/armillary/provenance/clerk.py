"""Writes down how jobs came to their results, soon after their end.

Whatever it is killed at, the next round begins where all was on disk: a record that is made again is the same.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from armillary.base.clock import Clock
from armillary.base.errors import ArmillaryError, Invalid
from armillary.base.ids import ProjectId
from armillary.batch.ended import EndedAttempt, EndedCluster, EndedJob, Ending
from armillary.batch.model import JobId
from armillary.crates.record import JobRecord, LineageStep
from armillary.crates.signing import Signature
from armillary.provenance.making import cluster_record, contents_of, job_record, merged
from armillary.provenance.model import JOB_PROPERTY, RECORD_PROPERTY, SignedCluster, SignedJob
from armillary.provenance.store import Made, RecordStore
from armillary.vospace.access_model import Deed, JobAccess
from armillary.vospace.service.marking import Mark

log = logging.getLogger(__name__)

AT_ONCE = 200
"""endings in one round"""
ROUNDS = 5
"""at a tick; then others may write, too"""
PATIENCE = 2.0
"""seconds that whoever asks for a record waits for the clerk, who may be at the SHA-256 of a large file"""
_MARKS_AT_ONCE = 200


class Endings(Protocol):
    """What batch knows of jobs that are over (`EndedRecords`)."""

    def endings(self, *, after: int, limit: int) -> list[Ending]: ...

    def jobs(self, ids: Collection[JobId]) -> list[EndedJob]: ...

    def cluster(self, number: int) -> EndedCluster | None: ...


class Witnessed(Protocol):
    """What VOSpace knows of what jobs did (`Witness`)."""

    def settle(self) -> None: ...

    def of_jobs(self, jobs: Collection[str]) -> Sequence[JobAccess]: ...

    def forget(self, jobs: Collection[str]) -> None: ...

    def sha256(self, blob: str | None, length: int, *, most: int | None = None) -> str: ...


class Signer(Protocol):
    """Signs documents."""

    def sign(self, document: bytes) -> Signature: ...


@dataclass(frozen=True, kw_only=True)
class Place:
    """How this platform is called in records."""

    platform: str
    """its address"""
    authority: str
    """of its VOSpace, as `authority~service`"""
    most_accesses: int = 10_000
    """reads and writes that a record names"""
    most_hashed: int = 16 << 30
    """bytes; of a larger file that a job has read a record has the MD5 alone"""


class Clerk:
    """Call `tick` every few seconds. Another process that does so too does no harm, but the same work."""

    def __init__(
        self,
        *,
        endings: Endings,
        store: RecordStore,
        witness: Witnessed,
        mark: Callable[[Sequence[Mark]], int],
        lineage: Callable[[ProjectId, str], Sequence[LineageStep]],
        signer: Signer,
        clock: Clock,
        place: Place,
    ) -> None:
        """`lineage` says where a project's image, by its SHA-512, comes from."""
        self._endings = endings
        self._store = store
        self._witness = witness
        self._mark = mark
        self._lineage = lineage
        self._signer = signer
        self._clock = clock
        self._place = place
        self._lock = threading.Lock()
        self._clusters: dict[int, tuple[EndedCluster, SignedCluster]] = {}

    def tick(self, *, patience: float = -1) -> int:
        """Write down what has ended; return how many jobs that were.

        With `patience`, in seconds, nothing is done when somebody else is at it for longer.
        """
        if not self._lock.acquire(timeout=patience):
            return 0
        try:
            return sum(self._round() for _ in range(ROUNDS))
        finally:
            self._lock.release()

    def _round(self) -> int:
        after = self._store.progress()
        ended = self._endings.endings(after=after, limit=AT_ONCE)
        if not ended:
            return 0
        self._witness.settle()
        jobs = self._endings.jobs({one.job for one in ended})
        known = self._store.known([job.id for job in jobs])
        ran = [(job, job.attempt) for job in jobs if job.attempt is not None]
        new = [(job, attempt) for job, attempt in ran if (job.id, attempt.number) not in known]
        made = self._write(new)
        self._store.add([one for one, _ in made], seq=ended[-1].seq)
        self._witness.forget([name for job in jobs for name in _names(job, job.attempt)])
        return len(made)

    def _write(self, jobs: Sequence[tuple[EndedJob, EndedAttempt]]) -> list[tuple[Made, list[Mark]]]:
        accesses: dict[str, list[JobAccess]] = {}
        names = {name: str(job.id) for job, attempt in jobs for name in _names(job, attempt)}
        for one in self._witness.of_jobs(list(names)):
            accesses.setdefault(names[one.job], []).append(one)
        made: list[tuple[Made, list[Mark]]] = []
        for job, attempt in jobs:
            # A token's mark is its bearer's word: nobody writes into the record of somebody else's job.
            own = [a for a in accesses.get(str(job.id), ()) if a.person_id == job.owner]
            try:
                made.append(self._made(job, attempt, merged(own)))
            except (
                Invalid,
                ValueError,
            ):  # one job of which no document can be made keeps no other's from being made
                log.exception("job %s leaves no record", job.id)
        marks = [mark for _, some in made for mark in some]
        for first in range(0, len(marks), _MARKS_AT_ONCE):
            self._mark(marks[first : first + _MARKS_AT_ONCE])
        return made

    def _made(
        self, job: EndedJob, attempt: EndedAttempt, accesses: Sequence[JobAccess]
    ) -> tuple[Made, list[Mark]]:
        cluster, shared = self._cluster(job.id.cluster)
        record = job_record(
            job,
            attempt,
            cluster,
            cluster_digest=shared.signature.sha256,
            accesses=accesses,
            digests=self._digests(accesses),
            authority=self._place.authority,
            most=self._place.most_accesses,
        )
        signed = self._signed(job.id, attempt.number, record)
        properties = {RECORD_PROPERTY: signed.signature.sha256, JOB_PROPERTY: str(job.id)}
        marks = [
            Mark(path=one.path, blob=one.blob, properties=properties)
            for one in accesses
            if one.deed is Deed.WRITE and one.blob
        ]
        return Made(signed=signed, contents=contents_of(record), in_space=bool(marks)), marks

    def _signed(self, job: JobId, attempt: int, record: JobRecord) -> SignedJob:
        document = record.canonical()
        return SignedJob(
            document=document,
            signature=self._signer.sign(document),
            made_at=self._clock.now(),
            job=job,
            attempt=attempt,
        )

    def _digests(self, accesses: Sequence[JobAccess]) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for one in accesses:
            if one.blob and not one.sha256 and one.blob not in found and one.deed is not Deed.DELETE:
                found[one.blob] = self._witness.sha256(one.blob, one.length, most=self._place.most_hashed)
        return found

    def _cluster(self, number: int) -> tuple[EndedCluster, SignedCluster]:
        known = self._clusters.get(number)
        if known is not None:
            return known
        cluster = self._endings.cluster(number)
        assert cluster is not None, "its jobs are there"
        shared = self._store.cluster(number) or self._new_cluster(cluster)
        while len(self._clusters) >= AT_ONCE:
            self._clusters.pop(next(iter(self._clusters)))
        self._clusters[number] = (cluster, shared)
        return cluster, shared

    def _new_cluster(self, cluster: EndedCluster) -> SignedCluster:
        try:
            lineage = self._lineage(cluster.project, cluster.image)
        except ArmillaryError as error:  # the clouds' word on it is not worth the record
            log.warning("cluster %s: the lineage of its image is not known: %s", cluster.id, error.message)
            lineage = ()
        document = cluster_record(cluster, platform=self._place.platform, lineage=lineage).canonical()
        signed = SignedCluster(
            document=document,
            signature=self._signer.sign(document),
            made_at=self._clock.now(),
            cluster=cluster.id,
        )
        return self._store.add_cluster(signed)


def _names(job: EndedJob, attempt: EndedAttempt | None) -> list[str]:
    """Return how the credentials of a job's attempts name it."""
    numbers = {one.number for one in job.earlier} | ({attempt.number} if attempt else set[int]())
    return [f"{job.id}.{number}" for number in sorted(numbers)]
