"""What people are told in the portal: the bell, the list, and their choice; and what everybody is told."""

from __future__ import annotations

from datetime import timedelta

import pytest
from portal_visitor import Browser

from armillary.accounts.service import AccountsService
from armillary.base.clock import SystemClock
from armillary.notices.announcements import Level
from armillary.notices.model import Channel, NoticeKind
from armillary.portal.office import Office


@pytest.fixture
def told(ada: Browser, office: Office, accounts: AccountsService) -> str:
    """Ada is told of the group `stars`; returns the id of the notice."""
    person = accounts.person_named("ada").id
    office.notices.notify(person, NoticeKind.GROUP, {"group": "stars"}, event="group/stars")
    return office.notices.notes(person)[0].id


def test_the_bell_counts_what_is_unread(ada: Browser, told: str) -> None:
    assert '<span class="badge error">1<' in ada.get("/machines")
    ada.post("/notices/read")
    assert '<span class="badge error">' not in ada.get("/machines")
    ada.post("/notices/read", {"note": told, "as": "unread"})
    assert '<span class="badge error">1<' in ada.get("/machines")


def test_a_notice_leads_to_what_it_is_about_and_is_read_then(ada: Browser, told: str, office: Office) -> None:
    reply = ada.client.get(f"/notices/{told}", follow_redirects=False)
    assert reply.headers["location"] == "/groups/stars"
    assert "You are now in the group stars." in ada.get("/notices")
    assert '<span class="badge error">' not in ada.get("/notices")


def test_notices_are_in_the_readers_language(ada: Browser, told: str) -> None:
    ada.language = "fr"
    assert "Vous êtes maintenant dans le groupe stars." in ada.get("/notices")


def test_the_end_of_a_machine_is_told_as_moments_are_on_all_pages(
    ada: Browser, office: Office, accounts: AccountsService
) -> None:
    person = accounts.person_named("ada").id
    facts = {"name": "m51", "cloud": "east", "server": "1", "at": "2026-11-25T00:11:08Z"}
    office.notices.notify(person, NoticeKind.EXPIRING, facts, event="expiring/1/day")
    assert "expires in a day, at 2026-11-25 00:11 UTC." in ada.get("/notices")


def test_nobody_sees_or_touches_the_notices_of_others(
    admin: Browser, office: Office, accounts: AccountsService
) -> None:
    person = accounts.person_named("ada").id
    office.notices.notify(person, NoticeKind.GROUP, {"group": "stars"}, event="group/stars")
    (note,) = office.notices.notes(person)
    admin.get(f"/notices/{note.id}", status=404)
    admin.post("/notices/read", {"note": note.id})
    admin.post("/notices/read")
    assert office.notices.unread(person) == 1


def test_each_person_chooses_kinds_and_channels(
    ada: Browser, office: Office, accounts: AccountsService
) -> None:
    ada.post(
        "/notices/wishes", {"expiring-url": "1", "approved-page": "1", "notify_url": "https://example.org/x"}
    )
    wanted = office.notices.wishes(accounts.person_named("ada").id)
    assert wanted.of(NoticeKind.EXPIRING) == {Channel.URL}
    assert wanted.of(NoticeKind.APPROVED) == {Channel.PAGE}
    assert wanted.of(NoticeKind.QUOTA) == set()
    page = ada.post("/notices/wishes", {"notify_url": "ftp://example.org/"}, status=400)
    assert "This is no address of http or https." in page


def test_an_announcement_is_on_every_page_while_it_holds(
    ada: Browser, stranger: Browser, office: Office, clock: SystemClock
) -> None:
    now = clock.now()

    def announce(text: str, since: timedelta, until: timedelta) -> None:
        office.announcements.announce(
            level=Level.WARNING, en=text, fr=f"{text} (fr)", since=now + since, until=now + until, by="admin"
        )

    announce("Upgrade <tonight>", timedelta(hours=-1), timedelta(hours=1))
    announce("Later", timedelta(hours=1), timedelta(hours=2))
    for path in ("/", "/machines", "/no-such-page"):
        page = ada.client.get(path).text
        assert "Upgrade &lt;tonight&gt;" in page
        assert "Later" not in page
    ada.post("/sign-out")
    stranger.language = "fr"
    assert "Upgrade &lt;tonight&gt; (fr)" in stranger.get("/")
    office.announcements.end(office.announcements.current()[0].id)
    assert "Upgrade" not in stranger.get("/")


def test_mails_come_in_the_language_that_was_chosen(ada: Browser, accounts: AccountsService) -> None:
    ada.post("/language", {"language": "fr", "to": "/"})
    assert accounts.person_named("ada").locale == "fr"
