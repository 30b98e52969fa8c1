"""Work in the background: strictly in order for one server, side by side for different ones."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import SimpleQueue

log = logging.getLogger(__name__)

Job = Callable[[], None]


@dataclass(kw_only=True)
class _Strand:
    """The work of one key: what waits, whether something runs, and how many hold it back."""

    waiting: deque[tuple[Job, bool]] = field(default_factory=deque[tuple[Job, bool]])
    running: bool = False
    holds: int = 0


class Strands:
    """A bounded pool of threads in which no two jobs of one key ever overlap.

    Jobs do not wait for each other in a thread: a job whose key is busy waits in a queue. Long jobs (copies,
    graceful shutdowns) have threads of their own, so that they never hold a boot back. The threads are daemons: a
    platform that is told to end does not wait for a copy, which is taken up or given up by the next start.
    """

    def __init__(self, *, quick: int, slow: int) -> None:
        self._pools = {False: _Pool(threads=quick, name="boots"), True: _Pool(threads=slow, name="copies")}
        self._strands: dict[str, _Strand] = {}
        self._changed = threading.Condition()
        self._closing = threading.Event()

    def submit(self, key: str, job: Job, *, slow: bool = False) -> None:
        """Run `job` after everything that was submitted for `key` before."""
        with self._changed:
            if self._closing.is_set():
                return  # what is not done stands in the records, and the next start does it
            self._strands.setdefault(key, _Strand()).waiting.append((job, slow))
            self._go_on(key)

    def do(self, key: str, job: Job, *, seconds: float) -> bool:
        """Submit `job` and wait for its end; False if it did not end in time. Not to be called while holding `key`."""
        done = threading.Event()

        def noted() -> None:
            try:
                job()
            finally:
                done.set()

        self.submit(key, noted)
        return done.wait(seconds)

    @contextmanager
    def holding(self, key: str) -> Generator[None]:
        """Let nothing new of `key` begin inside this block: what is submitted meanwhile runs after it.

        A request that writes a record first, and then does what a job of that record relies on, holds the key, so that
        no pass of the reconciler takes the half-done record up.
        """
        with self._changed:
            self._strands.setdefault(key, _Strand()).holds += 1
        try:
            yield
        finally:
            with self._changed:
                self._strands[key].holds -= 1
                self._go_on(key)

    def pause(self, seconds: float) -> bool:
        """Wait inside a job; False if the platform ends meanwhile: then the job must end, too."""
        return not self._closing.wait(seconds)

    def busy(self, key: str) -> bool:
        """Whether something runs or waits for this key, or holds it."""
        with self._changed:
            return key in self._strands

    def settle(self, *, seconds: float = 30) -> bool:
        """Wait until nothing runs or waits; False if that took longer than `seconds`."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._strands, timeout=seconds)

    def close(self, *, seconds: float = 5) -> None:
        """Drop what waits, and let what runs finish if it does so in `seconds`."""
        self._closing.set()
        with self._changed:
            for strand in self._strands.values():
                strand.waiting.clear()
        self.settle(seconds=seconds)
        for pool in self._pools.values():
            pool.close()

    def _run(self, key: str, job: Job) -> None:
        try:
            job()
        except Exception:
            log.exception("background work for server %s failed", key)
        with self._changed:
            self._strands[key].running = False
            self._go_on(key)

    def _go_on(self, key: str) -> None:
        """Begin what waits, or forget the key. The caller holds the lock."""
        strand = self._strands[key]
        if strand.running or strand.holds:
            return
        if strand.waiting and not self._closing.is_set():
            job, slow = strand.waiting.popleft()
            strand.running = True
            self._pools[slow].put(lambda: self._run(key, job))
        else:
            del self._strands[key]
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
