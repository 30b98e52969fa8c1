"""Loops that keep promises go on, whatever happens."""

import asyncio
import threading

import pytest

from armillary.app import serve


@pytest.mark.parametrize("failures", [0, 1, 5, 1100, 10**6])
def test_a_loop_that_has_failed_for_days_still_has_a_pause(failures: int) -> None:
    assert 2 <= serve.pause(2.0, failures) <= 60


def test_a_loop_outlives_failures() -> None:
    calls: list[int] = []
    enough = threading.Event()

    def work() -> None:
        calls.append(1)
        if len(calls) >= 3:
            enough.set()
        raise OSError("disk full")

    async def look() -> None:
        task = asyncio.create_task(serve.every(0.001, "test", work))
        assert await asyncio.to_thread(enough.wait, 10)
        assert not task.done()
        task.cancel()

    asyncio.run(look())
