"""What jobs print, while they print it. Of each stream the head and the tail are kept; the middle may be left out."""

from __future__ import annotations

import os
import shutil
import struct
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from armillary.base.units import Bytes
from armillary.batch.model import JobId, LogGap

_HEADER = struct.Struct("<Q")  # bytes written so far, in front of both parts
_LOCKS = 64
KEPT_OF_EACH_END = Bytes(5 * 2**20)
_LONGEST_LINE = 2**20


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Bytes of a stream from `offset`. When that is beyond what was asked for, the bytes between were not kept."""

    offset: int
    data: bytes
    size: int
    """how long the stream is so far"""


class LogFolder:
    """Streams of attempts as files: a header, the head, and a ring with the tail."""

    def __init__(
        self, *, directory: Path, head: Bytes = KEPT_OF_EACH_END, tail: Bytes = KEPT_OF_EACH_END
    ) -> None:
        self._directory = directory
        self._head = head
        self._tail = tail
        self._locks = [threading.Lock() for _ in range(_LOCKS)]

    @property
    def kept(self) -> int:
        """How many bytes of a stream are kept at most."""
        return self._head + self._tail

    def append(self, job: JobId, attempt: int, stream: str, *, offset: int, data: bytes) -> int:
        """Take bytes from `offset` and return the stream's size. Bytes that were here before change nothing.

        Raises LogGap when bytes before them are missing; `facts.size` says where to go on.
        """
        path = self._path(job, attempt, stream)
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._locks[hash(path) % _LOCKS], self._open(path) as file:
            size = _size(file)
            if offset > size:
                raise LogGap(
                    f"bytes {size} to {offset} of {stream} are missing",
                    facts={"size": size},
                    remedy="Send them first.",
                )
            fresh = data[size - offset :]
            # Bytes of one append that the ring would overwrite again are not written at all.
            skipped = max(0, len(fresh) - self.kept)
            if skipped and size < self._head:
                self._write(file, size, fresh[: self._head - size])
            self._write(file, size + skipped, fresh[skipped:])
            if fresh:
                file.seek(0)
                file.write(_HEADER.pack(size + len(fresh)))
            return size + len(fresh)

    def read(self, job: JobId, attempt: int, stream: str, *, offset: int, limit: int = 2**20) -> Piece:
        """Return up to `limit` bytes from `offset`, or from the next byte that was kept."""
        path = self._path(job, attempt, stream)
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return Piece(offset=0, data=b"", size=0)
        with self._locks[hash(path) % _LOCKS], file:
            size = _size(file)
            offset = min(offset, size)
            tail_from = max(self._head, size - self._tail)
            if self._head <= offset < tail_from:
                offset = tail_from
            end = min(size, offset + limit)
            if offset < self._head:
                end = min(end, self._head)
            data = b"".join(_take(file, *part) for part in self._parts(offset, end - offset))
        return Piece(offset=offset, data=data, size=size)

    def sync(self, job: JobId, attempt: int) -> None:
        """Have both streams on disk."""
        # by plain words: each end of a job comes by here, and most that print nothing have no such files
        attempt_of = f"{self._directory}/{job.cluster}/{job.proc}.{attempt}."
        for stream in ("stdout", "stderr"):
            try:
                file = os.open(attempt_of + stream, os.O_RDONLY)
            except FileNotFoundError:
                continue
            try:
                os.fsync(file)
            finally:
                os.close(file)

    def older(self, before: datetime) -> Iterator[tuple[int, int]]:
        """Yield the clusters of whose jobs nothing was taken since a moment, and how many bytes of them are kept."""
        for folder in sorted(self._directory.glob("[0-9]*"), key=lambda one: int(one.name)):
            about = [entry.stat() for entry in os.scandir(folder)]
            if all(one.st_mtime < before.timestamp() for one in about):
                yield int(folder.name), sum(one.st_size for one in about)

    def remove(self, cluster: int) -> None:
        """Forget the streams of a cluster's jobs."""
        shutil.rmtree(self._directory / str(cluster), ignore_errors=True)

    def _write(self, file: IO[bytes], offset: int, data: bytes) -> None:
        done = 0
        for place, length in self._parts(offset, len(data)):
            file.seek(place)
            file.write(data[done : done + length])
            done += length

    def _parts(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """Yield (place in the file, length) for a range of the stream."""
        while length > 0:
            if offset < self._head:
                place, room = offset, self._head - offset
            else:
                in_ring = (offset - self._head) % self._tail
                place, room = self._head + in_ring, self._tail - in_ring
            step = min(length, room)
            yield _HEADER.size + place, step
            offset += step
            length -= step

    @contextmanager
    def _open(self, path: Path) -> Generator[IO[bytes]]:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(handle, "r+b") as file:
            yield file

    def _path(self, job: JobId, attempt: int, stream: str) -> Path:
        return self._directory / str(job.cluster) / f"{job.proc}.{attempt}.{stream}"


@dataclass(frozen=True, kw_only=True)
class FoundLine:
    """A line of a stream that has what was looked for."""

    offset: int
    """of its first byte in the stream"""
    text: str


def search(read: Callable[[int], Piece], wanted: str, *, most: int) -> list[FoundLine]:
    """Return the first `most` lines, as far as they are kept, that have a text in them, whatever its case.

    `read` gives the bytes from an offset. Of a line that is longer than 4 KiB the beginning is returned.
    """
    needle = wanted.lower()
    found: list[FoundLine] = []
    offset, rest, rest_at = 0, b"", 0
    while True:
        piece = read(offset)
        if piece.offset != offset:  # what is between was not kept: a line does not reach over the gap
            rest = b""
        if not rest:
            rest_at = piece.offset
        lines = (rest + piece.data).split(b"\n")
        offset = piece.offset + len(piece.data)
        over = not piece.data or offset >= piece.size
        rest = b"" if over else lines.pop()[-_LONGEST_LINE:]
        for line in lines:
            text = line.decode(errors="replace")
            if needle in text.lower():
                found.append(FoundLine(offset=rest_at, text=text[:4096]))
                if len(found) == most:
                    return found
            rest_at += len(line) + 1
        if over:
            return found
        rest_at = offset - len(rest)


def _size(file: IO[bytes]) -> int:
    file.seek(0)
    header = file.read(_HEADER.size)
    return _HEADER.unpack(header)[0] if len(header) == _HEADER.size else 0


def _take(file: IO[bytes], place: int, length: int) -> bytes:
    file.seek(place)
    return file.read(length)
