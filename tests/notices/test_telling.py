"""Each event is told once, where a person wants it, and no restart loses it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from armillary.accounts.model import Person
from armillary.app.database import make_engine
from armillary.base.clock import VirtualClock
from armillary.base.errors import Invalid, NotFound, Unavailable
from armillary.base.ids import PersonId
from armillary.notices.announcements import Announcements, Level
from armillary.notices.model import Channel, Delivery, NoticeKind, Wishes
from armillary.notices.outbox import Outbox
from armillary.notices.sending import Sending
from armillary.notices.service import Notices
from armillary.notices.tables import create_all

ADA = PersonId("ada")
FACTS = {"name": "m51", "cloud": "east", "server": "1", "at": "2026-11-24 10:00"}


@dataclass
class Known:
    """The one person whom these tests tell something."""

    ada: Person

    def person(self, person_id: PersonId) -> Person:
        if person_id != ADA:
            raise NotFound("no such person")
        return self.ada


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def database(tmp_path: Path) -> Engine:
    engine = make_engine(f"sqlite:///{tmp_path}/notices.db", durable=False)
    create_all(engine)
    return engine


@pytest.fixture
def known() -> Known:
    return Known(
        Person(
            id=ADA,
            user_name="ada",
            full_name="Ada",
            email="ada@example.org",
            institute="",
            is_admin=False,
            enabled=True,
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
            locale="fr",
        )
    )


@pytest.fixture
def notices(database: Engine, clock: VirtualClock, known: Known) -> Notices:
    channels = frozenset({Channel.MAIL, Channel.URL})
    return Notices(database=database, people=known, clock=clock, channels=channels, secret=b"s")


def sent_by(database: Engine, clock: VirtualClock) -> list[Delivery]:
    """What a platform that starts now sends."""
    sent: list[Delivery] = []
    senders = {Channel.MAIL: sent.append, Channel.URL: sent.append}
    Sending(outbox=Outbox(database=database), clock=clock, senders=senders, run=lambda work: work()).tick()
    return sent


def test_an_event_is_told_once_however_often_it_is_seen(
    notices: Notices, database: Engine, clock: VirtualClock
) -> None:
    told = [notices.notify(ADA, NoticeKind.EXPIRING, FACTS, event="expiring/1/day") for _ in range(3)]
    assert told == [True, False, False]
    assert notices.notify(ADA, NoticeKind.EXPIRING, FACTS, event="expiring/1/hour")
    assert notices.unread(ADA) == 2
    assert [(one.channel, one.target, one.locale) for one in sent_by(database, clock)] == [
        (Channel.MAIL, "ada@example.org", "fr")
    ] * 2
    assert sent_by(database, clock) == []


def test_what_was_not_sent_is_sent_after_a_restart(
    notices: Notices, database: Engine, clock: VirtualClock
) -> None:
    notices.notify(ADA, NoticeKind.APPROVED, {"project": "m51"}, event="approved/1")

    def away(_delivery: Delivery) -> None:
        raise Unavailable("the mail server is away")

    Sending(
        outbox=Outbox(database=database), clock=clock, senders={Channel.MAIL: away}, run=lambda work: work()
    ).tick()
    assert sent_by(database, clock) == []
    clock.advance(timedelta(seconds=31))
    assert [one.body["facts"] for one in sent_by(database, clock)] == [{"project": "m51"}]


def test_a_choice_says_where_a_kind_is_told(notices: Notices, database: Engine, clock: VirtualClock) -> None:
    there = {NoticeKind.QUOTA: frozenset({Channel.URL}), NoticeKind.EXPIRED: frozenset[Channel]()}
    notices.choose(ADA, Wishes(channels=there, url="https://example.org/hook"))
    notices.notify(ADA, NoticeKind.QUOTA, {"project": "m51"}, event="q")
    notices.notify(ADA, NoticeKind.EXPIRED, FACTS, event="e")
    assert notices.notes(ADA) == []
    assert [(one.channel, one.target, one.owner) for one in sent_by(database, clock)] == [
        (Channel.URL, "https://example.org/hook", "ada")
    ]
    assert not notices.notify(ADA, NoticeKind.EXPIRED, FACTS, event="e"), "it counts as told"
    with pytest.raises(Invalid):
        notices.choose(ADA, Wishes(url="file:///etc/passwd"))


def test_who_is_gone_or_switched_off_is_not_told(notices: Notices, known: Known) -> None:
    assert not notices.notify(PersonId("eve"), NoticeKind.GROUP, {}, event="g")
    known.ada = replace(known.ada, enabled=False)
    assert not notices.notify(ADA, NoticeKind.GROUP, {}, event="g")


def test_old_notices_are_forgotten_and_lists_have_pages(notices: Notices, clock: VirtualClock) -> None:
    for number in range(5):
        notices.notify(ADA, NoticeKind.GROUP, {"group": str(number)}, event=str(number))
        clock.advance(timedelta(minutes=1))
    first = notices.notes(ADA, limit=3)
    rest = notices.notes(ADA, limit=3, before=first[-1].at)
    assert [note.facts["group"] for note in (*first, *rest)] == ["4", "3", "2", "1", "0"]
    clock.advance(timedelta(days=181))
    notices.sweep()
    assert notices.notes(ADA) == []


def test_an_announcement_says_it_in_both_languages_and_for_a_time(
    database: Engine, clock: VirtualClock
) -> None:
    announcements = Announcements(database=database, clock=clock)
    now = clock.now()
    with pytest.raises(Invalid) as refused:
        announcements.announce(level=Level.INFO, en="", fr="Bonjour", since=now, until=now, by="admin")
    assert set(refused.value.facts["errors"]) == {"en", "until"}
    for level in (Level.INFO, Level.OUTAGE):
        announcements.announce(
            level=level, en="Hello", fr="Bonjour", since=now, until=now + timedelta(hours=1), by="admin"
        )
    assert [one.level for one in announcements.current()] == [Level.OUTAGE, Level.INFO]
    assert announcements.current()[0].text("fr") == "Bonjour"
    clock.advance(timedelta(hours=1))
    assert announcements.current() == []
    assert len(announcements.all()) == 2
