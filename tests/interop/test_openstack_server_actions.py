"""What people do to servers with the stock `openstack` command, from their creation to their end."""

from __future__ import annotations

from typing import Any

import pytest
from live_cloud import Live

pytestmark = [pytest.mark.interop, pytest.mark.timeout(600)]

JSON = ("-f", "json")


def status(live: Live, name: str) -> str:
    live.cloud.settle()
    return live.ok("server", "show", name, *JSON)["status"]


def server(live: Live, name: str, *words: str) -> Any:
    chosen = () if "--flavor" in words else ("--flavor", "c1-1gb-5")
    return live.ok("server", "create", *chosen, *words, "--wait", name, *JSON)


@pytest.fixture(scope="module")
def vm(live: Live, image: str) -> str:
    """An active server that the tests of this module leave as they found it."""
    server(live, "vm", "--image", image, "--network", "m51-net")
    return "vm"


@pytest.mark.parametrize(
    ("there", "away", "back"),
    [
        ("stop", "SHUTOFF", "start"),
        ("pause", "PAUSED", "unpause"),
        ("suspend", "SUSPENDED", "resume"),
        ("rescue", "RESCUE", "unrescue"),
        ("shelve", "SHELVED_OFFLOADED", "unshelve"),
    ],
)
def test_a_server_goes_and_comes_back(live: Live, vm: str, there: str, away: str, back: str) -> None:
    live.ok("server", there, vm)
    assert status(live, vm) == away
    live.ok("server", back, vm)
    assert status(live, vm) == "ACTIVE"


def test_a_server_is_locked_and_unlocked(live: Live, vm: str) -> None:
    live.ok("server", "lock", "--reason", "mine", vm)
    assert "is locked" in live.refused("server", "stop", vm)
    live.ok("server", "unlock", vm)


def test_a_server_is_rebuilt_and_resized_there_and_back(live: Live, image: str, vm: str) -> None:
    live.ok("server", "rebuild", "--image", image, "--wait", vm)
    for end in ("confirm", "revert"):
        live.ok(
            "server", "resize", "--flavor", "c2-2gb-10" if end == "confirm" else "c4-8gb-20", "--wait", vm
        )
        assert status(live, vm) == "VERIFY_RESIZE"
        live.ok("server", "resize", end, vm)
        assert status(live, vm) == "ACTIVE"
    assert "c2-2gb-10" in str(live.ok("server", "show", vm, *JSON)["flavor"])
    listed = live.ok("server", "migration", "list", *JSON, user="root")
    assert {entry["Status"] for entry in listed} == {"confirmed", "reverted"}


def test_a_server_is_kept_in_images_and_backups(live: Live, vm: str) -> None:
    assert live.ok("server", "image", "create", "--name", "snap", "--wait", vm, *JSON)["status"] == "active"
    for number in (1, 2):
        live.ok("server", "backup", "create", "--name", f"b{number}", "--rotate", "1", "--wait", vm)
    names = {entry["Name"] for entry in live.ok("image", "list", *JSON)}
    assert {"snap", "b2"} <= names
    assert "b1" not in names


def test_volumes_come_and_go(live: Live, vm: str) -> None:
    live.ok("volume", "create", "--size", "1", "data")
    live.cloud.settle()
    added = live.ok(
        "server", "add", "volume", "--enable-delete-on-termination", "--tag", "d", vm, "data", *JSON
    )
    assert added["Device"].startswith("/dev/vd")
    live.cloud.settle()
    (listed,) = live.ok("server", "volume", "list", vm, *JSON)
    assert (listed["Tag"], listed["Delete On Termination?"]) == ("d", True)
    live.ok("server", "volume", "update", "--preserve-on-termination", vm, "data")
    live.ok("server", "remove", "volume", vm, "data")
    live.cloud.settle()
    assert live.ok("volume", "show", "data", *JSON)["status"] == "available"


def test_cards_addresses_and_groups_come_and_go(live: Live, vm: str) -> None:
    live.ok("network", "create", "lab")
    live.ok("subnet", "create", "--network", "lab", "--subnet-range", "192.168.9.0/24", "lab-sub")
    live.ok("port", "create", "--network", "lab", "card")
    live.ok("server", "add", "port", vm, "card")
    live.ok("server", "add", "network", vm, "lab")
    live.ok("server", "add", "fixed", "ip", "--fixed-ip-address", "192.168.9.99", vm, "lab")
    assert "192.168.9.99" in str(live.ok("server", "show", vm, *JSON)["addresses"]["lab"])
    live.ok("server", "remove", "port", vm, "card")
    live.cloud.settle()
    live.ok("server", "remove", "network", vm, "lab")
    live.cloud.settle()
    assert "lab" not in live.ok("server", "show", vm, *JSON)["addresses"]
    live.ok("security", "group", "create", "web")
    live.ok("server", "add", "security", "group", vm, "web")
    assert "web" in str(live.ok("server", "show", vm, *JSON)["security_groups"])
    live.ok("server", "remove", "security", "group", vm, "web")
    address = live.ok("floating", "ip", "create", "public", *JSON)["floating_ip_address"]
    live.ok("server", "add", "floating", "ip", vm, address)
    assert address in str(live.ok("server", "show", vm, *JSON)["addresses"])
    live.ok("server", "remove", "floating", "ip", vm, address)


def test_a_server_is_made_with_all_that_may_be_said(live: Live, image: str) -> None:
    live.ok("server", "group", "create", "--policy", "soft-anti-affinity", "friends")
    group = live.ok("server", "group", "show", "friends", *JSON)["id"]
    (live.home / "hello").write_text("#!/bin/sh\necho hi\n")
    made = server(
        live, "full", "--image", image, "--nic", "net-id=m51-net,v4-fixed-ip=10.0.0.77", "--user-data",
        str(live.home / "hello"), "--hint", f"group={group}", "--tag", "blue", "--property", "a=b",
        "--description", "all of it", "--hostname", "other-name", "--use-config-drive", "--availability-zone", "nova",
        "--ephemeral", "size=1", "--block-device", "source_type=blank,destination_type=volume,volume_size=1,boot_index=-1",
        "--password", "secret",
    )  # fmt: skip
    assert (made["status"], made["tags"], made["description"]) == ("ACTIVE", ["blue"], "all of it")
    assert made["addresses"] == {"m51-net": ["10.0.0.77"]}
    assert len(made["volumes_attached"]) == 1
    spec = live.machines.spec_of(made["id"])
    assert spec["ephemeral_disk"] == 1
    live.ok("server", "delete", "--wait", "full")


def test_a_server_boots_from_volumes(live: Live, image: str) -> None:
    live.ok("volume", "create", "--size", "1", "--image", image, "--bootable", "disk")
    live.cloud.settle()
    assert server(live, "v1", "--volume", "disk", "--network", "m51-net")["status"] == "ACTIVE"
    made = server(live, "v2", "--image", image, "--boot-from-volume", "1", "--no-network")
    assert (made["status"], made["image"]) == ("ACTIVE", "N/A (booted from volume)")
    live.ok("server", "delete", "--wait", "v1", "v2")
    live.cloud.settle()
    assert live.ok("volume", "show", "disk", *JSON)["status"] == "available"


def test_several_servers_are_made_at_once(live: Live, image: str) -> None:
    live.ok(
        "server",
        "create",
        "--flavor",
        "c1-1gb-5",
        "--image",
        image,
        "--min",
        "2",
        "--max",
        "2",
        "--no-network",
        "many",
    )
    live.cloud.settle()
    listed = live.ok("server", "list", "--name", "^many", *JSON)
    assert {(s["Name"], s["Status"]) for s in listed} == {("many-1", "ACTIVE"), ("many-2", "ACTIVE")}
    live.ok("server", "delete", "--wait", "many-1", "many-2")


def test_what_one_host_cannot_do_is_refused(live: Live, vm: str) -> None:
    assert "No valid host was found" in live.run("server", "migrate", vm, user="root").stderr
    assert (
        "No valid host was found" in live.run("server", "migrate", "--live-migration", vm, user="root").stderr
    )
    assert "while it is in vm_state active" in live.refused("server", "restore", vm)
    assert "No Server found" in live.refused("server", "restore", "nobody")


def test_an_administrator_resets_a_state(live: Live, vm: str) -> None:
    live.ok("server", "set", "--auto-approve", "--state", "error", vm, user="root")
    assert status(live, vm) == "ERROR"
    live.ok("server", "reboot", "--hard", vm)
    assert status(live, vm) == "ACTIVE"


def test_what_was_done_is_listed(live: Live, vm: str) -> None:
    live.ok("server", "reboot", "--wait", vm)
    done = {event["Action"] for event in live.ok("server", "event", "list", vm, *JSON)}
    assert {"create", "reboot"} <= done
