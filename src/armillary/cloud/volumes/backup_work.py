"""What is done to backups' bytes in the background; see `lifecycle` for the rules of such jobs."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager

from sqlalchemy import Connection, Engine

from armillary.base.clock import Clock
from armillary.base.errors import ArmillaryError
from armillary.base.ids import VolumeId
from armillary.cloud.compute.strands import Strands
from armillary.cloud.volumes import records
from armillary.cloud.volumes.lifecycle import VolumeWork, foreign_code, words
from armillary.cloud.volumes.model import Backup, BackupStatus, SnapshotStatus, VolumeStatus
from armillary.cloud.volumes.moments import Moments
from armillary.cloud.volumes.names import backup_name, moment_name, snapshot_name, volume_name
from armillary.cloud.volumes.ports import DiskFailed, VolumeDisks
from armillary.cloud.volumes.records import save, save_backup, save_snapshot, tell
from armillary.cloud.volumes.store import BACKUPS, SNAPSHOTS, VOLUMES, backups

log = logging.getLogger(__name__)

_INTERRUPTED = "the platform ended while the backup was being written"


class BackupWork:
    """Writes, restores and removes backups."""

    def __init__(
        self,
        *,
        engine: Engine,
        clock: Clock,
        disks: VolumeDisks,
        moments: Moments,
        work: VolumeWork,
        strands: Strands,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._disks = disks
        self._moments = moments
        self._work = work
        self._strands = strands

    def pursue(self, backup: Backup) -> None:
        """Queue the work that a backup's status stands for."""
        jobs = {
            BackupStatus.CREATING: (self._write, True),
            BackupStatus.RESTORING: (self._restore, True),
            BackupStatus.DELETING: (self._remove, False),
        }
        job, slow = jobs[backup.status]
        self._strands.submit(backup.volume_id, lambda: job(backup.id), slow=slow)

    def _write(self, backup_id: str) -> None:
        with self._reading() as connection:
            backup = self._with(connection, backup_id, BackupStatus.CREATING)
            volume = VOLUMES.get(connection, backup.volume_id) if backup else None
            refused = self._work.no_room(connection, 0)
        if backup is None:
            return
        moment = moment_name(backup_id)
        try:
            if refused is not None or volume is None:
                raise DiskFailed(refused or "The volume is gone.", code="no_room_for_volume")
            with foreign_code():
                source = volume_name(volume.id)
                if backup.snapshot_id is not None:
                    source = snapshot_name(backup.snapshot_id)
                elif volume.previous_status is VolumeStatus.IN_USE:
                    self._moments.catch(volume.id, moment, volume.size)
                    source = moment
                parent = backup_name(backup.parent_id) if backup.parent_id else None
                self._disks.back_up(backup_name(backup_id), source, parent=parent)
        except (ArmillaryError, OSError) as error:
            self._written(backup, BackupStatus.ERROR, words(error))
            return
        finally:
            self._disks.remove(moment)
        self._written(backup, BackupStatus.AVAILABLE)

    def _written(self, backup: Backup, status: BackupStatus, why: str = "") -> None:
        """Write what became of a backup, and give its volume or snapshot back."""
        with self._engine.begin() as connection:
            volume = VOLUMES.get(connection, backup.volume_id)
            if backup.snapshot_id is not None:
                snapshot = SNAPSHOTS.get(connection, backup.snapshot_id)
                if snapshot is not None and snapshot.status is SnapshotStatus.BACKING_UP:
                    save_snapshot(connection, self._clock, snapshot, status=SnapshotStatus.AVAILABLE)
            elif volume is not None and volume.status is VolumeStatus.BACKING_UP:
                back = volume.previous_status or VolumeStatus.AVAILABLE
                save(connection, self._clock, volume, status=back, previous_status=None)
            current = self._with(connection, backup.id, BackupStatus.CREATING)
            if current is not None:
                save_backup(connection, self._clock, current, status=status, fail_reason=why or None)
                self._tell(connection, current, records.BACKING_UP, why)

    def _restore(self, backup_id: str) -> None:
        with self._reading() as connection:
            backup = self._with(connection, backup_id, BackupStatus.RESTORING)
            volume = VOLUMES.get(connection, backup.restore_to) if backup and backup.restore_to else None
            # what a new volume takes is counted only when it has its bytes
            more = volume.size if volume and not volume.placed else 0
            refused = self._work.no_room(connection, more)
        if backup is None:
            return
        why = ""
        try:
            if refused is not None or volume is None:
                raise DiskFailed(refused or "The volume is gone.", code="no_room_for_volume")
            with foreign_code():
                source, kind = self._disks.path(backup_name(backup_id)), self._disks.format
                self._disks.make(volume_name(volume.id), volume.size, source=source, source_format=kind)
        except (ArmillaryError, OSError) as error:
            why = words(error)
        with self._engine.begin() as connection:
            self._restored(connection, backup, volume.id if volume else None, why)

    def _restored(self, connection: Connection, backup: Backup, volume_id: VolumeId | None, why: str) -> None:
        volume = VOLUMES.get(connection, volume_id) if volume_id else None
        if volume is not None and volume.status is VolumeStatus.RESTORING:
            status = VolumeStatus.ERROR_RESTORING if why else VolumeStatus.AVAILABLE
            save(
                connection, self._clock, volume, status=status, placed=volume.placed or not why,
                bootable=backup.bootable or volume.bootable,
                image_metadata=backup.image_metadata or volume.image_metadata,
            )  # fmt: skip
        current = self._with(connection, backup.id, BackupStatus.RESTORING)
        if current is not None:
            save_backup(connection, self._clock, current, status=BackupStatus.AVAILABLE, restore_to=None)
            self._tell(connection, current, records.RESTORING, why)

    def _remove(self, backup_id: str) -> None:
        with self._reading() as connection:
            backup = self._with(connection, backup_id, BackupStatus.DELETING)
        if backup is None:
            return
        try:
            with foreign_code():
                self._disks.remove(backup_name(backup_id))
        except (ArmillaryError, OSError) as error:
            with self._engine.begin() as connection:
                current = self._with(connection, backup_id, BackupStatus.DELETING)
                if current is not None:
                    why = words(error)
                    save_backup(
                        connection, self._clock, current, status=BackupStatus.ERROR_DELETING, fail_reason=why
                    )
            return
        with self._engine.begin() as connection:
            BACKUPS.remove(connection, backups.c.id == backup_id)

    def _tell(self, connection: Connection, backup: Backup, action: str, why: str) -> None:
        if why:
            log.warning("backup %s: %s", backup.id, why)
            tell(
                connection, self._clock, project_id=backup.project_id, kind="VOLUME_BACKUP",
                resource_id=backup.id, action=action, why=why,
            )  # fmt: skip

    def recover(self) -> None:
        """Give up the backups that a restart interrupted: their moments have passed."""
        with self._reading() as connection:
            begun = BACKUPS.find(connection, backups.c.status == BackupStatus.CREATING)
        for backup in begun:
            if not self._strands.busy(backup.volume_id):
                self._disks.remove(backup_name(backup.id))
                self._written(backup, BackupStatus.ERROR, _INTERRUPTED)

    def reconcile(self) -> None:
        """Go on with what can be done again: restoring and deleting."""
        with self._reading() as connection:
            waiting = BACKUPS.find(
                connection, backups.c.status.in_([BackupStatus.RESTORING, BackupStatus.DELETING])
            )
        for backup in waiting:
            if not self._strands.busy(backup.volume_id):
                self.pursue(backup)

    def _with(self, connection: Connection, backup_id: str, status: BackupStatus) -> Backup | None:
        backup = BACKUPS.get(connection, backup_id)
        return backup if backup is not None and backup.status is status else None

    def _reading(self) -> AbstractContextManager[Connection]:
        return self._engine.execution_options(readonly=True).connect()
