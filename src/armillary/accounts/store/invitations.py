"""Links into groups."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, or_, select, update

from armillary.accounts.core.group_rules import Invitation, Place
from armillary.accounts.store.group_tables import invitations
from armillary.accounts.store.tables import groups


class InvitationsTable:
    """Invitations, each with the name of its group."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    def add(self, made: Invitation, *, group_id: str, secret_hash: str) -> None:
        """Insert an invitation."""
        values = {**vars(made), "place": made.place.value, "group_id": group_id, "secret_hash": secret_hash}
        del values["group"]
        self._db.execute(insert(invitations).values(values))

    def of_group(self, group_id: str, now: datetime) -> list[Invitation]:
        """Those that can still be used, the newest first."""
        query = _all().where(invitations.c.group_id == group_id, *_open(now))
        return [_of(row) for row in self._db.execute(query.order_by(invitations.c.made_at.desc()))]

    def by_secret(self, secret_hash: str, now: datetime) -> Invitation | None:
        """The one behind a secret, if it can still be used."""
        query = _all().where(invitations.c.secret_hash == secret_hash, *_open(now))
        row = self._db.execute(query).first()
        return None if row is None else _of(row)

    def use(self, invitation_id: str) -> None:
        """Count a use."""
        here = invitations.c.id == invitation_id
        self._db.execute(
            update(invitations)
            .where(here)
            .values(used=invitations.c.used + 1, uses_left=invitations.c.uses_left - 1)
        )

    def remove(self, group_id: str, invitation_id: str) -> bool:
        """Take one back; whether it was there."""
        mine = (invitations.c.group_id == group_id) & (invitations.c.id == invitation_id)
        return bool(self._db.execute(delete(invitations).where(mine)).rowcount)

    def sweep(self, now: datetime) -> None:
        """Forget those that have expired."""
        self._db.execute(delete(invitations).where(invitations.c.expires_at <= now))


def _all() -> Any:
    return select(invitations, groups.c.name.label("group_name")).join(
        groups, groups.c.id == invitations.c.group_id
    )


def _open(now: datetime) -> list[Any]:
    left = or_(invitations.c.uses_left.is_(None), invitations.c.uses_left > 0)
    return [invitations.c.expires_at > now, left]


def _of(row: Any) -> Invitation:
    return Invitation(
        id=row.id,
        group=row.group_name,
        place=Place(row.place),
        made_by=row.made_by,
        made_at=row.made_at,
        expires_at=row.expires_at,
        uses_left=row.uses_left,
        used=row.used,
    )
