"""What is remembered about people is gone as soon as anything is written about them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from armillary.app.remembered import Remembered
from armillary.base.clock import VirtualClock
from armillary.base.errors import Unauthorized


class Records:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.writes = 0
        self.asked = 0
        self.good = True

    def ask(self, name: str) -> str:
        self.asked += 1
        if not self.good:
            raise Unauthorized("no longer")
        return f"{name} {self.asked}"


def test_an_answer_is_remembered_for_a_second(clock: VirtualClock) -> None:
    records = Records()
    remembered = Remembered(records.ask, changes=lambda: records.writes, clock=clock)
    assert [remembered("ada"), remembered("ada"), remembered("bob")] == ["ada 1", "ada 1", "bob 2"]
    clock.advance(timedelta(seconds=1))
    assert remembered("ada") == "ada 3"


def test_what_was_taken_away_is_gone_with_the_next_question(clock: VirtualClock) -> None:
    records = Records()
    remembered = Remembered(records.ask, changes=lambda: records.writes, clock=clock)
    remembered("ada")
    records.good, records.writes = False, 1
    with pytest.raises(Unauthorized):
        remembered("ada")


def test_a_refusal_is_not_remembered(clock: VirtualClock) -> None:
    records = Records()
    remembered = Remembered(records.ask, changes=lambda: records.writes, clock=clock)
    records.good = False
    with pytest.raises(Unauthorized):
        remembered("ada")
    records.good = True
    assert remembered("ada") == "ada 2"


def test_a_write_during_the_question_makes_the_answer_old(clock: VirtualClock) -> None:
    records = Records()

    def ask(name: str) -> str:
        records.writes += 1
        return records.ask(name)

    remembered = Remembered(ask, changes=lambda: records.writes, clock=clock)
    assert [remembered("ada"), remembered("ada")] == ["ada 1", "ada 2"]


def test_no_more_than_a_thousand_answers_are_kept(clock: VirtualClock) -> None:
    records = Records()
    remembered = Remembered(records.ask, changes=lambda: records.writes, clock=clock)
    for number in range(1001):
        remembered(str(number))
    assert remembered("1000") == "1000 1001"
    assert remembered("0") == "0 1002"


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()
