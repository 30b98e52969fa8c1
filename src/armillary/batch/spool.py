"""The spool: a folder of files named after their SHA-256."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import tempfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from armillary.base.errors import Invalid, NotFound, OutOfSpace, PreconditionFailed, TooLarge
from armillary.base.units import Bytes, format_size
from armillary.batch.ports import Blob, BlobWriter

MAX_BLOB = Bytes(64 * 2**30)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_ASIDE = "aside-"


class FolderSpool:
    """The `Spool` port over a folder; both parts of a name are on disk before `commit` returns."""

    def __init__(self, *, directory: Path, max_blob: Bytes = MAX_BLOB) -> None:
        self._directory = directory
        self._incoming = directory / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)
        self._max = max_blob

    @contextmanager
    def writer(self) -> Generator[BlobWriter]:
        handle, name = tempfile.mkstemp(dir=self._incoming)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                yield _Writer(self, file.fileno(), temporary, self._max)
        finally:
            temporary.unlink(missing_ok=True)

    def missing(self, digests: Iterable[str]) -> list[str]:
        return [d for d in dict.fromkeys(digests) if not self.place(d).exists()]

    def path(self, sha256: str) -> Path:
        place = self.place(sha256)
        if not place.exists():
            raise NotFound(f"the spool has no blob {sha256}", facts={"sha256": sha256})
        return place

    def place(self, sha256: str) -> Path:
        """Return where a blob lives, be it there or not. Raises Invalid for what is no digest."""
        if not _DIGEST.fullmatch(sha256):
            raise Invalid(f"not a SHA-256: {sha256!r}", facts={"field": "sha256"})
        return self._directory / sha256[:2] / sha256

    def sweep(self) -> int:
        """Remove what crashes left half written. Call it before anybody writes; returns how many."""
        left = list(self._incoming.iterdir())
        for file in left:
            if file.name.startswith(_ASIDE):  # killed while it was decided whether this goes: it stays
                place = self.place(file.name.removeprefix(_ASIDE))
                place.parent.mkdir(exist_ok=True)
                file.replace(place)
            else:
                file.unlink(missing_ok=True)
        return len(left)

    def older(self, before: datetime) -> Iterator[tuple[str, int]]:
        """Yield digest and size of the blobs that nobody has sent since a moment. Empty ones make no room."""
        for folder in sorted(self._directory.glob("[0-9a-f][0-9a-f]")):
            with os.scandir(folder) as entries:
                for entry in entries:
                    about = entry.stat(follow_symlinks=False)
                    old = about.st_size and about.st_mtime < before.timestamp()
                    if old and _DIGEST.fullmatch(entry.name):
                        yield entry.name, about.st_size

    def remove(self, sha256: str, before: datetime) -> bool:
        """Remove a blob, unless somebody sends it again at this moment; returns whether it is gone."""
        place, aside = self.place(sha256), self._incoming / f"{_ASIDE}{sha256}"
        try:
            place.rename(aside)
        except FileNotFoundError:
            return False
        try:
            if aside.stat().st_mtime >= before.timestamp():
                aside.replace(place)
                return False
            aside.unlink()
        except FileNotFoundError:  # a platform that starts at this moment has put it back
            return False
        return True


class _Writer:
    def __init__(self, spool: FolderSpool, handle: int, temporary: Path, limit: int) -> None:
        self._spool = spool
        self._handle = handle
        self._temporary = temporary
        self._limit = limit
        self._hash = hashlib.sha256()
        self._size = 0

    def write(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > self._limit:
            raise TooLarge(
                f"a file may have {format_size(self._limit)}",
                facts={"limit": self._limit},
                remedy="Put large data into VOSpace and name it by its vos: URI.",
            )
        self._hash.update(chunk)
        with _disk():
            view = memoryview(chunk)
            while view:
                view = view[os.write(self._handle, view) :]

    def commit(self, expected: str | None = None) -> Blob:
        found = self._hash.hexdigest()
        if expected is not None and found != expected:
            raise PreconditionFailed(
                "the bytes that arrived do not have the digest that was announced",
                code="digest_mismatch",
                facts={"expected": expected, "found": found, "size": self._size},
                remedy="Send the file again.",
            )
        place = self._spool.place(found)
        with _disk():
            os.fsync(self._handle)
            place.parent.mkdir(exist_ok=True)
            self._temporary.replace(place)
            for folder in (place.parent, place.parent.parent):
                _sync_folder(folder)
        return Blob(sha256=found, size=self._size)


@contextmanager
def _disk() -> Generator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise OutOfSpace(
                "the disk of the spool is full", remedy="Free space on the platform's disk."
            ) from error
        raise


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # some file systems refuse fsync on a folder
            os.fsync(handle)
    finally:
        os.close(handle)
