"""Wakes those who wait for news, across threads and event loops of this process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator, Hashable
from contextlib import contextmanager


class Bell:
    """Rings by topic. A ring between entering `listen` and waiting is not lost.

    Only this process hears it: who waits must look again from time to time, for news of other processes.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ears: dict[Hashable, set[Ear]] = {}
        self.closed = False

    def close(self) -> None:
        """Wake everybody for good: whoever sees `closed` stops waiting, so that the server can stop."""
        self.closed = True
        with self._lock:
            topics = list(self._ears)
        self.ring(*topics)

    def ring(self, *topics: Hashable) -> None:
        """Wake everybody who listens to one of the topics. Callable from any thread."""
        with self._lock:
            ears = {ear for topic in topics for ear in self._ears.get(topic, ())}
        for ear in ears:
            ear.wake()

    @property
    def listeners(self) -> int:
        """How many wait now; for metrics."""
        with self._lock:
            return len({ear for ears in self._ears.values() for ear in ears})

    @contextmanager
    def listen(self, *topics: Hashable) -> Generator[Ear]:
        """Begin to listen, in a running event loop."""
        ear = Ear(asyncio.get_running_loop())
        with self._lock:
            for topic in topics:
                self._ears.setdefault(topic, set()).add(ear)
        try:
            yield ear
        finally:
            with self._lock:
                for topic in topics:
                    self._ears[topic].discard(ear)
                    if not self._ears[topic]:
                        del self._ears[topic]


class Ear:
    """One who waits."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._event = asyncio.Event()

    def wake(self) -> None:
        """End the wait, from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self, seconds: float) -> bool:
        """Wait for a ring, at most `seconds`; returns whether it rang. Rings are then forgotten."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True
