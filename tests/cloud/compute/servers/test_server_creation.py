"""What may be said of a server when it is made."""

import base64
import json

import pytest


@pytest.fixture
def image(ada):
    return ada.image()


def ask(user, image, **wish):
    outside = {key: wish.pop(key) for key in list(wish) if ":" in key}
    server = {"name": "x", "imageRef": image, "flavorRef": "c1-1gb-5", "networks": "auto", **wish}
    return user.call("POST", "/compute/v2.1/servers", {"server": server, **outside})


def test_several_servers_are_made_with_one_reservation(stage, ada, image):
    answer = ask(ada, image, min_count=2, max_count=2, return_reservation_id=True)
    reservation = answer.json()["reservation_id"]
    stage.settle()
    servers = ada.ok("GET", "/compute/v2.1/servers/detail")["servers"]
    assert {s["name"] for s in servers} == {"x-1", "x-2"}
    assert {s["status"] for s in servers} == {"ACTIVE"}
    assert reservation.startswith("r-")


def test_as_many_servers_are_made_as_the_quota_allows(stage, ada, image):
    assert ask(ada, image, min_count=1, max_count=9).status_code == 202
    stage.settle()
    assert ada.used()[0] == 4
    assert ask(ada, image, min_count=3, max_count=9).status_code == 403
    assert (
        ask(ada, image, min_count=3, max_count=2).json()["badRequest"]["message"]
        == "min_count must be <= max_count"
    )


def test_a_password_and_files_reach_the_guest_by_its_drive(stage, ada, image):
    motd = base64.b64encode(b"hello").decode()
    answer = ask(
        ada.at("2.56"), image, adminPass="secret", personality=[{"path": "/etc/motd", "contents": motd}]
    )
    assert answer.json()["server"]["adminPass"] == "secret"
    stage.settle()
    drive = stage.machines.spec_of(answer.json()["server"]["id"])["config_drive"]
    meta = json.loads(drive["openstack/latest/meta_data.json"])
    assert (meta["admin_pass"], meta["files"][0]["path"]) == ("secret", "/etc/motd")
    assert drive["openstack/content/0000"] == "hello"


def test_a_password_is_not_kept_once_the_guest_has_it(stage, ada, does, image):
    server_id = ask(ada, image, adminPass="secret").json()["server"]["id"]
    stage.settle()
    does(server_id, "os-stop")
    does(server_id, "os-start")
    meta = stage.machines.spec_of(server_id)["config_drive"]["openstack/latest/meta_data.json"]
    assert "secret" not in meta


@pytest.mark.parametrize(
    ("version", "wish", "words"),
    [
        ("2.57", {"personality": []}, "('personality' was unexpected)"),
        ("2.51", {"tags": ["a"]}, "('tags' was unexpected)"),
        ("2.89", {"hostname": "h"}, "('hostname' was unexpected)"),
        ("2.93", {"availability_zone": "mars"}, "The requested availability zone is not available"),
        ("2.93", {"networks": None}, "'networks' is a required property"),
        ("2.36", {"networks": "auto"}, "is not of type 'array'"),
        (
            "2.93",
            {"max_count": 2, "hostname": "h"},
            "Unable to allocate a single hostname to multiple instances",
        ),
        ("2.93", {"name": "  "}, "field/attribute name"),
        ("2.93", {"metadata": {"a b c/": "d"}}, "field/attribute metadata"),
        ("2.93", {"accessIPv4": "1.2.3"}, "accessIPv4"),
        ("2.93", {"user_data": "not base64!"}, "It is not a 'base64'"),
    ],
)
def test_what_cannot_be_said_is_refused(ada, image, version, wish, words):
    answer = ask(ada.at(version), image, **wish)
    assert answer.status_code == 400
    assert words in answer.json()["badRequest"]["message"]


def test_too_much_to_inject_is_nova_s_403(ada, image):
    files = [{"path": f"/f{number}", "contents": ""} for number in range(6)]
    answer = ask(ada.at("2.56"), image, personality=files)
    assert (answer.status_code, answer.json()["forbidden"]["message"]) == (
        403,
        "Personality file limit exceeded",
    )


def test_what_the_owner_says_of_addresses_and_disks_is_kept(stage, ada, image):
    wish = {"accessIPv4": "1.2.3.4", "accessIPv6": "2001:db8::1", "OS-DCF:diskConfig": "AUTO"}
    server = {"name": "x", "imageRef": image, "flavorRef": "c1-1gb-5", "networks": "none", **wish}
    server_id = ada.ok("POST", "/compute/v2.1/servers", {"server": server})["server"]["id"]
    shown = ada.server(server_id)
    assert {name: shown[name] for name in wish} == wish
    stage.settle()


def test_a_second_server_that_shall_be_apart_finds_no_host(stage, ada, image):
    group = {"server_group": {"name": "apart", "policy": "anti-affinity"}}
    group_id = ada.ok("POST", "/compute/v2.1/os-server-groups", group)["server_group"]["id"]
    hint = {"os:scheduler_hints": {"group": group_id}}
    ids = []
    for _ in range(2):
        ids.append(ask(ada, image, **hint).json()["server"]["id"])
        stage.settle()
    assert [ada.status(server_id) for server_id in ids] == ["ACTIVE", "ERROR"]
    assert ada.server(ids[1])["fault"]["message"].startswith("No valid host was found.")
    assert ada.server(ids[0])["server_groups"] == [group_id]
    nowhere = {"os:scheduler_hints": {"group": "4f1e9c2e-0000-4000-8000-000000000000"}}
    assert ask(ada, image, **nowhere).status_code == 400


def test_a_host_is_named_by_administrators_only(stage, ada, root):
    image = root.image()
    assert ask(ada, image, host="armillary").status_code == 403
    assert "mars could not be found" in ask(root, image, host="mars").text


def test_flavors_with_swap_have_a_swap_disk(stage, ada, root, image):
    flavor = {"flavor": {"name": "swapper", "ram": 256, "vcpus": 1, "disk": 1, "swap": 64}}
    flavor_id = root.ok("POST", "/compute/v2.1/flavors", flavor)["flavor"]["id"]
    server_id = ask(ada, image, flavorRef=flavor_id).json()["server"]["id"]
    stage.settle()
    assert stage.machines.spec_of(server_id)["swap_disk"] == 64


def test_local_disks_smaller_than_the_flavor_s_are_made_as_asked(stage, ada, image):
    devices = [
        {"source_type": "image", "destination_type": "local", "uuid": image, "boot_index": 0},
        {"source_type": "blank", "destination_type": "local", "volume_size": 2, "boot_index": -1},
    ]
    server_id = ask(ada, image, block_device_mapping_v2=devices).json()["server"]["id"]
    stage.settle()
    assert stage.machines.spec_of(server_id)["ephemeral_disk"] == 2
    assert ada.server(server_id)["image"]["id"] == image


# administrators, and what one host cannot do


def test_an_administrator_says_what_state_a_server_is_in(stage, ada, root, does, server_id):
    assert ada.act(server_id, "os-resetState", {"state": "error"}).status_code == 403
    does(server_id, "os-resetState", {"state": "error"}, who=root)
    assert ada.status(server_id) == "ERROR"
    does(server_id, "os-resetState", {"state": "active"}, who=root)
    assert ada.status(server_id) == "ACTIVE"


@pytest.mark.parametrize(
    ("action", "argument"),
    [
        ("migrate", None),
        ("os-migrateLive", {"host": None, "block_migration": "auto"}),
        ("evacuate", {"host": "other"}),
    ],
)
def test_there_is_no_other_host(root, does, server_id, action, argument):
    answer = does(server_id, action, argument, who=root, status=400)
    assert answer.json()["badRequest"]["message"].startswith("No valid host was found.")


@pytest.mark.parametrize(
    ("action", "argument", "status"),
    [
        ("restore", None, 409),
        ("resetNetwork", None, 410),
        ("trigger_crash_dump", None, 400),
        ("changePassword", {"adminPass": "x"}, 409),
        ("injectNetworkInfo", None, 202),
        ("os-getVNCConsole", {"type": "novnc"}, 404),
        ("bogus", None, 400),
    ],
)
def test_other_actions_answer_as_nova_does(root, does, server_id, action, argument, status):
    does(server_id, action, argument, who=root, status=status)


def test_a_forced_deletion_ends_a_server(ada, does, server_id):
    does(server_id, "forceDelete")
    assert ada.call("GET", f"/compute/v2.1/servers/{server_id}").status_code == 404


def test_a_host_that_is_closed_takes_no_new_server_and_keeps_those_that_it_has(
    stage, ada, root, does, server_id
):
    (service,) = root.ok("GET", "/compute/v2.1/os-services?binary=nova-compute")["services"]
    url = f"/compute/v2.1/os-services/{service['id']}"
    root.ok("PUT", url, {"status": "disabled"})
    refused = ada.up("later")
    assert ada.server(refused)["fault"]["message"].startswith("No valid host was found.")
    does(server_id, "reboot", {"type": "HARD"})
    assert ada.status(server_id) == "ACTIVE"
    root.ok("PUT", url, {"status": "enabled"})
    assert ada.status(ada.up("then")) == "ACTIVE"
