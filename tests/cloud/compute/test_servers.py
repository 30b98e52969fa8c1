"""A server's life, as its owner sees it."""

import base64
import json

import pytest


@pytest.fixture
def image(ada):
    return ada.image()


def test_a_request_is_answered_at_once_and_the_server_is_in_build(stage, ada, image):
    with stage.machines.held():
        answer = ada.call(
            "POST",
            "/compute/v2.1/servers",
            {"server": {"name": "vm1", "imageRef": image, "flavorRef": "c1-1gb-5", "networks": "auto"}},
        )
        assert answer.status_code == 202
        assert answer.headers["location"].endswith(answer.json()["server"]["id"])
        server = ada.server(answer.json()["server"]["id"])
        assert (server["status"], server["OS-EXT-STS:vm_state"]) == ("BUILD", "building")
        assert stage.machines.states() == {}


def test_a_server_is_active_once_its_machine_runs(stage, ada):
    server_id = ada.up()
    server = ada.server(server_id)
    assert (server["status"], server["OS-EXT-STS:power_state"]) == ("ACTIVE", 1)
    assert stage.machines.states() == {server_id: "running"}
    assert [a["addr"] for a in server["addresses"]["m51-net"]] == ["10.0.0.4"]


def test_a_server_gets_what_its_flavor_and_its_owner_asked_for(stage, ada):
    ada.ok("POST", "/compute/v2.1/os-keypairs", {"keypair": {"name": "desk", "public_key": PUBLIC_KEY}})
    user_data = base64.b64encode(b"#!/bin/sh\necho hi\n").decode()
    server_id = ada.up("my vm", key_name="desk", user_data=user_data, metadata={"a": "b"})
    spec = stage.machines.spec_of(server_id)
    drive = spec["config_drive"]
    meta = json.loads(drive["openstack/latest/meta_data.json"])
    assert (spec["vcpus"], spec["ram"], spec["root_disk"], spec["ephemeral_disk"]) == (1, 1024, 5, 5)
    assert drive["openstack/latest/user_data"] == "#!/bin/sh\necho hi\n"
    assert meta["uuid"] == server_id
    assert (meta["name"], meta["hostname"], meta["meta"]) == ("my vm", "my-vm.novalocal", {"a": "b"})
    assert meta["public_keys"] == {"desk": PUBLIC_KEY}
    assert json.loads(drive["openstack/latest/vendor_data.json"]) == {"cloud-init": "#cloud-config\n{}\n"}


def test_a_failed_boot_is_an_error_with_a_fault_and_gives_everything_back(stage, ada):
    stage.machines.fail_next("boot", "the disk is full")
    server_id = ada.up()
    server = ada.server(server_id)
    assert server["status"] == "ERROR"
    assert server["fault"]["code"] == 500
    assert server["fault"]["message"] == "the disk is full"
    assert server["addresses"] == {}
    assert ada.used() == (0, 0, 0)
    assert stage.machines.states() == {}
    assert ada.ok("GET", f"/network/v2.0/ports?device_id={server_id}") == {"ports": []}


def test_a_full_cloud_says_no_valid_host_with_the_figures(stage, ada, root):
    root.ok("PUT", f"/compute/v2.1/os-quota-sets/{ada.project.id}", {"quota_set": {"cores": 99, "ram": -1}})
    ada.up("big", flavorRef="c4-8gb-20")
    ada.up("big2", flavorRef="c4-8gb-20")
    refused = ada.up("one more")
    fault = ada.server(refused)["fault"]["message"]
    assert fault.startswith("No valid host was found.")
    assert "vCPUs: 1 asked, 0 of 8 free" in fault
    assert ada.used()[0] == 2


def test_over_quota_is_nova_s_403_and_nothing_is_recorded(ada):
    body = {"server": {"name": "x", "imageRef": ada.image(), "flavorRef": "c8-16gb-40", "networks": "auto"}}
    answer = ada.call("POST", "/compute/v2.1/servers", body)
    assert answer.status_code == 403
    assert answer.json() == {
        "forbidden": {
            "code": 403,
            "message": "Quota exceeded for cores, ram: Requested 8, 16384, but already used 0, 0 of 4, 8192 cores, ram",
        }
    }
    assert ada.ok("GET", "/compute/v2.1/servers") == {"servers": []}


def test_quota_is_charged_while_a_server_is_being_built(stage, ada, image):
    with stage.machines.held():
        ada.boot(image=image)
        assert ada.used() == (1, 1, 1024)


def test_stop_start_and_reboot(stage, ada):
    server_id = ada.up()
    assert ada.act(server_id, "os-stop").status_code == 202
    stage.settle()
    assert ada.status(server_id) == "SHUTOFF"
    assert stage.machines.states() == {server_id: "stopped"}
    assert ada.act(server_id, "os-start").status_code == 202
    stage.settle()
    assert ada.status(server_id) == "ACTIVE"
    for kind in ("SOFT", "HARD"):
        assert ada.act(server_id, "reboot", {"type": kind}).status_code == 202
        stage.settle()
        assert ada.status(server_id) == "ACTIVE"


@pytest.mark.parametrize(("action", "state"), [("os-start", "active"), ("os-stop", "stopped")])
def test_an_action_in_the_wrong_state_is_nova_s_409(stage, ada, action, state):
    server_id = ada.up()
    if state == "stopped":
        ada.act(server_id, "os-stop")
        stage.settle()
    answer = ada.act(server_id, action)
    assert answer.status_code == 409
    verb = action.removeprefix("os-")
    assert answer.json()["conflictingRequest"]["message"] == (
        f"Cannot '{verb}' instance {server_id} while it is in vm_state {state}"
    )


def test_a_locked_server_refuses_until_it_is_unlocked(stage, ada):
    server_id = ada.up()
    assert ada.act(server_id, "lock").status_code == 202
    assert ada.act(server_id, "os-stop").status_code == 409
    assert ada.call("DELETE", f"/compute/v2.1/servers/{server_id}").status_code == 409
    assert ada.act(server_id, "unlock").status_code == 202
    assert ada.act(server_id, "os-stop").status_code == 202


def test_deleting_gives_everything_back(stage, ada):
    server_id = ada.up()
    assert ada.call("DELETE", f"/compute/v2.1/servers/{server_id}").status_code == 204
    stage.settle()
    assert ada.call("GET", f"/compute/v2.1/servers/{server_id}").status_code == 404
    assert stage.machines.states() == {}
    assert ada.used() == (0, 0, 0)
    assert ada.ok("GET", f"/network/v2.0/ports?device_id={server_id}") == {"ports": []}


def test_a_server_deleted_while_it_boots_leaves_nothing(stage, ada, image):
    with stage.machines.held():
        server_id = ada.boot(image=image)
        assert ada.call("DELETE", f"/compute/v2.1/servers/{server_id}").status_code == 204
        assert ada.call("DELETE", f"/compute/v2.1/servers/{server_id}").status_code == 204
    stage.settle()
    assert ada.call("GET", f"/compute/v2.1/servers/{server_id}").status_code == 404
    assert stage.machines.states() == {}
    assert ada.used() == (0, 0, 0)


def test_the_console_log_is_what_the_machine_wrote(ada):
    server_id = ada.up()
    assert "fake boot 1 of vm1" in ada.act(server_id, "os-getConsoleOutput", {}).json()["output"]
    assert ada.act(server_id, "os-getConsoleOutput", {"length": 1}).json()["output"] == "login: "


def test_metadata_tags_and_name_can_be_changed(ada):
    server_id = ada.up(metadata={"a": "b"})
    url = f"/compute/v2.1/servers/{server_id}"
    assert ada.ok("POST", f"{url}/metadata", {"metadata": {"c": "d"}}) == {"metadata": {"a": "b", "c": "d"}}
    assert ada.ok("PUT", f"{url}/metadata", {"metadata": {"e": "f"}}) == {"metadata": {"e": "f"}}
    assert ada.call("DELETE", f"{url}/metadata/e").status_code == 204
    assert ada.call("DELETE", f"{url}/metadata/e").status_code == 404
    assert ada.call("PUT", f"{url}/tags/blue").status_code == 201
    assert ada.ok("PUT", url, {"server": {"name": "other"}})["server"]["name"] == "other"
    assert ada.server(server_id)["tags"] == ["blue"]


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"flavorRef": "nope"}, "Flavor nope could not be found."),
        ({"imageRef": "4f1e9c2e-0000-4000-8000-000000000000"}, "Can not find requested image"),
        ({"key_name": "nope"}, "Invalid key_name provided."),
        ({"networks": [{"uuid": "nope"}]}, "Network nope could not be found."),
        ({"name": ""}, "Invalid input for field/attribute name"),
        ({"user_data": "%" * 70000}, "Invalid input for field/attribute user_data"),
        ({"bogus": 1}, "Additional properties are not allowed ('bogus' was unexpected)"),
    ],
)
def test_a_request_that_cannot_be_met_is_a_400_that_says_why(ada, image, wish, words):
    body = {"server": {"name": "x", "imageRef": image, "flavorRef": "c1-1gb-5", "networks": "auto", **wish}}
    answer = ada.call("POST", "/compute/v2.1/servers", body)
    assert answer.status_code == 400
    assert words in answer.json()["badRequest"]["message"]
    assert ada.used() == (0, 0, 0)


def test_an_image_that_needs_more_than_the_flavor_has_is_refused(ada):
    image = ada.image(min_ram=4096)
    body = {"server": {"name": "x", "imageRef": image, "flavorRef": "c1-1gb-5", "networks": "auto"}}
    answer = ada.call("POST", "/compute/v2.1/servers", body)
    assert answer.status_code == 400
    assert "memory is too small" in answer.json()["badRequest"]["message"]


def test_somebody_else_s_server_is_not_there(ada, bob):
    server_id = ada.up()
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/metadata")):
        answer = bob.call(method, f"/compute/v2.1/servers/{server_id}{path}")
        assert answer.status_code == 404
        assert answer.json()["itemNotFound"]["message"] == f"Instance {server_id} could not be found."
    assert bob.act(server_id, "os-stop").status_code == 404
    assert ada.status(server_id) == "ACTIVE"


def test_a_reader_looks_and_does_not_touch(member_of, ada):
    from armillary.accounts.model import Role

    server_id = ada.up()
    reader = member_of("m51", "rea", role=Role.READER)
    assert reader.status(server_id) == "ACTIVE"
    assert reader.act(server_id, "os-stop").status_code == 403
    assert reader.call("DELETE", f"/compute/v2.1/servers/{server_id}").status_code == 403


def test_administrators_see_all_projects_and_members_may_not_ask(ada, bob, root):
    ada.up("a"), bob.up("b")
    everybody = root.ok("GET", "/compute/v2.1/servers/detail?all_tenants=1")["servers"]
    assert {s["name"] for s in everybody} == {"a", "b"}
    answer = ada.call("GET", "/compute/v2.1/servers?all_tenants=1")
    assert answer.status_code == 403
    assert "get_all_tenants" in answer.json()["forbidden"]["message"]


@pytest.mark.parametrize("name", ["(a%2B)%2B$", "(a|a)*$", "a*a*a*a*$", "(?=a)a", r"(a)\1", "a" * 256, "("])
def test_a_filter_that_could_run_for_years_is_refused(ada, name):
    ada.up("a" * 60)
    assert ada.call("GET", f"/compute/v2.1/servers?name={name}").status_code == 400
    assert ada.ok("GET", "/compute/v2.1/servers?name=^a.*a$")["servers"]


def test_lists_are_filtered_and_paged(ada):
    image = ada.image()
    ids = [ada.up(name, image=image) for name in ("one", "two", "three")]
    named = ada.ok("GET", "/compute/v2.1/servers?name=^t")["servers"]
    assert {s["name"] for s in named} == {"two", "three"}
    assert ada.ok("GET", "/compute/v2.1/servers?status=SHUTOFF")["servers"] == []
    seen, url = [], "/compute/v2.1/servers?limit=2"
    while url:
        page = ada.ok("GET", url)
        seen += [s["id"] for s in page["servers"]]
        url = page.get("servers_links", [{"href": None}])[0]["href"]
    assert sorted(seen) == sorted(ids)
    assert ada.call("GET", "/compute/v2.1/servers?marker=nope").status_code == 400
    assert ada.call("GET", "/compute/v2.1/servers?limit=-1").status_code == 400


PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE6Yjcl6zxdpO7KrQ6qTuqQ9tjXl1CQH7eQzOE10nzD1 ada@desk"
