"""The stock `openstack` command keeps data on volumes."""

from __future__ import annotations

from typing import Any

import pytest
from live_cloud import Live

pytestmark = pytest.mark.interop

JSON = ("-f", "json")


def settled(live: Live, *words: str, user: str = "ada") -> Any:
    """What a command says once the work that it began is done."""
    said = live.ok(*words, user=user)
    assert live.cloud.settle(seconds=60), "the background work does not end"
    return said


@pytest.mark.timeout(600)
def test_a_volume_s_life(live: Live, image: str) -> None:
    made = settled(
        live, "volume", "create", "--size", "1", "--description", "of the night", "--property", "band=r",
        "--hint", "near=here", "--availability-zone", "nova", "--type", "__DEFAULT__", "data", *JSON,
    )  # fmt: skip
    assert (made["name"], made["size"], made["properties"]) == ("data", 1, {"band": "r"})
    live.ok("volume", "set", "--property", "seeing=0.8", "--image-property", "os_distro=debian", "data")
    live.ok("volume", "set", "--name", "plates", "--bootable", "--read-only", "data")
    settled(live, "volume", "set", "--size", "2", "plates")
    live.ok("volume", "unset", "--property", "band", "plates")
    shown = live.ok("volume", "show", "plates", *JSON)
    assert (shown["size"], shown["status"], shown["bootable"]) == (2, "available", True)
    assert shown["properties"] == {"seeing": "0.8", "readonly": "True"}
    assert shown["volume_image_metadata"] == {"os_distro": "debian"}
    assert "New size must be greater than 2 GB" in live.refused("volume", "set", "--size", "2", "plates")
    settled(live, "volume", "delete", "plates")
    assert "No Volume found for plates" in live.refused("volume", "show", "plates")


@pytest.mark.timeout(600)
def test_volumes_from_images_snapshots_and_volumes(live: Live, image: str) -> None:
    settled(live, "volume", "create", "--size", "1", "--image", image, "boot")
    settled(live, "volume", "create", "--source", "boot", "--size", "2", "copy")
    snapshot = settled(
        live, "volume", "snapshot", "create", "--volume", "boot", "--property", "a=b", "before", *JSON
    )
    settled(live, "volume", "create", "--snapshot", "before", "again")
    found = live.ok("volume", "list", "--long", "--sort-column", "Name", *JSON)
    assert [(row["Name"], row["Size"], row["Bootable"]) for row in found] == [
        ("again", 1, True), ("boot", 1, True), ("copy", 2, True),
    ]  # fmt: skip
    assert [
        row["Name"] for row in live.ok("volume", "list", "--name", "copy", "--status", "available", *JSON)
    ] == ["copy"]
    live.ok("volume", "snapshot", "set", "--name", "then", "--property", "c=d", "before")
    live.ok("volume", "snapshot", "unset", "--property", "a", "then")
    assert live.ok("volume", "snapshot", "show", "then", *JSON)["properties"] == {"c": "d"}
    assert [row["ID"] for row in live.ok("volume", "snapshot", "list", "--volume", "boot", *JSON)] == [
        snapshot["id"]
    ]
    assert "have snapshots" in live.refused("volume", "delete", "boot")
    settled(live, "volume", "delete", "--purge", "boot")
    assert live.ok("volume", "snapshot", "list", *JSON) == []
    uploaded = settled(
        live, "image", "create", "--volume", "copy", "--disk-format", "qcow2", "from-volume", *JSON
    )
    assert uploaded["status"] == "uploading"
    assert live.ok("image", "show", "from-volume", *JSON)["status"] == "active"
    settled(live, "volume", "delete", "copy", "again")


@pytest.mark.timeout(600)
def test_backups(live: Live) -> None:
    settled(live, "volume", "create", "--size", "1", "data")
    settled(live, "volume", "backup", "create", "--name", "full", "--description", "d", "data")
    settled(live, "volume", "backup", "create", "--name", "more", "--incremental", "data")
    shown = live.ok("volume", "backup", "show", "more", *JSON)
    assert (shown["status"], shown["is_incremental"]) == ("available", True)
    live.ok("volume", "backup", "set", "--name", "second", "--property", "a=b", "more")
    assert {row["Name"] for row in live.ok("volume", "backup", "list", "--volume", "data", *JSON)} == {
        "full",
        "second",
    }
    settled(live, "volume", "backup", "restore", "full", "restored")
    assert live.ok("volume", "show", "restored", *JSON)["status"] == "available"
    assert "Incremental backups exist" in live.refused("volume", "backup", "delete", "full")
    settled(live, "volume", "backup", "delete", "second")
    settled(live, "volume", "backup", "delete", "full")
    settled(live, "volume", "delete", "data", "restored")


@pytest.mark.timeout(600)
def test_a_volume_is_handed_to_another_project(live: Live) -> None:
    settled(live, "volume", "create", "--size", "1", "gift")
    offer = live.ok("volume", "transfer", "request", "create", "--name", "offer", "gift", *JSON)
    assert [row["Name"] for row in live.ok("volume", "transfer", "request", "list", *JSON)] == ["offer"]
    assert live.ok("volume", "transfer", "request", "show", "offer", *JSON)["id"] == offer["id"]
    live.ok(
        "volume", "transfer", "request", "accept", "--auth-key", offer["auth_key"], offer["id"], user="bob"
    )
    assert [row["Name"] for row in live.ok("volume", "list", *JSON, user="bob")] == ["gift"]
    back = live.ok("volume", "transfer", "request", "create", "gift", *JSON, user="bob")
    live.ok("volume", "transfer", "request", "delete", back["id"], user="bob")
    settled(live, "volume", "delete", "gift", user="bob")


@pytest.mark.timeout(600)
def test_administrators_keep_types_qualities_and_quotas(live: Live) -> None:
    live.ok("volume", "type", "create", "--property", "disk=ssd", "--private", "fast", user="root")
    live.ok("volume", "type", "set", "--description", "quick", "--project", "m51", "fast", user="root")
    settled(live, "volume", "create", "--size", "1", "--type", "fast", "quick")
    live.ok("volume", "set", "--type", "__DEFAULT__", "quick")
    assert live.ok("volume", "show", "quick", *JSON)["type"] == "__DEFAULT__"
    live.ok("volume", "qos", "create", "--consumer", "front-end", "--property", "iops=5", "calm", user="root")
    live.ok("volume", "qos", "associate", "calm", "fast", user="root")
    live.ok("volume", "qos", "set", "--property", "bps=7", "calm", user="root")
    assert live.ok("volume", "qos", "show", "calm", *JSON, user="root")["associations"] == ["fast"]
    live.ok("volume", "qos", "disassociate", "--all", "calm", user="root")
    live.ok("volume", "qos", "delete", "calm", user="root")
    live.ok("volume", "type", "delete", "fast", user="root")
    live.ok("quota", "set", "--volumes", "1", "m51", user="root")
    assert "Maximum number of volumes allowed (1)" in live.refused("volume", "create", "--size", "1", "more")
    live.ok("quota", "set", "--volumes", "20", "m51", user="root")
    assert {row["Binary"] for row in live.ok("volume", "service", "list", *JSON, user="root")} >= {
        "cinder-volume"
    }
    assert (
        live.ok("volume", "list", "--all-projects", "--project", "m51", *JSON, user="root")[0]["Name"]
        == "quick"
    )
    assert "Policy doesn't allow" in live.refused("volume", "qos", "list")
    live.ok("volume", "set", "--state", "error", "quick", user="root")
    settled(live, "volume", "delete", "--force", "quick", user="root")


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "command",
    [
        "volume summary", "volume type list", "volume message list", "volume attachment list", "volume group list",
        "consistency group list", "limits show --absolute", "volume backend pool list --long",
        "block storage resource filter list", "extension list --volume", "availability zone list --volume",
    ],
)  # fmt: skip
def test_everyday_commands_about_volumes_answer(live: Live, command: str) -> None:
    live.ok("--os-volume-api-version", "3.70", *command.split(), user="root")


@pytest.mark.timeout(600)
def test_a_volume_of_a_server_is_its_own_until_it_is_removed(live: Live, image: str) -> None:
    settled(live, "server", "create", "--image", image, "--flavor", "c1-1gb-5", "vm")
    settled(live, "volume", "create", "--size", "1", "data")
    attached = settled(live, "server", "add", "volume", "vm", "data", *JSON)
    (attachment,) = live.ok("volume", "show", "data", *JSON)["attachments"]
    assert attachment["device"] == attached["Device"]
    assert attachment["server_id"] == live.ok("server", "show", "vm", *JSON)["id"]
    assert "attached" in live.refused("volume", "delete", "data")
    assert "status must be available" in live.refused(
        "volume", "snapshot", "create", "--volume", "data", "no"
    )
    settled(live, "volume", "backup", "create", "--force", "--name", "while-in-use", "data")
    assert live.ok("volume", "backup", "show", "while-in-use", *JSON)["status"] == "available"
    assert live.ok("volume", "show", "data", *JSON)["status"] == "in-use"
    settled(live, "server", "remove", "volume", "vm", "data")
    assert live.ok("volume", "show", "data", *JSON)["status"] == "available"
    settled(live, "server", "delete", "vm")
    settled(live, "volume", "delete", "--purge", "data")
