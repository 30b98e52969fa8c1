"""Which volumes may go, and how their going begins."""

from __future__ import annotations

from sqlalchemy import Connection

from armillary.base.clock import Clock
from armillary.cloud.volumes.model import DELETABLE, SnapshotStatus, Volume, VolumeStatus
from armillary.cloud.volumes.records import attachments_of, either, refuse, save, save_snapshot
from armillary.cloud.volumes.store import SNAPSHOTS, snapshots

_SNAPSHOTS_THAT_GO = (SnapshotStatus.AVAILABLE, SnapshotStatus.ERROR, SnapshotStatus.DELETING)


def begin_deleting(
    connection: Connection, clock: Clock, volume: Volume, *, cascade: bool, force: bool
) -> Volume:
    """Write that a volume is being deleted; the job that does it is to be queued after the transaction.

    Raises:
        Invalid: its status, a server, a group or its snapshots forbid it.
    """
    shots = SNAPSHOTS.find(connection, snapshots.c.volume_id == volume.id)
    bound = any(shot.group_snapshot_id for shot in shots)
    stuck = not force and any(shot.status not in _SNAPSHOTS_THAT_GO for shot in shots)
    kept = (bound or stuck) if cascade else bool(shots)
    attached = volume.status is VolumeStatus.IN_USE or any(
        attachment.status == "attached" for attachment in attachments_of(connection, volume.id)
    )
    wrong = not force and volume.status not in DELETABLE
    if wrong or attached or volume.group_id is not None or kept:
        status = "" if force else f"status must be {either(DELETABLE)} and "
        raise refuse(
            f"Volume {status}must not be migrating, attached, belong to a group, have snapshots, "
            "awaiting a transfer, or be disassociated from snapshots after volume transfer."
        )
    for shot in shots:
        save_snapshot(connection, clock, shot, status=SnapshotStatus.DELETING)
    return save(connection, clock, volume, status=VolumeStatus.DELETING, previous_status=None, target=None)
