"""The journal of an ext3 or ext4 file system that was not unmounted: which of its blocks are promised to be others.

The file system of a machine that runs is copied as its disk is at that moment; what the kernel had only written to
the journal is carried out at the next boot. Here it is carried out in memory. Format after the kernel's
`Documentation/filesystems/ext4/journal.rst`.
"""

from __future__ import annotations

import struct
from typing import Any

from armillary.disks.model import damaged
from armillary.disks.sources import Patched, Source

_MAGIC = 0xC03B3998
_DESCRIPTOR, _COMMIT, _REVOKE = 1, 2, 5
_REVOKES, _64BIT, _CSUM_V2, _CSUM_V3 = 0x1, 0x2, 0x8, 0x10
_ESCAPED, _SAME_UUID, _LAST = 1, 2, 8
_MOST = 512 << 20


def replayed(source: Source, filesystem: Any) -> Source:
    """Return the file system's bytes as they are once its journal is carried out."""
    size: int = filesystem.block_size
    inode = filesystem.get_inode(filesystem.sb.s_journal_inum)
    if not 0 < inode.size <= _MOST:
        raise damaged("its journal has a size that none has", size=inode.size)
    stream = inode.open()
    journal: bytes = stream.read(inode.size)
    _, _, _, block, _, first, sequence, start = struct.unpack_from(">IIIIIIII", journal)
    if struct.unpack_from(">I", journal)[0] != _MAGIC or block != size:
        raise damaged("its journal is none")
    if not start:
        return source
    features = struct.unpack_from(">I", journal, 40)[0]
    changed = _Log(journal=journal, size=size, first=first, features=features).carry_out(start, sequence)
    return Patched(below=source, blocks=changed, block_size=size)


class _Log:
    """The journal's blocks from its oldest transaction on, in a ring."""

    def __init__(self, *, journal: bytes, size: int, first: int, features: int) -> None:
        self._journal, self._size, self._first = journal, size, first
        self._blocks = len(journal) // size
        self._tail = 4 if features & (_CSUM_V2 | _CSUM_V3) else 0
        self._wide = bool(features & _64BIT)
        self._third = bool(features & _CSUM_V3)
        self._tag = 16 if self._third else (12 if self._wide else 8) + (2 if features & _CSUM_V2 else 0)

    def carry_out(self, start: int, sequence: int) -> dict[int, bytes]:
        """Return blocks of the file system by number, as the last whole transaction leaves them."""
        done: dict[int, tuple[int, bytes]] = {}
        revoked: dict[int, int] = {}
        at, seen = start, 0
        pending: dict[int, bytes] = {}
        taken: dict[int, int] = {}
        while seen < self._blocks:
            block = self._block(at)
            magic, kind, number = struct.unpack_from(">III", block)
            if magic != _MAGIC or number != sequence:
                break
            at, seen = self._next(at), seen + 1
            if kind == _DESCRIPTOR:
                for place, escaped in self._tags(block):
                    data = self._block(at)
                    pending[place] = struct.pack(">I", _MAGIC) + data[4:] if escaped else data
                    at, seen = self._next(at), seen + 1
            elif kind == _REVOKE:
                taken.update(dict.fromkeys(self._revoked(block), sequence))
            elif kind == _COMMIT:
                done.update({place: (sequence, data) for place, data in pending.items()})
                revoked.update(taken)
                pending, taken = {}, {}
                sequence += 1
            else:
                break
        return {place: data for place, (when, data) in done.items() if revoked.get(place, -1) < when}

    def _block(self, number: int) -> bytes:
        if not 0 < number < self._blocks:
            raise damaged("its journal points out of itself")
        return self._journal[number * self._size : (number + 1) * self._size]

    def _next(self, number: int) -> int:
        return number + 1 if number + 1 < self._blocks else self._first

    def _tags(self, block: bytes) -> list[tuple[int, bool]]:
        found: list[tuple[int, bool]] = []
        at = 12
        while at + self._tag <= self._size - self._tail:
            if self._third:
                low, flags, high = struct.unpack_from(">III", block, at)
            else:
                low, _, flags = struct.unpack_from(">IHH", block, at)
                high = struct.unpack_from(">I", block, at + 8)[0] if self._wide else 0
            found.append((high << 32 | low, bool(flags & _ESCAPED)))
            at += self._tag + (0 if flags & _SAME_UUID else 16)
            if flags & _LAST:
                break
        return found

    def _revoked(self, block: bytes) -> list[int]:
        width = 8 if self._wide else 4
        end = min(struct.unpack_from(">I", block, 12)[0], self._size - self._tail)
        form = ">Q" if self._wide else ">I"
        return [struct.unpack_from(form, block, at)[0] for at in range(16, end - width + 1, width)]
