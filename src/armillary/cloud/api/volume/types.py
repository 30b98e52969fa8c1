"""Volume types, their extra specs, who may use them, and which one a project gets."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from armillary.accounts.model import Principal
from armillary.base.errors import Invalid, NotFound
from armillary.cloud.api.volume import schemas
from armillary.cloud.api.volume.checks import check, truth
from armillary.cloud.api.volume.deps import JSON, Body, Version, Volumes, Who, since, takes
from armillary.cloud.api.volume.listing import listed, page_asked
from armillary.cloud.volumes.model import VolumeType

router = APIRouter()

_SORTS = frozenset({"id", "name", "is_public", "created_at", "updated_at"})
_ACCESS = "os-volume-type-access"
_FOR_ALL = frozenset({"RESKEY:availability_zones", "multiattach", "replication_enabled"})
"""Extra specs that everybody may see; the others tell of the disks behind."""


def view(item: VolumeType, who: Principal, *, access: bool = True, qos: bool = True) -> JSON:
    """A type; its specs and qualities are for administrators. Cinder leaves some of it out where a type is changed."""
    specs = {key: value for key, value in item.extra_specs.items() if who.is_cloud_admin or key in _FOR_ALL}
    answer: JSON = {
        "id": item.id,
        "name": item.name,
        "is_public": item.is_public,
        "description": item.description,
        "extra_specs": specs,
    }
    if qos and who.is_cloud_admin:
        answer["qos_specs_id"] = item.qos_id
    if access:
        answer[f"{_ACCESS}:is_public"] = item.is_public
    return answer


@router.get("/types")
def list_types(request: Request, who: Who, service: Volumes) -> JSON:
    page = page_asked(request, keys=_SORTS)
    wanted = request.query_params.get("is_public", "True")
    if wanted.lower() == "none":
        public = None
    elif wanted.lower() in {"0", "f", "false", "off", "n", "no", "1", "t", "true", "on", "y", "yes"}:
        public = truth(wanted)
    else:
        raise Invalid(f"Invalid is_public filter [{wanted}]", code="invalid_input")
    found = service.types.list(who, page, is_public=public)
    return listed(request, "volume_types", [view(item, who) for item in found], page, path="types")


@router.post("/types", openapi_extra=takes(schemas.CREATE_TYPE))
def create_type(body: Body, who: Who, service: Volumes) -> JSON:
    asked = check(schemas.CREATE_TYPE, body)["volume_type"]
    made = service.types.create(
        name=_name(asked["name"]),
        description=asked.get("description"),
        is_public=truth(asked.get(f"{_ACCESS}:is_public", True)),
        extra_specs=asked.get("extra_specs") or {},
    )
    return {"volume_type": view(made, who, qos=False)}


def _name(text: str) -> str:
    stripped = text.strip()
    if not stripped:
        raise Invalid("Volume type name can not be empty.", code="bad_body")
    return stripped


@router.get("/types/{type_id}")
def show_type(type_id: str, who: Who, service: Volumes) -> JSON:
    plain = type_id == "default"
    found = service.types.show(who, type_id)
    return {"volume_type": view(found, who, access=not plain, qos=not plain)}


@router.put("/types/{type_id}", openapi_extra=takes(schemas.UPDATE_TYPE))
def update_type(type_id: str, body: Body, who: Who, service: Volumes) -> JSON:
    asked: dict[str, Any] = check(schemas.UPDATE_TYPE, body)["volume_type"]
    changes = {key: value for key, value in asked.items() if value is not None}
    if not changes:
        raise Invalid("Specify volume type name, description, is_public or a combination thereof.")
    if "name" in changes:
        changes["name"] = _name(changes["name"])
    if "is_public" in changes:
        changes["is_public"] = truth(changes["is_public"])
    return {"volume_type": view(service.types.update(who, type_id, changes), who, access=False, qos=False)}


@router.delete("/types/{type_id}", status_code=202)
def delete_type(type_id: str, who: Who, service: Volumes) -> Response:
    service.types.delete(who, type_id)
    return Response(status_code=202)


# extra specs


@router.get("/types/{type_id}/extra_specs")
def list_extra_specs(type_id: str, who: Who, service: Volumes) -> JSON:
    return {"extra_specs": view(service.types.show(who, type_id), who)["extra_specs"]}


@router.post("/types/{type_id}/extra_specs", openapi_extra=takes(schemas.EXTRA_SPECS))
def add_extra_specs(type_id: str, body: Body, who: Who, service: Volumes) -> JSON:
    asked = check(schemas.EXTRA_SPECS, body)["extra_specs"]
    kept = service.types.show(who, type_id).extra_specs
    service.types.update(who, type_id, {"extra_specs": {**kept, **asked}})
    return {"extra_specs": asked}


@router.get("/types/{type_id}/extra_specs/{key}")
def show_extra_spec(type_id: str, key: str, who: Who, service: Volumes) -> JSON:
    specs = view(service.types.show(who, type_id), who)["extra_specs"]
    if key not in specs:
        raise _no_spec(type_id, key)
    return {key: specs[key]}


@router.put("/types/{type_id}/extra_specs/{key}", openapi_extra=takes(schemas.SPECS))
def set_extra_spec(type_id: str, key: str, body: Body, who: Who, service: Volumes) -> JSON:
    asked = check(schemas.SPECS, body)
    if list(asked) != [key]:
        raise Invalid("Request body and URI mismatch", code="bad_body")
    kept = service.types.show(who, type_id).extra_specs
    service.types.update(who, type_id, {"extra_specs": {**kept, **asked}})
    return asked


@router.delete("/types/{type_id}/extra_specs/{key}", status_code=202)
def delete_extra_spec(type_id: str, key: str, who: Who, service: Volumes) -> Response:
    kept = service.types.show(who, type_id).extra_specs
    if key not in kept:
        raise _no_spec(type_id, key)
    left = {name: value for name, value in kept.items() if name != key}
    service.types.update(who, type_id, {"extra_specs": left})
    return Response(status_code=202)


def _no_spec(type_id: str, key: str) -> NotFound:
    return NotFound(f"Volume Type {type_id} has no extra specs with key {key}.", code="extra_spec_not_found")


# access

ACTIONS = ("addProjectAccess", "removeProjectAccess")


@router.get(f"/types/{{type_id}}/{_ACCESS}")
def list_access(type_id: str, who: Who, service: Volumes) -> JSON:
    projects = service.types.projects_of(who, type_id)
    return {
        "volume_type_access": [
            {"volume_type_id": type_id, "project_id": project_id} for project_id in projects
        ]
    }


@router.post("/types/{type_id}/action", status_code=202)
def change_access(type_id: str, body: Body, who: Who, service: Volumes) -> Response:
    name = next(iter(body), "")
    if len(body) != 1 or name not in ACTIONS:
        raise Invalid(f"There is no such action: {name}", code="unknown_action")
    inner = schemas.thing(required=("project",), project=schemas.UUID)
    project_id = check(schemas.wrapped(name, inner), body)[name]["project"]
    change = service.types.grant if name == ACTIONS[0] else service.types.withdraw
    change(who, type_id, project_id)
    return Response(status_code=202)


# how types are encrypted, which they are not


@router.get("/types/{type_id}/encryption")
def show_encryption(type_id: str, who: Who, service: Volumes) -> JSON:
    service.types.show(who, type_id)
    return {}


@router.get("/types/{type_id}/encryption/{key}")
def show_encryption_item(type_id: str, key: str, who: Who, service: Volumes) -> None:
    service.types.show(who, type_id)
    raise NotFound(f"Volume type encryption for type {type_id} does not exist: no {key}.")


@router.post("/types/{type_id}/encryption")
def create_encryption(type_id: str, who: Who, service: Volumes) -> None:
    service.types.show(who, type_id)
    raise Invalid(
        "This cloud does not encrypt volumes.",
        code="no_encryption",
        remedy="Encrypt the file system inside the server (LUKS), or the computer's disk.",
    )


# defaults of projects


@router.get("/default-types")
def list_default_types(who: Who, service: Volumes, version: Version) -> JSON:
    since(version, 62)
    del who
    return {"default_types": [_default(*item) for item in service.types.project_defaults(None)]}


@router.get("/default-types/{wanted}")
def show_default_type(wanted: str, who: Who, service: Volumes, version: Version) -> JSON:
    since(version, 62)
    del who
    return {"default_type": _default(*service.types.project_defaults(wanted)[0])}


@router.put("/default-types/{wanted}", openapi_extra=takes(schemas.DEFAULT_TYPE))
def set_default_type(wanted: str, body: Body, who: Who, service: Volumes, version: Version) -> JSON:
    since(version, 62)
    asked = check(schemas.DEFAULT_TYPE, body)["default_type"]["volume_type"]
    kind = service.types.set_project_default(who, wanted, asked)
    return {"default_type": _default(wanted, kind.id)}


@router.delete("/default-types/{wanted}", status_code=204)
def unset_default_type(wanted: str, who: Who, service: Volumes, version: Version) -> Response:
    since(version, 62)
    del who
    service.types.unset_project_default(wanted)
    return Response(status_code=204)


def _default(project_id: str, type_id: str) -> JSON:
    return {"project_id": project_id, "volume_type_id": type_id}
