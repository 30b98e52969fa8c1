"""What is done to volumes' bytes in the background.

Each job reads the record first and acts only if its status still stands there, so that a job may be run twice, or
late, or after a kill, without harm. The outcome is written in one transaction, and only over that same status.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, delete, select

from armillary.base.clock import Clock
from armillary.base.errors import ArmillaryError
from armillary.base.ids import Sha512, VolumeId
from armillary.base.units import GiB
from armillary.cloud.compute.strands import Strands
from armillary.cloud.records import Records
from armillary.cloud.volumes import records
from armillary.cloud.volumes.model import Volume, VolumeStatus
from armillary.cloud.volumes.moments import Moments
from armillary.cloud.volumes.names import backup_name, moment_name, snapshot_name, volume_name
from armillary.cloud.volumes.ports import DiskFailed, Holder, Images, VolumeDisks
from armillary.cloud.volumes.records import save, tell
from armillary.cloud.volumes.store import (
    BACKUPS,
    SNAPSHOTS,
    VOLUMES,
    attachments,
    gigabytes_of_servers,
    gigabytes_placed,
    transfers,
    volumes,
)

log = logging.getLogger(__name__)

_MAKING = (VolumeStatus.CREATING, VolumeStatus.DOWNLOADING)


class VolumeWork:
    """Makes, grows, copies and removes volumes, and records what came of it."""

    def __init__(
        self,
        *,
        engine: Engine,
        clock: Clock,
        disks: VolumeDisks,
        holder: Holder,
        images: Images,
        moments: Moments,
        strands: Strands,
        directory: Path,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._disks = disks
        self._holder = holder
        self._images = images
        self._moments = moments
        self._strands = strands
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        for file in directory.iterdir():
            file.unlink()  # images that a killed process was writing

    def pursue(self, volume: Volume) -> None:
        """Queue the work that a volume's status stands for."""
        work: dict[VolumeStatus, Callable[[VolumeId], None]] = {
            VolumeStatus.CREATING: self.create,
            VolumeStatus.DOWNLOADING: self.create,
            VolumeStatus.DELETING: self.remove,
            VolumeStatus.EXTENDING: self.extend,
            VolumeStatus.REVERTING: self.revert,
            VolumeStatus.UPLOADING: self.upload,
        }
        job = work[volume.status]
        slow = volume.status is not VolumeStatus.DELETING
        self._strands.submit(volume.id, lambda: job(volume.id), slow=slow)

    def room(self, connection: Connection) -> tuple[int, int]:
        """GiB of the cloud's disk: in all, and taken."""
        used = gigabytes_placed(connection) + gigabytes_of_servers(connection)
        return int(self._holder.capacity().disk), used

    def no_room(self, connection: Connection, more: int) -> str | None:
        """Why the cloud's disk cannot take so many GiB more; None if it can."""
        whole, used = self.room(connection)
        if used + more <= whole:
            return None
        return (
            "Could not find any available weighted backend. There is not enough room on this cloud "
            f"({more} GiB asked, {max(0, whole - used)} GiB of {whole} GiB free)."
        )

    def create(self, volume_id: VolumeId) -> None:
        """Place a new volume, and make its bytes."""
        with self._engine.begin() as connection:
            volume = self._with(connection, volume_id, *_MAKING)
            if volume is None:
                return
            if not volume.placed:
                refused = self.no_room(connection, volume.size)
                if refused is not None:
                    self._fail(connection, volume, VolumeStatus.ERROR, refused, records.SCHEDULING)
                    return
            status = VolumeStatus.DOWNLOADING if volume.source.image_id else VolumeStatus.CREATING
            volume = save(connection, self._clock, volume, status=status, placed=True)
        action = records.FROM_IMAGE if volume.source.image_id else records.MAKING
        with self._failing_as(volume, VolumeStatus.ERROR, action):
            self._fill(volume)
            self._settle(volume, status=None)  # available, or reserved if it was written anew for a server

    def _fill(self, volume: Volume) -> None:
        source, name = volume.source, volume_name(volume.id)
        if source.image_sha512 is not None:
            image = self._images.blob(Sha512(source.image_sha512))
            self._disks.make(name, volume.size, source=image, source_format=source.image_format)
        elif source.volume_id is not None:
            with self._reading() as connection:
                origin = VOLUMES.get(connection, source.volume_id)
            if origin is None:
                raise DiskFailed("The source volume is gone.", code="volume_missing")
            self._moments.catch(origin.id, name, origin.size)
            self._disks.grow(name, volume.size)
        elif source.snapshot_id is not None:
            self._disks.make(name, volume.size, **self._ours(snapshot_name(source.snapshot_id)))
        elif source.backup_id is not None:
            self._disks.make(name, volume.size, **self._ours(backup_name(source.backup_id)))
        else:
            self._disks.make(name, volume.size)

    def _ours(self, name: str) -> dict[str, Any]:
        return {"source": self._disks.path(name), "source_format": self._disks.format}

    def extend(self, volume_id: VolumeId) -> None:
        """Make a volume as large as it was asked to become; a running machine sees it grow."""
        with self._engine.begin() as connection:
            volume = self._with(connection, volume_id, VolumeStatus.EXTENDING)
            if volume is None or volume.target is None:
                return
            size = GiB(int(volume.target))
            refused = self.no_room(connection, size - volume.size)
            if refused is not None:
                self._fail(connection, volume, None, refused, records.EXTENDING)
                return
            server_id = records.server_of(connection, volume_id)
        with self._failing_as(volume, VolumeStatus.ERROR_EXTENDING, records.EXTENDING):
            if server_id is None or not self._holder.grow_volume(server_id, volume_id, size):
                self._disks.grow(volume_name(volume_id), size)
            self._settle(volume, status=None, size=size, target=None)

    def revert(self, volume_id: VolumeId) -> None:
        """Give a volume the bytes of a snapshot back."""
        with self._reading() as connection:
            volume = self._with(connection, volume_id, VolumeStatus.REVERTING)
            snapshot = SNAPSHOTS.get(connection, volume.target) if volume and volume.target else None
        if volume is None:
            return
        with self._failing_as(volume, VolumeStatus.ERROR, records.MAKING):
            if snapshot is None:
                raise DiskFailed("The snapshot is gone.", code="volume_missing")
            self._disks.make(volume_name(volume_id), volume.size, **self._ours(snapshot_name(snapshot.id)))
            self._settle(volume, status=VolumeStatus.AVAILABLE, target=None)

    def upload(self, volume_id: VolumeId) -> None:
        """Write a volume into the image that waits for it."""
        with self._reading() as connection:
            volume = self._with(connection, volume_id, VolumeStatus.UPLOADING)
        if volume is None or volume.target is None:
            return
        image_id, _, disk_format = volume.target.partition(" ")
        file, moment = self._directory / image_id, moment_name(volume_id)
        try:
            with self._failing_as(volume, None, records.TO_IMAGE):
                name = volume_name(volume_id)
                if volume.previous_status is VolumeStatus.IN_USE:
                    self._moments.catch(volume_id, moment, volume.size)
                    name = moment
                self._disks.export(name, file, disk_format=disk_format)
                self._images.commit_snapshot(image_id, file)
                self._settle(volume, status=None, target=None)
        finally:
            file.unlink(missing_ok=True)
            self._disks.remove(moment)
            self._images.fail_snapshot(image_id, "the volume could not be copied")

    def remove(self, volume_id: VolumeId) -> None:
        """Delete a volume's bytes, its snapshots that are to go with it, and its record."""
        with self._reading() as connection:
            volume = self._with(connection, volume_id, VolumeStatus.DELETING)
            if volume is None:
                return
            snapshots = SNAPSHOTS.find(connection, SNAPSHOTS.table.c.volume_id == volume_id)
        with self._failing_as(volume, VolumeStatus.ERROR_DELETING, records.MAKING):
            for snapshot in snapshots:
                self._disks.remove(snapshot_name(snapshot.id))
            self._disks.remove(volume_name(volume_id))
            with self._engine.begin() as connection:
                SNAPSHOTS.remove(connection, SNAPSHOTS.table.c.volume_id == volume_id)
                connection.execute(delete(attachments).where(attachments.c.volume_id == volume_id))
                connection.execute(delete(transfers).where(transfers.c.volume_id == volume_id))
                VOLUMES.remove(connection, volumes.c.id == volume_id)

    def sweep(self) -> None:
        """Remove bytes that no record names: what was deleted while a process was killed, and moments."""
        kept = self._disks.names()
        with self._reading() as connection:
            named = {volume_name(row) for row in _ids(connection, VOLUMES)}
            named |= {snapshot_name(row) for row in _ids(connection, SNAPSHOTS)}
            named |= {backup_name(row) for row in _ids(connection, BACKUPS)}
        for name in kept - named:
            log.warning("%s belongs to no volume: removed", name)
            self._disks.remove(name)

    def _reading(self) -> AbstractContextManager[Connection]:
        return self._engine.execution_options(readonly=True).connect()

    def _with(self, connection: Connection, volume_id: str, *statuses: VolumeStatus) -> Volume | None:
        volume = VOLUMES.get(connection, volume_id)
        return volume if volume is not None and volume.status in statuses else None

    def _settle(self, volume: Volume, *, status: VolumeStatus | None, **changes: Any) -> None:
        """Write an outcome, unless something else (a forced deletion) has taken the volume over meanwhile.

        Without a status it returns to the one it had: read again, for its server may have gone during the work.
        """
        with self._engine.begin() as connection:
            current = self._with(connection, volume.id, volume.status)
            if current is not None:
                after = status or _before(current)
                save(connection, self._clock, current, status=after, previous_status=None, **changes)

    def _fail(
        self, connection: Connection, volume: Volume, status: VolumeStatus | None, why: str, action: str
    ) -> None:
        log.warning("volume %s: %s", volume.id, why)
        tell(
            connection, self._clock, project_id=volume.project_id, kind="VOLUME", resource_id=volume.id,
            action=action, why=why,
        )  # fmt: skip
        after = status or _before(volume)
        save(connection, self._clock, volume, status=after, previous_status=None, target=None)

    @contextmanager
    def _failing_as(self, volume: Volume, status: VolumeStatus | None, action: str) -> Generator[None]:
        """Write what goes wrong in the block into the volume's status, and tell its project."""
        try:
            with foreign_code():
                yield
        except (ArmillaryError, OSError) as error:
            with self._engine.begin() as connection:
                current = self._with(connection, volume.id, volume.status)
                if current is not None:
                    self._fail(connection, current, status, words(error), action)


def _before(volume: Volume) -> VolumeStatus:
    """What a volume was before the work on it began."""
    return volume.previous_status or VolumeStatus.AVAILABLE


def _ids(connection: Connection, table: Records[Any]) -> list[str]:
    return list(connection.execute(select(table.table.c.id)).scalars())


@contextmanager
def foreign_code() -> Generator[None]:
    """Turn what disks should not raise into what they may: a volume must never hang in a status because of it."""
    try:
        yield
    except (ArmillaryError, OSError):
        raise
    except Exception as error:
        log.exception("a volume's disk failed in an unforeseen way")
        raise DiskFailed(f"The disk failed in an unforeseen way: {error}") from error


def words(error: ArmillaryError | OSError) -> str:
    """What a person reads of an error."""
    return error.message if isinstance(error, ArmillaryError) else str(error)
