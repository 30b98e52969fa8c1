"""Backups."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from armillary.accounts.model import Principal
from armillary.base.errors import Invalid
from armillary.cloud.api.volume import schemas, views
from armillary.cloud.api.volume.checks import check, truth
from armillary.cloud.api.volume.deps import JSON, Body, Version, Volumes, Who, links, since, stamp, takes
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
from armillary.cloud.api.volume.volumes import described, described_changes
from armillary.cloud.volumes.backups import NewBackup
from armillary.cloud.volumes.model import Backup, BackupStatus
from armillary.cloud.volumes.service import VolumeService
from armillary.cloud.volumes.store import backups as table

router = APIRouter()

_SORTS = frozenset({"id", "status", "size", "name", "volume_id", "created_at", "updated_at", "container"})


def _filters(version: int) -> dict[str, Filter]:
    known: dict[str, Filter] = {
        "name": equals(table.c.name),
        "status": named(table.c.status, BackupStatus),
        "volume_id": equals(table.c.volume_id),
        "snapshot_id": equals(table.c.snapshot_id),
    }
    if version >= 43:
        known["metadata"] = metadata(table.c.metadata)
    if version >= 60:
        known["created_at"] = times(table.c.created_at, "created_at")
        known["updated_at"] = times(table.c.updated_at, "updated_at")
    return known


def _detail(item: Backup, request: Request, who: Principal, version: int, parents: frozenset[str]) -> JSON:
    answer: JSON = {
        "id": item.id,
        "status": item.status.value,
        "size": item.size,
        "object_count": 1 if item.status.value == "available" else 0,
        "availability_zone": item.availability_zone,
        "container": item.container,
        "created_at": stamp(item.created_at),
        "updated_at": stamp(item.updated_at),
        "name": item.name,
        "description": item.description,
        "fail_reason": item.fail_reason,
        "volume_id": item.volume_id,
        "links": links(request, "backups", item.id),
        "is_incremental": item.parent_id is not None,
        "has_dependent_backups": item.id in parents,
        "snapshot_id": item.snapshot_id,
        "data_timestamp": stamp(item.data_timestamp),
    }
    if version >= 18 and who.is_cloud_admin:
        answer["os-backup-project-attr:project_id"] = item.project_id
    if version >= 43:
        answer["metadata"] = dict(item.metadata)
    if version >= 56 and who.is_cloud_admin:
        answer["user_id"] = item.user_id
    return answer


def _shown(service: VolumeService, item: Backup, request: Request, who: Principal, version: int) -> JSON:
    return _detail(item, request, who, version, service.backups.parents([item]))


@router.get("/backups")
def list_backups(request: Request, who: Who, service: Volumes, version: Version) -> JSON:
    return _list(request, who, service, version, detail=False)


@router.get("/backups/detail")
def list_backups_in_detail(request: Request, who: Who, service: Volumes, version: Version) -> JSON:
    return _list(request, who, service, version, detail=True)


def _list(request: Request, who: Principal, service: VolumeService, version: int, *, detail: bool) -> JSON:
    page = page_asked(request, keys=_SORTS)
    where = conditions(request, who, table, _filters(version), version=version, resource="backup")
    everybody = all_projects(request, who)
    found = service.backups.list(who, page, where=where, all_projects=everybody)
    if detail:
        parents = service.backups.parents(found)
        items = [_detail(item, request, who, version, parents) for item in found]
    else:
        items = [views.plain(item, "backups", request) for item in found]
    count = None
    if counts(request, version):
        count = service.backups.count(who, where=where, all_projects=everybody)
    path = "backups/detail" if detail else "backups"
    return listed(request, "backups", items, page, path=path, count=count)


@router.post("/backups", status_code=202, openapi_extra=takes(schemas.CREATE_BACKUP))
def create_backup(request: Request, body: Body, who: Who, service: Volumes, version: Version) -> JSON:
    asked = check(schemas.CREATE_BACKUP, body)["backup"]
    wanted = NewBackup(
        volume_id=asked["volume_id"],
        snapshot_id=asked.get("snapshot_id"),
        **described(asked),
        container=asked.get("container"),
        metadata=(asked.get("metadata") or {}) if version >= 43 else {},
        incremental=truth(asked.get("incremental", "false")),
        force=truth(asked.get("force", "false")),
    )
    made = service.backups.create(who, wanted)
    answer = views.plain(made, "backups", request)
    if version >= 56 and who.is_cloud_admin:
        answer["user_id"] = made.user_id
    return {"backup": answer}


@router.get("/backups/{backup_id}")
def show_backup(backup_id: str, request: Request, who: Who, service: Volumes, version: Version) -> JSON:
    return {"backup": _shown(service, service.backups.show(who, backup_id), request, who, version)}


@router.put("/backups/{backup_id}", openapi_extra=takes(schemas.update("backup", 53)))
def update_backup(
    backup_id: str, request: Request, body: Body, who: Who, service: Volumes, version: Version
) -> JSON:
    since(version, 9)
    changes = described_changes(check(schemas.update("backup", 53), body)["backup"])
    changed = service.backups.update(who, backup_id, changes)
    return {"backup": views.plain(changed, "backups", request)}


@router.delete("/backups/{backup_id}", status_code=202)
def delete_backup(backup_id: str, who: Who, service: Volumes) -> Response:
    service.backups.delete(who, backup_id)
    return Response(status_code=202)


@router.post("/backups/{backup_id}/restore", status_code=202, openapi_extra=takes(schemas.RESTORE))
def restore_backup(backup_id: str, body: Body, who: Who, service: Volumes) -> JSON:
    asked = check(schemas.RESTORE, body)["restore"]
    volume = service.backups.restore(who, backup_id, volume_id=asked.get("volume_id"), name=asked.get("name"))
    return {"restore": {"backup_id": backup_id, "volume_id": volume.id, "volume_name": volume.name}}


ACTIONS = ("os-reset_status", "os-force_delete")


@router.post("/backups/{backup_id}/action", status_code=202)
def act_on_backup(backup_id: str, body: Body, who: Who, service: Volumes) -> Response:
    name = next(iter(body), "")
    if name == "os-force_delete" and len(body) == 1:
        service.backups.delete(who, backup_id, force=True)
    elif name == "os-reset_status" and len(body) == 1:
        inner = schemas.reset_status("backups")
        status = check(schemas.wrapped(name, inner), body)[name]["status"]
        service.backups.reset_status(who, backup_id, status)
    else:
        raise Invalid(f"There is no such action: {name}", code="unknown_action")
    return Response(status_code=202)


@router.get("/backups/{backup_id}/export_record")
def export_record(backup_id: str, who: Who, service: Volumes) -> None:
    service.backups.show(who, backup_id)
    raise _no_records()


@router.post("/backups/import_record")
def import_record(who: Who) -> None:
    del who
    raise _no_records()


def _no_records() -> Invalid:
    return Invalid(
        "Invalid backup: records of backups cannot leave this cloud, nor come to it.",
        code="no_backup_records",
        remedy="Copy the volume to an image, and take that elsewhere.",
    )
