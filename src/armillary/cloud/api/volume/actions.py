"""`POST …/volumes/{id}/action` and `…/snapshots/{id}/action`: one route, an action in the body."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from armillary.accounts.model import Principal
from armillary.base.errors import Conflict, Forbidden, Invalid
from armillary.cloud.api.volume import schemas
from armillary.cloud.api.volume.checks import check, truth
from armillary.cloud.api.volume.deps import JSON, Body, Version, Volumes, Who, stamp
from armillary.cloud.api.volume.schemas import (
    BOOLEAN,
    METADATA,
    NAME,
    SIZE,
    TEXT,
    UUID,
    UUID_OR_NOTHING,
    thing,
)
from armillary.cloud.volumes.service import VolumeService

router = APIRouter()


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One action, with everything that it needs."""

    service: VolumeService
    who: Principal
    volume_id: str
    argument: dict[str, Any]
    version: int


Do = Callable[[Asked], Response | None]
_ANY: JSON = {"type": ["object", "null"]}


def _extend(asked: Asked) -> None:
    size = int(asked.argument["new_size"])
    asked.service.actions.extend(asked.who, asked.volume_id, size, in_use_too=asked.version >= 42)


def _retype(asked: Asked) -> None:
    asked.service.actions.retype(asked.who, asked.volume_id, asked.argument["new_type"])


def _reset_status(asked: Asked) -> None:
    if not asked.argument:
        raise Invalid(
            "Must specify 'status', 'attach_status' or 'migration_status' for update.", code="bad_body"
        )
    asked.service.actions.reset_status(asked.who, asked.volume_id, asked.argument.get("status"))


def _force_delete(asked: Asked) -> None:
    asked.service.delete(asked.who, asked.volume_id, force=True)


def _set_bootable(asked: Asked) -> Response:
    flag = truth(asked.argument["bootable"])
    asked.service.actions.set_flags(asked.who, asked.volume_id, bootable=flag)
    return Response(status_code=200)


def _set_readonly(asked: Asked) -> None:
    flag = truth(asked.argument["readonly"])
    asked.service.actions.set_flags(asked.who, asked.volume_id, readonly=flag)


def _set_image_metadata(asked: Asked) -> Response:
    items = asked.service.actions.set_image_metadata(asked.who, asked.volume_id, asked.argument["metadata"])
    return JSONResponse({"metadata": dict(items)})


def _show_image_metadata(asked: Asked) -> Response:
    return JSONResponse({"metadata": dict(asked.service.show(asked.who, asked.volume_id).image_metadata)})


def _unset_image_metadata(asked: Asked) -> Response:
    asked.service.actions.unset_image_metadata(asked.who, asked.volume_id, asked.argument["key"])
    return Response(status_code=200)


def _reserve(asked: Asked) -> None:
    asked.service.actions.reserve(asked.who, asked.volume_id)


def _unreserve(asked: Asked) -> None:
    asked.service.actions.unreserve(asked.who, asked.volume_id)


def _begin_detaching(asked: Asked) -> None:
    asked.service.actions.begin_detaching(asked.who, asked.volume_id)


def _roll_detaching(asked: Asked) -> None:
    asked.service.actions.roll_detaching(asked.who, asked.volume_id)


def _attach(asked: Asked) -> None:
    server_id, host = asked.argument.get("instance_uuid"), asked.argument.get("host_name")
    if bool(server_id) == bool(host):
        raise Invalid(
            f"Invalid request to attach volume to an instance {server_id} and a host {host} simultaneously"
            if server_id
            else "Invalid request to attach volume to an invalid target",
            code="bad_body",
        )
    asked.service.actions.attach(
        asked.who,
        asked.volume_id,
        server_id=server_id,
        host_name=host,
        device=asked.argument["mountpoint"],
        mode=asked.argument.get("mode", "rw"),
    )


def _detach(asked: Asked) -> None:
    asked.service.actions.detach(
        asked.who, asked.volume_id, attachment_id=asked.argument.get("attachment_id")
    )


def _connect(asked: Asked) -> None:
    asked.service.show(asked.who, asked.volume_id)
    raise Invalid(
        "Invalid input received: volumes of this cloud are files of its own, and cannot be reached over a network.",
        code="no_connection",
        remedy="Attach the volume to a server of this cloud.",
    )


def _disconnect(asked: Asked) -> None:
    asked.service.show(asked.who, asked.volume_id)


def _upload(asked: Asked) -> Response:
    argument = asked.argument
    attributes: JSON = {
        "name": argument["image_name"],
        "disk_format": argument.get("disk_format", "raw"),
        "container_format": argument.get("container_format", "bare"),
        "visibility": "private",
    }
    if attributes["disk_format"] not in ("raw", "qcow2") or attributes["container_format"] != "bare":
        raise Invalid(
            f"Image upload in format {attributes['disk_format']}/{attributes['container_format']} is not done here.",
            code="image_format_not_offered",
            remedy="Ask for raw or qcow2, and bare.",
        )
    if asked.version >= 1:
        attributes["visibility"] = argument.get("visibility", "private")
        attributes["protected"] = truth(argument.get("protected", "false"))
        if attributes["visibility"] == "public" and not asked.who.is_cloud_admin:
            raise Forbidden(
                "Policy doesn't allow volume_extension:volume_actions:upload_public to be performed.",
                code="policy_not_authorized",
            )
    force = truth(argument.get("force", "false"))
    item, image = asked.service.actions.upload(asked.who, asked.volume_id, attributes, force=force)
    kind = asked.service.types.show(asked.who, item.volume_type_id)
    answer: JSON = {
        "id": item.id,
        "updated_at": stamp(item.updated_at),
        "status": "uploading",
        "display_description": item.description,
        "size": item.size,
        "volume_type": {
            "id": kind.id,
            "name": kind.name,
            "description": kind.description,
            "is_public": kind.is_public,
            "extra_specs": dict(kind.extra_specs),
            "qos_specs_id": kind.qos_id,
            "deleted": False,
            "deleted_at": None,
            "created_at": stamp(kind.created_at),
            "updated_at": stamp(kind.updated_at),
        },
        "image_id": image.id,
        "container_format": attributes["container_format"],
        "disk_format": attributes["disk_format"],
        "image_name": attributes["name"],
    }
    if asked.version >= 1:
        answer |= {"visibility": attributes["visibility"], "protected": attributes["protected"]}
    return JSONResponse({"os-volume_upload_image": answer}, 202)


def _revert(asked: Asked) -> None:
    if asked.version < 40:
        raise _unknown("revert")
    asked.service.actions.revert(asked.who, asked.volume_id, str(asked.argument.get("snapshot_id")))


def _reimage(asked: Asked) -> None:
    if asked.version < 68:
        raise _unknown("os-reimage")
    reserved_too = truth(asked.argument.get("reimage_reserved", "false"))
    image_id = asked.argument["image_id"]
    asked.service.actions.reimage(asked.who, asked.volume_id, image_id, reserved_too=reserved_too)


def _migrate(asked: Asked) -> None:
    asked.service.show(asked.who, asked.volume_id)
    raise Conflict(
        "No available service: this cloud keeps all volumes on one disk, there is nowhere to migrate to.",
        code="one_disk",
    )


_UPLOAD = thing(
    required=("image_name",),
    open_=True,
    image_name=NAME,
    force=BOOLEAN,
    disk_format={
        "type": "string",
        "enum": ["raw", "vmdk", "vdi", "qcow2", "vhd", "vhdx", "ploop"],
    },
    container_format=TEXT,
    visibility={"type": "string", "enum": ["community", "public", "private", "shared"]},
    protected=BOOLEAN,
)
_CONNECTOR = thing(required=("connector",), open_=True, connector={"type": "object"})

ACTIONS: Mapping[str, tuple[JSON, Do]] = {
    "os-extend": (thing(required=("new_size",), new_size=SIZE), _extend),
    "os-retype": (
        thing(
            required=("new_type",),
            open_=True,
            new_type=NAME,
            migration_policy={"type": ["string", "null"], "enum": ["on-demand", "never", None]},
        ),
        _retype,
    ),
    "os-reset_status": (schemas.reset_status("volumes"), _reset_status),
    "os-force_delete": (_ANY, _force_delete),
    "os-set_bootable": (thing(required=("bootable",), bootable=BOOLEAN), _set_bootable),
    "os-update_readonly_flag": (thing(required=("readonly",), readonly=BOOLEAN), _set_readonly),
    "os-set_image_metadata": (thing(required=("metadata",), metadata=METADATA), _set_image_metadata),
    "os-show_image_metadata": (_ANY, _show_image_metadata),
    "os-unset_image_metadata": (thing(required=("key",), key=NAME), _unset_image_metadata),
    "os-reserve": (_ANY, _reserve),
    "os-unreserve": (_ANY, _unreserve),
    "os-begin_detaching": (_ANY, _begin_detaching),
    "os-roll_detaching": (_ANY, _roll_detaching),
    "os-attach": (
        thing(
            required=("mountpoint",),
            open_=True,
            instance_uuid=UUID_OR_NOTHING,
            host_name=TEXT,
            mountpoint=NAME,
            mode={"type": "string", "enum": ["rw", "ro"]},
        ),
        _attach,
    ),
    "os-detach": ({**_ANY, "properties": {"attachment_id": UUID_OR_NOTHING}}, _detach),
    "os-force_detach": (thing(open_=True, attachment_id=UUID_OR_NOTHING), _detach),
    "os-initialize_connection": (_CONNECTOR, _connect),
    "os-terminate_connection": (_CONNECTOR, _disconnect),
    "os-volume_upload_image": (_UPLOAD, _upload),
    "os-reimage": (
        thing(required=("image_id",), open_=True, image_id=UUID, reimage_reserved=BOOLEAN),
        _reimage,
    ),
    "revert": (thing(open_=True, snapshot_id=TEXT), _revert),
    "os-migrate_volume": (_ANY, _migrate),
    "os-migrate_volume_completion": (_ANY, _migrate),
}
SNAPSHOT_ACTIONS = ("os-reset_status", "os-force_delete", "os-update_snapshot_status")


def _only(body: dict[str, Any], known: Mapping[str, object] | tuple[str, ...]) -> str:
    name = next(iter(body), "")
    if len(body) != 1:
        raise Invalid("Malformed request body", code="bad_body")
    if name not in known:
        raise _unknown(name)
    return name


def _unknown(name: str) -> Invalid:
    return Invalid(
        f"There is no such action: {name}. Verify the request body and Content-Type header and try again.",
        code="unknown_action",
    )


@router.post("/volumes/{volume_id}/action", status_code=202)
def act_on_volume(volume_id: str, body: Body, who: Who, service: Volumes, version: Version) -> Response:
    name = _only(body, ACTIONS)
    schema, do = ACTIONS[name]
    check(schemas.wrapped(name, schema), body)
    asked = Asked(service=service, who=who, volume_id=volume_id, argument=body[name] or {}, version=version)
    return do(asked) or Response(status_code=202)


@router.post("/snapshots/{snapshot_id}/action", status_code=202)
def act_on_snapshot(snapshot_id: str, body: Body, who: Who, service: Volumes) -> Response:
    name = _only(body, SNAPSHOT_ACTIONS)
    if name == "os-force_delete":
        service.snapshots.delete(who, snapshot_id, force=True)
        return Response(status_code=202)
    inner = schemas.reset_status("snapshots")
    status = check(schemas.wrapped(name, {**inner, "additionalProperties": True}), body)[name]["status"]
    service.snapshots.reset_status(who, snapshot_id, status)
    return Response(status_code=202)
