"""Writes down how jobs came to their results, soon after their end.

Whatever it is killed at, the next round begins where all was on disk: a record that is made again is the same.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import ValidationError

from armillary.base.clock import Clock
from armillary.base.errors import ArmillaryError, Invalid
from armillary.base.ids import ProjectId
from armillary.base.recent import Recent
from armillary.batch.ended import EndedAttempt, EndedCluster, EndedJob, Ending
from armillary.batch.model import JobId
from armillary.crates.record import JobRecord, LineageStep
from armillary.crates.signing import Signature
from armillary.provenance.making import cluster_record, contents_of, job_record, merged
from armillary.provenance.model import JOB_PROPERTY, RECORD_PROPERTY, Gap, SignedCluster, SignedJob
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
TRIED_AGAIN = 1000
"""jobs without a record that are tried again after a start: a newer version may be able to say it"""
_MARKS_AT_ONCE = 200
_LONGEST_REASON = 500


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
        self._tried = False
        self._clusters = Recent[int, tuple[EndedCluster, SignedCluster]](most=AT_ONCE)

    def tick(self, *, patience: float = -1) -> int:
        """Write down what has ended; return how many jobs that were.

        With `patience`, in seconds, nothing is done when somebody else is at it for longer.
        """
        if not self._lock.acquire(timeout=patience):
            return 0
        try:
            return self._try_again() + sum(self._round() for _ in range(ROUNDS))
        finally:
            self._lock.release()

    def _try_again(self) -> int:
        """Once after a start, make the records that could not be made before; return how many."""
        if self._tried:
            return 0
        found = 0
        known = self._store.gaps.oldest(TRIED_AGAIN)
        for first in range(0, len(known), AT_ONCE):
            some = {(gap.job, gap.attempt) for gap in known[first : first + AT_ONCE]}
            jobs = self._endings.jobs({job for job, _ in some})
            ran = [(job, job.attempt) for job in jobs if job.attempt is not None]
            again = [(job, attempt) for job, attempt in ran if (job.id, attempt.number) in some]
            found += self._keep(again, seq=self._store.progress())
        self._tried = True
        return found

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
        made = self._keep(new, seq=ended[-1].seq)
        old = [
            (job, job.attempt) for job in jobs if job.attempt is None or (job.id, job.attempt.number) in known
        ]
        self._witness.forget([name for job, attempt in old for name in _names(job, attempt)])
        return made

    def _keep(self, jobs: Sequence[tuple[EndedJob, EndedAttempt]], *, seq: int) -> int:
        """Write jobs down; return how many. What those did of which no record can be made stays noted for the next try."""
        made, without = self._write(jobs)
        self._store.add(made, seq=seq, without=without)
        open_ = {gap.job for gap in without}
        done = [name for job, attempt in jobs if job.id not in open_ for name in _names(job, attempt)]
        self._witness.forget(done)
        return len(made)

    def _write(self, jobs: Sequence[tuple[EndedJob, EndedAttempt]]) -> tuple[list[Made], list[Gap]]:
        accesses: dict[str, list[JobAccess]] = {}
        names = {name: str(job.id) for job, attempt in jobs for name in _names(job, attempt)}
        for one in self._witness.of_jobs(list(names)):
            accesses.setdefault(names[one.job], []).append(one)
        made: list[Made] = []
        marks: list[Mark] = []
        without: list[Gap] = []
        for job, attempt in jobs:
            # A token's mark is its bearer's word: nobody writes into the record of somebody else's job.
            own = merged([a for a in accesses.get(str(job.id), ()) if a.person_id == job.owner])
            try:
                one = self._made(job, attempt, own)
            except (Invalid, ValueError) as error:  # it keeps no other's record from being made
                log.exception("job %s leaves no record", job.id)
                now = self._clock.now()
                without.append(Gap(job=job.id, attempt=attempt.number, reason=_reason(error), at=now))
                marks += _marks(own, {JOB_PROPERTY: str(job.id)})
                continue
            made.append(one)
            sha256 = one.signed.signature.sha256
            marks += _marks(own, {RECORD_PROPERTY: sha256, JOB_PROPERTY: str(job.id)})
        for first in range(0, len(marks), _MARKS_AT_ONCE):
            self._mark(marks[first : first + _MARKS_AT_ONCE])
        return made, without

    def _made(self, job: EndedJob, attempt: EndedAttempt, accesses: Sequence[JobAccess]) -> Made:
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
        wrote = any(one.deed is Deed.WRITE and one.blob for one in accesses)
        return Made(signed=signed, contents=contents_of(record), in_space=wrote)

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
        self._clusters.keep(number, (cluster, shared))
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


def _marks(accesses: Sequence[JobAccess], properties: Mapping[str, str]) -> list[Mark]:
    """Return what the files that a job wrote are to say of it."""
    return [
        Mark(path=one.path, blob=one.blob, properties=properties)
        for one in accesses
        if one.deed is Deed.WRITE and one.blob
    ]


def _reason(error: Invalid | ValueError) -> str:
    """Return why there is no record, in text that every database takes and no terminal obeys."""
    said = error.message if isinstance(error, ArmillaryError) else str(error)
    if isinstance(error, ValidationError):  # its own text is long, and quotes what was found
        first = error.errors()[0]
        said = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return "".join(
        one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in said[:_LONGEST_REASON]
    )
