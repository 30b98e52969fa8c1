"""A server gets another flavor, and keeps it or goes back."""

import pytest


def flavor(ada, server_id):
    return ada.server(server_id)["flavor"]["original_name"]


def test_a_resize_waits_to_be_confirmed(stage, ada, does, server_id):
    does(server_id, "resize", {"flavorRef": "c2-2gb-10"})
    assert (ada.status(server_id), flavor(ada, server_id)) == ("VERIFY_RESIZE", "c2-2gb-10")
    assert stage.machines.spec_of(server_id)["vcpus"] == 2
    assert ada.used() == (1, 2, 2048)
    does(server_id, "os-stop", status=409)
    does(server_id, "confirmResize", status=204)
    assert ada.status(server_id) == "ACTIVE"
    does(server_id, "revertResize", status=409)


def test_a_resize_is_reverted(stage, ada, does, server_id):
    does(server_id, "resize", {"flavorRef": "c2-2gb-10"})
    does(server_id, "revertResize")
    assert (ada.status(server_id), flavor(ada, server_id)) == ("ACTIVE", "c1-1gb-5")
    assert stage.machines.spec_of(server_id)["vcpus"] == 1
    assert ada.used() == (1, 1, 1024)


@pytest.mark.parametrize(("action", "status"), [("confirmResize", 204), ("revertResize", 202)])
def test_a_stopped_server_is_resized_without_being_run(stage, ada, does, server_id, action, status, machine):
    does(server_id, "os-stop")
    does(server_id, "resize", {"flavorRef": "c2-2gb-10"})
    assert (ada.status(server_id), machine(server_id)) == ("VERIFY_RESIZE", "stopped")
    does(server_id, action, status=status)
    assert (ada.status(server_id), machine(server_id)) == ("SHUTOFF", "stopped")
    does(server_id, "os-start")
    assert ada.status(server_id) == "ACTIVE"


def test_a_resize_that_fails_leaves_the_old_size_running(stage, ada, root, does, server_id, machine):
    stage.machines.fail_next("boot", "no room")
    does(server_id, "resize", {"flavorRef": "c2-2gb-10"})
    assert (ada.status(server_id), flavor(ada, server_id)) == ("ACTIVE", "c1-1gb-5")
    assert machine(server_id) == "running"
    (migration,) = root.ok("GET", f"/compute/v2.1/os-migrations?instance_uuid={server_id}")["migrations"]
    assert (migration["status"], migration["instance_uuid"]) == ("error", server_id)
    does(server_id, "resize", {"flavorRef": "c2-2gb-10"})
    assert ada.status(server_id) == "VERIFY_RESIZE"


def test_migrations_tell_of_resizes(stage, ada, root, does, server_id):
    def statuses():
        return [
            m["status"]
            for m in root.ok("GET", f"/compute/v2.1/os-migrations?instance_uuid={server_id}")["migrations"]
        ]

    does(server_id, "resize", {"flavorRef": "c2-2gb-10"})
    assert statuses() == ["finished"]
    does(server_id, "revertResize")
    does(server_id, "resize", {"flavorRef": "c2-2gb-10"})
    does(server_id, "confirmResize", status=204)
    assert statuses() == ["confirmed", "reverted"]


@pytest.mark.parametrize(
    ("flavor", "status", "words"),
    [
        ("c1-1gb-5", 400, "When resizing, instances must change flavor!"),
        ("nope", 400, "Flavor nope could not be found."),
        ("c8-16gb-40", 403, "Quota exceeded for cores, ram: Requested 7, 15360"),
    ],
)
def test_a_resize_that_cannot_be_is_refused(ada, does, server_id, flavor, status, words):
    assert words in does(server_id, "resize", {"flavorRef": flavor}, status=status).text
    assert ada.status(server_id) == "ACTIVE"


def test_a_disk_does_not_shrink(stage, ada, does):
    server_id = ada.up(flavorRef="c2-2gb-10")
    refused = does(server_id, "resize", {"flavorRef": "c1-1gb-5"}, status=400)
    assert "Unable to resize disk down." in refused.json()["badRequest"]["message"]


def test_a_resize_needs_room_on_the_cloud(stage, ada, root, does, server_id):
    root.ok("PUT", f"/compute/v2.1/os-quota-sets/{ada.project.id}", {"quota_set": {"cores": -1, "ram": -1}})
    ada.up("big", flavorRef="c4-8gb-20")
    refused = does(server_id, "resize", {"flavorRef": "c8-16gb-40"}, status=400)
    assert refused.json()["badRequest"]["message"].startswith("No valid host was found.")
