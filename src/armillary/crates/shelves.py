"""A crate where it lies: a folder, or a zip file that is read without being unpacked."""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from armillary.base.errors import Invalid, NotFound

_CHUNK = 1 << 20
MAX_PAPER = 64 << 20
MAX_FILES = 2_000_000


class Shelf(Protocol):
    """The files of a crate by their paths, with slashes."""

    def names(self) -> Sequence[str]:
        """Return the paths of all files, also of those that no crate has."""
        ...

    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield a file's bytes. Raises NotFound."""
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
        if not place.is_file() or stat.S_ISLNK(place.lstat().st_mode):
            raise NotFound(f"{path} is not in the crate", facts={"path": path})
        with place.open("rb") as file:
            yield from _pieces(file)


class Zip:
    """A crate in one file."""

    def __init__(self, *, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def names(self) -> Sequence[str]:
        found = [info.filename for info in self._archive.infolist() if not info.is_dir()]
        if len(found) > MAX_FILES:
            raise _too_many()
        return found

    def chunks(self, path: str) -> Iterator[bytes]:
        try:
            file = self._archive.open(path)
        except KeyError as error:
            raise NotFound(f"{path} is not in the crate", facts={"path": path}) from error
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise _unreadable(path, error) from error
        with file:
            try:
                yield from _pieces(file)
            except (zipfile.BadZipFile, OSError, EOFError, ValueError) as error:
                raise _unreadable(path, error) from error


@contextmanager
def open_shelf(place: Path) -> Generator[Shelf]:
    """Open a crate. Raises Invalid when there is none."""
    if place.is_dir():
        yield Folder(root=place)
        return
    try:
        archive = zipfile.ZipFile(place)
    except (OSError, zipfile.BadZipFile) as error:
        raise Invalid(
            f"{place} is no crate: neither a folder nor a zip file that can be read",
            code="no_crate",
            remedy="Name what `armillary export` wrote.",
        ) from error
    with archive:
        yield Zip(archive=archive)


def whole(shelf: Shelf, path: str) -> bytes:
    """Return a small file whole. Raises NotFound, and Invalid when it is not small."""
    found = bytearray()
    for chunk in shelf.chunks(path):
        found += chunk
        if len(found) > MAX_PAPER:
            raise Invalid(f"{path} is larger than such a file can be", code="no_crate", facts={"path": path})
    return bytes(found)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk


def _unreadable(path: str, error: Exception) -> Invalid:
    return Invalid(f"{path} cannot be read: {error}", code="unreadable_file", facts={"path": path})


def _too_many() -> Invalid:
    return Invalid(f"more than {MAX_FILES} files", code="no_crate")
