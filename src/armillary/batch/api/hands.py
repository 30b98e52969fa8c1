"""Threads for calls of which there are hundreds a second."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar, cast

_AT_MOST = 40
"""threads: as many as the framework has for all other calls"""

T = TypeVar("T")


class Hands:
    """Carries out what may wait for the disk, for event loops, on threads that are made when they are needed and stay.

    The framework's own way to a thread (a limiter, a copy of the context, a scope to be cancelled in) takes longer than
    a thread needs to end a job and give out the next one.
    """

    def __init__(self, *, at_most: int = _AT_MOST) -> None:
        self._at_most = at_most
        self._work: SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]]] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._free = 0
        """threads that wait, less what waits for threads"""

    async def carry(self, work: Callable[[], T]) -> T:
        """Return what `work` returned on a thread, or raise what it raised there. Once begun it is not broken off."""
        future = asyncio.get_running_loop().create_future()
        with self._lock:
            self._free -= 1
            more = self._free < 0 and self._threads < self._at_most
            if more:
                self._threads += 1
                self._free += 1
        self._work.put((work, future))
        if more:
            threading.Thread(target=self._labour, name="hand", daemon=True).start()
        return cast("T", await future)

    def _labour(self) -> None:
        while True:
            work, future = self._work.get()
            try:
                value, error = work(), None
            except BaseException as raised:  # noqa: BLE001 - it is raised where it is waited for
                value, error = None, raised
            with self._lock:
                self._free += 1
            with suppress(RuntimeError):  # the loop was closed: nobody waits any more
                future.get_loop().call_soon_threadsafe(_tell, future, value, error)
            del work, future, value, error  # and not kept until there is something to do again


def _tell(future: asyncio.Future[Any], value: Any, error: BaseException | None) -> None:
    if future.done():
        return  # who waited for it has gone
    if error is None:
        future.set_result(value)
    else:
        future.set_exception(error)
