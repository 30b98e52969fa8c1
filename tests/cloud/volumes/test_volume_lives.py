"""Volumes from their making to their end, over the cloud's HTTP face and the fake engine."""

from __future__ import annotations

from shelf import Shelf

HELLO = b"hello".ljust(512, b".")


def test_a_new_volume_is_being_created_and_then_available(stage, shelf):
    answer = shelf.call("POST", "/volumes", {"volume": {"size": 2, "name": "data"}})
    assert answer.status_code == 202
    made = answer.json()["volume"]
    assert (made["status"], made["size"], made["attachments"]) == ("creating", 2, [])
    stage.settle()
    assert shelf.status(made["id"]) == "available"


def test_a_volume_is_gone_after_its_deletion_with_its_bytes(stage, shelf):
    volume_id = shelf.make()
    assert shelf.call("DELETE", f"/volumes/{volume_id}").status_code == 202
    stage.settle()
    assert shelf.status(volume_id) == "gone"
    assert stage.disks.names() == frozenset()


def test_a_volume_from_an_image_is_bootable_knows_the_image_and_outlives_it(stage, shelf):
    image = shelf.user.image(content=HELLO)
    volume_id = shelf.make(imageRef=image)
    made = shelf.show(volume_id)
    assert (made["status"], made["bootable"]) == ("available", "true")
    assert made["volume_image_metadata"]["image_id"] == image
    shelf.user.ok("DELETE", f"/image/v2/images/{image}")
    assert shelf.begins(volume_id) == b"hello"


def test_a_copy_of_a_volume_has_its_bytes_and_its_properties(shelf):
    origin = shelf.make(imageRef=shelf.user.image(content=HELLO))
    copy = shelf.make(source_volid=origin, size=2)
    assert shelf.begins(copy) == b"hello"
    shown = shelf.show(copy)
    assert (shown["source_volid"], shown["size"], shown["bootable"]) == (origin, 2, "true")


def test_a_volume_becomes_an_image_and_an_image_a_volume(stage, shelf):
    volume_id = shelf.make(imageRef=shelf.user.image(content=HELLO))
    for disk_format in ("raw", "qcow2"):
        answer = shelf.act(volume_id, "os-volume_upload_image", image_name="copy", disk_format=disk_format)
        uploading = answer.json()["os-volume_upload_image"]
        assert (answer.status_code, uploading["status"]) == (202, "uploading")
        stage.settle()
        assert shelf.user.image_status(uploading["image_id"]) == "active"
        assert shelf.status(volume_id) == "available"
    assert shelf.status(shelf.make(imageRef=uploading["image_id"])) == "available"


def test_image_properties_of_a_volume_cannot_make_its_image_public(stage, shelf):
    volume_id = shelf.make(imageRef=shelf.user.image(content=HELLO))
    shelf.acted(volume_id, "os-set_image_metadata", metadata={"visibility": "public", "hw_disk_bus": "scsi"})
    answer = shelf.act(volume_id, "os-volume_upload_image", image_name="copy")
    image = shelf.user.ok("GET", f"/image/v2/images/{answer.json()['os-volume_upload_image']['image_id']}")
    assert (image["visibility"], image["hw_disk_bus"]) == ("private", "scsi")


def test_an_image_is_written_over_a_volume(shelf):
    volume_id = shelf.make()
    shelf.acted(volume_id, "os-reimage", image_id=shelf.user.image(content=HELLO))
    shown = shelf.show(volume_id)
    assert (shelf.begins(volume_id), shown["status"], shown["bootable"]) == (b"hello", "available", "true")


def test_a_volume_grows_and_never_shrinks(stage, shelf):
    volume_id = shelf.make()
    shelf.acted(volume_id, "os-extend", new_size=3)
    assert (shelf.show(volume_id)["size"], shelf.status(volume_id)) == (3, "available")
    assert stage.disks.path(f"volume-{volume_id}").stat().st_size == 3 * 2**30
    said = shelf.act_refused(volume_id, "os-extend", new_size=3)
    assert "must be greater than current size. (current: 3, extended: 3)" in said


def test_flags_and_image_properties_are_kept(shelf):
    volume_id = shelf.make()
    shelf.acted(volume_id, "os-set_bootable", bootable=True)
    shelf.acted(volume_id, "os-update_readonly_flag", readonly=True)
    shelf.acted(volume_id, "os-set_image_metadata", metadata={"os_distro": "debian", "a": "b"})
    shelf.acted(volume_id, "os-unset_image_metadata", key="a")
    shown = shelf.show(volume_id)
    assert (shown["bootable"], shown["metadata"]) == ("true", {"readonly": "True"})
    assert shown["volume_image_metadata"] == {"os_distro": "debian"}
    assert shelf.act_refused(volume_id, "os-unset_image_metadata", key="a", status=404)


def test_metadata_is_added_replaced_and_removed(shelf):
    volume_id = shelf.make(metadata={"a": "1"})
    path = f"/volumes/{volume_id}/metadata"
    assert shelf.ok("POST", path, {"metadata": {"b": "2"}})["metadata"] == {"a": "1", "b": "2"}
    assert shelf.ok("PUT", f"{path}/b", {"meta": {"b": "3"}}) == {"meta": {"b": "3"}}
    assert shelf.refused("PUT", f"{path}/b", {"meta": {"c": "3"}}) == "Request body and URI mismatch"
    assert shelf.ok("GET", f"{path}/b") == {"meta": {"b": "3"}}
    shelf.ok("DELETE", f"{path}/a")
    assert "has no metadata with key a" in shelf.refused("DELETE", f"{path}/a", status=404)
    assert shelf.ok("PUT", path, {"metadata": {"z": ""}})["metadata"] == {"z": ""}


def test_failing_disks_leave_an_error_and_say_why(stage, shelf):
    stage.disks.fail_next("The disk of this computer is full.")
    volume_id = shelf.make()
    assert shelf.status(volume_id) == "error"
    (message,) = shelf.ok("GET", f"/messages?resource_uuid={volume_id}")["messages"]
    assert "The disk of this computer is full." in message["user_message"]
    shelf.ok("DELETE", f"/messages/{message['id']}")
    assert shelf.ok("GET", "/messages")["messages"] == []


def test_a_failed_extension_keeps_the_size_and_a_failed_upload_the_volume(stage, shelf):
    grown, copied = shelf.make(), shelf.make()
    stage.disks.fail_next()
    shelf.acted(grown, "os-extend", new_size=2)
    assert (shelf.status(grown), shelf.show(grown)["size"]) == ("error_extending", 1)
    stage.disks.fail_next()
    image = shelf.act(copied, "os-volume_upload_image", image_name="x").json()["os-volume_upload_image"]
    stage.settle()
    assert (shelf.status(copied), shelf.user.image_status(image["image_id"])) == ("available", "killed")


def test_a_volume_that_the_cloud_s_disk_cannot_hold_is_an_error_with_a_reason(member_of, stage):
    rich = Shelf(member_of("rich", "rich", disk=1000))
    volume_id = rich.make(size=500)
    assert rich.status(volume_id) == "error"
    (message,) = rich.ok("GET", "/messages")["messages"]
    assert "500 GiB asked, 200 GiB of 200 GiB free" in message["user_message"]


def test_a_quota_is_refused_with_413_and_when_to_come_back(shelf):
    answer = shelf.call("POST", "/volumes", {"volume": {"size": 101}})
    assert answer.status_code == 413
    assert answer.headers["retry-after"] == "0"
    fault = answer.json()["overLimit"]
    assert fault["retryAfter"] == "0"
    assert fault["message"] == (
        "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota. "
        "Requested 101G, quota is 100G and 0G has been consumed."
    )


def test_a_volume_takes_another_type_where_it_lies(all_shelves, shelf):
    for name in ("fast", "slow"):
        all_shelves.ok("POST", "/types", {"volume_type": {"name": name}})
    volume_id = shelf.make(volume_type="fast")
    assert shelf.show(volume_id)["volume_type"] == "fast"
    shelf.acted(volume_id, "os-retype", new_type="slow", migration_policy="never")
    assert shelf.show(volume_id)["volume_type"] == "slow"


def test_a_status_is_reset_and_a_stuck_volume_deleted_by_administrators_only(stage, shelf, all_shelves):
    volume_id = shelf.make()
    assert shelf.act(volume_id, "os-reset_status", status="error").status_code == 403
    all_shelves.acted(volume_id, "os-reset_status", status="maintenance")
    assert "maintenance" in shelf.refused("PUT", f"/volumes/{volume_id}", {"volume": {"name": "x"}})
    assert shelf.call("DELETE", f"/volumes/{volume_id}?force=true").status_code == 403
    all_shelves.acted(volume_id, "os-force_delete")
    assert shelf.status(volume_id) == "gone"
