"""Work that takes longer than a page may."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from armillary.base.clock import VirtualClock
from armillary.base.errors import Conflict, TooManyRequests, Unavailable
from armillary.base.ids import PersonId
from armillary.portal.chores import Chores, Tell, found

ADA, EVE = PersonId("ada"), PersonId("eve")


class Desk:
    """Chores whose work is done when a test says so."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.waiting: list[Callable[[], None]] = []
        self.chores = Chores(clock=self.clock, run=self.waiting.append, most=2, soon=0)

    def work(self) -> None:
        while self.waiting:
            self.waiting.pop(0)()


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_the_same_is_begun_once_and_found_by_whoever_began_it(desk: Desk) -> None:
    first = desk.chores.begin(ADA, "sum", lambda _tell: 7)
    assert desk.chores.begin(ADA, "sum", lambda _tell: 8) is first
    assert not first.done
    desk.work()
    assert first.done
    assert found(first) == 7
    assert desk.chores.find(ADA, "sum") is first
    assert desk.chores.find(EVE, "sum") is None


def test_it_tells_how_far_it_is(desk: Desk) -> None:
    seen: list[tuple[int, int]] = []

    def work(tell: Tell) -> None:
        tell(3, 4)
        seen.append((chore.step, chore.steps))

    chore = desk.chores.begin(ADA, "long", work)
    desk.work()
    assert seen == [(3, 4)]


def test_a_refusal_is_kept_for_who_asks_and_a_fault_is_no_word_of_ours(desk: Desk) -> None:
    def refused(_tell: Tell) -> None:
        raise Conflict("taken", code="taken")

    def faulty(_tell: Tell) -> None:
        raise ZeroDivisionError("secret words")

    one, other = desk.chores.begin(ADA, "a", refused), desk.chores.begin(ADA, "b", faulty)
    desk.work()
    with pytest.raises(Conflict):
        found(one)
    with pytest.raises(Unavailable) as told:
        found(other)
    assert "secret" not in told.value.message


def test_what_is_old_is_begun_anew_and_later_forgotten(desk: Desk) -> None:
    first = desk.chores.begin(ADA, "sum", lambda _tell: 7)
    desk.work()
    desk.clock.advance(timedelta(minutes=1))
    assert desk.chores.begin(ADA, "sum", lambda _tell: 8, fresh=timedelta(minutes=2)) is first
    second = desk.chores.begin(ADA, "sum", lambda _tell: 8, fresh=timedelta(seconds=30))
    assert second is not first
    desk.work()
    assert found(second) == 8
    desk.clock.advance(timedelta(hours=2))
    assert desk.chores.find(ADA, "sum") is None


def test_what_is_done_makes_room_and_gives_back_what_it_holds(desk: Desk) -> None:
    closed: list[str] = []
    for name in ("a", "b"):
        desk.chores.begin(ADA, name, lambda _tell: None, closing=lambda name=name: closed.append(name))
    with pytest.raises(TooManyRequests):
        desk.chores.begin(ADA, "c", lambda _tell: None)
    desk.chores.begin(EVE, "c", lambda _tell: None)
    desk.chores.forget(ADA, "a")
    assert desk.chores.find(ADA, "a") is not None, "it is under way"
    desk.work()
    desk.chores.begin(ADA, "c", lambda _tell: None)
    assert closed == ["a"]
    desk.chores.forget(ADA, "b")
    assert closed == ["a", "b"]
    desk.chores.close()
    assert closed == ["a", "b"]


def test_only_the_newest_of_a_kind_are_kept(desk: Desk) -> None:
    closed: list[str] = []
    for name in ("crate/1", "crate/2"):
        desk.chores.begin(ADA, name, lambda _tell: None, closing=lambda name=name: closed.append(name))
    desk.chores.trim(ADA, "crate", 1)
    assert closed == [], "they are under way"
    desk.work()
    desk.chores.trim(ADA, "crate", 1)
    assert closed == ["crate/1"]


def test_in_a_thread_what_is_quick_is_there_at_once() -> None:
    chore = Chores(clock=VirtualClock(), soon=30).begin(ADA, "quick", lambda _tell: 7)
    assert found(chore) == 7
