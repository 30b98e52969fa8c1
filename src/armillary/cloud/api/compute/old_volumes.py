"""/os-volumes and /os-snapshots: Nova's old proxies to Cinder, until 2.35. Snapshots are read only here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from armillary.accounts.model import Principal
from armillary.base.errors import NotFound
from armillary.cloud.api.compute import wire
from armillary.cloud.api.compute.deps import Version, until
from armillary.cloud.api.compute.queries import check_query, limit_of, number
from armillary.cloud.api.shared import Caller
from armillary.cloud.volumes.creation import NewVolume
from armillary.cloud.volumes.model import Volume
from armillary.cloud.volumes.paging import Page
from armillary.cloud.volumes.service import VolumeService

router = APIRouter()
_LAST = 35


async def _volumes(request: Request) -> VolumeService:
    return request.app.state.volumes


Volumes = Annotated[VolumeService, Depends(_volumes)]


def _views(volumes: VolumeService, found: Sequence[Volume]) -> list[dict[str, Any]]:
    attachments, types = volumes.attachments_of(found), volumes.type_names()
    return [
        {
            "id": volume.id,
            "status": volume.status.value,
            "size": volume.size,
            "availabilityZone": volume.availability_zone,
            "createdAt": volume.created_at.strftime("%Y-%m-%dT%H:%M:%S.%f"),
            # one that nobody has shows one attachment without anything in it, as it always did
            "attachments": [
                {"id": volume.id, "volumeId": volume.id, "serverId": a.server_id, "device": a.device}
                for a in attachments.get(volume.id, ())
                if a.server_id is not None
            ]
            or [{}],
            "displayName": volume.name,
            "displayDescription": volume.description,
            "volumeType": types.get(volume.volume_type_id),
            "snapshotId": volume.source.snapshot_id,
            "metadata": dict(volume.metadata),
        }
        for volume in found
    ]


def _page(request: Request, volumes: VolumeService, who: Principal) -> Sequence[Volume]:
    query = request.query_params
    check_query(query, {"limit": number, "offset": number}, strict=False)
    return volumes.list(who, Page(limit=limit_of(query), offset=int(query.get("offset") or 0)))


@router.get("/os-volumes")
@router.get("/os-volumes/detail")
def list_volumes(request: Request, who: Caller, volumes: Volumes, version: Version) -> Response:
    until(version, _LAST)
    return JSONResponse({"volumes": _views(volumes, _page(request, volumes, who))})


@router.post("/os-volumes")
def create_volume(body: wire.CreateOldVolume, who: Caller, volumes: Volumes, version: Version) -> Response:
    until(version, _LAST)
    asked = body.volume
    made = volumes.create(
        who,
        NewVolume(
            name=asked.display_name, description=asked.display_description, size=asked.size,
            snapshot_id=asked.snapshot_id, volume_type=asked.volume_type, availability_zone=asked.availability_zone,
            metadata=asked.metadata or {},
        ),
    )  # fmt: skip
    return JSONResponse({"volume": _views(volumes, [made])[0]})


@router.get("/os-volumes/{volume_id}")
def show_volume(volume_id: str, who: Caller, volumes: Volumes, version: Version) -> Response:
    until(version, _LAST)
    return JSONResponse({"volume": _views(volumes, [_found(volumes, who, volume_id)])[0]})


def _found(volumes: VolumeService, who: Principal, volume_id: str) -> Volume:
    try:
        return volumes.show(who, volume_id)
    except NotFound as error:
        raise NotFound(f"Volume {volume_id} could not be found.", code=error.code) from error


@router.delete("/os-volumes/{volume_id}", status_code=202)
def delete_volume(volume_id: str, who: Caller, volumes: Volumes, version: Version) -> Response:
    until(version, _LAST)
    _found(volumes, who, volume_id)
    volumes.delete(who, volume_id)
    return Response(status_code=202)


@router.get("/os-snapshots")
@router.get("/os-snapshots/detail")
def list_snapshots(request: Request, who: Caller, volumes: Volumes, version: Version) -> Response:
    until(version, _LAST)
    query = request.query_params
    check_query(query, {"limit": number, "offset": number}, strict=False)
    page = Page(limit=limit_of(query), offset=int(query.get("offset") or 0))
    shown = [
        {
            "id": snapshot.id,
            "volumeId": snapshot.volume_id,
            "status": snapshot.status.value,
            "size": snapshot.size,
            "createdAt": snapshot.created_at.strftime("%Y-%m-%dT%H:%M:%S.%f"),
            "displayName": snapshot.name,
            "displayDescription": snapshot.description,
        }
        for snapshot in volumes.snapshots.list(who, page)
    ]
    return JSONResponse({"snapshots": shown})
