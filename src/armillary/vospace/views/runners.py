"""Who makes views: a few processes with limits, or this one."""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from armillary.base.errors import (
    ArmillaryError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    TooLarge,
    Unavailable,
)
from armillary.vospace.views import frames
from armillary.vospace.views.overlap import NoOverlapError
from armillary.vospace.views.parameters import parse
from armillary.vospace.views.ranges import MAX_SPANS, RangeReader, Span
from armillary.vospace.views.work import perform

Pairs = Sequence[tuple[str, str]]

_TIME = struct.Struct("ll")
"""A `timeval`."""

_REFUSALS: dict[str, type[ArmillaryError]] = {
    kind.__name__: kind for kind in (Invalid, NotFound, TooLarge, Conflict, Forbidden, Unavailable)
}
# All that the process gets of our environment: where its libraries are, and no secrets.
_ENVIRONMENT = ("PATH", "HOME", "LANG", "PYTHONPATH", "LD_LIBRARY_PATH", "TMPDIR")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one view may take. The defaults suit a machine with 4 GiB."""

    max_bytes: int = 1 << 30
    """Of a cutout's pixels."""
    memory: int = 2 << 30
    """Address space of a process."""
    cpu_seconds: int = 30
    silence_seconds: float = 45
    """Without a sign of life a process is ended."""


class ViewRunner(Protocol):
    """Makes views."""

    def run(self, reader: RangeReader, parameters: Pairs) -> Iterator[bytes]:
        """Return the pieces of the view that `parameters` ask for.

        Whatever the file holds: it ends, within limits, and other views go on.

        Raises:
            NoOverlapError: there is nothing in it.
            ArmillaryError: it cannot be made, with the reason; also what `reader` raises.
        """
        ...

    def close(self) -> None:
        """Give everything back; nothing may run any more."""
        ...


class InlineRunner:
    """Makes views here and now, for tests: a hostile file can do harm."""

    def __init__(self, limits: Limits | None = None) -> None:
        """Heed the limit of bytes."""
        self._limits = limits or Limits()

    def run(self, reader: RangeReader, parameters: Pairs) -> Iterator[bytes]:
        """See `ViewRunner`."""
        asked = parse(parameters)
        assert asked is not None, "no view was asked for"
        return perform(reader, asked, self._limits.max_bytes)

    def close(self) -> None:
        """Nothing to give back."""


class ProcessRunner:
    """Makes views in processes of their own, started when they are needed and kept for the next view."""

    def __init__(self, limits: Limits | None = None) -> None:
        """Give each process these limits. As many run as `run` is in at a time."""
        self._limits = limits or Limits()
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._closed = False

    def run(self, reader: RangeReader, parameters: Pairs) -> Iterator[bytes]:
        """See `ViewRunner`."""
        worker, first = self._start(reader, parameters)
        finished = False
        try:
            while True:
                kind, payload = first or worker.receive(self._limits.silence_seconds)
                first = None
                if kind == frames.WANT:
                    worker.send(frames.BYTES, _fetched(reader, list(frames.SPAN.iter_unpack(payload))))
                elif kind == frames.DATA:
                    yield payload
                elif kind in {frames.DONE, frames.NOTHING, frames.REFUSED}:
                    finished = True
                    _conclude(kind, payload)
                    return
                else:
                    raise _unreadable()
        except (EOFError, OSError, ValueError) as error:
            raise _unreadable() from error
        finally:
            if finished:
                self._keep(worker)
            else:
                self._end(worker)

    def close(self) -> None:
        """See `ViewRunner`. What is in hand fails at once."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            busy = self._all.difference(idle)
        for worker in busy:
            worker.kill()  # whoever waits for it gives it back
        for worker in idle:
            self._end(worker)

    def _start(self, reader: RangeReader, parameters: Pairs) -> tuple[_Worker, tuple[bytes, bytes] | None]:
        """Return a process with the job, and its first frame if that has come."""
        descriptor = reader.descriptor()
        try:
            return self._handed(reader.size, parameters, descriptor)
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _handed(
        self, size: int, parameters: Pairs, descriptor: int | None
    ) -> tuple[_Worker, tuple[bytes, bytes] | None]:
        job = json.dumps(
            {
                "size": size,
                "file": descriptor is not None,
                "parameters": list(parameters),
                "max_bytes": self._limits.max_bytes,
                "cpu_seconds": self._limits.cpu_seconds,
            }
        ).encode()
        while True:
            with self._lock:
                worker = self._idle.pop() if self._idle else None
            fresh = worker is None
            worker = worker or self._new()
            kept = False
            try:
                if fresh or worker.is_alive():
                    worker.hand(job, descriptor)
                    first = None if fresh else worker.receive(self._limits.silence_seconds)
                    kept = True
                    return worker, first
            except (OSError, EOFError) as error:
                # One that was idle may just be ending, which is no reason to refuse: it has said nothing then.
                if fresh:
                    raise _unreadable() from error
            finally:
                if not kept:
                    self._end(worker)

    def _new(self) -> _Worker:
        with self._lock:
            if self._closed:
                raise _no_process()
            try:
                worker = _Worker(self._limits)
            except OSError as error:
                raise _no_process() from error
            self._all.add(worker)
            return worker

    def _end(self, worker: _Worker) -> None:
        with self._lock:
            self._all.discard(worker)
        worker.end()

    def _keep(self, worker: _Worker) -> None:
        with self._lock:
            gone = [other for other in self._idle if not other.is_alive()]
            self._idle = [other for other in self._idle if other not in gone]
            if self._closed:
                gone.append(worker)
            else:
                self._idle.append(worker)
        for other in gone:
            self._end(other)


class _Worker:
    """One process, and the ways to it and from it."""

    def __init__(self, limits: Limits) -> None:
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        # Threads of the linear algebra would each take address space, and nothing here is linear algebra.
        environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._channel, its_end = socket.socketpair()
        with its_end:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "armillary.vospace.views.worker", str(limits.memory)],
                stdin=its_end.fileno(),
                stdout=subprocess.PIPE,
                bufsize=0,
                env=environment,
                cwd="/",
                start_new_session=True,  # Ctrl-C is for the platform
            )
        assert self._process.stdout
        self._in = self._process.stdout.fileno()
        frames.widen(self._in)
        self._channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        # One that does not read any more must not hold whoever writes to it.
        patience = _TIME.pack(int(limits.silence_seconds) + 1, 0)
        self._channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, patience)

    def is_alive(self) -> bool:
        """Whether it has not ended, and says nothing unasked."""
        return self._process.poll() is None and not _readable(self._in, 0)

    def send(self, kind: bytes, payload: bytes) -> None:
        """Write a frame. The process reads whenever we write."""
        frames.send(self._channel.fileno(), kind, payload)

    def hand(self, job: bytes, descriptor: int | None) -> None:
        """Give it a job, and the file to it."""
        self.send(frames.JOB, job)
        if descriptor is not None:
            socket.send_fds(self._channel, [b"\0"], [descriptor])

    def receive(self, seconds: float) -> tuple[bytes, bytes]:
        """Return the next frame; raises EOFError when the process has ended or is silent too long."""
        until = time.monotonic() + seconds

        def wait() -> None:
            if not _readable(self._in, until - time.monotonic()):
                raise _too_slow()

        return frames.unpack(lambda count: frames.take(self._in, count, wait))

    def kill(self) -> None:
        """Kill it."""
        self._process.kill()

    def end(self) -> None:
        """Kill it and close the ways."""
        self._process.kill()
        self._process.wait()
        self._channel.close()
        if self._process.stdout:
            self._process.stdout.close()


def _fetched(reader: RangeReader, spans: Sequence[Span]) -> bytes:
    """Return ranges that a process asked for, which may be out of its mind."""
    sane = all(0 <= start < stop <= reader.size for start, stop in spans)
    if not sane or len(spans) > MAX_SPANS or sum(stop - start for start, stop in spans) > frames.MAX_FRAME:
        raise _unreadable()
    return b"".join(reader.read_many(spans)) if len(spans) > 1 else reader.read(*spans[0])


def _readable(descriptor: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(max(0.0, seconds) * 1000))


def _conclude(kind: bytes, payload: bytes) -> None:
    if kind == frames.NOTHING:
        raise NoOverlapError
    if kind == frames.REFUSED:
        name, message, code, remedy, facts = json.loads(payload)
        raise _REFUSALS.get(name, Invalid)(message, code=code, remedy=remedy, facts=facts)


def _unreadable() -> Invalid:
    return Invalid(
        "This file could not be read within the limits of memory and time.",
        code="view_failed",
        remedy="Ask for fewer pixels; check the file with fitsverify; the whole of it can still be fetched.",
    )


def _no_process() -> Unavailable:
    return Unavailable(
        "No process for cutouts and pictures can be started.",
        code="views_busy",
        remedy="Try again in a minute.",
    )


def _too_slow() -> Invalid:
    return Invalid(
        "This view took too long.",
        code="view_failed",
        remedy="Ask for fewer pixels, or fetch the whole file.",
    )
