"""Volumes: lists, single ones, and their metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from armillary.accounts.model import Principal
from armillary.base.errors import Invalid, NotFound
from armillary.cloud.api.volume import schemas, views
from armillary.cloud.api.volume.checks import check, is_uuid, truth
from armillary.cloud.api.volume.deps import JSON, Body, Version, Volumes, Who, since, takes
from armillary.cloud.api.volume.listing import (
    Filter,
    all_projects,
    boolean,
    conditions,
    counts,
    equals,
    listed,
    metadata,
    named,
    number,
    page_asked,
    times,
)
from armillary.cloud.volumes.creation import NewVolume
from armillary.cloud.volumes.model import Volume, VolumeStatus
from armillary.cloud.volumes.service import VolumeService
from armillary.cloud.volumes.store import volumes as table

router = APIRouter()

_LONGEST = 255
_SORTS = frozenset(
    {"id", "status", "size", "availability_zone", "name", "bootable", "created_at", "updated_at", "user_id"}
)


def _filters(version: int) -> dict[str, Filter]:
    known: dict[str, Filter] = {
        "name": equals(table.c.name),
        "status": named(table.c.status, VolumeStatus),
        "metadata": metadata(table.c.metadata),
        "bootable": boolean(table.c.bootable, strict=version >= 2),
        "availability_zone": equals(table.c.availability_zone),
        "size": number(table.c.size),
        "user_id": equals(table.c.user_id),
    }
    if version >= 4:
        known["glance_metadata"] = metadata(table.c.image_metadata)
    if version >= 10:
        known["group_id"] = equals(table.c.group_id)
    if version >= 60:
        known["created_at"] = times(table.c.created_at, "created_at")
        known["updated_at"] = times(table.c.updated_at, "updated_at")
    return known


def shown(
    service: VolumeService,
    item: Volume,
    request: Request,
    who: Principal,
    version: int,
    *,
    extended: bool = True,
) -> JSON:
    """One volume in detail."""
    return views.volume(
        item,
        request=request,
        who=who,
        version=version,
        attachments=service.attachments_of([item]).get(item.id, ()),
        types=service.type_names(),
        extended=extended,
    )


@router.get("/volumes")
def list_volumes(request: Request, who: Who, service: Volumes, version: Version) -> JSON:
    return _list(request, who, service, version, detail=False)


@router.get("/volumes/detail")
def list_volumes_in_detail(request: Request, who: Who, service: Volumes, version: Version) -> JSON:
    return _list(request, who, service, version, detail=True)


def _list(request: Request, who: Principal, service: VolumeService, version: int, *, detail: bool) -> JSON:
    page = page_asked(request, keys=_SORTS)
    where = conditions(request, who, table, _filters(version), version=version, resource="volume")
    everybody = all_projects(request, who)
    found = service.list(who, page, where=where, all_projects=everybody)
    if detail:
        attachments, types = service.attachments_of(found), service.type_names()
        items = [
            views.volume(
                item,
                request=request,
                who=who,
                version=version,
                attachments=attachments.get(item.id, ()),
                types=types,
            )
            for item in found
        ]
    else:
        items = [views.plain(item, "volumes", request) for item in found]
    count = service.count(who, where=where, all_projects=everybody) if counts(request, version) else None
    return listed(
        request, "volumes", items, page, path="volumes/detail" if detail else "volumes", count=count
    )


@router.get("/volumes/summary")
def summarize(request: Request, who: Who, service: Volumes, version: Version) -> JSON:
    since(version, 12)
    number_, size, values = service.summary(who, all_projects=all_projects(request, who))
    answer: JSON = {"total_count": number_, "total_size": size}
    if version >= 36:
        answer["metadata"] = values
    return {"volume-summary": answer}


@router.post("/volumes", status_code=202, openapi_extra=takes(schemas.create_volume(70)))
def create_volume(request: Request, body: Body, who: Who, service: Volumes, version: Version) -> JSON:
    asked = check(schemas.create_volume(version), body)["volume"]
    if truth(asked.get("multiattach") or False):
        raise Invalid(
            "multiattach parameter has been removed. The default behavior is to use multiattach enabled volume "
            "types. Contact your administrator to create a multiattach enabled volume type and use it to create "
            "multiattach volumes.",
            code="no_multiattach",
        )
    if asked.get("group_id") or asked.get("consistencygroup_id"):
        group = asked.get("group_id") or asked.get("consistencygroup_id")
        raise NotFound(f"Group {group} could not be found.", code="group_not_found")
    image = asked.get("imageRef") or asked.get("image_id")
    size = asked.get("size")
    wanted = NewVolume(
        **described(asked),
        size=int(size) if size is not None else None,
        image_id=_image(image) if image else None,
        snapshot_id=asked.get("snapshot_id"),
        source_volid=asked.get("source_volid"),
        backup_id=asked.get("backup_id") if version >= 47 else None,
        volume_type=asked.get("volume_type") or None,
        availability_zone=asked.get("availability_zone"),
        metadata=asked.get("metadata") or {},
    )
    if wanted.size is None and not (wanted.snapshot_id or wanted.source_volid or wanted.backup_id):
        raise Invalid(
            "Invalid input received: Volume size 'None' must be an integer and greater than 0",
            code="invalid_input",
        )
    made = service.create(who, wanted)
    return {"volume": shown(service, made, request, who, version, extended=False)}


def _image(reference: str) -> str:
    found = reference.rsplit("/", 1)[-1]
    if not is_uuid(found):
        raise Invalid(
            "Invalid image identifier or unable to access requested image.",
            code="bad_image",
            remedy="Name the image by its id.",
        )
    return found


def described(asked: Mapping[str, Any]) -> dict[str, str | None]:
    """Name and description, also under their older names, without blanks around them."""
    name = asked.get("name", asked.get("display_name"))
    text = asked.get("description", asked.get("display_description"))
    found = {"name": name.strip() if name else name, "description": text.strip() if text else text}
    for key, value in found.items():
        if value and len(value) > _LONGEST:
            raise Invalid(
                f"Invalid input received: {key} has {len(value)} characters, more than {_LONGEST}.",
                code="invalid_input",
            )
    return found


def described_changes(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What a body changes of name, description and metadata."""
    full = described(asked)
    changes: dict[str, Any] = {
        key: full[key] for key in ("name", "description") if key in asked or f"display_{key}" in asked
    }
    if "metadata" in asked:
        changes["metadata"] = asked["metadata"]
    return changes


@router.get("/volumes/{volume_id}")
def show_volume(volume_id: str, request: Request, who: Who, service: Volumes, version: Version) -> JSON:
    return {"volume": shown(service, service.show(who, volume_id), request, who, version)}


@router.put("/volumes/{volume_id}", openapi_extra=takes(schemas.update("volume", 53)))
def update_volume(
    volume_id: str, request: Request, body: Body, who: Who, service: Volumes, version: Version
) -> JSON:
    changes = described_changes(check(schemas.update("volume", version), body)["volume"])
    changed = service.update(who, volume_id, changes)
    return {"volume": shown(service, changed, request, who, version, extended=False)}


@router.delete("/volumes/{volume_id}", status_code=202)
def delete_volume(volume_id: str, request: Request, who: Who, service: Volumes, version: Version) -> Response:
    query = request.query_params
    force = version >= 23 and truth(query.get("force", "false"))
    service.delete(who, volume_id, cascade=truth(query.get("cascade", "false")), force=force)
    return Response(status_code=202)


@router.get("/volumes/{volume_id}/metadata")
def list_metadata(volume_id: str, who: Who, service: Volumes) -> JSON:
    return {"metadata": dict(service.show(who, volume_id).metadata)}


@router.post("/volumes/{volume_id}/metadata", openapi_extra=takes(schemas.METADATA_BODY))
def add_metadata(volume_id: str, body: Body, who: Who, service: Volumes) -> JSON:
    items = check(schemas.METADATA_BODY, body)["metadata"]
    return {"metadata": dict(service.set_metadata(who, volume_id, items, keep=True))}


@router.put("/volumes/{volume_id}/metadata", openapi_extra=takes(schemas.METADATA_BODY))
def replace_metadata(volume_id: str, body: Body, who: Who, service: Volumes) -> JSON:
    items = check(schemas.METADATA_BODY, body)["metadata"]
    return {"metadata": dict(service.set_metadata(who, volume_id, items, keep=False))}


@router.get("/volumes/{volume_id}/metadata/{key}")
def show_metadata_item(volume_id: str, key: str, who: Who, service: Volumes) -> JSON:
    return {"meta": item_of(service.show(who, volume_id).metadata, key, f"Volume {volume_id}")}


@router.put("/volumes/{volume_id}/metadata/{key}", openapi_extra=takes(schemas.ITEM_BODY))
def set_metadata_item(volume_id: str, key: str, body: Body, who: Who, service: Volumes) -> JSON:
    items = item_asked(body, key)
    service.set_metadata(who, volume_id, items, keep=True)
    return {"meta": items}


@router.delete("/volumes/{volume_id}/metadata/{key}")
def delete_metadata_item(volume_id: str, key: str, who: Who, service: Volumes) -> Response:
    service.delete_metadata(who, volume_id, key)
    return Response(status_code=200)


def item_of(found: Mapping[str, str], key: str, whose: str) -> dict[str, str]:
    """One item of metadata; NotFound if it is none."""
    if key not in found:
        raise NotFound(f"{whose} has no metadata with key {key}.", code="metadata_item_not_found")
    return {key: found[key]}


def item_asked(body: Any, key: str) -> dict[str, str]:
    """The one item of a body, which must have the key of the path."""
    items: dict[str, str] = check(schemas.ITEM_BODY, body)["meta"]
    if key not in items:
        raise Invalid("Request body and URI mismatch", code="bad_metadata")
    return items


@router.get("/volumes/{volume_id}/encryption")
def show_encryption(volume_id: str, who: Who, service: Volumes) -> JSON:
    service.show(who, volume_id)
    return {"encryption_key_id": None}


@router.get("/volumes/{volume_id}/encryption/{key}")
def show_encryption_item(volume_id: str, key: str, who: Who, service: Volumes) -> Response:
    service.show(who, volume_id)
    if key != "encryption_key_id":
        raise NotFound("The resource could not be found.")
    return Response("None", media_type="text/plain")
