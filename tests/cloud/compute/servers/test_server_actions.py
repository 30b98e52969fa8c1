"""What is done to servers that are there, as their owners see it and as the machines feel it."""

import pytest

from armillary.base.ids import ServerId

# standing still


@pytest.mark.parametrize(
    ("there", "back", "status", "power", "state"),
    [("pause", "unpause", "PAUSED", 3, "paused"), ("suspend", "resume", "SUSPENDED", 4, "suspended")],
)
def test_a_server_stands_still_and_goes_on(
    stage, ada, does, server_id, there, back, status, power, state, machine
):
    does(server_id, there)
    server = ada.server(server_id)
    assert (server["status"], server["OS-EXT-STS:power_state"]) == (status, power)
    assert machine(server_id) == state
    assert ada.act(server_id, there).status_code == 409
    does(server_id, back)
    assert (ada.status(server_id), machine(server_id)) == ("ACTIVE", "running")
    assert "boot 2" not in ada.act(server_id, "os-getConsoleOutput", {}).json()["output"]


def test_while_it_is_being_done_the_task_says_so_and_others_wait(stage, ada, server_id):
    with stage.machines.held("pause"):
        assert ada.act(server_id, "pause").status_code == 202
        server = ada.server(server_id)
        assert (server["status"], server["OS-EXT-STS:task_state"]) == ("ACTIVE", "pausing")
        refused = ada.act(server_id, "os-stop")
        assert refused.status_code == 409
        assert refused.json()["conflictingRequest"]["message"] == (
            f"Cannot 'stop' instance {server_id} while it is in task_state pausing"
        )
    stage.settle()
    assert ada.status(server_id) == "PAUSED"


@pytest.mark.parametrize(("action", "call"), [("pause", "pause"), ("suspend", "suspend")])
def test_what_the_machine_refuses_leaves_the_server_as_it_was(stage, ada, does, server_id, action, call):
    stage.machines.fail_next(call, "no room for its memory")
    does(server_id, action)
    server = ada.server(server_id)
    assert (server["status"], server["OS-EXT-STS:task_state"]) == ("ACTIVE", None)
    (entry,) = [
        e
        for e in ada.ok("GET", f"/compute/v2.1/servers/{server_id}/os-instance-actions")["instanceActions"]
        if e["action"] == action
    ]
    assert entry["message"] == "no room for its memory"


def test_a_hard_reboot_wakes_a_server_that_stands_still(stage, ada, does, server_id, machine):
    for action in ("pause", "suspend"):
        does(server_id, action)
        does(server_id, "reboot", {"type": "HARD"})
        assert (ada.status(server_id), machine(server_id)) == ("ACTIVE", "running")


@pytest.mark.parametrize("state", ["paused", "suspended"])
def test_a_machine_that_was_put_to_sleep_past_us_is_seen_asleep(stage, ada, server_id, state):
    getattr(stage.machines, {"paused": "pause", "suspended": "suspend"}[state])(ServerId(server_id))
    stage.cloud.reconcile()
    assert ada.status(server_id) == state.upper()


# rescue


def test_a_server_is_rescued_with_another_image_and_comes_back(stage, ada, does, server_id):
    rescue = ada.image("rescue", b"\1" * 1024)
    answer = does(server_id, "rescue", {"rescue_image_ref": rescue, "adminPass": "open"}, status=200)
    assert answer.json() == {"adminPass": "open"}
    assert ada.status(server_id) == "RESCUE"
    spec = stage.machines.spec_of(server_id)
    assert spec["rescue"]["image"] != spec["image"]
    does(server_id, "reboot", {"type": "HARD"}, status=409)
    does(server_id, "unrescue")
    assert (ada.status(server_id), stage.machines.spec_of(server_id)["rescue"]) == ("ACTIVE", None)


def test_without_an_image_a_server_is_rescued_with_its_own(stage, ada, does, server_id):
    assert len(does(server_id, "rescue", status=200).json()["adminPass"]) >= 12
    spec = stage.machines.spec_of(server_id)
    assert spec["rescue"]["image"] == spec["image"]


def test_a_rescue_that_fails_is_an_error_that_a_hard_reboot_mends(stage, ada, does, server_id):
    stage.machines.fail_next("boot", "no room")
    does(server_id, "rescue", status=200)
    server = ada.server(server_id)
    assert (server["status"], server["fault"]["message"]) == ("ERROR", "no room")
    does(server_id, "reboot", {"type": "HARD"})
    assert (ada.status(server_id), stage.machines.spec_of(server_id)["rescue"]) == ("ACTIVE", None)


def test_a_rescue_image_that_is_not_there_is_refused(ada, does, server_id):
    nowhere = "4f1e9c2e-0000-4000-8000-000000000000"
    answer = does(server_id, "rescue", {"rescue_image_ref": nowhere}, status=400)
    assert answer.json()["badRequest"]["message"] == f"Requested rescue image '{nowhere}' is not supported"


# rebuild


def test_a_rebuilt_server_has_a_new_root_disk_and_keeps_its_place(stage, ada, does, server_id, machine):
    before = ada.server(server_id)
    image = ada.image("other", b"\2" * 1024)
    wish = {
        "imageRef": image,
        "name": "again",
        "metadata": {"a": "b"},
        "adminPass": "secret",
        "description": "new",
    }
    answer = does(server_id, "rebuild", wish)
    shown = answer.json()["server"]
    assert (shown["status"], shown["adminPass"], shown["name"]) == ("REBUILD", "secret", "again")
    assert answer.headers["location"].endswith(server_id)
    after = ada.server(server_id)
    assert (after["status"], after["image"]["id"], after["metadata"]) == ("ACTIVE", image, {"a": "b"})
    assert (after["addresses"], after["description"]) == (before["addresses"], "new")
    assert machine(server_id) == "running"


def test_a_stopped_server_is_stopped_again_after_its_rebuild(stage, ada, does, server_id, machine):
    does(server_id, "os-stop")
    does(server_id, "rebuild", {"imageRef": ada.image()})
    assert (ada.status(server_id), machine(server_id)) == ("SHUTOFF", "stopped")


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"imageRef": "4f1e9c2e-0000-4000-8000-000000000000"}, "Cannot find image for rebuild"),
        ({"preserve_ephemeral": True}, "does not support preserving ephemeral partitions"),
        ({"bogus": 1}, "Additional properties are not allowed ('bogus' was unexpected)"),
        ({"personality": []}, "('personality' was unexpected)"),
        ({"key_name": "nobody's"}, "Invalid key_name provided."),
    ],
)
def test_a_rebuild_that_cannot_be_is_refused_and_nothing_changes(ada, does, server_id, wish, words):
    before = ada.server(server_id)
    refused = does(server_id, "rebuild", {"imageRef": before["image"]["id"], **wish}, status=400)
    assert words in refused.json()["badRequest"]["message"]
    assert ada.server(server_id) == before


def test_a_rebuild_that_fails_is_an_error_and_can_be_tried_again(stage, ada, does, server_id):
    stage.machines.fail_next("boot", "no room")
    image = ada.server(server_id)["image"]["id"]
    does(server_id, "rebuild", {"imageRef": image})
    assert ada.server(server_id)["fault"]["message"] == "no room"
    does(server_id, "rebuild", {"imageRef": image})
    assert ada.status(server_id) == "ACTIVE"


# locks


def test_an_administrator_s_lock_is_not_the_owner_s_to_lift(ada, root, does, server_id):
    does(server_id, "lock", who=root)
    does(server_id, "lock")
    does(server_id, "unlock", status=403)
    does(server_id, "os-stop", status=409)
    does(server_id, "unlock", who=root)
    does(server_id, "lock", {"locked_reason": "mine"})
    assert ada.server(server_id)["locked_reason"] == "mine"
    does(server_id, "unlock")


def test_a_locked_server_may_be_copied(does, server_id):
    does(server_id, "lock")
    does(server_id, "createImage", {"name": "snap"})
    does(server_id, "unlock")
