"""Reads the header of a disk image before anything else does, so that no engine ever opens a dangerous one.

A qcow2 may name other files (a backing file, an external data file) that the reader then opens on our
computer; an image from outside must name none. Layout after QEMU's `docs/interop/qcow2.txt`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

HEADER_BYTES = 64 * 1024
"""How much of the file is enough for `inspect`: header and extensions end within the first cluster."""

MAGIC = b"QFI\xfb"
MOST_VIRTUAL_BYTES = 64 * 2**40
_HEADER = struct.Struct(">4sIQIIQIIQQIIQ")
_FEATURES = struct.Struct(">QQQII")
_EXTENSION = struct.Struct(">II")
_DIRTY, _CORRUPT, _EXTERNAL, _COMPRESSION, _SUBCLUSTERS = 1, 2, 4, 8, 16
_KNOWN = _DIRTY | _CORRUPT | _EXTERNAL | _COMPRESSION | _SUBCLUSTERS
_EXTERNAL_DATA_FILE = 0x44415441
_END = 0
_MOST_EXTENSIONS = 64
_MOST_SNAPSHOTS = 1024

_FOREIGN = {
    b"KDMV": "vmdk",
    b"# Disk DescriptorFile": "vmdk",
    b"conectix": "vhd",
    b"vhdxfile": "vhdx",
    b"QED\x00": "qed",
    b"<<< ": "vdi",
    b"WithoutFreeSpace": "parallels",
    b"LUKS\xba\xbe": "luks",
}


class ImageRefused(ValueError):
    """The content is not an image of the declared format, or not one that may be run here."""


class ImageUnrecognised(ImageRefused):
    """The content is nothing that is known here: it can be kept, and no engine may open it."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """What matters of a sound qcow2 header."""

    version: int
    virtual_size: int
    cluster_size: int


def inspect_raw(start: bytes, *, length: int) -> int:
    """Return the virtual size of a raw image, given its first bytes and its length.

    Raises:
        ImageUnrecognised: it is empty.
        ImageRefused: it is another format under a false name.
    """
    if length == 0:
        raise ImageUnrecognised("the image is empty")
    for magic, name in {MAGIC: "qcow2", **_FOREIGN}.items():
        if start.startswith(magic):
            raise ImageRefused(f"it was declared raw, but it is a {name} image")
    return length


def inspect(start: bytes, *, length: int) -> Header:
    """Check a qcow2 image, given its first `HEADER_BYTES` and the length of the whole file.

    Raises:
        ImageRefused: it is no qcow2, names other files, is encrypted or corrupt, or its figures are absurd.
        ImageUnrecognised: it is no image of any format.
    """
    if len(start) < _HEADER.size or start[:4] != MAGIC:
        found = next((name for magic, name in _FOREIGN.items() if start.startswith(magic)), None)
        if found is None:
            raise ImageUnrecognised("it is not a qcow2 image")
        raise ImageRefused(f"it is not a qcow2 image but a {found} image")
    (
        _,
        version,
        backing,
        _,
        cluster_bits,
        size,
        crypt,
        l1_size,
        l1_offset,
        ref_offset,
        ref_clusters,
        snaps,
        _,
    ) = _HEADER.unpack_from(start)
    if version not in (2, 3):
        raise ImageRefused(f"qcow2 version {version} is unknown")
    if backing:
        raise ImageRefused("it has a backing file; flatten it first with qemu-img convert")
    if crypt:
        raise ImageRefused("it is encrypted")
    if not 9 <= cluster_bits <= 21:
        raise ImageRefused(f"its clusters of 2^{cluster_bits} bytes are absurd")
    cluster = 1 << cluster_bits
    if not 0 < size <= MOST_VIRTUAL_BYTES or size % 512:
        raise ImageRefused(f"its virtual size of {size} bytes is absurd")
    features = 0
    if version == 3:
        features = _features(start, cluster)
    _check_tables(
        size=size,
        cluster=cluster,
        wide=bool(features & _SUBCLUSTERS),
        l1=(l1_offset, l1_size * 8),
        refcounts=(ref_offset, ref_clusters * cluster),
        length=length,
    )
    if snaps > _MOST_SNAPSHOTS:
        raise ImageRefused(f"its {snaps} internal snapshots are absurd")
    return Header(version=version, virtual_size=size, cluster_size=cluster)


def _features(start: bytes, cluster: int) -> int:
    if len(start) < _HEADER.size + _FEATURES.size:
        raise ImageRefused("its header is cut off")
    features, _, _, _, header_length = _FEATURES.unpack_from(start, _HEADER.size)
    if features & _EXTERNAL:
        raise ImageRefused("it keeps its data in an external file")
    if features & _CORRUPT:
        raise ImageRefused("it is marked as corrupt")
    if features & ~_KNOWN:
        raise ImageRefused(f"it needs features that are unknown here ({features & ~_KNOWN:#x})")
    if not 104 <= header_length <= cluster or header_length % 8:
        raise ImageRefused("its header has an absurd length")
    _check_extensions(start, header_length, min(cluster, len(start)))
    return features


def _check_extensions(start: bytes, position: int, end: int) -> None:
    for _ in range(_MOST_EXTENSIONS):
        if position + _EXTENSION.size > end:
            return
        kind, size = _EXTENSION.unpack_from(start, position)
        if kind == _END:
            return
        if kind == _EXTERNAL_DATA_FILE:
            raise ImageRefused("it names an external data file")
        position += _EXTENSION.size + (size + 7) // 8 * 8
    raise ImageRefused("it has too many header extensions")


def _check_tables(
    *, size: int, cluster: int, wide: bool, l1: tuple[int, int], refcounts: tuple[int, int], length: int
) -> None:
    """Check that the tables that the header points to are in the file, and as large as the size needs."""
    entries_per_l2 = cluster // (16 if wide else 8)
    needed = -(-size // (entries_per_l2 * cluster)) * 8
    for offset, extent in (l1, refcounts):
        if offset % cluster or offset < cluster or offset + extent > -(-length // cluster) * cluster:
            raise ImageRefused("it is cut off: its tables are not within the file")
    if l1[1] < needed or l1[1] > 32 * 2**20:
        raise ImageRefused("its first table does not fit its size")
