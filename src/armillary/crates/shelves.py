"""A crate where it lies: a folder, or a zip file that is read without being unpacked."""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, cast

from armillary.base.errors import ArmillaryError, Invalid, NotFound

_CHUNK = 1 << 20
MAX_PAPER = 64 << 20
MAX_FILES = 2_000_000
MAX_DIRECTORY = 256 << 20
"""bytes of a zip's own list of files: `zipfile` makes objects of it all, some ten times as large"""
_HEADER = 30
"""bytes before the name of a file in a zip"""


@dataclass(frozen=True, kw_only=True)
class Oddity:
    """Something in a crate that no platform makes, whatever the records say."""

    path: str
    code: str
    message: str


class Shelf(Protocol):
    """The files of a crate by their paths, with slashes."""

    def names(self) -> Sequence[str]:
        """Return the paths of all files, also of those that no crate has."""
        ...

    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield a file's bytes. Raises NotFound."""
        ...

    def oddities(self) -> Sequence[Oddity]:
        """Return what is wrong with it as a folder or zip: links, paths that lead out of it, files that share bytes."""
        ...


class Folder:
    """A crate that is unpacked. Links are not followed: what they point to is not in the crate."""

    def __init__(self, *, root: Path) -> None:
        self._root = root

    def names(self) -> Sequence[str]:
        found: list[str] = []
        for folder, _, files in os.walk(self._root):
            found += [Path(folder, name).relative_to(self._root).as_posix() for name in files]
            if len(found) > MAX_FILES:
                raise _too_many()
        return found

    def chunks(self, path: str) -> Iterator[bytes]:
        place = self._root / path
        if not place.is_file() or place.resolve() != self._root.resolve() / path:
            raise NotFound(f"{path} is not in the crate", facts={"path": path})
        with place.open("rb") as file:
            yield from _pieces(file)

    def oddities(self) -> Sequence[Oddity]:
        found: list[Oddity] = []
        for folder, folders, files in os.walk(self._root):
            for name in [*folders, *files]:
                place = Path(folder, name)
                mode, path = place.lstat().st_mode, place.relative_to(self._root).as_posix()
                if stat.S_ISLNK(mode):
                    found.append(_link(path))
                elif not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
                    found.append(Oddity(path=path, code="no_file", message="is neither a file nor a folder"))
        return found


class Zip:
    """A crate in one file."""

    def __init__(self, *, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def names(self) -> Sequence[str]:
        found = [info.filename for info in self._archive.infolist() if not info.is_dir()]
        if len(found) > MAX_FILES:
            raise _too_many()
        return found

    def oddities(self) -> Sequence[Oddity]:
        found: list[Oddity] = []
        end = 0
        for info in sorted(self._archive.infolist(), key=lambda info: info.header_offset):
            name = info.filename
            parts = name.removesuffix("/").split("/")
            if name.startswith("/") or "\\" in name or any(part in {"", ".", ".."} for part in parts):
                found.append(
                    Oddity(path=name, code="unsafe_path", message="would not lie in the crate's folder")
                )
            if stat.S_ISLNK(info.external_attr >> 16):
                found.append(_link(name))
            if info.header_offset < end:
                message = "shares its bytes with another file, as zip bombs do"
                found.append(Oddity(path=name, code="overlap", message=message))
            end = max(end, info.header_offset + _HEADER + len(name.encode()) + info.compress_size)
        return found

    def chunks(self, path: str) -> Iterator[bytes]:
        try:
            if self._archive.getinfo(path).compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                raise _unreadable(path, "it is packed in a way that no crate is")
            file = self._archive.open(path)
        except KeyError as error:
            raise NotFound(f"{path} is not in the crate", facts={"path": path}) from error
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, ValueError) as error:
            raise _unreadable(path, error) from error
        with file:
            try:
                yield from _pieces(file)
            except (zipfile.BadZipFile, OSError, EOFError, ValueError, zlib.error) as error:
                raise _unreadable(path, error) from error


NO_ZIP = (OSError, ValueError, NotImplementedError, zipfile.BadZipFile, struct.error)
"""What `zipfile.ZipFile` raises of bytes that are none, or damaged: NotImplementedError where a version is claimed that it does not know."""


@contextmanager
def open_shelf(place: Path) -> Generator[Shelf]:
    """Open a crate. Raises Invalid when there is none."""
    if place.is_dir():
        yield Folder(root=place)
        return
    with ExitStack() as opened:
        try:
            file = opened.enter_context(place.open("rb"))
            archive = read_zip(file, most=MAX_DIRECTORY, refuse=lambda _size: _too_many())
        except NO_ZIP as error:
            raise Invalid(
                f"{place} is no crate: neither a folder nor a zip file that can be read",
                code="no_crate",
                remedy="Name what `armillary export` wrote.",
            ) from error
        yield Zip(archive=opened.enter_context(archive))


def whole(shelf: Shelf, path: str) -> bytes:
    """Return a small file whole. Raises NotFound, and Invalid when it is not small."""
    found = bytearray()
    for chunk in shelf.chunks(path):
        found += chunk
        if len(found) > MAX_PAPER:
            raise Invalid(f"{path} is larger than such a file can be", code="no_crate", facts={"path": path})
    return bytes(found)


class _Guarded:
    """A file as `zipfile` reads it: never more at once than its list of files may have."""

    def __init__(self, file: IO[bytes], most: int, refuse: Callable[[int], ArmillaryError]) -> None:
        self._file = file
        self._most = most
        self._refuse = refuse

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            here = self._file.tell()
            size = self._file.seek(0, os.SEEK_END) - here
            self._file.seek(here)
        if size > self._most:
            raise self._refuse(size)
        return self._file.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True


def read_zip(file: IO[bytes], *, most: int, refuse: Callable[[int], ArmillaryError]) -> zipfile.ZipFile:
    """Open a zip file; raise what `refuse` makes of a size when its own list of files has more than `most` bytes.

    What a zip says of that at its end can be written so that two readers find two figures. So nobody looks ahead:
    `zipfile` reads the list at once, and that one reading is what has to be small enough.

    Raises:
        Exception: one of NO_ZIP.
    """
    return zipfile.ZipFile(cast("IO[bytes]", _Guarded(file, most, refuse)))


def _link(path: str) -> Oddity:
    return Oddity(path=path, code="link", message="is a link, which leads to bytes that nobody signed")


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk


def _unreadable(path: str, error: object) -> Invalid:
    return Invalid(f"{path} cannot be read: {error}", code="unreadable_file", facts={"path": path})


def _too_many() -> Invalid:
    return Invalid(f"more than {MAX_FILES} files", code="no_crate")
