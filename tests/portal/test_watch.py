"""What is told by itself: decisions, also those that nobody told of yet; quotas at 80 and 90 per cent, once a week."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from batch_desk import BatchDesk

from armillary.accounts.model import Person, Principal, Project, Role
from armillary.accounts.service import AccountsService
from armillary.base.clock import SystemClock, VirtualClock
from armillary.batch.core.outlook import DAYS, changes, forecast
from armillary.fleet.fake import FakeCloud
from armillary.fleet.service import FleetService
from armillary.notices.model import NoticeKind
from armillary.portal.office import Office
from armillary.portal.telling import Watch
from armillary.vospace.service import VOSpaceService

TODAY = date(2026, 3, 1)


@pytest.fixture
def person(accounts: AccountsService, project: Project) -> Person:
    return accounts.person_named("ada")


@pytest.fixture
def moving(clock: SystemClock) -> VirtualClock:
    return VirtualClock(clock.now())


@pytest.fixture
def watch(
    accounts: AccountsService,
    fleet: FleetService,
    desk: BatchDesk,
    vospace: VOSpaceService,
    office: Office,
    moving: VirtualClock,
) -> Callable[[], Watch]:
    """A watch as a start of the platform makes it."""

    def make() -> Watch:
        return Watch(
            accounts=accounts,
            fleet=fleet,
            ledger=desk.ledger,
            files=vospace,
            notices=office.notices,
            use=office.use,
            clock=moving,
        )

    return make


def told(office: Office, person: Person) -> list[tuple[NoticeKind, object]]:
    return [(note.kind, note.facts.get("level")) for note in office.notices.notes(person.id)]


def test_a_decision_that_was_not_told_is_told_after_a_restart_and_once(
    watch: Callable[[], Watch], office: Office, person: Person
) -> None:
    for _ in range(3):
        watch().tick()
    assert told(office, person) == [(NoticeKind.APPROVED, None)]


def test_a_home_that_fills_up_is_told_of_at_eighty_and_ninety_per_cent_once_a_week(
    watch: Callable[[], Watch],
    office: Office,
    person: Person,
    vospace: VOSpaceService,
    moving: VirtualClock,
) -> None:
    for percent, expected in ((79, []), (80, [80]), (85, [80]), (90, [90, 80]), (95, [90, 80])):
        vospace.ensure_home(person)
        with vospace.records.writing() as tree:
            home = tree.walk(vospace.node(Principal(person=person), "/home/ada").path)[-1]
            tree.charge(home, 2**30 * percent // 100 + 1 - home.used)
        watch().look()
        levels = [level for kind, level in told(office, person) if kind is NoticeKind.QUOTA]
        assert levels == expected
    moving.advance(timedelta(days=7))
    watch().look()
    assert [level for kind, level in told(office, person) if kind is NoticeKind.QUOTA] == [90, 90, 80]
    assert list(office.use.of(person.id, since=TODAY).values())


def test_members_are_told_of_a_projects_quota_and_readers_are_not(
    watch: Callable[[], Watch],
    office: Office,
    accounts: AccountsService,
    clouds: list[FakeCloud],
    fleet: FleetService,
    project: Project,
    person: Person,
) -> None:
    eve = accounts.create_person(user_name="eve", full_name="Eve")
    accounts.set_role(project.id, eve.id, Role.READER)
    image = fleet.find_image(project, "debian-12")
    limits = fleet.limits(clouds[0].name, project)
    flavor = min(clouds[0].sizes, key=lambda size: (size.vcpus, size.ram))
    assert limits.instances
    for number in range(-(-limits.instances * 8 // 10)):
        fleet.create_server(clouds[0].name, project, name=f"m{number}", image_id=image.id, flavor=flavor.name)
    watch().look()
    assert (NoticeKind.QUOTA, 80) in told(office, person)
    assert told(office, eve) == []


# how long it lasts


def test_the_pace_of_the_last_days_says_when_all_is_gone() -> None:
    ahead = forecast([0.0] * 50 + [2.0] * DAYS, left=26.0, today=TODAY)
    assert (ahead.pace, ahead.gone_on) == (2.0, date(2026, 3, 14))


def test_what_is_renewed_before_it_is_gone_lasts() -> None:
    assert forecast([2.0], left=70.0, today=TODAY, until=date(2026, 4, 1)).gone_on is None
    assert forecast([2.0], left=50.0, today=TODAY, until=date(2026, 4, 1)).gone_on == date(2026, 3, 26)


def test_what_is_gone_is_gone_today_and_what_is_not_used_is_never() -> None:
    assert forecast([2.0], left=0.0, today=TODAY).gone_on == TODAY
    assert forecast([], left=5.0, today=TODAY).gone_on is None
    assert forecast([0.001], left=5.0, today=TODAY).gone_on is None, "nobody knows so far ahead"


def test_a_level_that_falls_adds_nothing() -> None:
    assert changes([5.0, 7.0, 3.0, 4.0]) == [0.0, 2.0, 0.0, 1.0]
