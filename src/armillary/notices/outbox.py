"""The records of what is on its way. Nothing is sent that is not here first, so no restart loses any of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy import Engine as Database

from armillary.base.ids import new_hex
from armillary.notices.model import Channel, Delivery
from armillary.notices.tables import post

DUE, SENT, GIVEN_UP = "due", "sent", "given_up"
_MOST = 1000


def put(
    db: Connection,
    *,
    about: str,
    kind: str,
    channel: Channel,
    target: str,
    owner: str,
    locale: str,
    body: Mapping[str, Any],
    now: datetime,
) -> None:
    """Write down, in the caller's transaction, that something is to be sent. Its id goes into the body."""
    made = new_hex()
    db.execute(
        insert(post).values(
            id=made,
            about=about,
            kind=kind,
            channel=channel.value,
            target=target,
            owner=owner,
            locale=locale,
            state=DUE,
            body={**body, "id": made},
            tries=0,
            next_at=now,
            said="",
        )
    )


class Outbox:
    """Reads and writes of deliveries, each call one transaction."""

    def __init__(self, *, database: Database) -> None:
        self._database = database
        self._reading = database.execution_options(readonly=True)

    def take_due(self, *, now: datetime, again: timedelta, limit: int) -> list[Delivery]:
        """Return deliveries to try now. Unless one is settled it is due once more `again` from now."""
        query = select(post).where(post.c.state == DUE, post.c.next_at <= now)
        with self._reading.connect() as db:
            found = db.execute(query.order_by(post.c.next_at).limit(limit)).all()
        taken: list[Delivery] = []
        for row in found:
            with self._database.begin() as db:
                mine = db.execute(
                    update(post)
                    .where(post.c.id == row.id, post.c.state == DUE, post.c.tries == row.tries)
                    .values(tries=row.tries + 1, next_at=now + again)
                )
            if mine.rowcount:
                taken.append(
                    Delivery(
                        id=row.id,
                        channel=Channel(row.channel),
                        target=row.target,
                        tries=row.tries + 1,
                        body=row.body,
                        kind=row.kind,
                        owner=row.owner,
                        locale=row.locale,
                    )
                )
        return taken

    def settle(self, delivery: Delivery, state: str, *, said: str, next_at: datetime) -> None:
        """Write down how a try went."""
        with self._database.begin() as db:
            db.execute(
                update(post)
                .where(post.c.id == delivery.id, post.c.state == DUE)
                .values(state=state, said=said[:1000], next_at=next_at)
            )

    def sweep(self, *, before: datetime) -> None:
        """Forget deliveries that were settled before."""
        with self._database.begin() as db:
            db.execute(delete(post).where(post.c.state.in_((SENT, GIVEN_UP)), post.c.next_at < before))

    def about(self, what: str) -> list[Row[Any]]:
        """Return the deliveries about something, the oldest first."""
        query = select(post).where(post.c.about == what).order_by(post.c.next_at).limit(_MOST)
        with self._reading.connect() as db:
            return list(db.execute(query).all())
