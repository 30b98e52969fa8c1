"""Threads for calls of which there are hundreds a second."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar, cast

AT_MOST = 20
"""threads: each may hold a connection to the records while it waits for the others, as do the framework's forty"""

T = TypeVar("T")


class Hands:
    """Carries out what may wait for the disk, for event loops, on threads that are made when they are needed and stay.

    The framework's own way to a thread (a limiter, a copy of the context, a scope to be cancelled in) takes longer than
    a thread needs to end a job and give out the next one.
    """

    def __init__(self, *, at_most: int = AT_MOST) -> None:
        self._at_most = at_most
        self._work: SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]]] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._free = 0
        """threads that wait, less what waits for threads"""

    async def carry(self, work: Callable[[], T]) -> T:
        """Return what `work` returned on a thread, or raise what it raised there. Once begun it is not broken off.

        Raises RuntimeError where the system gives no thread and there is none yet.
        """
        future = asyncio.get_running_loop().create_future()
        with self._lock:
            self._free -= 1
            more = self._free < 0 and self._threads < self._at_most
            if more:
                self._threads += 1
                self._free += 1
        if more:
            self._add_thread()
        self._work.put((work, future))
        return cast("T", await future)

    def _add_thread(self) -> None:
        try:
            threading.Thread(target=self._labour, name="hand", daemon=True).start()
        except RuntimeError:
            with self._lock:
                self._threads -= 1
                self._free -= 1
                if self._threads:
                    return  # those that are there come to it
                self._free += 1
            raise

    def _labour(self) -> None:
        while True:
            work, future = self._work.get()
            try:
                value, error = work(), None
            except StopIteration as raised:  # no coroutine can raise it
                value, error = None, RuntimeError(f"{raised!r} on a thread")
                error.__cause__ = raised
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
