"""What stands in the records is done, or given up honestly, after a kill."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from armillary.app.database import make_engine
from armillary.cloud.volumes.model import BackupStatus, SnapshotStatus, VolumeStatus
from armillary.cloud.volumes.store import backups, snapshots, volumes

HELLO = b"hello".ljust(512, b".")


def killed(stage, table, thing_id: str, **values) -> None:
    """Write the record as a process that was killed in the middle leaves it, and begin anew."""
    engine = make_engine(f"sqlite:///{stage.directory}/cloud.db", durable=False)
    with engine.begin() as connection:
        connection.execute(update(table).where(table.c.id == thing_id).values(**values))
    engine.dispose()
    stage.restart()
    stage.cloud.reconcile()
    stage.settle()


@pytest.mark.parametrize("status", [VolumeStatus.CREATING, VolumeStatus.DOWNLOADING])
def test_a_volume_that_was_being_made_is_made(stage, shelf, status):
    volume_id = shelf.make(imageRef=shelf.user.image(content=HELLO))
    stage.disks.remove(f"volume-{volume_id}")
    killed(stage, volumes, volume_id, status=status)
    assert (shelf.status(volume_id), shelf.begins(volume_id)) == ("available", b"hello")


def test_a_volume_that_was_growing_grows_and_one_that_was_going_is_gone(stage, shelf):
    growing, going = shelf.make(), shelf.make()
    killed(
        stage,
        volumes,
        growing,
        status=VolumeStatus.EXTENDING,
        target="2",
        previous_status=VolumeStatus.AVAILABLE,
    )
    killed(stage, volumes, going, status=VolumeStatus.DELETING)
    assert (shelf.show(growing)["size"], shelf.status(growing)) == (2, "available")
    assert shelf.status(going) == "gone"
    assert stage.disks.names() == {f"volume-{growing}"}


def test_a_snapshot_that_was_being_taken_is_an_error_for_its_moment_has_passed(stage, shelf):
    volume_id = shelf.make()
    snapshot = shelf.make("snapshot", volume_id=volume_id)
    killed(stage, snapshots, snapshot, status=SnapshotStatus.CREATING)
    assert shelf.status(snapshot, "snapshot") == "error"
    assert stage.disks.names() == {f"volume-{volume_id}"}


def test_a_backup_that_was_being_written_is_an_error_and_the_volume_free(stage, shelf):
    volume_id = shelf.make()
    backup = shelf.make("backup", volume_id=volume_id)
    killed(stage, volumes, volume_id, status=VolumeStatus.BACKING_UP, previous_status=VolumeStatus.AVAILABLE)
    killed(stage, backups, backup, status=BackupStatus.CREATING)
    assert (shelf.status(backup, "backup"), shelf.status(volume_id)) == ("error", "available")


def test_a_backup_that_was_being_restored_is_restored(stage, shelf):
    volume_id = shelf.make()
    shelf.write(volume_id, HELLO)
    backup = shelf.make("backup", volume_id=volume_id)
    shelf.write(volume_id, b"later")
    killed(stage, volumes, volume_id, status=VolumeStatus.RESTORING)
    killed(stage, backups, backup, status=BackupStatus.RESTORING, restore_to=volume_id)
    assert (shelf.begins(volume_id), shelf.status(volume_id)) == (b"hello", "available")


def test_bytes_that_no_record_names_are_removed(stage, shelf):
    volume_id = shelf.make()
    stage.disks.make("volume-of-nobody", 1)
    stage.disks.make("moment-that-passed", 1)
    stage.restart()
    stage.cloud.reconcile()
    assert stage.disks.names() == {f"volume-{volume_id}"}
