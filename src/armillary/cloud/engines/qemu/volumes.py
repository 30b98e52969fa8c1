"""Volumes that are qcow2 files, each standing alone: a copy of its image or snapshot, never an overlay of it.

So an image, a snapshot or a source may go while what was made from it lives, nothing has to be counted, and a file
can be taken elsewhere by hand. The price is the copy: as long as the allocated bytes take, or nothing at all where
the file system shares extents. Only an incremental backup leans on its parent.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from armillary.base.units import GiB, format_size
from armillary.cloud.engines.copying import copy_sparse
from armillary.cloud.engines.keeping import DiskFolder
from armillary.cloud.engines.qemu import disks
from armillary.cloud.ports import BootFailed
from armillary.cloud.volumes.ports import DiskFailed

_GIB = 2**30
_QCOW2 = ("-f", "qcow2")


class QemuVolumeDisks:
    """Keeps the promises of `VolumeDisks` with qemu-img."""

    format = "qcow2"

    def __init__(self, *, directory: Path) -> None:
        self._directory = directory
        self._folder = DiskFolder(directory=directory, suffix=".qcow2")

    def path(self, name: str) -> Path:
        return self._folder.path(name)

    def make(self, name: str, size: GiB, *, source: Path | None = None, source_format: str = "") -> None:
        octets = size * _GIB
        with _told(), self._folder.making(self.path(name)) as part:
            if source is None:
                disks.run("qemu-img", "create", "-q", *_QCOW2, str(part), str(octets))
                return
            self._fill(part, source, source_format)
            if (held := disks.virtual_size_of_overlay(part)) > octets:
                raise DiskFailed(
                    f"The source needs {format_size(held)}, and the volume has {size} GiB.",
                    code="volume_too_small",
                    remedy="Make a larger volume.",
                )
            if held < octets:
                disks.run("qemu-img", "resize", "-q", *_QCOW2, str(part), str(octets))

    def _fill(self, part: Path, source: Path, source_format: str) -> None:
        if source.parent == self._directory:
            if _leans(source):
                disks.run("qemu-img", "convert", *_QCOW2, "-O", "qcow2", str(source), str(part))
            else:
                copy_sparse(source, part)
            return
        disks.virtual_size(source, source_format)  # refuses what leans on another file of this computer
        if source_format == "qcow2":
            copy_sparse(source, part)
        else:
            disks.run("qemu-img", "convert", "-f", source_format, "-O", "qcow2", str(source), str(part))

    def adopt(self, name: str, file: Path) -> None:
        with self._folder.making(self.path(name)) as part:
            if file.stat().st_dev == self._directory.stat().st_dev:
                file.replace(part)
            else:
                copy_sparse(file, part)
        file.unlink(missing_ok=True)

    def grow(self, name: str, size: GiB) -> None:
        path = self.path(name)
        if not path.is_file():
            raise DiskFailed("The volume's bytes are gone.", code="volume_missing")
        if disks.virtual_size_of_overlay(path) < size * _GIB:
            with _told():
                disks.run("qemu-img", "resize", "-q", *_QCOW2, str(path), str(size * _GIB))

    def back_up(self, name: str, source: str, *, parent: str | None = None) -> None:
        origin = self.path(source)
        with _told(), self._folder.making(self.path(name)) as part:
            if parent is None:
                copy_sparse(origin, part)
                return
            # an empty overlay of the volume, moved onto the parent, takes up just what differs between the two
            self._must_be_there(source)
            self._must_be_there(parent)
            over = ("-b", origin.name, "-F", "qcow2")
            disks.run("qemu-img", "create", "-q", *_QCOW2, *over, str(part))
            beneath = ("-b", self.path(parent).name, "-F", "qcow2")
            disks.run("qemu-img", "rebase", "-q", *_QCOW2, *beneath, str(part))

    def export(self, name: str, target: Path, *, disk_format: str) -> None:
        self._must_be_there(name)
        with _told(), self._folder.making(target) as part:
            disks.run("qemu-img", "convert", *_QCOW2, "-O", disk_format, str(self.path(name)), str(part))

    def remove(self, name: str) -> None:
        self._folder.remove(name)

    def names(self) -> frozenset[str]:
        return self._folder.names()

    def _must_be_there(self, name: str) -> None:
        if not self.path(name).is_file():
            raise DiskFailed("The bytes that were to be read are gone.", code="volume_missing")


def _leans(file: Path) -> bool:
    """Whether a qcow2 file names a backing file (the header's big-endian offset at 8)."""
    with file.open("rb") as opened:
        return any(opened.read(16)[8:16])


@contextmanager
def _told() -> Generator[None]:
    try:
        yield
    except BootFailed as error:
        said = error.facts.get("said")
        generic = error.code == BootFailed.code and said
        message = f"The volume's bytes could not be written: {said}" if generic else error.message
        raise DiskFailed(message, code=error.code, remedy=error.remedy, facts=error.facts) from error
