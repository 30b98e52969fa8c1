"""What is frozen, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
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

from armillary.columns import Moment

metadata = MetaData()
frozen = Table(
    "provenance_frozen",
    metadata,
    Column("cluster", BigInteger, primary_key=True, autoincrement=False),
    Column("person", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("path", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("image", String(128), nullable=False),
    Column("image_kept", Text, nullable=False),  # the clouds that keep it, by commas
    Column("at", Moment, nullable=False),
    Column("doi", String(255)),
    Column("doi_state", String(16)),  # draft, findable
)

frozen_begun = Table(
    "provenance_frozen_begun",
    metadata,
    Column("cluster", BigInteger, primary_key=True, autoincrement=False),
    Column("person", String(64), primary_key=True),
    Column("path", Text, nullable=False),
    Column("node", String(64), nullable=False),
)
"""folders that are being written: those of a process that was killed are found by it"""

frozen_guards = Table(
    "provenance_frozen_guards",
    metadata,
    Column("project", String(64), primary_key=True),
    Column("sha512", String(128), primary_key=True),
    Column("cloud", String(255), primary_key=True),
    Column("image", String(64), primary_key=True),
    Column("before", Boolean, nullable=False),
)
"""copies of images that clouds keep for what is frozen, and whether they did so before, because their owner wished it"""


def create_all(database: Database) -> None:
    """Make the table if it is missing."""
    metadata.create_all(database)


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """A cluster that is kept: where, by whom, since when, and which clouds keep its image."""

    cluster: int
    person: str
    project: str
    path: str
    title: str
    image: str
    image_kept: Sequence[str]
    at: datetime
    doi: str | None = None
    doi_state: str | None = None


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A folder that is being written. `node` tells it from another that comes to the same path."""

    cluster: int
    person: str
    path: str
    node: str


class FrozenStore:
    """One row a cluster."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    def put(self, one: Frozen) -> None:
        """Keep a row, in place of the one that is there; what was begun for it is done."""
        with self._database.begin() as db:
            db.execute(delete(frozen).where(frozen.c.cluster == one.cluster))
            db.execute(delete(frozen_begun).where(_is(one.cluster, one.person)))
            values = {**one.__dict__, "image_kept": ",".join(one.image_kept)}
            db.execute(insert(frozen).values(values))

    def begin(self, one: Begun) -> None:
        """Note a folder before anything is in it."""
        with self._database.begin() as db:
            db.execute(delete(frozen_begun).where(_is(one.cluster, one.person)))
            db.execute(insert(frozen_begun).values(one.__dict__))

    def begun(self, cluster: int, person: str) -> Begun | None:
        """Return the folder that was being written."""
        with self._database.connect() as db:
            row = db.execute(select(frozen_begun).where(_is(cluster, person))).mappings().first()
        return Begun(**row) if row is not None else None

    def end(self, cluster: int, person: str) -> None:
        """Forget what was begun."""
        with self._database.begin() as db:
            db.execute(delete(frozen_begun).where(_is(cluster, person)))

    def cite(self, cluster: int, doi: str, state: str) -> None:
        """Note a DOI."""
        with self._database.begin() as db:
            db.execute(update(frozen).where(frozen.c.cluster == cluster).values(doi=doi, doi_state=state))

    def keep(self, cluster: int, clouds: Sequence[str]) -> None:
        """Note further clouds that keep the image."""
        this = frozen.c.cluster == cluster
        with self._database.begin() as db:
            row = db.execute(select(frozen).where(this)).first()
            if row is not None:
                kept = dict.fromkeys([*_frozen(row).image_kept, *clouds])
                db.execute(update(frozen).where(this).values(image_kept=",".join(kept)))

    def guard(self, project: str, sha512: str, cloud: str, image: str, *, before: bool) -> None:
        """Note a copy of an image that is kept, and whether it was before; the first word on that stays."""
        this = (
            frozen_guards.c.project == project,
            frozen_guards.c.sha512 == sha512,
            frozen_guards.c.cloud == cloud,
            frozen_guards.c.image == image,
        )
        with self._database.begin() as db:
            if db.execute(select(frozen_guards.c.before).where(*this)).first() is None:
                values = {"project": project, "sha512": sha512, "cloud": cloud, "image": image}
                db.execute(insert(frozen_guards).values(**values, before=before))

    def guarded_before(self, project: str, sha512: str) -> set[tuple[str, str]]:
        """Return the copies of an image that were kept before anything was frozen, as cloud and id."""
        query = select(frozen_guards.c.cloud, frozen_guards.c.image).where(
            frozen_guards.c.project == project,
            frozen_guards.c.sha512 == sha512,
            frozen_guards.c.before.is_(True),
        )
        with self._database.connect() as db:
            return {(row.cloud, row.image) for row in db.execute(query)}

    def forget_guards(self, project: str, sha512: str) -> None:
        """Forget what was so before: the copies are let go."""
        with self._database.begin() as db:
            db.execute(
                delete(frozen_guards).where(
                    frozen_guards.c.project == project, frozen_guards.c.sha512 == sha512
                )
            )

    def remove(self, cluster: int) -> None:
        """Forget one."""
        with self._database.begin() as db:
            db.execute(delete(frozen).where(frozen.c.cluster == cluster))

    def find(self, cluster: int) -> Frozen | None:
        """Return one."""
        with self._database.connect() as db:
            row = db.execute(select(frozen).where(frozen.c.cluster == cluster)).first()
        return _frozen(row) if row is not None else None

    def of_image(self, image: str) -> list[Frozen]:
        """Return all that ran on an image."""
        with self._database.connect() as db:
            return [_frozen(row) for row in db.execute(select(frozen).where(frozen.c.image == image))]


def _is(cluster: int, person: str) -> ColumnElement[bool]:
    return and_(frozen_begun.c.cluster == cluster, frozen_begun.c.person == person)


def _frozen(row: Row[Any]) -> Frozen:
    return Frozen(
        cluster=row.cluster,
        person=row.person,
        project=row.project,
        path=row.path,
        title=row.title,
        image=row.image,
        image_kept=[cloud for cloud in row.image_kept.split(",") if cloud],
        at=row.at,
        doi=row.doi,
        doi_state=row.doi_state,
    )
