"""Volumes as compute has them: reserved, given, copied while in use, and taken back."""

from __future__ import annotations

import pytest

from armillary.base.errors import Invalid, NotFound
from armillary.base.ids import ServerId, VolumeId, new_uuid

HELLO = b"hello".ljust(512, b".")


@pytest.fixture
def lent(stage):
    """What compute uses."""
    return stage.cloud.volumes.for_servers


def principal(shelf):
    user = shelf.user
    return user.stage.accounts.principal(user.person.id, user.project.id)


def give(lent, shelf, volume_id: str, server_id: str | None = None) -> str:
    """Let a server have a volume, as compute does."""
    server_id = server_id or new_uuid()
    lent.reserve(principal(shelf), VolumeId(volume_id))
    lent.attached(
        VolumeId(volume_id), server_id=ServerId(server_id), device="/dev/vdb", attachment_id=new_uuid()
    )
    return server_id


def test_a_volume_is_reserved_given_and_taken_back(lent, shelf):
    volume_id = VolumeId(shelf.make())
    disk = lent.reserve(principal(shelf), volume_id)
    assert (disk.size, disk.format, disk.path.is_file()) == (1, "raw", True)
    assert shelf.status(volume_id) == "reserved"
    server_id = ServerId(new_uuid())
    lent.attached(volume_id, server_id=server_id, device="/dev/vdb", attachment_id=new_uuid())
    shown = shelf.show(volume_id)
    assert shown["status"] == "in-use"
    (attachment,) = shown["attachments"]
    assert (attachment["server_id"], attachment["device"]) == (server_id, "/dev/vdb")
    lent.begin_detach(volume_id)
    lent.keep_attached(volume_id)
    assert shelf.status(volume_id) == "in-use"
    lent.detached(volume_id)
    assert (shelf.status(volume_id), shelf.show(volume_id)["attachments"]) == ("available", [])


def test_a_read_only_volume_is_given_to_be_read(lent, shelf):
    volume_id = shelf.make()
    shelf.acted(volume_id, "os-update_readonly_flag", readonly=True)
    assert lent.reserve(principal(shelf), VolumeId(volume_id)).readonly


def test_nobody_else_gets_a_volume_that_somebody_has(lent, shelf, others):
    volume_id = shelf.make()
    give(lent, shelf, volume_id)
    with pytest.raises(
        Invalid, match="must be available or downloading to reserve, but the current status is in-use"
    ):
        lent.reserve(principal(shelf), VolumeId(volume_id))
    with pytest.raises(NotFound):
        lent.reserve(principal(others), VolumeId(volume_id))


def test_what_a_server_has_only_compute_takes_away(lent, shelf):
    volume_id = shelf.make()
    server_id = give(lent, shelf, volume_id)
    said = shelf.act_refused(volume_id, "os-detach", status=409)
    assert said == f"Detach volume from instance {server_id} using the Compute API"
    (attachment,) = shelf.ok("GET", f"/attachments?volume_id={volume_id}")["attachments"]
    assert shelf.call("DELETE", f"/attachments/{attachment['id']}").status_code == 409
    assert "attached" in shelf.refused("DELETE", f"/volumes/{volume_id}")


def test_a_volume_in_use_is_snapshot_only_by_force_before_3_66(lent, shelf):
    volume_id = shelf.make()
    shelf.write(volume_id, HELLO)
    give(lent, shelf, volume_id)
    asked = {"snapshot": {"volume_id": volume_id}}
    shelf.version = "3.50"
    assert "status must be available, but current status is: in-use" in shelf.refused(
        "POST", "/snapshots", asked
    )
    shelf.version = "3.70"
    asked["snapshot"]["force"] = False
    assert "Since microversion 3.66" in shelf.refused("POST", "/snapshots", asked)
    snapshot = shelf.make("snapshot", volume_id=volume_id)
    assert (shelf.status(snapshot, "snapshot"), shelf.status(volume_id)) == ("available", "in-use")
    assert shelf.begins(shelf.make(snapshot_id=snapshot)) == b"hello"


def test_a_volume_in_use_grows_only_since_3_42(lent, shelf):
    volume_id = shelf.make()
    give(lent, shelf, volume_id)
    shelf.version = "3.41"
    assert "to extend, currently in-use" in shelf.act_refused(volume_id, "os-extend", new_size=2)
    shelf.version = "3.42"
    shelf.acted(volume_id, "os-extend", new_size=2)
    assert (shelf.show(volume_id)["size"], shelf.status(volume_id)) == (2, "in-use")


def test_a_volume_in_use_is_uploaded_and_backed_up_by_force_and_stays_in_use(stage, lent, shelf):
    volume_id = shelf.make()
    shelf.write(volume_id, HELLO)
    give(lent, shelf, volume_id)
    assert "status must be available" in shelf.act_refused(
        volume_id, "os-volume_upload_image", image_name="x"
    )
    answer = shelf.act(volume_id, "os-volume_upload_image", image_name="x", force=True)
    stage.settle()
    image = answer.json()["os-volume_upload_image"]["image_id"]
    assert (shelf.user.image_status(image), shelf.status(volume_id)) == ("active", "in-use")
    asked = {"backup": {"volume_id": volume_id}}
    assert "must use the force flag" in shelf.refused("POST", "/backups", asked)
    backup = shelf.make("backup", volume_id=volume_id, force=True)
    assert (shelf.status(backup, "backup"), shelf.status(volume_id)) == ("available", "in-use")
    assert not any(name.startswith("moment") for name in stage.disks.names())


def test_a_server_that_ends_while_its_volume_is_copied_leaves_it_available(stage, lent, shelf):
    volume_id = shelf.make()
    give(lent, shelf, volume_id)
    shelf.act(volume_id, "os-volume_upload_image", image_name="x", force=True)
    lent.detached(VolumeId(volume_id))
    stage.settle()
    assert shelf.status(volume_id) == "available"


def test_a_boot_volume_is_made_for_a_server_and_discarded_with_it(stage, lent, shelf):
    image = shelf.user.image(content=HELLO)
    volume_id = lent.make(principal(shelf), name="", size=1, image_id=image)
    stage.settle()
    assert lent.status(volume_id) == "available"
    assert lent.disk(volume_id).image_metadata["image_id"] == image
    lent.attached(volume_id, server_id=ServerId(new_uuid()), device="/dev/vda", attachment_id=new_uuid())
    lent.discard(volume_id)
    stage.settle()
    assert lent.status(volume_id) == "deleted"


def test_a_discarded_volume_with_snapshots_stays(stage, lent, shelf):
    volume_id = VolumeId(shelf.make())
    lent.snapshot(principal(shelf), volume_id, name="kept")
    stage.settle()
    lent.discard(volume_id)
    stage.settle()
    assert lent.status(volume_id) == "available"
