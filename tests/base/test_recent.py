"""What is known by heart of late."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from armillary.base.recent import Recent


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def test_the_oldest_is_forgotten() -> None:
    recent = Recent[str, int](most=2)
    for number, name in enumerate("abac"):
        recent.keep(name, number)
    assert [recent.get(name) for name in "abc"] == [2, None, 3]
    assert recent.first("c", 7) == 3
    assert recent.first("d", 8) == 8
    assert recent.get("a") is None
    recent.forget("c")
    recent.forget("c")
    assert [recent.get(name) for name in "cd"] == [None, 8]


@pytest.mark.usefixtures("hasty")
def test_threads_that_forget_at_once_do_not_trip() -> None:
    recent = Recent[tuple[int, int], int](most=2)

    def keep(thread: int) -> None:
        for number in range(20_000):
            recent.keep((thread, number), number)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(keep, range(8)))
    assert len(recent) == 2
