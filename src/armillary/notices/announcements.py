"""What administrators tell everybody: from when until when, how much it matters, in both languages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Engine as Database
from sqlalchemy import Row, delete, insert, select, update

from armillary.accounts.core.rules import Findings
from armillary.base.clock import Clock
from armillary.base.errors import NotFound
from armillary.base.ids import new_hex
from armillary.notices.tables import announcements as table

LONGEST = 1000
MOST = 100
"""that are listed"""
_KEPT = timedelta(days=365)


class Level(StrEnum):
    """How much an announcement matters."""

    INFO = "info"
    WARNING = "warning"
    OUTAGE = "outage"


@dataclass(frozen=True, kw_only=True)
class Announcement:
    """Something that everybody is told while it holds."""

    id: str
    level: Level
    en: str
    fr: str
    since: datetime
    until: datetime
    made_by: str

    def text(self, locale: str) -> str:
        """Return the words in a language, or in the other one."""
        return (self.fr or self.en) if locale == "fr" else (self.en or self.fr)


class Announcements:
    """Keeps announcements. Each call is one transaction."""

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database = database
        self._reading = database.execution_options(readonly=True)
        self._clock = clock

    def announce(
        self, *, level: Level, en: str, fr: str, since: datetime, until: datetime, by: str
    ) -> Announcement:
        """Announce something in both languages. Raises Invalid, with all findings by field."""
        findings = Findings()
        findings.text("en", en, longest=LONGEST, lines=True)
        findings.text("fr", fr, longest=LONGEST, lines=True)
        findings.check("until", until > since, "It must end after it began.")
        findings.check("until", until > self._clock.now(), "This is over already.")
        findings.settle()
        made = Announcement(
            id=new_hex(), level=level, en=en.strip(), fr=fr.strip(), since=since, until=until, made_by=by
        )
        with self._database.begin() as db:
            db.execute(delete(table).where(table.c.until < self._clock.now() - _KEPT))
            db.execute(insert(table).values(**{**vars(made), "level": level.value}))
        return made

    def now(self) -> datetime:
        """When it is."""
        return self._clock.now()

    def current(self) -> list[Announcement]:
        """Return those that hold now, what matters most first."""
        now = self._clock.now()
        query = select(table).where(table.c.until > now, table.c.since <= now).limit(MOST)
        with self._reading.connect() as db:
            found = [_of(row) for row in db.execute(query)]
        order = [Level.OUTAGE, Level.WARNING, Level.INFO]
        return sorted(found, key=lambda one: (order.index(one.level), one.since))

    def all(self) -> list[Announcement]:
        """Return those of the last year and to come, the latest first."""
        with self._reading.connect() as db:
            return [_of(row) for row in db.execute(select(table).order_by(table.c.until.desc()).limit(MOST))]

    def end(self, announcement_id: str) -> None:
        """Let one hold no more from now on. Raises NotFound."""
        with self._database.begin() as db:
            done = db.execute(
                update(table).where(table.c.id == announcement_id).values(until=self._clock.now())
            )
        if not done.rowcount:
            raise NotFound(
                "There is no such announcement.",
                code="announcement_not_found",
                facts={"announcement": announcement_id},
                remedy="List the announcements.",
            )


def _of(row: Row[Any]) -> Announcement:
    return Announcement(
        id=row.id,
        level=Level(row.level),
        en=row.en,
        fr=row.fr,
        since=row.since,
        until=row.until,
        made_by=row.made_by,
    )
