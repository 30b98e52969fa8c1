"""The database of rpm, as sqlite keeps it (Fedora, Rocky 9 and later), without rpm.

Each row is a package's header: a table of tags over a store of values. Layout after rpm's `docs/manual/format_header.md`.
"""

from __future__ import annotations

import sqlite3
import struct
from typing import Any

from armillary.disks.model import Package

DATABASES = ("usr/lib/sysimage/rpm/rpmdb.sqlite", "var/lib/rpm/rpmdb.sqlite")
UNREAD = {
    "usr/lib/sysimage/rpm/Packages.db": "rpm's database in its own format (ndb) is not read",
    "var/lib/rpm/Packages": "rpm's database in Berkeley's format is not read",
}
_NAME, _VERSION, _RELEASE, _EPOCH, _ARCH = 1000, 1001, 1002, 1003, 1022
_DIRINDEX, _BASENAME, _DIRNAME = 1116, 1117, 1118
_INT32, _STRING, _STRINGS, _I18N = 4, 6, 8, 9
_MOST_TAGS = 65_536


def installed(path: str, content: bytes) -> tuple[list[Package], dict[str, str], list[str]]:
    """Return the packages, the package of each path, and what could not be read."""
    packages: list[Package] = []
    owners: dict[str, str] = {}
    problems: list[str] = []
    # bytes 18 and 19 ask for a journal beside the file; there is none, and none is needed to read
    plain = content[:18] + b"\x01\x01" + content[20:]
    database = sqlite3.connect(":memory:")
    try:
        database.deserialize(plain)
        for (blob,) in database.execute("SELECT blob FROM Packages ORDER BY hnum"):
            try:
                values = header(blob)
                name = str(values[_NAME])
                version = f"{values[_VERSION]}-{values[_RELEASE]}"
                if values.get(_EPOCH):
                    version = f"{values[_EPOCH][0]}:{version}"
                packages.append(
                    Package(source="rpm", name=name, version=version, architecture=str(values.get(_ARCH, "")))
                )
                owners |= dict.fromkeys(_files(values), name)
            except (KeyError, IndexError, TypeError, ValueError, struct.error):
                problems.append(f"/{path}: a package's record cannot be read")
    except (sqlite3.Error, MemoryError) as error:
        problems.append(f"/{path}: {error}")
    finally:
        database.close()
    return packages, owners, problems


def header(blob: bytes) -> dict[int, Any]:
    """Return the tags of one package's header that we ask for."""
    count, length = struct.unpack_from(">II", blob)
    if count > _MOST_TAGS or 8 + 16 * count + length > len(blob):
        raise ValueError("a header that does not fit itself")
    store = blob[8 + 16 * count :][:length]
    asked = {_NAME, _VERSION, _RELEASE, _EPOCH, _ARCH, _DIRINDEX, _BASENAME, _DIRNAME}
    values: dict[int, Any] = {}
    for index in range(count):
        tag, kind, offset, number = struct.unpack_from(">IIII", blob, 8 + 16 * index)
        if tag not in asked or number > length:
            continue
        if kind == _INT32:
            values[tag] = struct.unpack_from(f">{number}I", store, offset)
        elif kind in (_STRING, _STRINGS, _I18N):
            texts = [text.decode(errors="surrogateescape") for text in _texts(store, offset, number)]
            values[tag] = texts[0] if kind == _STRING else texts
    return values


def _texts(store: bytes, offset: int, number: int) -> list[bytes]:
    texts: list[bytes] = []
    for _ in range(number):
        end = store.index(b"\0", offset)
        texts.append(store[offset:end])
        offset = end + 1
    return texts


def _files(values: dict[int, Any]) -> list[str]:
    folders = values.get(_DIRNAME, [])
    pairs = zip(values.get(_BASENAME, []), values.get(_DIRINDEX, []), strict=True)
    return [f"{folders[index]}{name}".lstrip("/") for name, index in pairs]
