"""What running jobs did with files, in SQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, delete, func, insert, select, update

from armillary.base.ids import PersonId
from armillary.vospace.access_model import Deed, JobAccess
from armillary.vospace.store.tables import digests, job_accesses, nodes


def put_access(connection: Connection, access: JobAccess) -> int:
    """Note an access in an open transaction."""
    values = {**vars(access), "deed": access.deed.value}
    del values["sha256"]
    key = connection.execute(insert(job_accesses).values(values)).inserted_primary_key
    assert key is not None
    if access.blob and access.sha256:
        put_sha256(connection, access.blob, access.sha256)
    return int(key[0])


def put_sha256(connection: Connection, blob: str, sha256: str) -> None:
    """Remember a checksum in an open transaction."""
    known = select(digests.c.blob).where(digests.c.blob == blob)
    if connection.execute(known).first() is None:
        connection.execute(insert(digests).values(blob=blob, sha256=sha256))


def forget_digests(connection: Connection, gone: Collection[str]) -> None:
    """Forget the checksums of bytes that are gone, in an open transaction, but for those that a record is yet to name."""
    known = connection.execute(select(digests.c.blob).where(digests.c.blob.in_(gone))).scalars().all()
    if known:
        noted = select(job_accesses.c.blob).where(job_accesses.c.blob.in_(known))
        wanted = set(connection.execute(noted).scalars())
        connection.execute(delete(digests).where(digests.c.blob.in_(set(known) - wanted)))


class SqlAccessRecords:
    """See `access_ports.AccessRecords`."""

    def __init__(self, engine: Engine) -> None:
        """Keep accesses in a database that `create_all` has prepared."""
        self._engine = engine
        self._reading = engine.execution_options(readonly=True)

    def add_access(self, access: JobAccess) -> int:
        """See `access_ports.AccessRecords`."""
        with self._engine.begin() as connection:
            return put_access(connection, access)

    def count_accesses(self, more: Mapping[int, int]) -> None:
        """See `access_ports.AccessRecords`."""
        if not more:
            return
        one = update(job_accesses).where(job_accesses.c.id == bindparam("of"))
        rows = [{"of": number, "more": count} for number, count in more.items()]
        with self._engine.begin() as connection:
            connection.execute(one.values(count=job_accesses.c.count + bindparam("more")), rows)

    def accesses_of(self, jobs: Collection[str], most: int) -> Sequence[JobAccess]:
        """See `access_ports.AccessRecords`."""
        place = func.row_number().over(partition_by=job_accesses.c.job, order_by=job_accesses.c.id)
        ranked = select(job_accesses, place.label("place")).where(job_accesses.c.job.in_(jobs)).subquery()
        query = (
            select(ranked, digests.c.sha256)
            .outerjoin(digests, digests.c.blob == ranked.c.blob)
            .where(ranked.c.place <= most + 1)
            .order_by(ranked.c.id)
        )
        with self._reading.connect() as connection:
            return [_access(row) for row in connection.execute(query)]

    def forget_accesses(self, jobs: Collection[str]) -> None:
        """See `access_ports.AccessRecords`."""
        theirs = job_accesses.c.job.in_(jobs)
        of_others = select(job_accesses.c.blob).where(~theirs, job_accesses.c.blob.is_not(None))
        gone = delete(digests).where(
            digests.c.blob.in_(select(job_accesses.c.blob).where(theirs)),
            digests.c.blob.not_in(of_others),
            ~select(nodes.c.id).where(nodes.c.blob == digests.c.blob).exists(),
        )
        with self._engine.begin() as connection:
            connection.execute(gone)
            connection.execute(delete(job_accesses).where(theirs))

    def sha256_of(self, blobs: Collection[str]) -> Mapping[str, str]:
        """See `access_ports.AccessRecords`."""
        query = select(digests.c.blob, digests.c.sha256).where(digests.c.blob.in_(blobs))
        with self._reading.connect() as connection:
            return {row.blob: row.sha256 for row in connection.execute(query)}

    def note_sha256(self, blob: str, sha256: str) -> None:
        """See `access_ports.AccessRecords`."""
        with self._engine.begin() as connection:
            put_sha256(connection, blob, sha256)


def _access(row: Any) -> JobAccess:
    return JobAccess(
        job=row.job,
        person_id=PersonId(row.person_id),
        deed=Deed(row.deed),
        path=row.path,
        blob=row.blob,
        length=row.length,
        md5=row.md5,
        at=row.at,
        sha256=row.sha256 or "",
        count=row.count,
    )
