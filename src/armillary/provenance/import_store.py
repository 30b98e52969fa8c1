"""Which records came from elsewhere. The documents themselves are in the spool, by their digests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy import Engine as Database

from armillary.columns import Moment, Serial
from armillary.crates.canonical import canonical, digest
from armillary.crates.layout import Crate
from armillary.crates.signing import Signature

metadata = MetaData()
imports = Table(
    "provenance_imports",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("person", String(64), nullable=False),
    Column("cluster", Text, nullable=False),  # a signature
    Column("sha256", String(64), nullable=False),  # of the cluster's record and the jobs' records
    Column("keys", Text, nullable=False),
    Column("at", Moment, nullable=False),
    UniqueConstraint("person", "sha256"),
    sqlite_autoincrement=True,  # a number is never used again
)
import_jobs = Table(
    "provenance_import_jobs",
    metadata,
    Column("import", BigInteger, primary_key=True, autoincrement=False, key="number"),
    Column("proc", Integer, primary_key=True, autoincrement=False),
    Column("signature", Text, nullable=False),
)

import_images = Table(
    "provenance_import_images",
    metadata,
    Column("import", BigInteger, primary_key=True, autoincrement=False, key="number"),
    Column("signature", Text, nullable=False),
)
"""the imports that brought their machine image along"""


def create_all(database: Database) -> None:
    """Make the tables that are missing."""
    metadata.create_all(database)


@dataclass(frozen=True, kw_only=True)
class ImportedJob:
    """The signature of a job's record."""

    proc: int
    signature: Signature


@dataclass(frozen=True, kw_only=True)
class Listed:
    """An import as a list shows it."""

    number: int
    jobs: int
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Found:
    """An import."""

    cluster: Signature
    jobs: Sequence[ImportedJob]
    keys: Mapping[str, str]
    image: Signature | None = None


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How much an import is, without reading it: its jobs, and the ids of the keys that signed its records."""

    jobs: int
    signers: Sequence[str]


class ImportStore:
    """Imports in SQL."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    def add(self, person: str, crate: Crate, at: datetime) -> int:
        """Keep an import and return its number: the one that it has, if the person imported the same before."""
        name = _name(crate)
        same = select(imports.c.id).where(imports.c.person == person, imports.c.sha256 == name)
        with self._database.begin() as db:
            known = db.execute(same).scalar()
            if known is not None:
                _note_image(db, int(known), crate)
                return int(known)
            values = {
                "person": person,
                "cluster": crate.cluster.signature.model_dump_json(),
                "sha256": name,
                "keys": json.dumps(dict(crate.keys)),
                "at": at,
            }
            number = int(db.execute(insert(imports).values(values).returning(imports.c.id)).scalar_one())
            db.execute(
                insert(import_jobs),
                [
                    {
                        "number": number,
                        "proc": job.document.proc,
                        "signature": job.signature.model_dump_json(),
                    }
                    for job in crate.jobs
                ],
            )
            _note_image(db, number, crate)
        return number

    def of(self, person: str, *, limit: int) -> list[Listed]:
        """Return what a person has imported, the newest first."""
        query = (
            select(imports.c.id, imports.c.at, func.count(import_jobs.c.proc).label("jobs"))
            .join(import_jobs, import_jobs.c.number == imports.c.id)
            .where(imports.c.person == person)
            .group_by(imports.c.id, imports.c.at)
            .order_by(imports.c.id.desc())
            .limit(limit)
        )
        with self._database.connect() as db:
            return [Listed(number=row.id, jobs=row.jobs, at=row.at) for row in db.execute(query)]

    def find(
        self, number: int, person: str | None, *, start: int = 0, limit: int | None = None
    ) -> Found | None:
        """Return an import, of one person if one is given; `limit` jobs of it from number `start`, all without one."""
        query = select(imports).where(imports.c.id == number)
        if person is not None:
            query = query.where(imports.c.person == person)
        with self._database.connect() as db:
            row = db.execute(query).first()
            if row is None:
                return None
            image = db.execute(
                select(import_images.c.signature).where(import_images.c.number == number)
            ).scalar()
            jobs = db.execute(
                select(import_jobs)
                .where(import_jobs.c.number == number, import_jobs.c.proc >= start)
                .order_by(import_jobs.c.proc)
                .limit(limit)
            ).all()
        return Found(
            cluster=Signature.model_validate_json(row.cluster),
            jobs=[
                ImportedJob(proc=job.proc, signature=Signature.model_validate_json(job.signature))
                for job in jobs
            ],
            keys=json.loads(row.keys),
            image=Signature.model_validate_json(image) if image else None,
        )

    def extent(self, number: int, found: Found) -> Extent:
        """Say how much an import is that was found."""
        of_it = import_jobs.c.number == number
        papers = [found.cluster, *([found.image] if found.image else [])]
        signers = {paper.key for paper in papers}
        with self._database.connect() as db:
            jobs = db.execute(select(func.count()).select_from(import_jobs).where(of_it)).scalar_one()
            for key in found.keys.keys() - signers:
                # a key's id is 64 hexadecimal digits, which nothing else in a signature contains
                by_it = select(import_jobs.c.proc).where(of_it, import_jobs.c.signature.contains(key))
                if db.execute(by_it.limit(1)).first():
                    signers.add(key)
        return Extent(jobs=int(jobs), signers=sorted(signers))


def _note_image(db: Connection, number: int, crate: Crate) -> None:
    """Keep what was said last of the image: the same records may come with it later, and keys with a new one."""
    if crate.image is None:
        return
    db.execute(delete(import_images).where(import_images.c.number == number))
    db.execute(insert(import_images).values(number=number, signature=crate.image.signature.model_dump_json()))
    db.execute(update(imports).where(imports.c.id == number).values(keys=json.dumps(dict(crate.keys))))


def _name(crate: Crate) -> str:
    return digest(canonical([crate.cluster.sha256, *(job.sha256 for job in crate.jobs)]))
