"""The process that makes views of users' files: `python -m armillary.vospace.views.worker`.

Files may be hostile, and the libraries that unpack them are written in C. So this process has nothing: no
credentials, no database, no way to our files, only a socket and a pipe (see `frames`). Over these it asks for ranges
of one file at a time, or is handed that file, open for reading, when it is one of this machine. Its memory, and the processor time of each job, are limited by the kernel. When it has had nothing to do for
a while it ends.
"""

from __future__ import annotations

import json
import os
import resource
import select
import socket
import sys
from collections.abc import Sequence
from typing import Any

from armillary.base.errors import ArmillaryError, TooLarge
from armillary.vospace.views import frames
from armillary.vospace.views.overlap import NoOverlapError
from armillary.vospace.views.parameters import parse
from armillary.vospace.views.ranges import RangeReader, Span
from armillary.vospace.views.work import perform

IDLE_SECONDS = 120
_FULL = 256 << 10
"""Small pieces of an answer go together in frames of at least this size."""
_WORN_OUT = 400 << 20
"""A process that has had so much memory (bytes) ends after its job, to give it back."""


class _Pipes:
    """Reads and writes frames."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        self._in = incoming
        self._out = outgoing

    def waits(self, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._in, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def receive(self) -> tuple[bytes, bytes]:
        return frames.unpack(lambda count: frames.take(self._in, count))

    def receive_file(self) -> int:
        with socket.socket(fileno=os.dup(self._in)) as channel:
            _, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
        if not descriptors:
            raise EOFError
        return descriptors[0]

    def send(self, kind: bytes, payload: bytes = b"") -> None:
        frames.send(self._out, kind, payload)


class _PipeReader:
    """See `ranges.RangeReader`."""

    def __init__(self, pipes: _Pipes, size: int) -> None:
        self._pipes = pipes
        self._size = size

    @property
    def size(self) -> int:
        return self._size

    def read(self, start: int, stop: int) -> bytes:
        return self._wanted([(start, stop)])

    def read_many(self, spans: Sequence[Span]) -> Sequence[bytes]:
        payload = memoryview(self._wanted(spans))
        found: list[bytes] = []
        for start, stop in spans:
            found.append(bytes(payload[: stop - start]))
            payload = payload[stop - start :]
        return found

    def descriptor(self) -> int | None:
        return None

    def _wanted(self, spans: Sequence[Span]) -> bytes:
        self._pipes.send(frames.WANT, b"".join(frames.SPAN.pack(*span) for span in spans))
        kind, payload = self._pipes.receive()
        if kind != frames.BYTES or len(payload) != sum(stop - start for start, stop in spans):
            raise EOFError
        return payload


class _FileReader:
    """See `ranges.RangeReader`: a file that was handed to us."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self._size = size

    @property
    def size(self) -> int:
        return self._size

    def read(self, start: int, stop: int) -> bytes:
        data = os.pread(self._descriptor, stop - start, start)
        if len(data) < stop - start:
            raise EOFError
        return data

    def read_many(self, spans: Sequence[Span]) -> Sequence[bytes]:
        return [self.read(*span) for span in spans]

    def descriptor(self) -> int | None:
        return None


def serve(pipes: _Pipes) -> None:
    """Do jobs until there are none for a while, or nobody is there any more."""
    while pipes.waits(IDLE_SECONDS):
        _, payload = pipes.receive()
        job = json.loads(payload)
        if job["file"]:
            descriptor = pipes.receive_file()
            try:
                _work(pipes, job, _FileReader(descriptor, job["size"]))
            finally:
                os.close(descriptor)
        else:
            _work(pipes, job, _PipeReader(pipes, job["size"]))
        if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 > _WORN_OUT:
            return


def _work(pipes: _Pipes, job: dict[str, Any], reader: RangeReader) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(
        resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + 1 + int(job["cpu_seconds"]), hard)
    )
    asked = parse([(name, value) for name, value in job["parameters"]])
    assert asked is not None, "the platform sends no job without a view"
    try:
        waiting = bytearray()
        for piece in perform(reader, asked, job["max_bytes"]):
            waiting += piece
            if len(waiting) >= _FULL:
                pipes.send(frames.DATA, bytes(waiting))
                waiting.clear()
        pipes.send(frames.DATA, bytes(waiting))
        pipes.send(frames.DONE)
    except MemoryError:
        error = TooLarge(
            "This would take too much memory.",
            code="view_too_large",
            remedy="Ask for fewer pixels, or fetch the whole file.",
        )
        pipes.send(frames.REFUSED, json.dumps(["TooLarge", *_told(error)]).encode())
    except ArmillaryError as error:
        pipes.send(frames.REFUSED, json.dumps([type(error).__name__, *_told(error)]).encode())
    except NoOverlapError:
        pipes.send(frames.NOTHING)


def _told(error: ArmillaryError) -> list[Any]:
    return [error.message, error.code, error.remedy, error.facts]


def main() -> None:
    """Run until there is nothing more to do."""
    memory = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # What a library prints must not get between the frames.
    outgoing = os.dup(1)
    os.dup2(2, 1)
    try:
        serve(_Pipes(0, outgoing))
    except (EOFError, BrokenPipeError):
        return


if __name__ == "__main__":
    main()
