"""People, their password hashes, and the wrong passwords given lately."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from armillary.accounts.core.lockout import Failures
from armillary.accounts.model import Person
from armillary.accounts.store.finding import found
from armillary.accounts.store.tables import PERSON_COLUMNS, failures, people, person_of
from armillary.base.ids import PersonId


class PeopleTable:
    """People and how they prove who they are."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def add(self, person: Person, *, password_hash: str | None, is_service: bool = False) -> None:
        """Insert a person whose name is free."""
        values = vars(person) | {"password_hash": password_hash, "is_service": is_service}
        self._db.execute(insert(people).values(values))

    def _one(self, condition: Any) -> Person | None:
        row = self._db.execute(select(*PERSON_COLUMNS).where(condition)).mappings().first()
        return None if row is None else person_of(row)

    def by_id(self, person_id: PersonId) -> Person | None:
        """The person, or None."""
        return self._one(people.c.id == person_id)

    def existing(self, ids: Iterable[PersonId]) -> frozenset[PersonId]:
        """Those of the ids that are somebody's."""
        wanted, found = sorted(ids), set[PersonId]()
        for start in range(0, len(wanted), 500):  # a statement takes so many parameters and no more
            part = select(people.c.id).where(people.c.id.in_(wanted[start : start + 500]))
            found.update(PersonId(person_id) for person_id in self._db.scalars(part))
        return frozenset(found)

    def by_name(self, user_name: str) -> Person | None:
        """The person of that exact name, or None."""
        return self._one(people.c.user_name == user_name)

    def by_email(self, email: str) -> Person | None:
        """Somebody with that address in any case of letters, or None."""
        return self._one(func.lower(people.c.email) == email.lower())

    def all(self) -> list[Person]:
        """Everybody, by user name."""
        rows = self._db.execute(select(*PERSON_COLUMNS).order_by(people.c.user_name)).mappings()
        return [person_of(row) for row in rows]

    def found(self, words: str, *, skip: int, limit: int) -> tuple[list[Person], int]:
        """Some of those whose names, address or institute have the words in them, by user name; and how many they are."""
        within = (people.c.user_name, people.c.full_name, people.c.email, people.c.institute)
        rows, count = found(self._db, PERSON_COLUMNS, words=words, within=within, skip=skip, limit=limit)
        return [person_of(row) for row in rows], count

    def administrators(self) -> list[Person]:
        """People who administer the platform and can sign in; service identities do not count."""
        condition = people.c.is_admin & people.c.enabled & ~people.c.is_service
        rows = self._db.execute(select(*PERSON_COLUMNS).where(condition)).mappings()
        return [person_of(row) for row in rows]

    def is_service(self, person_id: PersonId) -> bool:
        """Whether this is one of the platform's own identities."""
        return bool(self._db.scalar(select(people.c.is_service).where(people.c.id == person_id)))

    def change(self, person_id: PersonId, **values: Any) -> None:
        """Set columns of a person."""
        self._db.execute(update(people).where(people.c.id == person_id).values(values))

    def remove(self, person_id: PersonId) -> None:
        """Delete a person with all tokens, credentials, roles and applications."""
        self._db.execute(delete(people).where(people.c.id == person_id))

    def password_hashes(self, person_id: PersonId) -> tuple[str | None, str | None]:
        """The hashes of the present password and of the one before."""
        columns = select(people.c.password_hash, people.c.previous_hash)
        row = self._db.execute(columns.where(people.c.id == person_id)).first()
        return (row[0], row[1]) if row else (None, None)

    def failures(self, user_name: str) -> Failures | None:
        """Wrong passwords in a row for a name, known or not."""
        row = self._db.execute(select(failures).where(failures.c.user_name == user_name)).mappings().first()
        if row is None:
            return None
        return Failures(count=row["count"], last_at=row["last_at"], locked_until=row["locked_until"])

    def set_failures(self, user_name: str, record: Failures | None, *, forget_before: datetime) -> None:
        """Replace the record of a name, and forget old ones of any name: names are free to invent."""
        stale = failures.c.last_at < forget_before
        self._db.execute(delete(failures).where((failures.c.user_name == user_name) | stale))
        if record is not None:
            self._db.execute(insert(failures).values(user_name=user_name, **vars(record)))
