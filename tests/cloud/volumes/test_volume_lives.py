"""Volumes from their making to their end, over the cloud's HTTP face and the fake engine."""

from __future__ import annotations

from typing import Any

ROOM = "/volume/v3"


def make(user: Any, **asked: Any) -> str:
    asked.setdefault("size", 1)
    volume_id = user.ok("POST", f"{ROOM}/volumes", {"volume": asked})["volume"]["id"]
    user.stage.settle()
    return volume_id


def shown(user: Any, volume_id: str) -> Any:
    return user.ok("GET", f"{ROOM}/volumes/{volume_id}")["volume"]


def test_a_new_volume_is_being_created_and_then_available(stage, ada):
    answer = ada.call("POST", f"{ROOM}/volumes", {"volume": {"size": 2, "name": "data"}})
    assert answer.status_code == 202
    made = answer.json()["volume"]
    assert (made["status"], made["size"], made["attachments"]) == ("creating", 2, [])
    stage.settle()
    assert shown(ada, made["id"])["status"] == "available"


def test_a_volume_is_gone_after_its_deletion_with_its_bytes(stage, ada):
    volume_id = make(ada)
    assert ada.call("DELETE", f"{ROOM}/volumes/{volume_id}").status_code == 202
    stage.settle()
    assert ada.call("GET", f"{ROOM}/volumes/{volume_id}").status_code == 404
    assert stage.disks.names() == frozenset()


def test_a_volume_from_an_image_is_bootable_and_knows_the_image(stage, ada):
    image = ada.image(content=b"boot me".ljust(512, b"."))
    made = shown(ada, make(ada, imageRef=image))
    assert (made["status"], made["bootable"]) == ("available", "true")
    assert made["volume_image_metadata"]["image_id"] == image
    assert stage.disks.path(f"volume-{made['id']}").read_bytes()[:7] == b"boot me"
