"""Transfers of volumes, under their older and their newer path."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from armillary.accounts.model import Principal
from armillary.cloud.api.volume import schemas
from armillary.cloud.api.volume.checks import check, truth
from armillary.cloud.api.volume.deps import JSON, Body, Version, Volumes, Who, links, stamp, takes
from armillary.cloud.api.volume.listing import Filter, all_projects, conditions, equals, listed, page_asked
from armillary.cloud.volumes.model import Transfer
from armillary.cloud.volumes.service import VolumeService
from armillary.cloud.volumes.store import transfers as table

router = APIRouter()

_SORTS = frozenset({"id", "name", "created_at", "volume_id"})
_OLD, _NEW = "os-volume-transfer", "volume-transfers"


def _plain(item: Transfer, request: Request) -> JSON:
    return {
        "id": item.id,
        "volume_id": item.volume_id,
        "name": item.name,
        "links": links(request, _OLD, item.id),
    }


def _detail(item: Transfer, request: Request, version: int) -> JSON:
    answer = {**_plain(item, request), "created_at": stamp(item.created_at)}
    if version >= 55:
        answer["no_snapshots"] = item.no_snapshots
    if version >= 57:
        answer["destination_project_id"] = item.destination_project_id
        answer["source_project_id"] = item.project_id
        answer["accepted"] = item.accepted
    return answer


@router.get(f"/{_OLD}")
@router.get(f"/{_NEW}")
def list_transfers(request: Request, who: Who, service: Volumes, version: Version) -> JSON:
    return _list(request, who, service, version, detail=False)


@router.get(f"/{_OLD}/detail")
@router.get(f"/{_NEW}/detail")
def list_transfers_in_detail(request: Request, who: Who, service: Volumes, version: Version) -> JSON:
    return _list(request, who, service, version, detail=True)


def _list(request: Request, who: Principal, service: VolumeService, version: int, *, detail: bool) -> JSON:
    page = page_asked(request, keys=_SORTS)
    known: dict[str, Filter] = {"name": equals(table.c.name), "volume_id": equals(table.c.volume_id)}
    where = conditions(request, who, table, known, version=version)
    found = service.transfers.list(who, page, where=where, all_projects=all_projects(request, who))
    items = [_detail(item, request, version) if detail else _plain(item, request) for item in found]
    return listed(request, "transfers", items, page, path=f"{_NEW}/detail" if detail else _NEW)


@router.post(f"/{_OLD}", status_code=202, openapi_extra=takes(schemas.CREATE_TRANSFER))
@router.post(f"/{_NEW}", status_code=202, openapi_extra=takes(schemas.CREATE_TRANSFER))
def create_transfer(request: Request, body: Body, who: Who, service: Volumes, version: Version) -> JSON:
    asked = check(schemas.CREATE_TRANSFER, body)["transfer"]
    without = version >= 55 and truth(asked.get("no_snapshots", "false"))
    made, key = service.transfers.create(
        who, asked["volume_id"], name=asked.get("name"), no_snapshots=without
    )
    return {"transfer": {**_detail(made, request, version), "auth_key": key}}


@router.get(f"/{_OLD}/{{transfer_id}}")
@router.get(f"/{_NEW}/{{transfer_id}}")
def show_transfer(transfer_id: str, request: Request, who: Who, service: Volumes, version: Version) -> JSON:
    return {"transfer": _detail(service.transfers.show(who, transfer_id), request, version)}


@router.delete(f"/{_OLD}/{{transfer_id}}", status_code=202)
@router.delete(f"/{_NEW}/{{transfer_id}}", status_code=202)
def delete_transfer(
    transfer_id: str, request: Request, who: Who, service: Volumes, version: Version
) -> Response:
    service.transfers.delete(who, transfer_id)
    return Response(status_code=202)


@router.post(f"/{_OLD}/{{transfer_id}}/accept", status_code=202, openapi_extra=takes(schemas.ACCEPT_TRANSFER))
@router.post(f"/{_NEW}/{{transfer_id}}/accept", status_code=202, openapi_extra=takes(schemas.ACCEPT_TRANSFER))
def accept_transfer(
    transfer_id: str, request: Request, body: Body, who: Who, service: Volumes, version: Version
) -> JSON:
    key = check(schemas.ACCEPT_TRANSFER, body)["accept"]["auth_key"]
    return {"transfer": _plain(service.transfers.accept(who, transfer_id, key), request)}
