"""Client certificates that were issued to people, and those that are good no more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    String,
    Table,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from armillary.accounts.model import IssuedCertificate, Person
from armillary.accounts.store.tables import PERSON_COLUMNS, metadata, people, person_of
from armillary.base.ids import PersonId
from armillary.columns import Moment

certificates = Table(
    "accounts_certificates",
    metadata,
    Column("serial", String(40), primary_key=True),
    Column("person_id", String(32), ForeignKey(people.c.id, ondelete="CASCADE"), nullable=False, index=True),
    Column("issued_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
    Column("issued_by", String(255), nullable=False),
    Column("revoked_at", Moment),
)

void_certificates = Table(
    "accounts_void_certificates",
    metadata,
    Column("person_id", String(32), ForeignKey(people.c.id, ondelete="CASCADE"), primary_key=True),
    Column("issued_before", Moment, nullable=False),
)
"""A line in time: a person's certificates from before it are void, those too that an older version issued unnoted."""

_BEARER = (
    select(
        *PERSON_COLUMNS,
        certificates.c.person_id.label("issued_to"),
        certificates.c.revoked_at.label("revoked_at"),
        void_certificates.c.issued_before.label("issued_before"),
    )
    .select_from(
        people.outerjoin(certificates, certificates.c.serial == bindparam("serial")).outerjoin(
            void_certificates, void_certificates.c.person_id == people.c.id
        )
    )
    .where(people.c.user_name == bindparam("user_name"))
)


@dataclass(frozen=True, kw_only=True)
class Bearer:
    """Who has the name in a certificate, to whom it was issued if that was noted, and when it became void."""

    person: Person
    issued_to: PersonId | None
    revoked_at: datetime | None
    void_before: datetime | None


class CertificatesTable:
    """Certificates of people. Those of jobs live an hour and are not kept."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def add(self, certificate: IssuedCertificate, person_id: PersonId) -> None:
        """Note a new certificate."""
        self._db.execute(insert(certificates).values(person_id=person_id, **vars(certificate)))

    def bearer(self, user_name: str, serial: str) -> Bearer | None:
        """Who has the name in a certificate, and what is noted of it: one indexed read. None: nobody has it."""
        names = {"user_name": user_name, "serial": serial}
        row = self._db.execute(_BEARER, names).mappings().first()
        if row is None:
            return None
        return Bearer(
            person=person_of(row),
            issued_to=row["issued_to"],
            revoked_at=row["revoked_at"],
            void_before=row["issued_before"],
        )

    def of_person(self, person_id: PersonId) -> list[IssuedCertificate]:
        """The certificates of a person, newest first, until they are swept."""
        columns: list[Column[Any]] = [c for c in certificates.c if c.name != "person_id"]
        query = select(*columns).where(certificates.c.person_id == person_id)
        query = query.order_by(certificates.c.issued_at.desc(), certificates.c.serial).limit(1000)
        return [IssuedCertificate(**row) for row in self._db.execute(query).mappings()]

    def revoke(self, person_id: PersonId, at: datetime, *, serial: str | None = None) -> int:
        """Revoke one certificate of a person, or all; returns how many there are, revoked before or not."""
        condition = certificates.c.person_id == person_id
        if serial is not None:
            condition &= certificates.c.serial == serial
        self._db.execute(
            update(certificates).where(condition & certificates.c.revoked_at.is_(None)).values(revoked_at=at)
        )
        return len(self._db.execute(select(certificates.c.serial).where(condition)).all())

    def void(self, person_id: PersonId, issued_before: datetime) -> None:
        """Make all certificates of a person from before a moment void."""
        self._db.execute(delete(void_certificates).where(void_certificates.c.person_id == person_id))
        self._db.execute(insert(void_certificates).values(person_id=person_id, issued_before=issued_before))

    def sweep(self, before: datetime) -> None:
        """Forget certificates that expired before a moment."""
        self._db.execute(delete(certificates).where(certificates.c.expires_at < before))
