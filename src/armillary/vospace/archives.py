"""Archives that are written while they are read: tar (POSIX.1-2001) and zip (APPNOTE 6.3.9), nothing compressed.

Memory stays flat in the size of the files and in their number: zip's list of contents, which comes last, is
kept on disk when it grows. Zip64 is used where sizes and counts need it.
"""

from __future__ import annotations

import struct
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from tempfile import SpooledTemporaryFile

_BLOCK = 1 << 18
_SPOOL = 1 << 20
_WIDE = 0xFFFFFFFF
_MANY = 0xFFFF
_UTF8 = 0x0800
_CRC_AFTER = 0x0008
_MADE_BY_UNIX = 3 << 8 | 45


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file or, without `chunks`, a folder. Its name is relative, with slashes; `length` counts bytes."""

    name: str
    modified_at: datetime
    length: int = 0
    chunks: Iterable[bytes] | None = None


class Broken(Exception):
    """A file has not as many bytes as it had: the archive cannot be right, and its reader must notice."""


def tar(entries: Iterable[Entry]) -> Iterator[bytes]:
    """Yield a tar file in blocks."""
    return _blocks(_tar(entries))


def zipped(entries: Iterable[Entry]) -> Iterator[bytes]:
    """Yield a zip file in blocks."""
    return _blocks(_zip(entries))


def _tar(entries: Iterable[Entry]) -> Iterator[bytes]:
    total = 0
    for entry in entries:
        info = tarfile.TarInfo(entry.name)
        info.mtime = int(entry.modified_at.timestamp())
        info.mode = 0o755 if entry.chunks is None else 0o644
        info.type = tarfile.DIRTYPE if entry.chunks is None else tarfile.REGTYPE
        info.size = entry.length
        header = info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
        yield header
        yield from _counted(entry)
        padding = -entry.length % tarfile.BLOCKSIZE
        yield bytes(padding)
        total += len(header) + entry.length + padding
    end = 2 * tarfile.BLOCKSIZE
    yield bytes(end + -(total + end) % tarfile.RECORDSIZE)


def _zip(entries: Iterable[Entry]) -> Iterator[bytes]:
    offset = count = 0
    with SpooledTemporaryFile(_SPOOL) as contents:
        for entry in entries:
            name = (entry.name + "/" if entry.chunks is None else entry.name).encode()
            wide = entry.length >= _WIDE
            flags = _UTF8 if entry.chunks is None else _UTF8 | _CRC_AFTER
            extra = struct.pack("<HHQQ", 1, 16, 0, 0) if wide else b""
            size = _WIDE if wide else 0
            head = struct.pack(
                "<IHHHIIIIHH",
                0x04034B50, 45 if wide else 20, flags, 0, _dos_time(entry.modified_at), 0, size, size,
                len(name), len(extra),
            )  # fmt: skip
            yield head + name + extra
            crc = 0
            for chunk in _counted(entry):
                crc = zlib.crc32(chunk, crc)
                yield chunk
            after = b""
            if flags & _CRC_AFTER:
                after = struct.pack("<IIQQ" if wide else "<IIII", 0x08074B50, crc, entry.length, entry.length)
                yield after
            contents.write(_listed(entry, name, flags, crc, offset))
            offset += len(head) + len(name) + len(extra) + entry.length + len(after)
            count += 1
        length = contents.tell()
        contents.seek(0)
        while block := contents.read(_BLOCK):
            yield block
    yield _zip_end(count, length, offset)


def _listed(entry: Entry, name: bytes, flags: int, crc: int, offset: int) -> bytes:
    """Return an entry of zip's list of contents."""
    wide = [value for value in (entry.length, entry.length, offset) if value >= _WIDE]
    extra = struct.pack(f"<HH{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
    size = min(entry.length, _WIDE)
    attributes = (0o40755 << 16 | 0x10) if entry.chunks is None else 0o100644 << 16
    head = struct.pack(
        "<IHHHHIIIIHHHHHII",
        0x02014B50, _MADE_BY_UNIX, 45 if wide else 20, flags, 0, _dos_time(entry.modified_at), crc, size, size,
        len(name), len(extra), 0, 0, 0, attributes, min(offset, _WIDE),
    )  # fmt: skip
    return head + name + extra


def _zip_end(count: int, length: int, offset: int) -> bytes:
    wide = b""
    if count >= _MANY or length >= _WIDE or offset >= _WIDE:
        wide = struct.pack(
            "<IQHHIIQQQQ", 0x06064B50, 44, _MADE_BY_UNIX, 45, 0, 0, count, count, length, offset
        ) + struct.pack("<IIQI", 0x07064B50, 0, offset + length, 1)
    few = min(count, _MANY)
    return wide + struct.pack(
        "<IHHHHIIH", 0x06054B50, 0, 0, few, few, min(length, _WIDE), min(offset, _WIDE), 0
    )


def _dos_time(moment: datetime) -> int:
    """Return a moment as zip keeps it: in steps of two seconds, from 1980 to 2107."""
    year = min(max(moment.year, 1980), 2107)
    date = (year - 1980) << 9 | moment.month << 5 | moment.day
    return date << 16 | moment.hour << 11 | moment.minute << 5 | moment.second // 2


def _counted(entry: Entry) -> Iterator[bytes]:
    left = entry.length
    for chunk in entry.chunks or ():
        left -= len(chunk)
        yield chunk
    if left:
        raise Broken(entry.name)


def _blocks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Gather small pieces: each block that is sent costs a change of threads."""
    buffer = bytearray()
    for piece in pieces:
        if len(piece) >= _BLOCK and not buffer:
            yield piece
            continue
        buffer += piece
        if len(buffer) >= _BLOCK:
            yield bytes(buffer)
            buffer.clear()
    if buffer:
        yield bytes(buffer)
