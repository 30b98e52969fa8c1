"""Copies of volumes as they are at one moment, whether or not somebody writes to them."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine

from armillary.base.ids import VolumeId
from armillary.base.units import GiB
from armillary.cloud.volumes.names import volume_name
from armillary.cloud.volumes.ports import DiskFailed, Holder, VolumeDisks
from armillary.cloud.volumes.records import server_of

_ATTEMPTS = 3


class Moments:
    """Catches a volume's bytes."""

    def __init__(self, *, engine: Engine, disks: VolumeDisks, holder: Holder) -> None:
        self._engine = engine
        self._disks = disks
        self._holder = holder

    def catch(self, volume_id: VolumeId, name: str, size: GiB) -> None:
        """Copy a volume to `name`: through the machine that has it open, else as its file lies.

        A file that was written to while it was copied, because a machine came to have it meanwhile, is no moment: it
        is copied again.

        Raises:
            DiskFailed, BootFailed: nothing new is under `name`.
        """
        origin = self._disks.path(volume_name(volume_id))
        through = self._disks.path(name).with_suffix(".moment.part")
        for _ in range(_ATTEMPTS):
            with self._engine.execution_options(readonly=True).connect() as connection:
                server_id = server_of(connection, volume_id)
            if server_id is not None and self._holder.copy_volume(server_id, volume_id, through):
                self._disks.adopt(name, through)
                return
            before = _trace(origin)
            self._disks.make(name, size, source=origin, source_format=self._disks.format)
            if _trace(origin) == before:
                return
        self._disks.remove(name)
        raise DiskFailed("The volume was written to while it was being copied.", code="volume_written")


def _trace(file: Path) -> tuple[int, int] | None:
    """What changes with every write to a file."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size
