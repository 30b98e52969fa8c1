"""The JSON schemas that Image v2 publishes, as Glance has them, with the formats that we take."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from armillary.cloud.images.model import CONTAINER_FORMATS, DISK_FORMATS, MemberStatus


@cache
def image_schema() -> dict[str, Any]:
    """Return the schema of an image."""
    schema = json.loads((Path(__file__).parent / "image_schema.json").read_text(encoding="utf-8"))
    schema["properties"]["disk_format"]["enum"] = [None, *DISK_FORMATS]
    schema["properties"]["container_format"]["enum"] = [None, *CONTAINER_FORMATS]
    return schema


@cache
def _others() -> dict[str, Any]:
    return json.loads((Path(__file__).parent / "other_schemas.json").read_text(encoding="utf-8"))


def task_schema() -> dict[str, Any]:
    """Return the schema of a task."""
    return _others()["task"]


def tasks_schema() -> dict[str, Any]:
    """Return the schema of a list of tasks, which leaves out what they were given and gave."""
    task = task_schema()
    hidden = {"input", "result", "message"}
    kept = {name: value for name, value in task["properties"].items() if name not in hidden}
    return _collection("tasks", task | {"properties": kept})


def metadefs_schema(name: str) -> dict[str, Any] | None:
    """Return the schema of a kind of metadata definitions or of a list of them; None if there is no such kind."""
    known = _others()
    if (one := known.get(f"metadefs/{name}")) is not None:
        return one
    kind = {"properties": "property", "namespaces": "namespace"}.get(name, name.removesuffix("s"))
    one = known.get(f"metadefs/{kind}")
    if one is None or kind == name:
        return None
    collection = "resource_type_associations" if kind == "resource_type" else name
    item = {key: value for key, value in one.items() if key != "definitions"}
    schema: dict[str, Any] = _collection(collection, item)
    if kind == "property":  # these are found by their names
        schema["properties"]["properties"] = {"type": "object", "additionalProperties": item}
    return schema | ({"definitions": one["definitions"]} if "definitions" in one else {})


def images_schema() -> dict[str, Any]:
    """Return the schema of a list of images."""
    return _collection("images", image_schema())


def member_schema() -> dict[str, Any]:
    """Return the schema of a member."""
    return {
        "name": "member",
        "properties": {
            "created_at": {"type": "string", "description": "Date and time of image member creation"},
            "image_id": {"type": "string", "description": "An identifier for the image"},
            "member_id": {"type": "string", "description": "An identifier for the image member (tenantId)"},
            "status": {
                "type": "string",
                "description": "The status of this image member",
                "enum": [status.value for status in MemberStatus],
            },
            "updated_at": {
                "type": "string",
                "description": "Date and time of last modification of image member",
            },
            "schema": {"type": "string", "readOnly": True},
        },
    }


def members_schema() -> dict[str, Any]:
    """Return the schema of a list of members."""
    schema = _collection("members", member_schema())
    return {"name": "members", "properties": {k: schema["properties"][k] for k in ("members", "schema")}}


def _collection(name: str, item: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "properties": {
            name: {"type": "array", "items": item},
            "first": {"type": "string"},
            "next": {"type": "string"},
            "schema": {"type": "string"},
        },
        "links": [
            {"rel": "first", "href": "{first}"},
            {"rel": "next", "href": "{next}"},
            {"rel": "describedby", "href": "{schema}"},
        ],
    }
