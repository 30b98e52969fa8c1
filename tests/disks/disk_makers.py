"""Disks of kinds that not every image has: xfs, btrfs, GPT, and rpm's database, made without a mount and without root."""

from __future__ import annotations

import sqlite3
import stat
import struct
import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from small_images import program, run

SECTOR = 512
LINUX = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")
EFI = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
_FIRST = 2048
"""the sector of the first part"""


def xfs(target: Path, folder: Path, *, mebibytes: int = 300) -> Path:
    """Make a disk that is one xfs (300 MiB at least, with holes) with the files of a folder."""
    prototype = target.with_suffix(".proto")
    prototype.write_text("\n".join(["/dev/null", "0 0", "d--755 0 0", *_prototype(folder), "$", ""]))
    _sized(target, mebibytes)
    run([program("mkfs.xfs"), "-q", "-p", str(prototype), str(target)])
    return target


def _prototype(folder: Path) -> Iterator[str]:
    for place in sorted(folder.iterdir()):
        mode = f"{stat.S_IMODE(place.lstat().st_mode):03o}"
        if place.is_symlink():
            yield f"{place.name} l--777 0 0 {place.readlink()}"
        elif place.is_dir():
            yield f"{place.name} d--{mode} 0 0"
            yield from _prototype(place)
            yield "$"
        else:
            yield f"{place.name} ---{mode} 0 0 {place}"


def btrfs(target: Path, folder: Path, *options: str, mebibytes: int = 128) -> Path:
    """Make a disk that is one btrfs with the files of a folder."""
    _sized(target, mebibytes)
    run([program("mkfs.btrfs"), "-q", *options, "--rootdir", str(folder), str(target)])
    return target


def _sized(target: Path, mebibytes: int) -> None:
    with target.open("wb") as file:
        file.truncate(mebibytes << 20)


def with_gpt(target: Path, *parts: tuple[uuid.UUID, bytes]) -> Path:
    """Make a disk with a GUID partition table (UEFI 2.10, section 5.3) and these parts, in this order."""
    entries, contents, at = bytearray(128 * 128), [], _FIRST
    for number, (kind, data) in enumerate(parts):
        last = at + -(-len(data) // SECTOR) - 1
        name = f"part {number}".encode("utf-16-le").ljust(72, b"\0")
        entry = kind.bytes_le + uuid.UUID(int=number + 1).bytes_le + struct.pack("<QQQ", at, last, 0) + name
        entries[128 * number : 128 * (number + 1)] = entry
        contents.append((at, data))
        at = last + 1
    total = at + 34
    protective = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff" * 3, 1, total - 1)
    with target.open("wb") as file:
        file.truncate(total * SECTOR)
        for place, data in [(446, protective), (510, b"\x55\xaa"), (2 * SECTOR, bytes(entries))]:
            file.seek(place)
            file.write(data)
        file.seek(SECTOR)
        file.write(_header(bytes(entries), total))
        for sector, data in contents:
            file.seek(sector * SECTOR)
            file.write(data)
    return target


def _header(entries: bytes, total: int) -> bytes:
    def header(checksum: int) -> bytes:
        guid = uuid.UUID(int=99).bytes_le
        fields = (b"EFI PART", 0x10000, 92, checksum, 0, 1, total - 1, 34, total - 34, guid, 2, 128, 128)
        return struct.pack("<8sIIIIQQQQ16sQIII", *fields, zlib.crc32(entries))

    return header(zlib.crc32(header(0)))


def rpm_database(place: Path, packages: Sequence[bytes]) -> bytes:
    """Make rpm's database of package headers as its sqlite backend keeps it, and return its bytes."""
    database = sqlite3.connect(place)
    database.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
    database.executemany("INSERT INTO Packages (blob) VALUES (?)", [(blob,) for blob in packages])
    database.commit()
    database.close()
    return place.read_bytes()


def rpm_header(facts: Mapping[int, str | int | Sequence[str] | Sequence[int]]) -> bytes:
    """Make a package's header (rpm's header format, version 3) of tags: texts, numbers, and lists of them."""
    index, store = b"", b""
    for tag, value in sorted(facts.items()):
        values = [value] if isinstance(value, (str, int)) else list(value)
        if isinstance(values[0], int):
            store += b"\0" * (-len(store) % 4)
            kind, data = 4, b"".join(struct.pack(">I", one) for one in values)
        else:
            kind = 6 if isinstance(value, str) else 8
            data = b"".join(f"{one}\0".encode() for one in values)
        index += struct.pack(">IIII", tag, kind, len(store), len(values))
        store += data
    return struct.pack(">II", len(facts), len(store)) + index + store
