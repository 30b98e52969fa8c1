"""Volumes of servers: attached, detached, booted from, and what becomes of them in the end."""

from dataclasses import replace

import pytest

from armillary.base.ids import ServerId, VolumeId
from armillary.cloud.compute.model import DeviceState
from armillary.cloud.compute.store import BLOCK_DEVICES, block_devices


@pytest.fixture
def volume(stage, ada):
    """Makes an empty volume."""

    def make(name="v", size=1, **more):
        url = f"/volume/v3/{ada.project.id}/volumes"
        made = ada.ok("POST", url, {"volume": {"name": name, "size": size, **more}})["volume"]["id"]
        stage.settle()
        return made

    return make


@pytest.fixture
def state_of(ada):
    """Cinder's status of a volume; None if it is gone."""

    def look(volume_id):
        answer = ada.call("GET", f"/volume/v3/{ada.project.id}/volumes/{volume_id}")
        return answer.json()["volume"]["status"] if answer.status_code == 200 else None

    return look


def url(server_id, volume_id=""):
    return f"/compute/v2.1/servers/{server_id}/os-volume_attachments{'/' if volume_id else ''}{volume_id}"


def attach(ada, server_id, volume_id, **more):
    return ada.call("POST", url(server_id), {"volumeAttachment": {"volumeId": volume_id, **more}})


def disks(stage, server_id):
    return [disk["id"] for disk in stage.machines.spec_of(server_id)["volumes"]]


def test_a_volume_is_plugged_into_a_running_machine_and_pulled_again(stage, ada, server_id, volume, state_of):
    volume_id = volume()
    answer = attach(ada, server_id, volume_id, tag="data")
    assert answer.status_code == 200
    shown = answer.json()["volumeAttachment"]
    assert (shown["id"], shown["volumeId"], shown["serverId"]) == (volume_id, volume_id, server_id)
    stage.settle()
    assert (state_of(volume_id), disks(stage, server_id)) == ("in-use", [volume_id])
    (listed,) = ada.ok("GET", url(server_id))["volumeAttachments"]
    assert (listed["device"], listed["tag"], listed["delete_on_termination"]) == (
        shown["device"],
        "data",
        False,
    )
    assert ada.at("2.88").ok("GET", url(server_id, volume_id))["volumeAttachment"]["id"] == volume_id
    attached = ada.server(server_id)["os-extended-volumes:volumes_attached"]
    assert attached == [{"id": volume_id, "delete_on_termination": False}]
    assert ada.call("DELETE", url(server_id, volume_id)).status_code == 202
    stage.settle()
    assert (state_of(volume_id), disks(stage, server_id)) == ("available", [])
    assert ada.call("GET", url(server_id, volume_id)).status_code == 404


def test_a_volume_that_the_machine_does_not_take_is_free_again(stage, ada, server_id, volume, state_of):
    volume_id = volume()
    stage.machines.fail_next("plug_volume", "no slot")
    attach(ada, server_id, volume_id)
    stage.settle()
    assert (state_of(volume_id), ada.ok("GET", url(server_id))) == ("available", {"volumeAttachments": []})


def test_a_volume_that_the_guest_does_not_let_go_of_stays(stage, ada, server_id, volume, state_of):
    volume_id = volume()
    attach(ada, server_id, volume_id)
    stage.settle()
    stage.machines.fail_next("unplug_volume", "the guest holds on")
    assert ada.call("DELETE", url(server_id, volume_id)).status_code == 202
    stage.settle()
    assert (state_of(volume_id), disks(stage, server_id)) == ("in-use", [volume_id])


def test_what_cannot_be_attached_is_refused_in_nova_s_words(stage, ada, bob, server_id, volume):
    volume_id = volume()
    attach(ada, server_id, volume_id)
    stage.settle()
    again = attach(ada, server_id, volume_id)
    assert again.status_code == 400
    assert again.json()["badRequest"]["message"] == (
        f"Invalid volume: volume {volume_id} is already attached to instances: {server_id}"
    )
    other = ada.up("other")
    assert attach(ada, other, volume_id).json()["badRequest"]["message"] == (
        f"Invalid volume: volume {volume_id} is already attached to instances: {server_id}"
    )
    nowhere = "4f1e9c2e-0000-4000-8000-000000000000"
    assert attach(ada, server_id, nowhere).json()["itemNotFound"]["message"] == (
        f"Volume {nowhere} could not be found."
    )
    foreign = bob.up("foreign")
    assert attach(bob, foreign, volume_id).status_code == 404
    assert attach(bob, server_id, volume_id).status_code == 404


def test_volumes_survive_their_servers_unless_they_were_to_end_with_them(
    stage, ada, server_id, volume, state_of
):
    kept, gone = volume("kept"), volume("gone")
    attach(ada, server_id, kept)
    attach(ada, server_id, gone)
    stage.settle()
    change = {"volumeAttachment": {"volumeId": gone, "delete_on_termination": True}}
    assert ada.call("PUT", url(server_id, gone), change).status_code == 202
    ada.call("DELETE", f"/compute/v2.1/servers/{server_id}")
    stage.settle()
    assert (state_of(kept), state_of(gone)) == ("available", None)


def test_a_stopped_server_takes_volumes_and_has_them_when_it_starts(
    stage, ada, does, server_id, volume, state_of
):
    volume_id = volume()
    does(server_id, "os-stop")
    attach(ada, server_id, volume_id)
    stage.settle()
    assert state_of(volume_id) == "in-use"
    does(server_id, "os-start")
    assert disks(stage, server_id) == [volume_id]


def test_a_volume_swap_is_for_administrators_and_says_what_to_do_instead(ada, root, stage, server_id, volume):
    old, new = volume("old"), volume("new")
    attach(ada, server_id, old)
    stage.settle()
    change = {"volumeAttachment": {"volumeId": new}}
    assert ada.call("PUT", url(server_id, old), change).status_code == 403
    refused = root.call("PUT", url(server_id, old), change)
    assert refused.status_code == 400
    assert "Attach the new volume" in refused.json()["badRequest"]["message"]


# a server that boots from one


def boot(ada, *devices, **more):
    wish = {
        "name": "vm",
        "flavorRef": "c1-1gb-5",
        "networks": "none",
        "block_device_mapping_v2": list(devices),
        **more,
    }
    return ada.call("POST", "/compute/v2.1/servers", {"server": wish})


def from_image(image, **more):
    return {
        "source_type": "image", "destination_type": "volume", "uuid": image, "volume_size": 1, "boot_index": 0, **more,
    }  # fmt: skip


@pytest.mark.parametrize(("ends", "status"), [(True, None), (False, "available")])
def test_a_server_boots_from_a_volume_made_of_an_image(stage, ada, state_of, ends, status):
    server_id = boot(ada, from_image(ada.image(), delete_on_termination=ends)).json()["server"]["id"]
    stage.settle()
    server = ada.server(server_id)
    assert (server["status"], server["image"]) == ("ACTIVE", "")
    spec = stage.machines.spec_of(server_id)
    (disk,) = spec["volumes"]
    assert (spec["image"], disk["boot"], disk["device"]) == (None, True, "/dev/vda")
    assert state_of(disk["id"]) == "in-use"
    refused = ada.call("DELETE", url(server_id, disk["id"]))
    assert refused.json()["badRequest"]["message"].startswith("Cannot detach a root device volume")
    ada.call("DELETE", f"/compute/v2.1/servers/{server_id}")
    stage.settle()
    assert state_of(disk["id"]) == status


def test_a_server_boots_from_a_volume_that_is_there_and_gets_more(stage, ada, volume, state_of):
    image = ada.image()
    root_volume, data = volume("root", imageRef=image), volume("data")
    existing = {"source_type": "volume", "destination_type": "volume", "uuid": root_volume, "boot_index": 0}
    more = [
        {"source_type": "volume", "destination_type": "volume", "uuid": data, "boot_index": -1},
        {"source_type": "blank", "destination_type": "volume", "volume_size": 2, "boot_index": -1},
    ]
    server_id = boot(ada, existing, *more).json()["server"]["id"]
    stage.settle()
    assert ada.status(server_id) == "ACTIVE"
    plugged = disks(stage, server_id)
    assert plugged[:2] == [root_volume, data]
    assert [state_of(volume_id) for volume_id in plugged] == ["in-use"] * 3


def test_a_volume_that_cannot_be_had_means_no_server_and_nothing_taken(stage, ada, volume, state_of):
    image = ada.image()
    bootable = volume("root", imageRef=image)
    one = {"source_type": "volume", "destination_type": "volume", "uuid": bootable, "boot_index": 0}
    nowhere = {**one, "uuid": "4f1e9c2e-0000-4000-8000-000000000000", "boot_index": -1}
    refused = boot(ada, one, nowhere)
    assert refused.status_code == 400
    assert "failed to get volume" in refused.json()["badRequest"]["message"]
    assert ada.ok("GET", "/compute/v2.1/servers") == {"servers": []}
    assert (state_of(bootable), ada.used()) == ("available", (0, 0, 0))


def test_a_volume_that_cannot_be_made_is_an_error_and_leaves_none(stage, ada, root):
    answer = boot(ada, from_image(ada.image(), volume_size=100_000, delete_on_termination=True))
    assert answer.status_code == 202
    stage.settle()
    assert ada.status(answer.json()["server"]["id"]) == "ERROR"
    assert ada.ok("GET", f"/volume/v3/{ada.project.id}/volumes") == {"volumes": []}


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ({"source_type": "blank", "destination_type": "volume", "boot_index": 0}, "need to have non-zero size"),
        ({"source_type": "volume", "destination_type": "volume", "boot_index": 0}, "Missing device UUID."),
        ({"source_type": "image", "uuid": "IMAGE", "destination_type": "local", "boot_index": 0}, "Mapping image to local"),
        ({"source_type": "image", "uuid": "IMAGE", "destination_type": "volume", "boot_index": 0}, "non-zero size"),
        ({"source_type": "image", "uuid": "nowhere", "destination_type": "volume", "boot_index": 0, "volume_size": 1}, "failed to get image nowhere."),
        ({"source_type": "blank", "destination_type": "volume", "volume_size": 1, "boot_index": 1}, "Boot sequence"),
        ({"source_type": "blank", "destination_type": "local", "volume_size": 99, "boot_index": 0}, "Ephemeral disks requested"),
        ({"source_type": "blank", "destination_type": "local", "guest_format": "swap", "volume_size": 9, "boot_index": 0}, "Swap drive"),
    ],
)  # fmt: skip
def test_devices_that_make_no_server_are_refused_in_nova_s_words(ada, device, words):
    wish = {**device, **({"uuid": ada.image()} if device.get("uuid") == "IMAGE" else {})}
    refused = boot(ada, wish)
    assert refused.status_code == 400
    assert words in refused.json()["badRequest"]["message"]


# after a kill


@pytest.fixture
def killed_while(stage):
    """Puts the record of a volume as a kill in the middle leaves it, and starts a new platform over it."""

    def at(volume_id, state):
        with stage.cloud.network.desk.writing() as connection:
            (device,) = BLOCK_DEVICES.find(connection, block_devices.c.volume_id == volume_id)
            BLOCK_DEVICES.save(connection, replace(device, state=state))
        stage.restart()
        stage.cloud.reconcile()
        stage.settle()

    return at


@pytest.fixture
def attached(stage, ada, server_id, volume):
    volume_id = volume()
    attach(ada, server_id, volume_id)
    stage.settle()
    return volume_id


def test_an_attaching_that_a_kill_interrupted_is_finished(stage, server_id, attached, state_of, killed_while):
    stage.machines.unplug_volume(ServerId(server_id), VolumeId(attached))
    killed_while(attached, DeviceState.ATTACHING)
    assert (state_of(attached), disks(stage, server_id)) == ("in-use", [attached])


def test_a_detaching_that_a_kill_interrupted_is_finished(stage, server_id, attached, state_of, killed_while):
    killed_while(attached, DeviceState.DETACHING)
    assert (state_of(attached), disks(stage, server_id)) == ("available", [])


def test_an_attaching_that_never_reserved_its_volume_is_given_up(
    stage, ada, server_id, attached, killed_while
):
    stage.cloud.volumes.for_servers.detached(VolumeId(attached))
    killed_while(attached, DeviceState.ATTACHING)
    assert ada.ok("GET", url(server_id)) == {"volumeAttachments": []}
