"""Snapshots: volumes' bytes as they were at one moment."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine

from armillary.accounts.model import Principal
from armillary.base.clock import Clock
from armillary.base.errors import ArmillaryError, NotFound
from armillary.base.ids import new_uuid
from armillary.cloud.access import project_of
from armillary.cloud.compute.strands import Strands
from armillary.cloud.volumes import records
from armillary.cloud.volumes.lifecycle import VolumeWork, foreign_code, words
from armillary.cloud.volumes.model import Snapshot, SnapshotStatus, Volume, VolumeStatus
from armillary.cloud.volumes.moments import Moments
from armillary.cloud.volumes.names import snapshot_name
from armillary.cloud.volumes.paging import Page, count_of, page_of
from armillary.cloud.volumes.ports import DiskFailed, VolumeDisks
from armillary.cloud.volumes.quotas import VolumeQuotas
from armillary.cloud.volumes.records import refuse, save_snapshot, snapshot_seen, tell, volume_seen
from armillary.cloud.volumes.store import SNAPSHOTS, VOLUMES, snapshots
from armillary.cloud.volumes.types import Types

log = logging.getLogger(__name__)

_INTERRUPTED = "the platform ended while the snapshot was being taken"
_IN_USE_TOO = frozenset({VolumeStatus.AVAILABLE, VolumeStatus.IN_USE})
_DELETABLE = (SnapshotStatus.AVAILABLE, SnapshotStatus.ERROR)


class Snapshots:
    """Takes, keeps and deletes snapshots."""

    def __init__(
        self,
        *,
        engine: Engine,
        clock: Clock,
        disks: VolumeDisks,
        moments: Moments,
        quotas: VolumeQuotas,
        types: Types,
        work: VolumeWork,
        strands: Strands,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._disks = disks
        self._moments = moments
        self._quotas = quotas
        self._types = types
        self._work = work
        self._strands = strands

    def show(self, principal: Principal, snapshot_id: str) -> Snapshot:
        """A snapshot; NotFound if there is none for the principal."""
        with self._reading() as connection:
            return snapshot_seen(connection, principal, snapshot_id)

    def list(
        self,
        principal: Principal,
        page: Page,
        *,
        where: Sequence[ColumnElement[bool]] = (),
        all_projects: bool = False,
    ) -> list[Snapshot]:
        """Snapshots in a page; all projects' are for administrators."""
        with self._reading() as connection:
            return page_of(
                connection, SNAPSHOTS, [*self._mine(principal, all_projects), *where], page, what="Snapshot"
            )

    def count(self, principal: Principal, *, where: Sequence[ColumnElement[bool]], all_projects: bool) -> int:
        """How many snapshots a list has in all its pages."""
        with self._reading() as connection:
            return count_of(connection, SNAPSHOTS, [*self._mine(principal, all_projects), *where])

    @staticmethod
    def _mine(principal: Principal, all_projects: bool) -> list[ColumnElement[bool]]:
        if all_projects and principal.is_cloud_admin:
            return []
        return [snapshots.c.project_id == project_of(principal).id]

    def create(
        self,
        principal: Principal,
        volume_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        metadata: Mapping[str, str] | None = None,
        force: bool = False,
    ) -> Snapshot:
        """Begin to take a snapshot; of a volume that a server has only with `force`.

        Raises:
            NotFound, Invalid, OverLimit: in Cinder's words.
        """
        now = self._clock.now()
        with self._engine.begin() as connection:
            volume = volume_seen(connection, principal, volume_id)
            _check_snapshot_possible(volume, force=force)
            type_name = self._types.names(connection).get(volume.volume_type_id, "")
            self._quotas.charge_snapshot(connection, volume.project_id, size=volume.size, type_name=type_name)
            snapshot = Snapshot(
                id=new_uuid(),
                project_id=volume.project_id,
                user_id=principal.person.id,
                volume_id=volume.id,
                name=name,
                description=description,
                size=volume.size,
                status=SnapshotStatus.CREATING,
                created_at=now,
                updated_at=None,
                metadata=dict(metadata or {}),
            )
            SNAPSHOTS.add(connection, snapshot)
        self._strands.submit(volume.id, lambda: self._take(snapshot.id), slow=True)
        return snapshot

    def update(self, principal: Principal, snapshot_id: str, changes: Mapping[str, Any]) -> Snapshot:
        """Change name, description or metadata."""
        with self._engine.begin() as connection:
            snapshot = snapshot_seen(connection, principal, snapshot_id)
            return save_snapshot(connection, self._clock, snapshot, **changes)

    def delete_metadata(self, principal: Principal, snapshot_id: str, key: str) -> None:
        """Remove one item; NotFound if it is none."""
        with self._engine.begin() as connection:
            snapshot = snapshot_seen(connection, principal, snapshot_id)
            if key not in snapshot.metadata:
                raise NotFound(
                    f"Snapshot {snapshot_id} has no metadata with key {key}.", code="metadata_item_not_found"
                )
            left = {name: value for name, value in snapshot.metadata.items() if name != key}
            save_snapshot(connection, self._clock, snapshot, metadata=left)

    def delete(self, principal: Principal, snapshot_id: str, *, force: bool = False) -> None:
        """Begin to delete a snapshot, with `force` (administrators) in any status.

        Raises:
            NotFound, Invalid: in Cinder's words.
        """
        with self._engine.begin() as connection:
            snapshot = snapshot_seen(connection, principal, snapshot_id)
            if not force and (snapshot.status not in _DELETABLE or snapshot.group_snapshot_id):
                raise refuse(
                    "Snapshot status must be available or error and must not be part of a group.",
                    kind="snapshot",
                )
            save_snapshot(connection, self._clock, snapshot, status=SnapshotStatus.DELETING)
        self._strands.submit(snapshot.volume_id, lambda: self._remove(snapshot_id))

    def reset_status(self, principal: Principal, snapshot_id: str, status: str) -> None:
        """Write another status over a snapshot's; nothing is done to its bytes."""
        with self._engine.begin() as connection:
            snapshot = snapshot_seen(connection, principal, snapshot_id)
            save_snapshot(connection, self._clock, snapshot, status=SnapshotStatus(status))

    # in the background

    def _take(self, snapshot_id: str) -> None:
        with self._reading() as connection:
            snapshot = self._with(connection, snapshot_id, SnapshotStatus.CREATING)
            refused = self._work.no_room(connection, 0)
        if snapshot is None:
            return
        try:
            if refused is not None:
                raise DiskFailed(refused, code="no_room_for_volume")
            with foreign_code():
                self._moments.catch(snapshot.volume_id, snapshot_name(snapshot_id), snapshot.size)
        except (ArmillaryError, OSError) as error:
            self._settle(snapshot, SnapshotStatus.ERROR, why=words(error))
            return
        self._settle(snapshot, SnapshotStatus.AVAILABLE)

    def _remove(self, snapshot_id: str) -> None:
        with self._reading() as connection:
            snapshot = self._with(connection, snapshot_id, SnapshotStatus.DELETING)
        if snapshot is None:
            return
        try:
            with foreign_code():
                self._disks.remove(snapshot_name(snapshot_id))
        except (ArmillaryError, OSError) as error:
            self._settle(snapshot, SnapshotStatus.ERROR_DELETING, why=words(error))
            return
        with self._engine.begin() as connection:
            SNAPSHOTS.remove(connection, snapshots.c.id == snapshot_id)

    def _settle(self, snapshot: Snapshot, status: SnapshotStatus, *, why: str = "") -> None:
        with self._engine.begin() as connection:
            current = self._with(connection, snapshot.id, snapshot.status)
            if current is None:
                return
            save_snapshot(connection, self._clock, current, status=status)
            if why:
                log.warning("snapshot %s: %s", snapshot.id, why)
                tell(
                    connection, self._clock, project_id=snapshot.project_id, kind="VOLUME_SNAPSHOT",
                    resource_id=snapshot.id, action=records.SNAPSHOTTING, why=why,
                )  # fmt: skip

    def recover(self) -> None:
        """Give up the snapshots that a restart interrupted: their moments have passed."""
        with self._reading() as connection:
            begun = SNAPSHOTS.find(connection, snapshots.c.status == SnapshotStatus.CREATING)
        for snapshot in begun:
            if not self._strands.busy(snapshot.volume_id):
                self._disks.remove(snapshot_name(snapshot.id))
                self._settle(snapshot, SnapshotStatus.ERROR, why=_INTERRUPTED)

    def reconcile(self) -> None:
        """Go on deleting what is to be deleted."""
        with self._reading() as connection:
            going = SNAPSHOTS.find(connection, snapshots.c.status == SnapshotStatus.DELETING)
            # those that go with their volume are removed by its job
            waiting = [
                shot
                for shot in going
                if (volume := VOLUMES.get(connection, shot.volume_id)) is None
                or volume.status is not VolumeStatus.DELETING
            ]
        for shot in waiting:
            if not self._strands.busy(shot.volume_id):
                self._strands.submit(shot.volume_id, lambda wanted=shot.id: self._remove(wanted))

    def _with(self, connection: Connection, snapshot_id: str, status: SnapshotStatus) -> Snapshot | None:
        snapshot = SNAPSHOTS.get(connection, snapshot_id)
        return snapshot if snapshot is not None and snapshot.status is status else None

    def _reading(self) -> AbstractContextManager[Connection]:
        return self._engine.execution_options(readonly=True).connect()


def _check_snapshot_possible(volume: Volume, *, force: bool) -> None:
    if volume.status is VolumeStatus.MAINTENANCE:
        raise refuse("The snapshot cannot be created when the volume is in maintenance mode.")
    if force and volume.status is VolumeStatus.ERROR:
        raise refuse("The snapshot cannot be created when the volume is in error status.")
    allowed = _IN_USE_TOO if force else frozenset({VolumeStatus.AVAILABLE})
    if volume.status not in allowed:
        needed = "available or in-use" if force else "available"
        raise refuse(f"Volume {volume.id} status must be {needed}, but current status is: {volume.status}.")
