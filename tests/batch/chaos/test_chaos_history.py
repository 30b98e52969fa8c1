"""The judge finds what it is there to find."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from chaos_history import History, Verdict

GOOD = ["idle", "claimed", "running", "completed"]
ZERO = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return ZERO + timedelta(seconds=seconds)


def told(attempt: int = 1, content: str = "a", moves: list[str] | None = None) -> dict[str, Verdict]:
    moves = moves or GOOD
    return {"1.0": Verdict(state=moves[-1], attempt=attempt, content=content, moves=moves)}


def one_run() -> History:
    history = History()
    history.began("1.0", 1, at(0))
    history.stopped("1.0", 1, at(10), wrote="a")
    return history


def test_a_job_that_ran_once_and_shows_what_it_wrote_is_fine() -> None:
    assert one_run().judge(["1.0"], told()) == []


def test_a_job_that_is_not_known_any_more_is_found() -> None:
    assert one_run().judge(["1.0", "1.1"], told()) == ["1.1: was submitted and is not known"]


def test_two_attempts_at_once_are_found_also_when_one_never_ended() -> None:
    history = one_run()
    history.began("1.0", 2, at(9))
    assert history.judge(["1.0"], told()) == ["1.0: attempts 1 and 2 ran at the same time"]
    history = History()
    history.began("1.0", 1, at(0))
    history.began("1.0", 2, at(100))
    history.stopped("1.0", 2, at(110), wrote="a")
    assert history.judge(["1.0"], told(attempt=2)) == ["1.0: attempts 1 and 2 ran at the same time"]


def test_a_frozen_attempt_that_goes_on_beside_another_is_found() -> None:
    history = one_run()
    history.began("1.0", 2, at(20))
    history.stopped("1.0", 2, at(30), wrote="a")
    assert history.judge(["1.0"], told(attempt=2)) == []
    history.went_on("1.0", 1, at(25))
    assert history.judge(["1.0"], told(attempt=2)) != []


def test_results_of_somebody_else_are_found() -> None:
    assert "shows 'b'" in one_run().judge(["1.0"], told(content="b"))[0]
    assert "never came to its end" in one_run().judge(["1.0"], told(attempt=2))[0]


def test_a_job_that_was_completed_twice_or_went_astray_is_found() -> None:
    assert one_run().judge(["1.0"], told(moves=[*GOOD, "idle", "claimed", "completed"])) == [
        "1.0: was completed more than once"
    ]
    assert one_run().judge(["1.0"], told(moves=["idle", "completed"])) == ["1.0: went from idle to completed"]
    assert one_run().judge(["1.0"], told(moves=["idle", "held"])) == ["1.0: is held in the end"]
