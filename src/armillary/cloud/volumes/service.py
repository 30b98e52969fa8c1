"""The volume service: what people do with volumes. Work on bytes is queued, and goes on in the background."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, func, select

from armillary.accounts.model import Principal
from armillary.base.clock import Clock
from armillary.base.errors import Invalid, NotFound
from armillary.base.ids import Sha512
from armillary.cloud.access import allow_administering, project_of
from armillary.cloud.compute.strands import Strands
from armillary.cloud.volumes.actions import VolumeActions
from armillary.cloud.volumes.attachments import Attachments
from armillary.cloud.volumes.backup_work import BackupWork
from armillary.cloud.volumes.backups import Backups
from armillary.cloud.volumes.creation import NewVolume, VolumeCreation
from armillary.cloud.volumes.deletion import begin_deleting
from armillary.cloud.volumes.lifecycle import VolumeWork
from armillary.cloud.volumes.messages import Messages
from armillary.cloud.volumes.model import WORKING, Attachment, Volume, VolumeStatus
from armillary.cloud.volumes.moments import Moments
from armillary.cloud.volumes.paging import Page, count_of, page_of
from armillary.cloud.volumes.ports import Holder, Images, Projects, VolumeDisks
from armillary.cloud.volumes.qos import Qos
from armillary.cloud.volumes.quotas import VolumeQuotas
from armillary.cloud.volumes.records import refuse, save, volume_seen
from armillary.cloud.volumes.servers import ServerVolumes
from armillary.cloud.volumes.snapshots import Snapshots
from armillary.cloud.volumes.store import ATTACHMENTS, VOLUMES, attachments, volumes
from armillary.cloud.volumes.transfers import Transfers
from armillary.cloud.volumes.types import Types

_PARALLEL_DELETIONS = 2
_PARALLEL_COPIES = 2
_LONGEST_KEY, _LONGEST_VALUE = 255, 255


class VolumeService:
    """Volumes, with their types and quotas. `for_servers` is what compute uses."""

    def __init__(
        self,
        *,
        engine: Engine,
        clock: Clock,
        projects: Projects,
        images: Images,
        disks: VolumeDisks,
        holder: Holder,
        directory: Path,
    ) -> None:
        """Take over the records, and the bytes in `disks`.

        Args:
            engine: the cloud's database.
            clock: tells the time of changes.
            projects: where allocations are looked up.
            images: images, from which and to which volumes are copied.
            disks: where the bytes are.
            holder: the engine whose machines have volumes open.
            directory: for images that are being written; on the file system of the images, so that they are moved.
        """
        self._engine = engine
        self._clock = clock
        self._disks = disks
        self.types = Types(engine=engine, clock=clock)
        self.quotas = VolumeQuotas(engine=engine, projects=projects)
        self._creation = VolumeCreation(clock=clock, images=images, quotas=self.quotas, types=self.types)
        self._strands = Strands(quick=_PARALLEL_DELETIONS, slow=_PARALLEL_COPIES)
        moments = Moments(engine=engine, disks=disks, holder=holder)
        self._work = VolumeWork(
            engine=engine, clock=clock, disks=disks, holder=holder, images=images, moments=moments,
            strands=self._strands, directory=directory,
        )  # fmt: skip
        self.actions = VolumeActions(
            engine=engine, clock=clock, images=images, quotas=self.quotas, types=self.types,
            creation=self._creation, work=self._work,
        )  # fmt: skip
        self.snapshots = Snapshots(
            engine=engine, clock=clock, disks=disks, moments=moments, quotas=self.quotas, types=self.types,
            work=self._work, strands=self._strands,
        )  # fmt: skip
        self._backup_work = BackupWork(
            engine=engine, clock=clock, disks=disks, moments=moments, work=self._work, strands=self._strands
        )
        self.backups = Backups(
            engine=engine, clock=clock, quotas=self.quotas, creation=self._creation, work=self._backup_work
        )
        self.transfers = Transfers(engine=engine, clock=clock, quotas=self.quotas, types=self.types)
        self.attachments = Attachments(engine=engine, clock=clock)
        self.messages = Messages(engine=engine)
        self.qos = Qos(engine=engine, clock=clock)
        self.for_servers = ServerVolumes(
            engine=engine, clock=clock, disks=disks, creation=self._creation, work=self._work,
            snapshots=self.snapshots,
        )  # fmt: skip
        self._recovered = False

    # looking

    def show(self, principal: Principal, volume_id: str) -> Volume:
        """A volume; NotFound if there is none for the principal."""
        with self._reading() as connection:
            return volume_seen(connection, principal, volume_id)

    def list(
        self,
        principal: Principal,
        page: Page,
        *,
        where: Sequence[ColumnElement[bool]] = (),
        all_projects: bool = False,
    ) -> list[Volume]:
        """Volumes in a page; all projects' are for administrators.

        Raises:
            NotFound: the marker is none.
            Invalid: the sort key is none.
        """
        with self._reading() as connection:
            return page_of(
                connection, VOLUMES, [*self._mine(principal, all_projects), *where], page, what="Volume"
            )

    def count(self, principal: Principal, *, where: Sequence[ColumnElement[bool]], all_projects: bool) -> int:
        """How many volumes a list has in all its pages."""
        with self._reading() as connection:
            return count_of(connection, VOLUMES, [*self._mine(principal, all_projects), *where])

    def summary(self, principal: Principal, *, all_projects: bool) -> tuple[int, int, Mapping[str, Any]]:
        """Number and GiB of volumes, and the values that each key of their metadata has."""
        mine = self._mine(principal, all_projects)
        query = select(func.count(), func.coalesce(func.sum(volumes.c.size), 0)).where(*mine)
        found: dict[str, set[str]] = {}
        with self._reading() as connection:
            row = connection.execute(query).one()
            for metadata in connection.execute(select(volumes.c.metadata).where(*mine)).scalars():
                for key, value in metadata.items():
                    found.setdefault(key, set()).add(value)
        return int(row[0]), int(row[1]), {key: sorted(values) for key, values in found.items()}

    @staticmethod
    def _mine(principal: Principal, all_projects: bool) -> list[ColumnElement[bool]]:
        if all_projects and principal.is_cloud_admin:
            return []
        return [volumes.c.project_id == project_of(principal).id]

    def attachments_of(self, found: Sequence[Volume]) -> Mapping[str, Sequence[Attachment]]:
        """Who has these volumes, by volume."""
        with self._reading() as connection:
            rows = ATTACHMENTS.find(connection, attachments.c.volume_id.in_([volume.id for volume in found]))
        by_volume: dict[str, list[Attachment]] = {}
        for row in rows:
            by_volume.setdefault(row.volume_id, []).append(row)
        return by_volume

    def type_names(self) -> Mapping[str, str]:
        """The names of all types, for views."""
        with self._reading() as connection:
            return self.types.names(connection)

    # changing

    def create(self, principal: Principal, wanted: NewVolume) -> Volume:
        """Begin to make a volume.

        Raises:
            Invalid, NotFound, OverLimit: in Cinder's words.
        """
        with self._engine.begin() as connection:
            volume = self._creation.register(connection, principal, wanted)
        self._work.pursue(volume)
        return volume

    def update(self, principal: Principal, volume_id: str, changes: Mapping[str, Any]) -> Volume:
        """Change name, description or metadata."""
        with self._engine.begin() as connection:
            volume = volume_seen(connection, principal, volume_id)
            if volume.status is VolumeStatus.MAINTENANCE:
                raise refuse("The volume cannot be updated during maintenance.")
            if "metadata" in changes:
                check_metadata(changes["metadata"])
            return save(connection, self._clock, volume, **changes)

    def delete(
        self, principal: Principal, volume_id: str, *, cascade: bool = False, force: bool = False
    ) -> None:
        """Begin to delete a volume, with `cascade` also its snapshots, with `force` (administrators) in any status.

        Raises:
            NotFound, Invalid: in Cinder's words.
        """
        with self._engine.begin() as connection:
            volume = volume_seen(connection, principal, volume_id)
            if force:
                allow_administering(principal, "volume:force_delete")
            volume = begin_deleting(connection, self._clock, volume, cascade=cascade, force=force)
        self._work.pursue(volume)

    def set_metadata(
        self, principal: Principal, volume_id: str, items: Mapping[str, str], *, keep: bool
    ) -> Mapping[str, str]:
        """Write metadata over what was there, or beside it; return all of it."""
        with self._engine.begin() as connection:
            volume = volume_seen(connection, principal, volume_id)
            if volume.status is VolumeStatus.MAINTENANCE:
                raise refuse("Updating volume metadata is not allowed for volumes in maintenance status.")
            check_metadata(items)
            changed = {**volume.metadata, **items} if keep else dict(items)
            return save(connection, self._clock, volume, metadata=changed).metadata

    def delete_metadata(self, principal: Principal, volume_id: str, key: str) -> None:
        """Remove one item; NotFound if it is none."""
        with self._engine.begin() as connection:
            volume = volume_seen(connection, principal, volume_id)
            if key not in volume.metadata:
                raise NotFound(
                    f"Volume {volume_id} has no metadata with key {key}.", code="metadata_item_not_found"
                )
            left = {name: value for name, value in volume.metadata.items() if name != key}
            save(connection, self._clock, volume, metadata=left)

    # keeping promises

    def uses_image(self, sha512: Sha512) -> bool:
        """Whether a volume is still to be made from an image's content."""
        with self._reading() as connection:
            making = VOLUMES.find(
                connection, volumes.c.status.in_([VolumeStatus.CREATING, VolumeStatus.DOWNLOADING])
            )
        return any(volume.source.image_sha512 == sha512 for volume in making)

    def reconcile(self) -> None:
        """Take up the work that stands in the records and that nobody does; call it at the start and every few seconds."""
        if not self._recovered:
            self._recovered = True
            self._work.sweep()
            self.snapshots.recover()
            self._backup_work.recover()
        with self._reading() as connection:
            waiting = VOLUMES.find(connection, volumes.c.status.in_(sorted(WORKING)))
        for volume in waiting:
            if not self._strands.busy(volume.id):
                self._work.pursue(volume)
        self.snapshots.reconcile()
        self._backup_work.reconcile()

    def now(self) -> datetime:
        """The time by the cloud's clock."""
        return self._clock.now()

    def room(self) -> tuple[int, int]:
        """GiB of the cloud's disk: in all, and taken by servers and volumes."""
        with self._reading() as connection:
            return self._work.room(connection)

    def settle(self, *, seconds: float = 30) -> bool:
        """Wait until nothing is being done in the background; False if that took longer."""
        return self._strands.settle(seconds=seconds)

    def close(self) -> None:
        """End our threads; what is not done stands in the records."""
        self._strands.close()

    def _reading(self) -> AbstractContextManager[Connection]:
        return self._engine.execution_options(readonly=True).connect()


def check_metadata(items: Mapping[str, str]) -> None:
    """Let metadata pass that Cinder takes.

    Raises:
        Invalid: a key or value is empty or too long.
    """
    for key, value in items.items():
        if not key:
            raise Invalid("Metadata property key blank.", code="bad_metadata")
        if len(key) > _LONGEST_KEY:
            raise Invalid("Metadata property key greater than 255 characters.", code="bad_metadata")
        if len(value) > _LONGEST_VALUE:
            raise Invalid("Metadata property value greater than 255 characters.", code="bad_metadata")
