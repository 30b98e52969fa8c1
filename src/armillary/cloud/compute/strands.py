"""Work in the background: strictly in order for one server, side by side for different ones."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue

log = logging.getLogger(__name__)

Job = Callable[[], None]


class Strands:
    """A bounded pool of threads in which no two jobs of one key ever overlap.

    Jobs do not wait for each other in a thread: a job whose key is busy waits in a queue. Long jobs (copies,
    graceful shutdowns) have threads of their own, so that they never hold a boot back. The threads are daemons: a
    platform that is told to end does not wait for a copy, which is taken up or given up by the next start.
    """

    def __init__(self, *, quick: int, slow: int) -> None:
        self._pools = {False: _Pool(threads=quick, name="boots"), True: _Pool(threads=slow, name="copies")}
        self._queues: dict[str, deque[tuple[Job, bool]]] = {}
        self._changed = threading.Condition()
        self._closed = False

    def submit(self, key: str, job: Job, *, slow: bool = False) -> None:
        """Run `job` after everything that was submitted for `key` before."""
        with self._changed:
            if self._closed:
                return  # what is not done stands in the records, and the next start does it
            queue = self._queues.get(key)
            if queue is not None:
                queue.append((job, slow))
                return
            self._queues[key] = deque()
        self._pools[slow].put(lambda: self._run(key, job))

    def busy(self, key: str) -> bool:
        """Whether something runs or waits for this key."""
        with self._changed:
            return key in self._queues

    def settle(self, *, seconds: float = 30) -> bool:
        """Wait until nothing runs or waits; False if that took longer than `seconds`."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._queues, timeout=seconds)

    def close(self, *, seconds: float = 5) -> None:
        """Drop what waits, and let what runs finish if it does so in `seconds`."""
        with self._changed:
            self._closed = True
            for queue in self._queues.values():
                queue.clear()
        self.settle(seconds=seconds)
        for pool in self._pools.values():
            pool.close()

    def _run(self, key: str, job: Job) -> None:
        try:
            job()
        except Exception:
            log.exception("background work for server %s failed", key)
        with self._changed:
            queue = self._queues[key]
            if queue and not self._closed:
                following, slow = queue.popleft()
                self._pools[slow].put(lambda: self._run(key, following))
            else:
                del self._queues[key]
                self._changed.notify_all()


class _Pool:
    """A few daemon threads, begun when they are first needed."""

    def __init__(self, *, threads: int, name: str) -> None:
        self._most, self._name = threads, name
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._lock = threading.Lock()

    def put(self, job: Job) -> None:
        with self._lock:
            self._jobs.put(job)
            if self._idle < self._jobs.qsize() and len(self._threads) < self._most:
                thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                self._threads.append(thread)
                thread.start()

    def close(self) -> None:
        with self._lock:
            for _ in self._threads:
                self._jobs.put(None)

    def _work(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            job = self._jobs.get()
            with self._lock:
                self._idle -= 1
            if job is None:
                return
            job()
