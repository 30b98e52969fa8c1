"""Records for people: by job, by cluster, and by what the jobs made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from armillary.accounts.model import Principal
from armillary.base.errors import Invalid, NotFound, TooLarge
from armillary.base.ids import ClusterId
from armillary.batch.model import JobId
from armillary.batch.views import ClusterView, JobDetail
from armillary.crates.record import JobRecord, Person
from armillary.crates.signing import Signature, read_public, verifies
from armillary.provenance.gaps import impossible
from armillary.provenance.model import (
    JOB_PROPERTY,
    MAX_RECORDS,
    Gap,
    Maker,
    PublicKey,
    Signed,
    SignedCluster,
    SignedJob,
    Verdict,
    Why,
)
from armillary.provenance.store import RecordStore
from armillary.vospace.model import Node
from armillary.vospace.paths import VOSPath, parse_uri, to_uri
from armillary.vospace.service import VOSpaceService

CANDIDATES = 50
"""Jobs that made the same bytes, that are looked at."""
_PAGE = 100


class Jobs(Protocol):
    """The batch service, as far as records use it: who may see a job."""

    def job(self, who: Principal, job: JobId) -> JobDetail: ...

    def cluster(self, who: Principal, cluster: ClusterId) -> ClusterView: ...


class Keys(Protocol):
    """The platform's keys."""

    def public(self) -> list[PublicKey]: ...

    def sign(self, document: bytes) -> Signature: ...


class Provenance:
    """Whoever may see a job may see its record. What made a file is told to those who may read the file and see the job."""

    def __init__(
        self,
        *,
        store: RecordStore,
        jobs: Jobs,
        space: VOSpaceService,
        keys: Keys,
        authority: str,
        write_down: Callable[[], int],
    ) -> None:
        """`authority` is our own in URIs of nodes; `write_down` makes the records of what has just ended."""
        self._store = store
        self._jobs = jobs
        self._space = space
        self._keys = keys
        self._authority = authority
        self._write_down = write_down

    def published_keys(self) -> list[PublicKey]:
        """Return all keys that ever signed, the oldest first."""
        return self._keys.public()

    def sign(self, document: bytes) -> Signature:
        """Vouch for canonical bytes in the platform's name."""
        return self._keys.sign(document)

    def record(self, who: Principal, job: JobId) -> tuple[SignedJob, SignedCluster]:
        """Return the record of a job that is over.

        Raises:
            NotFound: the caller may not see the job; or nothing is written down of it, code `record_not_made`; or
                nothing can be of its last end, code `record_impossible`.
        """
        view = self._jobs.job(who, job).view
        found = self._store.job(job)
        if found is None or (found.attempt < view.attempts and view.finished_at):
            self._write_down()
            found = self._store.job(job) or found
        gap = self._store.gaps.of(job)
        if gap is not None and (found is None or found.attempt < gap.attempt):
            raise impossible(gap)
        if found is None:
            raise NotFound(
                f"Nothing is written down of job {job} yet.",
                code="record_not_made",
                facts={"job": str(job), "state": view.state},
                remedy="Wait for its end; a job that was removed before it ran leaves no record.",
            )
        return found, self._shared(found)

    def cluster_record(self, who: Principal, cluster: ClusterId) -> SignedCluster:
        """Return the record of what the jobs of a cluster share. Raises NotFound as `record`."""
        self._jobs.cluster(who, cluster)
        found = self._store.cluster(cluster)
        if found is None:
            self._write_down()
            found = self._store.cluster(cluster)
        if found is None and (gaps := self._store.gaps.of_cluster(cluster, 1)):
            raise impossible(gaps[0])
        if found is None:
            raise NotFound(
                f"Nothing is written down of cluster {cluster} yet.",
                code="record_not_made",
                facts={"cluster": cluster},
                remedy="Wait for the end of its first job.",
            )
        return found

    def owner_of(self, cluster: ClusterId) -> Person | None:
        """Return who submitted a cluster by its record, whoever asks: show it only with what they may see."""
        found = self._store.cluster(cluster)
        return found.record.owner if found else None

    def job_records(
        self,
        who: Principal,
        cluster: ClusterId,
        *,
        procs: Sequence[int] | None = None,
        most: int = MAX_RECORDS,
    ) -> list[SignedJob]:
        """Return the records of a cluster's jobs that are over, in order; of some, if `procs` are given.

        Raises:
            NotFound: as `record`. TooLarge: they are more than `most` bytes.
        """
        self._jobs.cluster(who, cluster)
        self._write_down()
        if procs is not None:
            some = (self._store.jobs_of(cluster, after=proc - 1, limit=1) for proc in sorted(procs))
            return [
                one
                for page, proc in zip(some, sorted(procs), strict=True)
                for one in page
                if one.job.proc == proc
            ]
        found: list[SignedJob] = []
        octets = 0
        for one in self._all_of(cluster):
            found.append(one)
            octets += len(one.document)
            if octets > most:
                raise TooLarge(
                    f"the records of cluster {cluster} have more than {most} bytes",
                    facts={"limit": most},
                    remedy="Ask for single jobs of it: CLUSTER.JOB",
                )
        return found

    def _all_of(self, cluster: ClusterId) -> Iterator[SignedJob]:
        after = -1
        while page := self._store.jobs_of(cluster, after=after, limit=_PAGE):
            yield from page
            after = page[-1].job.proc

    def unrecorded(self, who: Principal, cluster: ClusterId) -> list[Gap]:
        """Return jobs of a cluster of which no record can be made, the first of them. Raises NotFound as `record`."""
        self._jobs.cluster(who, cluster)
        return self._store.gaps.of_cluster(cluster, CANDIDATES)

    def gaps(self, limit: int) -> tuple[list[Gap], int]:
        """Return ends of jobs of which no record can be made, the oldest first, and how many there are. For administrators."""
        return self._store.gaps.oldest(limit), self._store.gaps.count()

    def is_signed(self, signed: Signed) -> bool:
        """Whether a key of ours signed a document."""
        keys = {key.id: key.pem for key in self._keys.public()}
        pem = keys.get(signed.signature.key)
        return pem is not None and verifies(signed.document, signed.signature, key=read_public(pem))

    def why(self, who: Principal, path: str, *, most: int | None = None) -> Why:
        """Say what made a file. `path` is a URI of VOSpace, or a path in it; `me` is the caller's home.

        With `most`, a file of more bytes is not read to learn its SHA-256.

        Raises:
            NotFound, Forbidden: there is no such node, or the caller may not read it.
            Invalid: it has no bytes, code `type_not_supported`.
            TooLarge: it has more than `most`, and its SHA-256 is not known.
        """
        node = self._space.open_bytes(who, self._path(who, path), head=True).node
        sha256 = self._space.witness.sha256(node.blob, node.length, most=most)
        if not sha256:
            raise TooLarge(
                f"{node.path} has to be read whole to know what made it.",
                code="too_large_to_trace",
                facts={"path": str(node.path), "size": node.length},
                remedy="Ask on the command line: armillary why",
            )
        found = self._makers(who, node, sha256) if node.length else []
        makers = [maker for maker, _ in found]
        uri = to_uri(node.path, self._authority)
        if found:
            record: SignedJob | None = found[0][1]
            here = makers[0].uri == uri
            verdict = Verdict.MADE if here else Verdict.COPIED
        else:
            record = self._before(who, node, uri)
            verdict = Verdict.CHANGED if record else Verdict.UNKNOWN
        shared = self._shared(record) if record else None
        return Why(
            path=str(node.path),
            size=node.length,
            sha256=sha256,
            verdict=verdict,
            makers=makers,
            record=record,
            cluster=shared,
            intact=self.is_signed(record) and self.is_signed(shared) if record and shared else None,
            gap=None if record else self._gap(who, node),
        )

    def _gap(self, who: Principal, node: Node) -> Gap | None:
        """Return that the job which a file names left no record."""
        job = _marked(node)
        return self._store.gaps.of(job) if job and self._may_see(who, job) else None

    def _path(self, who: Principal, text: str) -> VOSPath:
        if text.startswith("vos://"):
            return parse_uri(text, self._space.authorities)
        path = text.removeprefix("vos:")
        if path == "me" or path.startswith("me/"):
            path = f"/home/{who.person.user_name}{path.removeprefix('me')}"
        return VOSPath.parse(path if path.startswith("/") else f"/{path}")

    def _makers(self, who: Principal, node: Node, sha256: str) -> list[tuple[Maker, SignedJob]]:
        """Return the jobs that made these bytes: first the one that wrote them here, then the newest."""
        uri = to_uri(node.path, self._authority)
        marked = _marked(node)
        # the one that the file names may be older than all that others made
        jobs: list[JobId] = [marked] if marked else []
        jobs += self._store.makers(sha256, limit=CANDIDATES)
        found: list[tuple[Maker, SignedJob]] = []
        for job in dict.fromkeys(jobs):
            if not self._may_see(who, job):
                continue
            signed = self._store.job(job)
            maker = _maker(signed.record, sha256, uri) if signed else None
            if signed and maker:
                found.append((maker, signed))
        return sorted(found, key=lambda one: one[0].uri != uri)

    def _may_see(self, who: Principal, job: JobId) -> bool:
        try:
            self._jobs.job(who, job)
        except NotFound:
            return False
        return True

    def _before(self, who: Principal, node: Node, uri: str) -> SignedJob | None:
        """Return the record of the job that wrote a file which has other bytes now."""
        job = _marked(node)
        signed = self._store.job(job) if job and self._may_see(who, job) else None
        if signed and any(one.action == "write" and one.uri == uri for one in signed.record.accesses):
            return signed
        return None

    def _shared(self, signed: SignedJob) -> SignedCluster:
        found = self._store.cluster(signed.job.cluster)
        assert found is not None, "it is kept before its jobs are"
        return found


def _marked(node: Node) -> JobId | None:
    """Return the job that a file names; whoever may write it may have set that."""
    try:
        return JobId.parse(node.properties.get(JOB_PROPERTY, ""))
    except Invalid:
        return None


def _maker(record: JobRecord, sha256: str, uri: str) -> Maker | None:
    """Say where a job made these bytes: at `uri`, if it did so there."""
    written = [one.uri for one in record.accesses if one.action == "write" and one.sha256 == sha256]
    if written:
        place = uri if uri in written else written[0]
        return Maker(job=record.job, name=place.rsplit("/", 1)[-1], uri=place)
    for one in record.outputs:
        if one.sha256 == sha256:
            return Maker(job=record.job, name=one.name, uri=None)
    return None
