"""Tells people, each event once, where they want to be told."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Connection, Row, delete, func, insert, select, update
from sqlalchemy import Engine as Database

from armillary.accounts.model import Person
from armillary.base.clock import Clock, to_iso
from armillary.base.errors import NotFound
from armillary.base.ids import PersonId, new_hex
from armillary.notices import outbox
from armillary.notices.announcements import Announcement
from armillary.notices.model import Channel, Note, NoticeKind, Wishes
from armillary.notices.tables import notes, wishes
from armillary.notices.webhook import check_url, key_of

_KEPT = timedelta(days=180)
_SWEEP_EVERY = timedelta(hours=1)
PAGE = 50


class People(Protocol):
    """The accounts service, as far as it is asked."""

    def person(self, person_id: PersonId) -> Person:
        """Raises NotFound."""
        ...


class Notices:
    """What people are told. Each call is one transaction; call none inside another write transaction."""

    def __init__(
        self,
        *,
        database: Database,
        people: People,
        clock: Clock,
        channels: Collection[Channel],
        secret: bytes,
        kept: timedelta = _KEPT,
    ) -> None:
        """`channels` are those set up besides the portal; `secret` is behind the keys of webhooks."""
        self._database = database
        self._reading = database.execution_options(readonly=True)
        self._people = people
        self._clock = clock
        self._channels = channels
        self._secret = secret
        self._kept = kept
        self._swept_at: datetime | None = None

    def notify(self, person: PersonId, kind: NoticeKind, facts: Mapping[str, Any], *, event: str) -> bool:
        """Tell a person of an event, unless that was told before; return whether it is new.

        It is in the records when this returns, with all letters and POSTs: no restart loses it. Nobody is told who is
        gone or switched off.
        """
        with self._reading.connect() as db:
            if db.scalar(select(notes.c.id).where(notes.c.person == person, notes.c.event == event)):
                return False  # most calls of a loop end here, without a write
        try:
            who = self._people.person(person)
        except NotFound:
            return False
        if not who.enabled:
            return False
        now = self._clock.now()
        with self._database.begin() as db:
            if db.scalar(select(notes.c.id).where(notes.c.person == person, notes.c.event == event)):
                return False
            wanted = _wishes(db, person)
            there = wanted.of(kind)
            made = new_hex()
            db.execute(
                insert(notes).values(
                    id=made,
                    person=person,
                    event=event,
                    kind=kind.value,
                    facts=dict(facts),
                    at=now,
                    shown=Channel.PAGE in there,
                )
            )
            body = {"event": kind.value, "at": to_iso(now), "person": who.user_name, "facts": dict(facts)}
            for channel, target in ((Channel.MAIL, who.email), (Channel.URL, wanted.url)):
                if channel in there and channel in self._channels and target:
                    outbox.put(
                        db,
                        about=f"notice/{made}",
                        kind=kind.value,
                        channel=channel,
                        target=target,
                        owner=who.user_name,
                        locale=who.locale,
                        body=body,
                        now=now,
                    )
        return True

    def notify_all(self, people: Iterable[PersonId], made: Announcement) -> None:
        """Tell people of an announcement."""
        for person in people:
            facts = {"en": made.en, "fr": made.fr}
            self.notify(person, NoticeKind.ANNOUNCEMENT, facts, event=f"announcement/{made.id}")

    def unread(self, person: PersonId) -> int:
        """Return how many notes nobody has looked at, up to 100."""
        open_ones = _of(person).where(notes.c.read_at.is_(None)).limit(100).subquery()
        with self._reading.connect() as db:
            return db.scalar(select(func.count()).select_from(open_ones)) or 0

    def notes(self, person: PersonId, *, before: datetime | None = None, limit: int = PAGE) -> list[Note]:
        """Return what a person was told, the newest first; `before` is the last one's moment of the page before."""
        query = _of(person).order_by(notes.c.at.desc(), notes.c.id).limit(limit)
        if before is not None:
            query = query.where(notes.c.at < before)
        with self._reading.connect() as db:
            return [_note(row) for row in db.execute(query)]

    def note(self, person: PersonId, note_id: str) -> Note:
        """Return one; raises NotFound."""
        with self._reading.connect() as db:
            row = db.execute(_of(person).where(notes.c.id == note_id)).first()
        if row is None:
            raise NotFound("There is no such notice.", code="notice_not_found", remedy="List your notices.")
        return _note(row)

    def mark_read(self, person: PersonId, note_id: str | None = None, *, read: bool = True) -> None:
        """Mark one note, or all of a person, as read (or not)."""
        change = update(notes).where(notes.c.person == person)
        if note_id is not None:
            change = change.where(notes.c.id == note_id)
        if read:
            change = change.where(notes.c.read_at.is_(None))
        with self._database.begin() as db:
            db.execute(change.values(read_at=self._clock.now() if read else None))

    def wishes(self, person: PersonId) -> Wishes:
        """Return where a person wants to be told of what."""
        with self._reading.connect() as db:
            return _wishes(db, person)

    def choose(self, person: PersonId, wanted: Wishes) -> None:
        """Keep a person's choice. Raises Invalid `bad_notify_url`."""
        if wanted.url:
            check_url(wanted.url)
        values: dict[str, Any] = {
            "channels": {kind.value: sorted(where) for kind, where in wanted.channels.items()},
            "url": wanted.url,
        }
        with self._database.begin() as db:
            db.execute(delete(wishes).where(wishes.c.person == person))
            db.execute(insert(wishes).values(person=person, **values))

    def key(self, user_name: str) -> str:
        """Return the key that signs what is sent to a person's address."""
        return key_of(self._secret, user_name)

    @property
    def mails(self) -> bool:
        """Whether letters are sent."""
        return Channel.MAIL in self._channels

    def write_to(self, person: Person, *, kind: str, body: Mapping[str, Any]) -> None:
        """Send somebody a letter, whatever they chose: what is asked for, such as the link to a new password."""
        with self._database.begin() as db:
            outbox.put(
                db,
                about=f"{kind}/{person.id}",
                kind=kind,
                channel=Channel.MAIL,
                target=person.email,
                owner=person.user_name,
                locale=person.locale,
                body=body,
                now=self._clock.now(),
            )

    @property
    def sends(self) -> Collection[Channel]:
        """The channels that are set up besides the portal."""
        return self._channels

    def sweep(self) -> None:
        """Forget what was told long ago. Call it as often as you like."""
        now = self._clock.now()
        if self._swept_at is None or now - self._swept_at > _SWEEP_EVERY:
            self._swept_at = now
            with self._database.begin() as db:
                db.execute(delete(notes).where(notes.c.at < now - self._kept))


def _of(person: PersonId) -> Any:
    return select(notes).where(notes.c.person == person, notes.c.shown.is_(True))


def _note(row: Row[Any]) -> Note:
    return Note(
        id=row.id,
        person=PersonId(row.person),
        kind=NoticeKind(row.kind),
        facts=row.facts,
        at=row.at,
        read_at=row.read_at,
    )


def _wishes(db: Connection, person: PersonId) -> Wishes:
    row = db.execute(select(wishes).where(wishes.c.person == person)).first()
    if row is None:
        return Wishes()
    known = {kind.value: kind for kind in NoticeKind}
    chosen = {
        known[name]: frozenset(map(Channel, there)) for name, there in row.channels.items() if name in known
    }
    return Wishes(channels=chosen, url=row.url)
