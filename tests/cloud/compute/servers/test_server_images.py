"""Servers that are kept as images: shelved, backed up, and snapshots of those that boot from volumes."""

import json
from datetime import timedelta

import pytest

ABSOLUTE = "/compute/v2.1/os-hypervisors/statistics"


def images(ada):
    return {image["name"]: image for image in ada.ok("GET", "/image/v2/images")["images"]}


def running_vms(root):
    return root.at("2.1").ok("GET", ABSOLUTE)["hypervisor_statistics"]["vcpus_used"]


def test_a_shelved_server_is_an_image_and_frees_its_place(stage, ada, root, does, machine, server_id):
    assert running_vms(root) == 1
    does(server_id, "shelve")
    server = ada.server(server_id)
    assert (server["status"], server["OS-EXT-STS:vm_state"]) == ("SHELVED_OFFLOADED", "shelved_offloaded")
    assert (stage.machines.states(), running_vms(root)) == ({}, 0)
    assert images(ada)["vm1-shelved"]["status"] == "active"
    stage.cloud.reconcile()
    assert ada.status(server_id) == "SHELVED_OFFLOADED"


def test_an_unshelved_server_boots_from_its_image_which_then_goes(stage, ada, does, machine, server_id):
    before = ada.server(server_id)
    does(server_id, "shelve")
    shelved = images(ada)["vm1-shelved"]
    does(server_id, "unshelve")
    after = ada.server(server_id)
    assert (after["status"], machine(server_id)) == ("ACTIVE", "running")
    assert (after["image"]["id"], after["addresses"]) == (before["image"]["id"], before["addresses"])
    assert stage.machines.spec_of(server_id)["image"] == shelved["os_hash_value"]
    assert "vm1-shelved" not in images(ada)
    # its bytes are still what the machine's disk is made over
    does(server_id, "os-stop")
    does(server_id, "os-start")
    assert ada.status(server_id) == "ACTIVE"


def test_a_server_that_cannot_be_copied_is_not_shelved_and_runs_again(stage, ada, does, machine, server_id):
    stage.machines.fail_next("snapshot", "the disk is full")
    does(server_id, "shelve")
    assert (ada.status(server_id), machine(server_id)) == ("ACTIVE", "running")
    assert images(ada)["vm1-shelved"]["status"] == "killed"


def test_a_server_that_finds_no_room_stays_shelved(stage, ada, root, does, server_id):
    root.ok("PUT", f"/compute/v2.1/os-quota-sets/{ada.project.id}", {"quota_set": {"cores": -1, "ram": -1}})
    does(server_id, "shelve")
    ada.up("big", flavorRef="c4-8gb-20"), ada.up("big2", flavorRef="c4-8gb-20")
    does(server_id, "unshelve")
    server = ada.server(server_id)
    assert (server["status"], server["OS-EXT-STS:task_state"]) == ("SHELVED_OFFLOADED", None)
    assert images(ada)["vm1-shelved"]["status"] == "active"


def test_a_shelved_server_is_deleted_with_its_image(stage, ada, does, server_id):
    does(server_id, "shelve")
    assert ada.call("DELETE", f"/compute/v2.1/servers/{server_id}").status_code == 204
    stage.settle()
    assert ada.call("GET", f"/compute/v2.1/servers/{server_id}").status_code == 404
    assert ada.used() == (0, 0, 0)
    assert "vm1-shelved" not in images(ada)


def test_as_many_backups_are_kept_as_were_asked_for(stage, ada, does, server_id):
    for number in range(3):
        stage.clock.advance(timedelta(seconds=1))
        wish = {"name": f"b{number}", "backup_type": "daily", "rotation": 2}
        assert does(server_id, "createBackup", wish).json()["image_id"]
    does(server_id, "createBackup", {"name": "w", "backup_type": "weekly", "rotation": 1})
    kept = images(ada)
    assert {"b1", "b2", "w"} <= kept.keys()
    assert "b0" not in kept
    assert (kept["b2"]["image_type"], kept["b2"]["backup_type"]) == ("backup", "daily")


def test_a_snapshot_of_a_server_on_volumes_is_snapshots_of_them(stage, ada, does):
    image = ada.image()
    disk = {
        "source_type": "image", "destination_type": "volume", "uuid": image, "volume_size": 1, "boot_index": 0,
        "delete_on_termination": True,
    }  # fmt: skip
    wish = {
        "name": "vm",
        "imageRef": "",
        "flavorRef": "c1-1gb-5",
        "networks": "none",
        "block_device_mapping_v2": [disk],
    }
    server_id = ada.ok("POST", "/compute/v2.1/servers", {"server": wish})["server"]["id"]
    stage.settle()
    assert ada.status(server_id) == "ACTIVE"
    image_id = does(server_id, "createImage", {"name": "snap"}).json()["image_id"]
    snap = ada.ok("GET", f"/image/v2/images/{image_id}")
    assert (snap["status"], snap["size"]) == ("active", 0)
    (mapping,) = json.loads(snap["block_device_mapping"])
    assert (mapping["source_type"], mapping["boot_index"]) == ("snapshot", 0)
    clone = ada.up("clone", image=image_id)
    assert (ada.status(clone), ada.server(clone)["image"]) == ("ACTIVE", "")
    assert does(server_id, "createBackup", {"name": "b", "backup_type": "x", "rotation": 1}, status=400)


@pytest.mark.parametrize("action", ["pause", "suspend"])
def test_a_server_that_stands_still_can_be_shelved(ada, does, server_id, action):
    does(server_id, action)
    does(server_id, "shelve")
    does(server_id, "unshelve")
    assert ada.status(server_id) == "ACTIVE"
