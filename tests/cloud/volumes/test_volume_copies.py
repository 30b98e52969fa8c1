"""Snapshots, backups and transfers."""

from __future__ import annotations

from datetime import timedelta

from shelf import Shelf

HELLO = b"hello".ljust(512, b".")


def written(shelf, **asked):
    """A volume with bytes in it."""
    volume_id = shelf.make(**asked)
    shelf.write(volume_id, HELLO)
    return volume_id


def test_a_snapshot_keeps_the_moment_and_a_volume_made_from_it_has_it(shelf):
    volume_id = written(shelf)
    snapshot = shelf.make("snapshot", volume_id=volume_id, name="before")
    shelf.write(volume_id, b"later")
    assert shelf.show(snapshot, "snapshot")["os-extended-snapshot-attributes:progress"] == "100%"
    copy = shelf.make(snapshot_id=snapshot)
    assert shelf.begins(copy) == b"hello"
    assert shelf.show(copy)["snapshot_id"] == snapshot


def test_a_volume_returns_to_its_latest_snapshot(shelf):
    volume_id = written(shelf)
    old = shelf.make("snapshot", volume_id=volume_id)
    shelf.user.stage.clock.advance(timedelta(seconds=1))
    latest = shelf.make("snapshot", volume_id=volume_id)
    shelf.write(volume_id, b"later")
    assert "not the latest one" in shelf.act_refused(volume_id, "revert", snapshot_id=old)
    shelf.acted(volume_id, "revert", snapshot_id=latest)
    assert (shelf.begins(volume_id), shelf.status(volume_id)) == (b"hello", "available")


def test_a_volume_with_snapshots_is_deleted_with_them_or_not_at_all(stage, shelf):
    volume_id = shelf.make()
    snapshot = shelf.make("snapshot", volume_id=volume_id)
    assert "have snapshots" in shelf.refused("DELETE", f"/volumes/{volume_id}")
    shelf.ok("DELETE", f"/volumes/{volume_id}?cascade=true")
    stage.settle()
    assert (shelf.status(volume_id), shelf.status(snapshot, "snapshot")) == ("gone", "gone")
    assert stage.disks.names() == frozenset()


def test_a_snapshot_is_renamed_described_and_deleted(stage, shelf):
    volume_id = shelf.make()
    snapshot = shelf.make("snapshot", volume_id=volume_id, metadata={"a": "1"})
    path = f"/snapshots/{snapshot}"
    assert shelf.ok("PUT", path, {"snapshot": {"name": "n", "description": "d"}})["snapshot"]["name"] == "n"
    shelf.ok("POST", f"{path}/metadata", {"metadata": {"b": "2"}})
    shelf.ok("PUT", f"{path}/metadata/b", {"meta": {"b": "3"}})
    shelf.ok("DELETE", f"{path}/metadata/a")
    assert shelf.ok("GET", f"{path}/metadata") == {"metadata": {"b": "3"}}
    shelf.ok("DELETE", path)
    stage.settle()
    assert shelf.status(snapshot, "snapshot") == "gone"


def test_a_snapshot_that_fails_is_an_error(stage, shelf):
    volume_id = shelf.make()
    stage.disks.fail_next()
    snapshot = shelf.make("snapshot", volume_id=volume_id)
    assert shelf.status(snapshot, "snapshot") == "error"


def test_a_backup_outlives_its_volume_and_makes_a_new_one(stage, shelf):
    volume_id = written(shelf, imageRef=shelf.user.image(content=HELLO))
    backup = shelf.make("backup", volume_id=volume_id, name="safe")
    assert (shelf.status(volume_id), shelf.status(backup, "backup")) == ("available", "available")
    shelf.ok("DELETE", f"/volumes/{volume_id}")
    stage.settle()
    restored = shelf.ok("POST", f"/backups/{backup}/restore", {"restore": {}})["restore"]
    assert shelf.status(restored["volume_id"]) in ("restoring-backup", "available")
    stage.settle()
    made = shelf.show(restored["volume_id"])
    assert (made["status"], made["bootable"]) == ("available", "true")
    assert shelf.begins(made["id"]) == b"hello"
    assert shelf.status(backup, "backup") == "available"


def test_a_backup_is_restored_over_a_volume_that_is_large_enough(stage, shelf):
    volume_id = written(shelf, size=2)
    small = shelf.make(size=1)
    backup = shelf.make("backup", volume_id=volume_id)
    shelf.write(volume_id, b"later")
    path, asked = f"/backups/{backup}/restore", {"restore": {"volume_id": small}}
    assert "volume size 1 is too small to restore backup of size 2" in shelf.refused("POST", path, asked)
    shelf.ok("POST", path, {"restore": {"volume_id": volume_id}})
    stage.settle()
    assert (shelf.begins(volume_id), shelf.status(volume_id)) == (b"hello", "available")


def test_incremental_backups_need_a_first_one_and_hold_it(stage, shelf):
    volume_id = shelf.make()
    asked = {"backup": {"volume_id": volume_id, "incremental": True}}
    assert "No backups available" in shelf.refused("POST", "/backups", asked)
    full = shelf.make("backup", volume_id=volume_id)
    stage.clock.advance(timedelta(seconds=1))
    child = shelf.make("backup", volume_id=volume_id, incremental=True)
    assert shelf.show(child, "backup")["is_incremental"]
    assert shelf.show(full, "backup")["has_dependent_backups"]
    assert "Incremental backups exist" in shelf.refused("DELETE", f"/backups/{full}")
    for backup in (child, full):
        shelf.ok("DELETE", f"/backups/{backup}")
        stage.settle()
    assert shelf.ok("GET", "/backups") == {"backups": []}


def test_a_backup_of_a_snapshot_leaves_the_volume_alone(shelf):
    volume_id = written(shelf)
    snapshot = shelf.make("snapshot", volume_id=volume_id)
    shelf.write(volume_id, b"later")
    backup = shelf.make("backup", volume_id=volume_id, snapshot_id=snapshot)
    assert shelf.status(snapshot, "snapshot") == "available"
    assert shelf.begins(shelf.make(backup_id=backup)) == b"hello"


def test_a_backup_that_fails_gives_the_volume_back_and_says_why(stage, shelf):
    volume_id = shelf.make()
    stage.disks.fail_next("The disk of this computer is full.")
    backup = shelf.make("backup", volume_id=volume_id)
    assert shelf.show(backup, "backup")["fail_reason"] == "The disk of this computer is full."
    assert shelf.status(volume_id) == "available"


def test_a_volume_goes_to_whoever_knows_the_key_with_its_snapshots(shelf, others):
    volume_id = shelf.make(name="gift")
    snapshot = shelf.make("snapshot", volume_id=volume_id)
    offer = shelf.ok("POST", "/volume-transfers", {"transfer": {"volume_id": volume_id, "name": "t"}})[
        "transfer"
    ]
    assert shelf.status(volume_id) == "awaiting-transfer"
    assert "awaiting a transfer" in shelf.refused("DELETE", f"/volumes/{volume_id}")
    path = f"/volume-transfers/{offer['id']}"
    assert others.call("GET", path).status_code == 404
    wrong = others.refused("POST", f"{path}/accept", {"accept": {"auth_key": "guess"}})
    assert "with invalid auth key" in wrong
    others.ok("POST", f"{path}/accept", {"accept": {"auth_key": offer["auth_key"]}})
    assert (shelf.status(volume_id), others.status(volume_id)) == ("gone", "available")
    assert others.status(snapshot, "snapshot") == "available"
    assert shelf.call("GET", path).status_code == 404


def test_a_withdrawn_offer_gives_the_volume_back(shelf):
    volume_id = shelf.make()
    offer = shelf.ok("POST", "/os-volume-transfer", {"transfer": {"volume_id": volume_id}})["transfer"]
    assert [item["id"] for item in shelf.ok("GET", "/os-volume-transfer/detail")["transfers"]] == [
        offer["id"]
    ]
    shelf.ok("DELETE", f"/os-volume-transfer/{offer['id']}")
    assert shelf.status(volume_id) == "available"


def test_an_offer_is_not_taken_beyond_the_quota(member_of, shelf):
    poor = Shelf(member_of("poor", "poor", disk=1))
    volume_id = shelf.make(size=2)
    offer = shelf.ok("POST", "/volume-transfers", {"transfer": {"volume_id": volume_id}})["transfer"]
    path = f"/volume-transfers/{offer['id']}/accept"
    said = poor.refused("POST", path, {"accept": {"auth_key": offer["auth_key"]}}, status=413)
    assert "Requested 2G, quota is 1G" in said
    assert shelf.status(volume_id) == "awaiting-transfer"
