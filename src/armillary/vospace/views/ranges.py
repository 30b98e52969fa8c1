"""Bytes that are somewhere else, as a file to read from: a little ahead, never the whole."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from typing_extensions import Buffer

Span = tuple[int, int]
"""From a first byte to one that is no longer meant."""
MAX_SPANS = 1024
READ_AHEAD_MIN = 64 << 10
READ_AHEAD_MAX = 2 << 20


class RangeReader(Protocol):
    """Something with a length that gives any range of its bytes."""

    @property
    def size(self) -> int:
        """How many bytes there are."""
        ...

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes from `start` up to `stop` (exclusive), all of them.

        The range lies inside the file. Whoever reads keeps ranges below a few MiB.
        """
        ...

    def read_many(self, spans: Sequence[Span]) -> Sequence[bytes]:
        """Return several ranges, at most `MAX_SPANS`; together they are below a few MiB."""
        ...

    def descriptor(self) -> int | None:
        """Open the file of this machine that has these bytes, to read only; None when there is none.

        Whoever asks closes it.
        """
        ...


class RangeFile(io.RawIOBase):
    """A seekable file over ranges `start` to `stop` of a reader, with `prefix` in front of them.

    One window is kept. It is larger the longer somebody reads straight on, so that headers cost little and
    rows come in large pieces.
    """

    def __init__(
        self, reader: RangeReader, start: int = 0, stop: int | None = None, prefix: bytes = b""
    ) -> None:
        """Read from `reader`."""
        super().__init__()
        self._reader = reader
        self._start = start
        self._stop = reader.size if stop is None else min(stop, reader.size)
        self._prefix = prefix
        self._position = 0
        self._window = b""
        self._window_start = 0
        self._ahead = READ_AHEAD_MIN

    @property
    def size(self) -> int:
        """How many bytes the file has, the prefix among them."""
        return len(self._prefix) + self._stop - self._start

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move, also behind the end, where nothing is to be read."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError("before the beginning")
        self._position = base + offset
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """Return up to `size` bytes, fewer only at the end."""
        stop = self.size if size is None or size < 0 else min(self._position + size, self.size)
        data = self._bytes(self._position, stop)
        self._position += len(data)
        return data

    def readinto(self, buffer: Buffer, /) -> int:
        """Read as much as fits, for those who put a buffer around this."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def _bytes(self, start: int, stop: int) -> bytes:
        if start >= stop:
            return b""
        own = len(self._prefix)
        head = self._prefix[start:stop]
        return head + self._fetch(max(start, own) - own, stop - own) if stop > own else head

    def _fetch(self, start: int, stop: int) -> bytes:
        """Return bytes counted from the beginning of our ranges."""
        end = self._window_start + len(self._window)
        if start < self._window_start or start > end:
            self._ahead = READ_AHEAD_MIN
            found = b""
        else:
            found = self._window[start - self._window_start : stop - self._window_start]
        pieces = [found]
        start += len(found)
        while start < stop:
            until = min(max(stop, start + self._ahead), start + READ_AHEAD_MAX, self._stop - self._start)
            self._window = self._reader.read(self._start + start, self._start + until)
            self._window_start = start
            self._ahead = min(2 * self._ahead, READ_AHEAD_MAX)
            pieces.append(self._window[: stop - start])
            start += len(pieces[-1])
        return b"".join(pieces) if len(pieces) > 1 else found
