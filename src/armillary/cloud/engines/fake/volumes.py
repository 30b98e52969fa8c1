"""Volumes that are plain sparse files, made without any tool."""

from __future__ import annotations

import os
from pathlib import Path

from armillary.base.units import GiB, format_size, gib_up
from armillary.cloud.engines.copying import copy_sparse
from armillary.cloud.engines.fake.empty_disk import empty_qcow2
from armillary.cloud.engines.keeping import DiskFolder
from armillary.cloud.volumes.ports import DiskFailed

_GIB = 2**30
_SECTOR = 512


class FakeVolumeDisks:
    """Keeps the promises of `VolumeDisks` with true bytes, but for two: it does not decode qcow2 (the file itself
    begins the volume), and an exported image ends where the last written byte does, so that tests need not read
    gibibytes of nothing. A backup with a parent is a whole copy.

    Tests let the next piece of work fail.
    """

    format = "raw"

    def __init__(self, *, directory: Path) -> None:
        self._folder = DiskFolder(directory=directory, suffix=".raw", durable=False)
        self._failure: str | None = None

    def fail_next(self, message: str = "The fake disks were told to fail.") -> None:
        """Let the next `make`, `grow`, `back_up` or `export` raise DiskFailed with this message."""
        self._failure = message

    def path(self, name: str) -> Path:
        return self._folder.path(name)

    def make(self, name: str, size: GiB, *, source: Path | None = None, source_format: str = "") -> None:
        self._perhaps_fail()
        with self._folder.making(self.path(name)) as part:
            if source is None:
                part.touch()
            else:
                if source.stat().st_size > size * _GIB:
                    raise DiskFailed(
                        f"The source needs {format_size(source.stat().st_size)}, and the volume has {size} GiB.",
                        code="volume_too_small",
                    )
                copy_sparse(source, part)
            os.truncate(part, size * _GIB)

    def adopt(self, name: str, file: Path) -> None:
        with self._folder.making(self.path(name)) as part:
            copy_sparse(file, part)
        file.unlink()

    def grow(self, name: str, size: GiB) -> None:
        self._perhaps_fail()
        path = self.path(name)
        if not path.is_file():
            raise DiskFailed("The volume's bytes are gone.", code="volume_missing")
        if path.stat().st_size < size * _GIB:
            os.truncate(path, size * _GIB)

    def back_up(self, name: str, source: str, *, parent: str | None = None) -> None:
        self._perhaps_fail()
        if parent is not None and not self.path(parent).is_file():
            raise DiskFailed("The parent of the backup is gone.", code="volume_missing")
        with self._folder.making(self.path(name)) as part:
            copy_sparse(self.path(source), part)

    def export(self, name: str, target: Path, *, disk_format: str) -> None:
        self._perhaps_fail()
        with self._folder.making(target) as part:
            copy_sparse(self.path(name), part)
            os.truncate(part, max(_SECTOR, -(-_last_written(part) // _SECTOR) * _SECTOR))
            if disk_format == "qcow2":
                part.write_bytes(empty_qcow2(gib_up(self.path(name).stat().st_size), label=name))

    def remove(self, name: str) -> None:
        self._folder.remove(name)

    def names(self) -> frozenset[str]:
        return self._folder.names()

    def _perhaps_fail(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise DiskFailed(failure)


def _last_written(file: Path) -> int:
    """The offset behind the last byte that lies in an extent of the file."""
    with file.open("rb") as opened:
        place, end = 0, file.stat().st_size
        while place < end:
            try:
                place = os.lseek(opened.fileno(), place, os.SEEK_DATA)
            except OSError:  # only a hole is left
                return place
            place = os.lseek(opened.fileno(), place, os.SEEK_HOLE)
        return place
