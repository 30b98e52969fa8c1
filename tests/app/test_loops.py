"""Loops that keep promises go on, whatever happens, and the process ends all the same when it is told to."""

import asyncio
import subprocess
import sys
import threading

import pytest
from anyio.from_thread import start_blocking_portal

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

    # In a thread of its own: a browser test in this process leaves its loop running in ours.
    with start_blocking_portal() as portal:
        portal.call(look)


HANGS = """\
import threading
from armillary.app.serve import deadline

with deadline(0.1) as end_in_any_case:
    end_in_any_case(3)
    threading.Event().wait(60)
"""


def test_a_thread_that_hangs_does_not_keep_the_process() -> None:
    assert subprocess.run([sys.executable, "-c", HANGS], check=False, timeout=50).returncode == 3


def test_who_ends_in_time_is_not_ended() -> None:
    with serve.deadline(3600) as end_in_any_case:
        end_in_any_case(3)
        # others of this process, of tests before us, may wait still
        running = [one for one in threading.enumerate() if isinstance(one, threading.Timer)]
        (timer,) = [one for one in running if one.interval == 3600]
    timer.join(60)
    assert not timer.is_alive(), "it was not called off"
