"""qcow2 as QEMU writes it: both versions, packed clusters (zlib and zstd), and a backing chain that the caller gives.

The name of a backing file inside an image is data of whoever made the image. It is told, and never opened.
Layout after QEMU's docs/interop/qcow2.txt.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from collections import OrderedDict
from typing import Any

from armillary.base.errors import Invalid
from armillary.disks.model import damaged
from armillary.disks.sources import Source

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAGIC = b"QFI\xfb"
_HEADER = struct.Struct(">4sIQIIQIIQQIIQ")
_OFFSET = 0x00FFFFFFFFFFFE00
_COMPRESSED = 1 << 62
_ZERO = 1
_DIRTY, _CORRUPT, _DATA_FILE, _COMPRESSION, _EXTENDED = (1 << bit for bit in range(5))
_MOST_L1 = 32 << 20
_TABLES_KEPT = 64
_CLUSTERS_KEPT = 16


class Qcow2:
    """An image over the file that has it; unallocated clusters come from `backing`, zeros where that has ended."""

    def __init__(self, *, file: Source, backing: Source | None = None) -> None:
        self._file = file
        self._backing = backing
        version, name, self._bits, self._size, entries, l1_offset = self._header()
        self._version = version
        self.backing_name = name
        if (backing is None) == bool(name):
            raise Invalid(
                "The image is the difference to another one, which is not here."
                if name
                else "The image stands on no other one.",
                code="image_needs_backing" if name else "image_has_no_backing",
                facts={"backing": name[:200]},
                remedy="Give the chain of images, or make one of them: qemu-img convert -O qcow2 IN OUT",
            )
        self._cluster = 1 << self._bits
        self._per_table = self._cluster // 8
        needed = -(-self._size // (self._cluster * self._per_table))
        if entries < needed or entries * 8 > _MOST_L1:
            raise damaged("its first table does not fit its size", entries=entries, needed=needed)
        self._l1 = _numbers(file.at(l1_offset, needed * 8))
        self._tables: OrderedDict[int, array[int]] = OrderedDict()
        self._clusters: OrderedDict[int, bytes] = OrderedDict()

    @property
    def size(self) -> int:
        return self._size

    def at(self, offset: int, length: int) -> bytes:
        if offset + length > self._size:
            raise damaged("something lies beyond the end of the disk", offset=offset)
        pieces: list[bytes] = []
        while length:
            inside = offset & (self._cluster - 1)
            piece = min(length, self._cluster - inside)
            pieces.append(self._piece(offset, inside, piece))
            offset += piece
            length -= piece
        return b"".join(pieces)

    def _header(self) -> tuple[int, str, int, int, int, int]:
        fields: tuple[Any, ...] = _HEADER.unpack(self._file.at(0, _HEADER.size))
        magic, version, name_offset, name_size, bits, size, crypt, entries, l1_offset = fields[:9]
        if magic != MAGIC or version not in (2, 3):
            raise damaged("it is no qcow2 of version 2 or 3", version=version)
        if not 9 <= bits <= 21:
            raise damaged("its clusters have no size that there is", cluster_bits=bits)
        if crypt:
            raise damaged("it is encrypted")
        self._packed_by = 0
        if version == 3:
            features, _, _, _, header = struct.unpack(">QQQII", self._file.at(72, 32))
            if features & ~(_DIRTY | _COMPRESSION):
                kinds = {
                    _CORRUPT: "it is marked as corrupt",
                    _DATA_FILE: "its data are in another file",
                    _EXTENDED: "it has subclusters",
                }
                why = [text for bit, text in kinds.items() if features & bit]
                raise damaged(" and ".join(why) or "it uses features that we do not know", features=features)
            if header > 104:
                self._packed_by = self._file.at(104, 1)[0]
        if self._packed_by > 1:
            raise damaged("it is packed in a way that we do not know", compression_type=self._packed_by)
        name = ""
        if name_offset:
            if name_size > 1023:
                raise damaged("the name of its backing file is too long")
            name = self._file.at(name_offset, name_size).decode(errors="replace") or "?"
        return version, name, bits, size, entries, l1_offset

    def _piece(self, offset: int, inside: int, length: int) -> bytes:
        entry = self._entry(offset)
        if entry & _COMPRESSED:
            cluster = self._unpacked(entry)
            if len(cluster) < inside + length:
                raise damaged("a packed cluster is too short", offset=offset)
            return cluster[inside : inside + length]
        if self._version == 3 and entry & _ZERO:
            return bytes(length)
        place = entry & _OFFSET
        if place:
            return self._plain(place + inside, length)
        return self._below(offset, length)

    def _entry(self, offset: int) -> int:
        number, index = divmod(offset >> self._bits, self._per_table)
        place = self._l1[number] & _OFFSET
        if not place:
            return 0
        table = self._tables.get(place)
        if table is None:
            table = _numbers(self._file.at(place, self._cluster))
            self._tables[place] = table
            if len(self._tables) > _TABLES_KEPT:
                self._tables.popitem(last=False)
        else:
            self._tables.move_to_end(place)
        return table[index]

    def _plain(self, place: int, length: int) -> bytes:
        # the file may end inside of the last cluster that was written; QEMU reads zeros there
        have = min(length, self._file.size - place)
        if have <= 0:
            raise damaged("it ends too early", offset=place, size=self._file.size)
        return self._file.at(place, have) + bytes(length - have)

    def _unpacked(self, entry: int) -> bytes:
        known = self._clusters.get(entry)
        if known is not None:
            return known
        shift = 62 - (self._bits - 8)
        place = entry & ((1 << shift) - 1)
        sectors = ((entry >> shift) & ((1 << (self._bits - 8)) - 1)) + 1
        size = min(sectors * 512 - (place & 511), self._file.size - place)
        if size <= 0:
            raise damaged("it ends too early", offset=place, size=self._file.size)
        packed = self._file.at(place, size)
        try:
            if self._packed_by:
                cluster = zstd.ZstdDecompressor().decompress(packed, self._cluster)
            else:
                cluster = zlib.decompressobj(-12).decompress(packed, self._cluster)
        except (zlib.error, zstd.ZstdError) as error:
            raise damaged("a packed cluster cannot be unpacked", offset=place) from error
        self._clusters[entry] = cluster
        if len(self._clusters) > _CLUSTERS_KEPT:
            self._clusters.popitem(last=False)
        return cluster

    def _below(self, offset: int, length: int) -> bytes:
        if self._backing is None:
            return bytes(length)
        have = max(0, min(length, self._backing.size - offset))
        return (self._backing.at(offset, have) if have else b"") + bytes(length - have)


def _numbers(data: bytes) -> array[int]:
    numbers = array("Q", data)
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers
