"""Snapshots and their metadata."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from armillary.accounts.model import Principal
from armillary.base.errors import Invalid
from armillary.cloud.api.volume import schemas, views
from armillary.cloud.api.volume.checks import check, truth
from armillary.cloud.api.volume.deps import JSON, Body, Version, Volumes, Who, takes
from armillary.cloud.api.volume.listing import (
    Filter,
    all_projects,
    conditions,
    counts,
    equals,
    listed,
    metadata,
    named,
    page_asked,
    times,
)
from armillary.cloud.api.volume.volumes import described, described_changes, item_asked, item_of
from armillary.cloud.volumes.model import SnapshotStatus
from armillary.cloud.volumes.service import VolumeService
from armillary.cloud.volumes.store import snapshots as table

router = APIRouter()

_SORTS = frozenset({"id", "status", "size", "name", "volume_id", "created_at", "updated_at", "user_id"})
_FORCE_IS_GONE = (
    "Since microversion 3.66 the 'force' flag is invalid for this request.  For backward compatability, however, "
    "when the 'force' flag is passed with a value evaluating to True, it is silently ignored."
)


def _filters(version: int) -> dict[str, Filter]:
    known: dict[str, Filter] = {
        "name": equals(table.c.name),
        "status": named(table.c.status, SnapshotStatus),
        "volume_id": equals(table.c.volume_id),
        "user_id": equals(table.c.user_id),
    }
    if version >= 22:
        known["metadata"] = metadata(table.c.metadata)
    if version >= 60:
        known["created_at"] = times(table.c.created_at, "created_at")
        known["updated_at"] = times(table.c.updated_at, "updated_at")
    return known


@router.get("/snapshots")
def list_snapshots(request: Request, who: Who, service: Volumes, version: Version) -> JSON:
    return _list(request, who, service, version, detail=False)


@router.get("/snapshots/detail")
def list_snapshots_in_detail(request: Request, who: Who, service: Volumes, version: Version) -> JSON:
    return _list(request, who, service, version, detail=True)


def _list(request: Request, who: Principal, service: VolumeService, version: int, *, detail: bool) -> JSON:
    page = page_asked(request, keys=_SORTS)
    where = conditions(request, who, table, _filters(version), version=version, resource="snapshot")
    everybody = all_projects(request, who)
    found = service.snapshots.list(who, page, where=where, all_projects=everybody)
    items = [views.snapshot(item, version=version if detail else 0, extended=detail) for item in found]
    count = None
    if counts(request, version):
        count = service.snapshots.count(who, where=where, all_projects=everybody)
    path = "snapshots/detail" if detail else "snapshots"
    return listed(request, "snapshots", items, page, path=path, count=count)


@router.post("/snapshots", status_code=202, openapi_extra=takes(schemas.CREATE_SNAPSHOT))
def create_snapshot(body: Body, who: Who, service: Volumes, version: Version) -> JSON:
    asked = check(schemas.CREATE_SNAPSHOT, body)["snapshot"]
    flag = asked.get("force")
    if version >= 66 and flag is not None and not truth(flag):
        service.show(who, str(asked["volume_id"]))
        raise Invalid(_FORCE_IS_GONE, code="force_is_gone")
    made = service.snapshots.create(
        who,
        str(asked["volume_id"]),
        **described(asked),
        metadata=asked.get("metadata"),
        force=version >= 66 or (flag is not None and truth(flag)),
    )
    return {"snapshot": views.snapshot(made, version=version, extended=False)}


@router.get("/snapshots/{snapshot_id}")
def show_snapshot(snapshot_id: str, who: Who, service: Volumes, version: Version) -> JSON:
    return {"snapshot": views.snapshot(service.snapshots.show(who, snapshot_id), version=version)}


@router.put("/snapshots/{snapshot_id}", openapi_extra=takes(schemas.update("snapshot", 53)))
def update_snapshot(snapshot_id: str, body: Body, who: Who, service: Volumes, version: Version) -> JSON:
    changes = described_changes(check(schemas.update("snapshot", version), body)["snapshot"])
    changed = service.snapshots.update(who, snapshot_id, changes)
    return {"snapshot": views.snapshot(changed, version=version, extended=False)}


@router.delete("/snapshots/{snapshot_id}", status_code=202)
def delete_snapshot(snapshot_id: str, who: Who, service: Volumes) -> Response:
    service.snapshots.delete(who, snapshot_id)
    return Response(status_code=202)


@router.get("/snapshots/{snapshot_id}/metadata")
def list_metadata(snapshot_id: str, who: Who, service: Volumes) -> JSON:
    return {"metadata": dict(service.snapshots.show(who, snapshot_id).metadata)}


@router.post("/snapshots/{snapshot_id}/metadata", openapi_extra=takes(schemas.METADATA_BODY))
def add_metadata(snapshot_id: str, body: Body, who: Who, service: Volumes) -> JSON:
    items = check(schemas.METADATA_BODY, body)["metadata"]
    kept = service.snapshots.show(who, snapshot_id).metadata
    changed = service.snapshots.update(who, snapshot_id, {"metadata": {**kept, **items}})
    return {"metadata": dict(changed.metadata)}


@router.put("/snapshots/{snapshot_id}/metadata", openapi_extra=takes(schemas.METADATA_BODY))
def replace_metadata(snapshot_id: str, body: Body, who: Who, service: Volumes) -> JSON:
    items = check(schemas.METADATA_BODY, body)["metadata"]
    return {"metadata": dict(service.snapshots.update(who, snapshot_id, {"metadata": items}).metadata)}


@router.get("/snapshots/{snapshot_id}/metadata/{key}")
def show_metadata_item(snapshot_id: str, key: str, who: Who, service: Volumes) -> JSON:
    found = service.snapshots.show(who, snapshot_id).metadata
    return {"meta": item_of(found, key, f"Snapshot {snapshot_id}")}


@router.put("/snapshots/{snapshot_id}/metadata/{key}", openapi_extra=takes(schemas.ITEM_BODY))
def set_metadata_item(snapshot_id: str, key: str, body: Body, who: Who, service: Volumes) -> JSON:
    items = item_asked(body, key)
    kept = service.snapshots.show(who, snapshot_id).metadata
    service.snapshots.update(who, snapshot_id, {"metadata": {**kept, **items}})
    return {"meta": items}


@router.delete("/snapshots/{snapshot_id}/metadata/{key}")
def delete_metadata_item(snapshot_id: str, key: str, who: Who, service: Volumes) -> Response:
    service.snapshots.delete_metadata(who, snapshot_id, key)
    return Response(status_code=200)
