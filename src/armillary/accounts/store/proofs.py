"""Second factors, errands, and identities from elsewhere."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from armillary.accounts.model import Errand, ErrandKind, Identity
from armillary.accounts.store.tables import errands, identities, second_factors
from armillary.base.ids import PersonId


@dataclass(frozen=True, kw_only=True)
class KeptFactor:
    """What is known of a second factor; without `confirmed_at` it is being set up, and not asked for."""

    secret: str
    confirmed_at: datetime | None
    last_step: int
    recovery: frozenset[str]


class ProofsTable:
    """Second factors."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def of(self, person_id: PersonId) -> KeptFactor | None:
        """The second factor of a person, confirmed or not."""
        columns = [c for c in second_factors.c if c.name != "person_id"]
        query = select(*columns).where(second_factors.c.person_id == person_id)
        row = self._db.execute(query).mappings().first()
        return None if row is None else KeptFactor(**row)

    def confirmed(self, person_id: PersonId) -> KeptFactor | None:
        """The second factor that a person is asked for."""
        kept = self.of(person_id)
        return kept if kept is not None and kept.confirmed_at is not None else None

    def confirmed_among(self, ids: Collection[PersonId]) -> frozenset[PersonId]:
        """Those of some people who are asked for a second factor."""
        known = second_factors.c.person_id.in_(ids) & second_factors.c.confirmed_at.is_not(None)
        return frozenset(map(PersonId, self._db.scalars(select(second_factors.c.person_id).where(known))))

    def add(self, person_id: PersonId, secret: str) -> None:
        """Insert one that is not confirmed."""
        values = {"person_id": person_id, "secret": secret, "last_step": 0, "recovery": frozenset[str]()}
        self._db.execute(insert(second_factors).values(values))

    def change(self, person_id: PersonId, **values: Any) -> None:
        """Set columns."""
        self._db.execute(update(second_factors).where(second_factors.c.person_id == person_id).values(values))

    def remove(self, person_id: PersonId) -> None:
        """Delete it."""
        self._db.execute(delete(second_factors).where(second_factors.c.person_id == person_id))


class ErrandsTable:
    """Errands by the hash of their secret."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def add(self, errand: Errand, *, secret_hash: str) -> None:
        """Insert an errand."""
        values = vars(errand) | {"secret_hash": secret_hash, "kind": errand.kind.value}
        self._db.execute(insert(errands).values(values))

    def by_secret_hash(self, secret_hash: str) -> Errand | None:
        """The errand, over or not."""
        row = self._db.execute(select(errands).where(errands.c.secret_hash == secret_hash)).mappings().first()
        if row is None:
            return None
        values: dict[str, Any] = {name: value for name, value in row.items() if name != "secret_hash"}
        values["kind"] = ErrandKind(row["kind"])
        return Errand(**values)

    def latest(self, person_id: PersonId, kind: ErrandKind) -> datetime | None:
        """When the newest errand of a kind was made for a person."""
        mine = (errands.c.person_id == person_id) & (errands.c.kind == kind.value)
        return self._db.scalar(select(func.max(errands.c.made_at)).where(mine))

    def remove(self, secret_hash: str) -> bool:
        """Delete an errand; whether it was there."""
        return self._db.execute(delete(errands).where(errands.c.secret_hash == secret_hash)).rowcount == 1

    def sweep(self, now: datetime) -> None:
        """Forget those that are over."""
        self._db.execute(delete(errands).where(errands.c.expires_at <= now))


class IdentitiesTable:
    """Identities by issuer and subject."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def person_of(self, issuer: str, subject: str) -> PersonId | None:
        """Whose it is."""
        named = (identities.c.issuer == issuer) & (identities.c.subject == subject)
        found = self._db.scalar(select(identities.c.person_id).where(named))
        return PersonId(found) if found else None

    def of(self, person_id: PersonId) -> list[Identity]:
        """Those of a person, the oldest first."""
        query = select(identities).where(identities.c.person_id == person_id)
        rows = self._db.execute(query.order_by(identities.c.created_at, identities.c.issuer)).mappings()
        return [Identity(**row) for row in rows]

    def add(self, identity: Identity) -> None:
        """Insert one that is nobody's."""
        self._db.execute(insert(identities).values(vars(identity)))

    def remove(self, issuer: str, subject: str) -> None:
        """Delete one."""
        named = (identities.c.issuer == issuer) & (identities.c.subject == subject)
        self._db.execute(delete(identities).where(named))
