"""Bytes of a disk by their place: a raw file, a part of another, and the stream over them that parsers want."""

from __future__ import annotations

import io
import os
from collections import OrderedDict
from pathlib import Path
from typing import Protocol

from armillary.disks.model import damaged

BLOCK = 64 * 1024


class Source(Protocol):
    """Bytes that can be read anywhere."""

    @property
    def size(self) -> int:
        """How many there are."""
        ...

    def at(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes; asking beyond the end is Invalid `image_unreadable`."""
        ...


class RawFile:
    """A file that is the disk."""

    def __init__(self, *, path: Path) -> None:
        # no link is followed and no device opened: the name may come from somebody's shared folder
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        self._size = os.fstat(self._descriptor).st_size

    @property
    def size(self) -> int:
        return self._size

    def at(self, offset: int, length: int) -> bytes:
        found = os.pread(self._descriptor, length, offset)
        if len(found) != length:
            raise damaged("it ends too early", offset=offset, size=self._size)
        return found

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


class Part:
    """A piece of another source: a partition."""

    def __init__(self, *, whole: Source, offset: int, size: int) -> None:
        if offset < 0 or size < 0 or offset + size > whole.size:
            raise damaged("a partition goes beyond the end of the disk", offset=offset, size=size)
        self._whole, self._offset, self._size = whole, offset, size

    @property
    def size(self) -> int:
        return self._size

    def at(self, offset: int, length: int) -> bytes:
        if offset + length > self._size:
            raise damaged("something lies beyond the end of its partition", offset=offset)
        return self._whole.at(self._offset + offset, length)


class Patched:
    """A source some of whose blocks are others: what a journal has that is not written back yet."""

    def __init__(self, *, below: Source, blocks: dict[int, bytes], block_size: int) -> None:
        self._below, self._blocks, self._block_size = below, blocks, block_size

    @property
    def size(self) -> int:
        return self._below.size

    def at(self, offset: int, length: int) -> bytes:
        found = bytearray(self._below.at(offset, length))
        size = self._block_size
        for number in range(offset // size, (offset + length + size - 1) // size):
            block = self._blocks.get(number)
            if block is not None:
                begin = max(offset, number * size)
                end = min(offset + length, (number + 1) * size)
                found[begin - offset : end - offset] = block[begin - number * size : end - number * size]
        return bytes(found)


class Stream(io.RawIOBase):
    """A source as a file that is open for reading, with the blocks that were read last at hand."""

    def __init__(self, *, source: Source, blocks: int = 1024) -> None:
        super().__init__()
        self._source = source
        self._most = blocks
        self._known: OrderedDict[int, bytes] = OrderedDict()
        self._at = 0
        self.size = source.size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        if start + offset < 0:
            raise damaged("something lies before its beginning")
        self._at = start + offset
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        left = max(0, self.size - self._at)
        length = left if size < 0 else min(size, left)
        if length > 4 * BLOCK:  # the bytes of a big file are not asked for again
            found = self._source.at(self._at, length)
        else:
            first, last = self._at // BLOCK, (self._at + length - 1) // BLOCK
            whole = b"".join(self._block(number) for number in range(first, last + 1)) if length else b""
            start = self._at - first * BLOCK
            found = whole[start : start + length]
        self._at += length
        return found

    def _block(self, number: int) -> bytes:
        known = self._known.get(number)
        if known is not None:
            self._known.move_to_end(number)
            return known
        offset = number * BLOCK
        block = self._source.at(offset, min(BLOCK, self.size - offset))
        self._known[number] = block
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return block
