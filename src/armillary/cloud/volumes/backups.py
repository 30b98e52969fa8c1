"""Backups: copies of volumes that outlive them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, select

from armillary.accounts.model import Principal
from armillary.base.clock import Clock
from armillary.base.ids import new_uuid
from armillary.cloud.access import project_of
from armillary.cloud.core.config_drive import AVAILABILITY_ZONE
from armillary.cloud.volumes.backup_work import BackupWork
from armillary.cloud.volumes.creation import NewVolume, VolumeCreation
from armillary.cloud.volumes.model import (
    Backup,
    BackupStatus,
    Snapshot,
    SnapshotStatus,
    Volume,
    VolumeStatus,
)
from armillary.cloud.volumes.paging import Page, count_of, page_of
from armillary.cloud.volumes.quotas import VolumeQuotas
from armillary.cloud.volumes.records import (
    backup_seen,
    refuse,
    save,
    save_backup,
    save_snapshot,
    snapshot_seen,
    volume_seen,
)
from armillary.cloud.volumes.store import BACKUPS, backups

_DELETABLE = (BackupStatus.AVAILABLE, BackupStatus.ERROR)


@dataclass(frozen=True, kw_only=True)
class NewBackup:
    """What somebody wants."""

    volume_id: str
    snapshot_id: str | None = None
    name: str | None = None
    description: str | None = None
    container: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    incremental: bool = False
    force: bool = False


class Backups:
    """Writes, restores and deletes backups."""

    def __init__(
        self,
        *,
        engine: Engine,
        clock: Clock,
        quotas: VolumeQuotas,
        creation: VolumeCreation,
        work: BackupWork,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._quotas = quotas
        self._creation = creation
        self._work = work

    # looking

    def show(self, principal: Principal, backup_id: str) -> Backup:
        """A backup; NotFound if there is none for the principal."""
        with self._reading() as connection:
            return backup_seen(connection, principal, backup_id)

    def list(
        self,
        principal: Principal,
        page: Page,
        *,
        where: Sequence[ColumnElement[bool]] = (),
        all_projects: bool = False,
    ) -> list[Backup]:
        """Backups in a page; all projects' are for administrators."""
        with self._reading() as connection:
            return page_of(
                connection, BACKUPS, [*self._mine(principal, all_projects), *where], page, what="Backup"
            )

    def count(self, principal: Principal, *, where: Sequence[ColumnElement[bool]], all_projects: bool) -> int:
        """How many backups a list has in all its pages."""
        with self._reading() as connection:
            return count_of(connection, BACKUPS, [*self._mine(principal, all_projects), *where])

    @staticmethod
    def _mine(principal: Principal, all_projects: bool) -> list[ColumnElement[bool]]:
        if all_projects and principal.is_cloud_admin:
            return []
        return [backups.c.project_id == project_of(principal).id]

    def parents(self, found: Sequence[Backup]) -> frozenset[str]:
        """Which of these have incremental backups that lean on them."""
        query = select(backups.c.parent_id).where(backups.c.parent_id.in_([backup.id for backup in found]))
        with self._reading() as connection:
            return frozenset(connection.execute(query).scalars())

    # changing

    def create(self, principal: Principal, wanted: NewBackup) -> Backup:
        """Begin to back a volume up.

        Raises:
            NotFound, Invalid, OverLimit: in Cinder's words.
        """
        now = self._clock.now()
        with self._engine.begin() as connection:
            volume = volume_seen(connection, principal, wanted.volume_id)
            snapshot = None
            if wanted.snapshot_id is not None:
                snapshot = snapshot_seen(connection, principal, wanted.snapshot_id)
            _check_backup_possible(volume, snapshot, force=wanted.force)
            parent = _parent(connection, volume) if wanted.incremental else None
            self._quotas.charge_backup(connection, volume.project_id, size=volume.size)
            backup = Backup(
                id=new_uuid(),
                project_id=volume.project_id,
                user_id=principal.person.id,
                volume_id=volume.id,
                snapshot_id=wanted.snapshot_id,
                name=wanted.name,
                description=wanted.description,
                container=wanted.container,
                size=snapshot.size if snapshot else volume.size,
                status=BackupStatus.CREATING,
                availability_zone=AVAILABILITY_ZONE,
                created_at=now,
                updated_at=None,
                data_timestamp=snapshot.created_at if snapshot else now,
                parent_id=parent.id if parent else None,
                bootable=volume.bootable,
                image_metadata=volume.image_metadata,
                metadata=dict(wanted.metadata),
            )
            BACKUPS.add(connection, backup)
            if snapshot is not None:
                save_snapshot(connection, self._clock, snapshot, status=SnapshotStatus.BACKING_UP)
            else:
                save(
                    connection, self._clock, volume,
                    status=VolumeStatus.BACKING_UP, previous_status=volume.status,
                )  # fmt: skip
        self._work.pursue(backup)
        return backup

    def update(self, principal: Principal, backup_id: str, changes: Mapping[str, Any]) -> Backup:
        """Change name, description or metadata."""
        with self._engine.begin() as connection:
            backup = backup_seen(connection, principal, backup_id)
            return save_backup(connection, self._clock, backup, **changes)

    def delete(self, principal: Principal, backup_id: str, *, force: bool = False) -> None:
        """Begin to delete a backup, with `force` in any status.

        Raises:
            NotFound, Invalid: also while incremental ones lean on it.
        """
        with self._engine.begin() as connection:
            backup = backup_seen(connection, principal, backup_id)
            if not force and backup.status not in _DELETABLE:
                raise refuse("Backup status must be available or error", kind="backup")
            if BACKUPS.find(connection, backups.c.parent_id == backup_id):
                raise refuse("Incremental backups exist for this backup.", kind="backup")
            backup = save_backup(connection, self._clock, backup, status=BackupStatus.DELETING)
        self._work.pursue(backup)

    def reset_status(self, principal: Principal, backup_id: str, status: str) -> None:
        """Write another status over a backup's; nothing is done to its bytes."""
        with self._engine.begin() as connection:
            backup = backup_seen(connection, principal, backup_id)
            save_backup(connection, self._clock, backup, status=BackupStatus(status))

    def restore(
        self, principal: Principal, backup_id: str, *, volume_id: str | None, name: str | None
    ) -> Volume:
        """Begin to write a backup over a volume, or into a new one.

        Raises:
            NotFound, Invalid, OverLimit: in Cinder's words.
        """
        with self._engine.begin() as connection:
            backup = backup_seen(connection, principal, backup_id)
            if backup.status is not BackupStatus.AVAILABLE:
                raise refuse("Backup status must be available", kind="backup")
            if volume_id is None:
                wanted = NewVolume(name=name or f"restore_backup_{backup_id}", backup_id=backup_id)
                volume = self._creation.register(connection, principal, wanted)
            else:
                volume = volume_seen(connection, principal, volume_id)
                if volume.status is not VolumeStatus.AVAILABLE:
                    raise refuse("Volume to be restored to must be available")
                if volume.size < backup.size:
                    raise refuse(
                        f"volume size {volume.size} is too small to restore backup of size {backup.size}."
                    )
            volume = save(connection, self._clock, volume, status=VolumeStatus.RESTORING)
            backup = save_backup(
                connection, self._clock, backup, status=BackupStatus.RESTORING, restore_to=volume.id
            )
        self._work.pursue(backup)
        return volume

    def _reading(self) -> AbstractContextManager[Connection]:
        return self._engine.execution_options(readonly=True).connect()


def _check_backup_possible(volume: Volume, snapshot: Snapshot | None, *, force: bool) -> None:
    if snapshot is not None:
        if snapshot.volume_id != volume.id:
            raise refuse(f"Snapshot {snapshot.id} is not of volume {volume.id}.", kind="snapshot")
        if snapshot.status is not SnapshotStatus.AVAILABLE:
            raise refuse(
                f'Snapshot to be backed up must be available, but the current status is "{snapshot.status}".',
                kind="snapshot",
            )
        return
    if volume.status not in (VolumeStatus.AVAILABLE, VolumeStatus.IN_USE):
        raise refuse(
            f'Volume to be backed up must be available or in-use, but the current status is "{volume.status}".'
        )
    if volume.status is VolumeStatus.IN_USE and not force:
        raise refuse("Backing up an in-use volume must use the force flag.")


def _parent(connection: Connection, volume: Volume) -> Backup:
    """The latest backup of a volume, on which an incremental one leans."""
    known = BACKUPS.find(
        connection,
        backups.c.volume_id == volume.id,
        backups.c.project_id == volume.project_id,
        backups.c.status != BackupStatus.ERROR,
        newest_first=True,
    )
    if not known:
        raise refuse("No backups available to do an incremental backup.", kind="backup")
    if known[0].status is not BackupStatus.AVAILABLE:
        raise refuse("The parent backup must be available for incremental backup.", kind="backup")
    return known[0]
