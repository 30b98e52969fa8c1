"""Snapshots: images of servers."""

import pytest


@pytest.fixture
def server_id(ada):
    return ada.up()


def snapshot(ada, server_id, name="snap", **metadata):
    return ada.act(server_id, "createImage", {"name": name, "metadata": metadata})


def test_a_snapshot_is_answered_at_once_and_active_when_it_is_whole(stage, ada, server_id):
    with stage.machines.held():
        answer = snapshot(ada, server_id, colour="blue")
        assert answer.status_code == 202
        image_id = answer.json()["image_id"]
        assert ada.image_status(image_id) == "queued"
        assert ada.server(server_id)["OS-EXT-STS:task_state"] == "image_snapshot"
    stage.settle()
    image = stage.cloud.images.show(stage.accounts.principal(ada.person.id, ada.project.id), image_id)
    assert (image.status.value, image.disk_format, image.min_disk) == ("active", "qcow2", 5)
    assert image.visibility.value == "private"
    assert image.properties["instance_uuid"] == server_id
    assert image.properties["colour"] == "blue"
    assert ada.server(server_id)["OS-EXT-STS:task_state"] is None


def test_before_2_45_the_image_is_named_by_a_header(stage, ada, server_id):
    answer = snapshot(ada.at("2.44"), server_id)
    assert answer.status_code == 202
    assert answer.content == b""
    image_id = answer.headers["location"].rsplit("/", 1)[-1]
    stage.settle()
    assert ada.image_status(image_id) == "active"


def test_a_server_boots_from_a_snapshot_also_after_its_image_is_gone(stage, ada, server_id):
    image_id = snapshot(ada, server_id).json()["image_id"]
    stage.settle()
    clone = ada.up("clone", image=image_id)
    stage.cloud.images.delete(stage.accounts.principal(ada.person.id, ada.project.id), image_id)
    ada.act(clone, "os-stop")
    stage.settle()
    ada.act(clone, "os-start")
    stage.settle()
    assert ada.status(clone) == "ACTIVE"


def test_a_snapshot_that_fails_leaves_no_image_to_boot_and_the_server_runs_on(stage, ada, server_id):
    stage.machines.fail_next("snapshot", "the disk is full")
    image_id = snapshot(ada, server_id).json()["image_id"]
    stage.settle()
    assert ada.image_status(image_id) == "killed"
    assert ada.status(server_id) == "ACTIVE"
    assert ada.server(server_id)["OS-EXT-STS:task_state"] is None


def test_a_second_snapshot_at_the_same_time_is_refused(stage, ada, server_id):
    with stage.machines.held():
        snapshot(ada, server_id)
        assert snapshot(ada, server_id).status_code == 409
    stage.settle()


def test_a_server_deleted_during_its_snapshot_still_gives_the_image(stage, ada, server_id):
    with stage.machines.held():
        image_id = snapshot(ada, server_id).json()["image_id"]
        assert ada.call("DELETE", f"/compute/v2.1/servers/{server_id}").status_code == 204
    stage.settle()
    assert ada.call("GET", f"/compute/v2.1/servers/{server_id}").status_code == 404
    assert ada.image_status(image_id) in {"active", "killed"}
    assert stage.machines.states() == {}


def test_a_snapshot_of_a_stopped_server_works(stage, ada, server_id):
    ada.act(server_id, "os-stop")
    stage.settle()
    image_id = snapshot(ada, server_id).json()["image_id"]
    stage.settle()
    assert ada.image_status(image_id) == "active"
    assert ada.status(server_id) == "SHUTOFF"
