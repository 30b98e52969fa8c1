"""Records in SQL. A job takes a row: its packed document, digest and signature, and one for each file that it made."""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    String,
    Table,
    Text,
    and_,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy import Engine as Database
from sqlalchemy.dialects import postgresql, sqlite

from armillary.base.ids import ClusterId
from armillary.batch.model import JobId
from armillary.columns import Moment, Serial
from armillary.crates.canonical import digest
from armillary.crates.signing import Signature
from armillary.provenance import gaps
from armillary.provenance.model import Gap, PublicKey, Signed, SignedCluster, SignedJob
from armillary.provenance.packing import BigDocuments, damaged, pack, unpack

metadata = MetaData()
LARGE = 8 << 10
"""Packed bytes beyond which a document is kept in the spool, as a file: a job may read ten thousand files."""

keys = Table(
    "provenance_keys",
    metadata,
    Column("number", Serial, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("pem", Text, nullable=False),
    Column("since", Moment, nullable=False),
)
"""The public keys, for ever: what an old one signed must still be checked."""

clusters = Table(
    "provenance_clusters",
    metadata,
    Column("cluster", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("signature", LargeBinary(64), nullable=False),
    Column("key", Integer, nullable=False),  # its number
    Column("made_at", Moment, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("pattern", LargeBinary),  # the document of the job that was written down first, packed
)

jobs = Table(
    "provenance_jobs",
    metadata,
    Column("cluster", BigInteger, primary_key=True, autoincrement=False),
    Column("proc", Integer, primary_key=True, autoincrement=False),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("signature", LargeBinary(64), nullable=False),
    Column("key", Integer, nullable=False),  # its number
    Column("made_at", Moment, nullable=False),
    Column("document", LargeBinary),  # None: in the spool, by its digest
    sqlite_with_rowid=False,
)

makers = Table(
    "provenance_makers",  # who made certain bytes
    metadata,
    Column("sha256", LargeBinary(32), primary_key=True),
    Column("cluster", BigInteger, primary_key=True, autoincrement=False),
    Column("proc", Integer, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

due = Table(
    "provenance_due",  # submits whose file of records is to be written when they are over
    metadata,
    Column("cluster", BigInteger, primary_key=True, autoincrement=False),
    Column("in_space", Boolean, nullable=False),  # a job of it wrote into VOSpace
    Column("turn", BigInteger, nullable=False),
)

progress = Table(
    "provenance_progress",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("seq", BigInteger, nullable=False),
)
_ENDINGS = "endings"


def create_all(engine: Database) -> None:
    """Make the tables that are not there yet."""
    metadata.create_all(engine)
    gaps.metadata.create_all(engine)


@dataclass(frozen=True, kw_only=True)
class Made:
    """What the clerk has made of one job: its signed record, and the SHA-256 of what it wrote."""

    signed: SignedJob
    contents: Collection[str]
    in_space: bool = False
    """whether it wrote files in VOSpace"""


class RecordStore:
    """Each call is one transaction."""

    def __init__(self, *, database: Database, big: BigDocuments, large: int = LARGE) -> None:
        """Keep documents of more than `large` packed bytes in `big`."""
        self._large = large
        self._database = database
        self.gaps = gaps.Gaps(database=database)
        self._reading = database.execution_options(readonly=True)
        self._big = big

    # keys

    def publish(self, key: PublicKey) -> None:
        """Make a public key known, for ever."""
        with self._database.begin() as db:
            if db.execute(select(keys.c.number).where(keys.c.id == key.id)).first() is None:
                db.execute(insert(keys).values(id=key.id, pem=key.pem, since=key.since))

    def public_keys(self) -> list[PublicKey]:
        """Return all keys that ever signed, the oldest first."""
        with self._reading.connect() as db:
            rows = db.execute(select(keys).order_by(keys.c.number))
            return [PublicKey(id=row.id, pem=row.pem, since=row.since) for row in rows]

    # clusters

    def add_cluster(self, signed: SignedCluster) -> SignedCluster:
        """Keep the record of a cluster; the one that is there already wins, and is returned."""
        with self._database.begin() as db:
            row = self._cluster(db, signed.cluster)
            if row is None:
                values = {"cluster": signed.cluster, "document": pack(signed.document)}
                db.execute(insert(clusters).values(**values, **_signed(db, signed)))
                return signed
            return _cluster_of(row)

    def cluster(self, number: int) -> SignedCluster | None:
        """Return the record of a cluster."""
        with self._reading.connect() as db:
            row = self._cluster(db, number)
        return _cluster_of(row) if row is not None else None

    def _cluster(self, db: Connection, number: int) -> Row[Any] | None:
        query = select(clusters, keys.c.id.label("key_id")).join(keys, keys.c.number == clusters.c.key)
        return db.execute(query.where(clusters.c.cluster == number)).first()

    # jobs

    def progress(self) -> int:
        """Return up to which ending all is written down."""
        with self._reading.connect() as db:
            query = select(progress.c.seq).where(progress.c.name == _ENDINGS)
            return int(db.execute(query).scalar() or 0)

    def known(self, jobs_: Collection[JobId]) -> set[tuple[JobId, int]]:
        """Return which attempts of some jobs are written down."""
        found: set[tuple[JobId, int]] = set()
        with self._reading.connect() as db:
            for cluster, procs in _by_cluster(jobs_).items():
                here = and_(jobs.c.cluster == cluster, jobs.c.proc.in_(procs))
                query = select(jobs.c.proc, jobs.c.attempt).where(here)
                found |= {(JobId(ClusterId(cluster), proc), number) for proc, number in db.execute(query)}
        return found

    def add(self, made: Sequence[Made], *, seq: int, without: Sequence[Gap] = ()) -> None:
        """Keep records of jobs, and that all endings up to `seq` are written down. What is there already stays.

        The records of their clusters must be there. Of `without` no record could be made.
        """
        patterns = self._patterns({one.signed.job.cluster: one.signed.document for one in made})
        packed = {one.signed.job: pack(one.signed.document, patterns[one.signed.job.cluster]) for one in made}
        for one in made:
            if len(packed[one.signed.job]) > self._large:
                with self._big.writer() as writer:
                    writer.write(one.signed.document)
                    writer.commit(one.signed.signature.sha256)
        with self._database.begin() as db:
            known = self._numbers(db)
            there = self._there(db, made)
            gaps.keep(db, without)
            gaps.close(db, [(one.signed.job, one.signed.attempt) for one in made])
            rows = [
                {
                    "cluster": one.signed.job.cluster,
                    "proc": one.signed.job.proc,
                    "attempt": one.signed.attempt,
                    "document": packed[one.signed.job]
                    if len(packed[one.signed.job]) <= self._large
                    else None,
                    **_values(one.signed, known),
                }
                for one in made
                if (one.signed.job, one.signed.attempt) not in there
            ]
            if rows:
                db.execute(insert(jobs), rows)
                self._note_due(db, made)
            contents = [
                {
                    "sha256": bytes.fromhex(one),
                    "cluster": made_.signed.job.cluster,
                    "proc": made_.signed.job.proc,
                }
                for made_ in made
                for one in made_.contents
            ]
            if contents:
                db.execute(_new_makers(db), contents)
            mine = progress.c.name == _ENDINGS
            if db.execute(select(progress.c.seq).where(mine)).first() is None:
                db.execute(insert(progress).values(name=_ENDINGS, seq=seq))
            db.execute(update(progress).where(mine, progress.c.seq < seq).values(seq=seq))

    def due(self, limit: int) -> list[tuple[int, bool]]:
        """Return submits that have new records, those first that were looked at least; and whether they wrote files."""
        with self._reading.connect() as db:
            rows = db.execute(select(due).order_by(due.c.turn, due.c.cluster).limit(limit))
            return [(row.cluster, row.in_space) for row in rows]

    def postpone(self, cluster: int) -> None:
        """Look at a submit again after the others: it is not over."""
        with self._database.begin() as db:
            db.execute(update(due).where(due.c.cluster == cluster).values(turn=due.c.turn + 1))

    def done(self, cluster: int) -> None:
        """Look at a submit no more, until it has new records."""
        with self._database.begin() as db:
            db.execute(delete(due).where(due.c.cluster == cluster))

    def job(self, job: JobId, attempt: int | None = None) -> SignedJob | None:
        """Return the record of a job: of one attempt, or the newest."""
        query = _jobs_query().where(jobs.c.cluster == job.cluster, jobs.c.proc == job.proc)
        if attempt is not None:
            query = query.where(jobs.c.attempt == attempt)
        with self._reading.connect() as db:
            row = db.execute(query.order_by(jobs.c.attempt.desc()).limit(1)).first()
        return self._job_of(row) if row is not None else None

    def jobs_of(self, cluster: int, *, after: int = -1, limit: int = 500) -> list[SignedJob]:
        """Return records of a cluster's jobs beyond a proc, of each job the newest; none of a job whose last end has none."""
        query = _jobs_query().where(jobs.c.cluster == cluster, jobs.c.proc > after)
        newest = jobs.alias()
        later = select(newest.c.proc).where(
            newest.c.cluster == jobs.c.cluster,
            newest.c.proc == jobs.c.proc,
            newest.c.attempt > jobs.c.attempt,
        )
        with self._reading.connect() as db:
            rows = db.execute(
                query.where(~later.exists(), ~gaps.is_behind(jobs.c.cluster, jobs.c.proc, jobs.c.attempt))
                .order_by(jobs.c.proc)
                .limit(limit)
            ).all()
        return [self._job_of(row) for row in rows]

    def named(self, digests: Collection[str]) -> set[str]:
        """Return those of some digests that records name as what jobs made, or that are records themselves."""
        asked = frozenset(digests)
        found: set[str] = set()
        with self._reading.connect() as db:
            for query in (select(makers.c.sha256), select(jobs.c.digest).where(jobs.c.document.is_(None))):
                rows = db.execute(query, execution_options={"yield_per": 10_000}).scalars()
                found |= {one for digest_ in rows if (one := digest_.hex()) in asked}
        return found

    def makers(self, sha256: str, *, limit: int = 200) -> list[JobId]:
        """Return jobs that made certain bytes, the newest first."""
        query = select(makers.c.cluster, makers.c.proc).where(makers.c.sha256 == bytes.fromhex(sha256))
        with self._reading.connect() as db:
            rows = db.execute(query.order_by(makers.c.cluster.desc(), makers.c.proc.desc()).limit(limit))
            return [JobId(ClusterId(row.cluster), row.proc) for row in rows]

    # inside

    def _note_due(self, db: Connection, made: Sequence[Made]) -> None:
        wrote = {one.signed.job.cluster: False for one in made}
        wrote |= {one.signed.job.cluster: True for one in made if one.in_space}
        there = db.execute(select(due.c.cluster, due.c.in_space).where(due.c.cluster.in_(list(wrote))))
        known = {row.cluster: row.in_space for row in there}
        for cluster, in_space in wrote.items():
            if cluster not in known:
                db.execute(insert(due).values(cluster=cluster, in_space=in_space, turn=0))
            elif in_space and not known[cluster]:
                db.execute(update(due).where(due.c.cluster == cluster).values(in_space=True))

    def _patterns(self, first: Mapping[int, bytes]) -> dict[int, bytes]:
        """Return the pattern of each cluster; the first record of a cluster becomes it."""
        with self._database.begin() as db:
            query = select(clusters.c.cluster, clusters.c.pattern).where(clusters.c.cluster.in_(list(first)))
            found = {row.cluster: row.pattern for row in db.execute(query)}
            for cluster, document in first.items():
                if found.get(cluster) is None:
                    found[cluster] = pack(document)
                    db.execute(
                        update(clusters).where(clusters.c.cluster == cluster).values(pattern=found[cluster])
                    )
        return {cluster: unpack(pattern) for cluster, pattern in found.items()}

    def _there(self, db: Connection, made: Sequence[Made]) -> set[tuple[JobId, int]]:
        found: set[tuple[JobId, int]] = set()
        for cluster, procs in _by_cluster([one.signed.job for one in made]).items():
            here = and_(jobs.c.cluster == cluster, jobs.c.proc.in_(procs))
            query = select(jobs.c.proc, jobs.c.attempt).where(here)
            found |= {(JobId(ClusterId(cluster), proc), number) for proc, number in db.execute(query)}
        return found

    def _numbers(self, db: Connection) -> dict[str, int]:
        return {row.id: row.number for row in db.execute(select(keys.c.id, keys.c.number))}

    def _job_of(self, row: Row[Any]) -> SignedJob:
        if row.document is None:
            document = self._big.path(row.digest.hex()).read_bytes()
        else:
            document = unpack(row.document, unpack(row.pattern))
        return SignedJob(
            document=_whole(document, row.digest),
            signature=_signature(row),
            made_at=row.made_at,
            job=JobId(ClusterId(row.cluster), row.proc),
            attempt=row.attempt,
        )


def _jobs_query() -> Any:
    return (
        select(jobs, clusters.c.pattern, keys.c.id.label("key_id"))
        .join(clusters, clusters.c.cluster == jobs.c.cluster)
        .join(keys, keys.c.number == jobs.c.key)
    )


def _by_cluster(ids: Iterable[JobId]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for job in ids:
        found.setdefault(job.cluster, []).append(job.proc)
    return found


def _signed(db: Connection, signed: Signed) -> dict[str, Any]:
    number = db.execute(select(keys.c.number).where(keys.c.id == signed.signature.key)).scalar_one()
    return _values(signed, {signed.signature.key: number})


def _values(signed: Signed, numbers: Mapping[str, int]) -> dict[str, Any]:
    return {
        "digest": bytes.fromhex(signed.signature.sha256),
        "signature": base64.b64decode(signed.signature.value),
        "key": numbers[signed.signature.key],
        "made_at": signed.made_at,
    }


def _signature(row: Row[Any]) -> Signature:
    value = base64.b64encode(row.signature).decode("ascii")
    return Signature(key=row.key_id, sha256=row.digest.hex(), value=value)


def _whole(document: bytes, sha256: bytes) -> bytes:
    if digest(document) != sha256.hex():
        raise damaged()
    return document


def _cluster_of(row: Row[Any]) -> SignedCluster:
    return SignedCluster(
        document=_whole(unpack(row.document), row.digest),
        signature=_signature(row),
        made_at=row.made_at,
        cluster=row.cluster,
    )


def _new_makers(db: Connection) -> Any:
    dialect: Any = sqlite if db.dialect.name == "sqlite" else postgresql
    return dialect.insert(makers).on_conflict_do_nothing()
