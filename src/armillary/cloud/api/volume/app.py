"""Block Storage v3: versions, limits, types, and empty lists."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from armillary.base.errors import Invalid, NotFound
from armillary.cloud.api.auth import KeystoneAuth
from armillary.cloud.api.compute.faults import fault, speak_nova
from armillary.cloud.api.policy import volume as policy
from armillary.cloud.api.policy.gate import gate
from armillary.cloud.api.shared import MOST_BYTES, Bounded, Caller, Microversions, RequestIds
from armillary.cloud.core.config_drive import AVAILABILITY_ZONE
from armillary.cloud.volumes.service import QUOTAS, VOLUME_TYPE_ID, VolumeService

versions = APIRouter()
router = APIRouter()
JSON = dict[str, Any]

_TYPE: JSON = {
    "id": VOLUME_TYPE_ID,
    "name": "__DEFAULT__",
    "is_public": True,
    "description": "Default Volume Type",
    "extra_specs": {},
    "os-volume-type-access:is_public": True,
}
_KINDS = {
    "volumes": "Volume",
    "snapshots": "Snapshot",
    "backups": "Backup",
    "volume-transfers": "Transfer",
    "attachments": "Attachment",
}
_KEYS = {"volume-transfers": "transfers"}


def _document(request: Request) -> JSON:
    base_url = request.app.state.base_url
    kind = "application/vnd.openstack.volume+json;version=3"
    version = {
        "id": "v3.0",
        "status": "CURRENT",
        "version": "3.70",
        "min_version": "3.0",
        "updated": "2022-08-31T00:00:00Z",
        "links": [
            {"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"},
            {"rel": "self", "href": f"{base_url}/v3/"},
        ],
        "media-types": [{"base": "application/json", "type": kind}],
    }
    return {"versions": [version]}


@versions.get("/")
@versions.get("")
def list_versions(request: Request) -> Response:
    return JSONResponse(_document(request), 300)


@versions.get("/v3/")
@versions.get("/v3")
def show_version(request: Request) -> JSON:
    return _document(request)


@router.get("/limits")
def limits(who: Caller) -> JSON:
    del who
    absolute = {
        "maxTotalVolumes": QUOTAS["volumes"],
        "maxTotalSnapshots": QUOTAS["snapshots"],
        "maxTotalVolumeGigabytes": QUOTAS["gigabytes"],
        "maxTotalBackups": QUOTAS["backups"],
        "maxTotalBackupGigabytes": QUOTAS["backup_gigabytes"],
        "totalVolumesUsed": 0,
        "totalGigabytesUsed": 0,
        "totalSnapshotsUsed": 0,
        "totalBackupsUsed": 0,
        "totalBackupGigabytesUsed": 0,
    }
    return {"limits": {"rate": [], "absolute": absolute}}


@router.get("/os-quota-sets/{wanted}")
def show_quotas(wanted: str, who: Caller, usage: str = "False") -> JSON:
    del who
    if usage.lower() == "true":
        detail = {name: {"limit": limit, "in_use": 0, "reserved": 0} for name, limit in QUOTAS.items()}
        return {"quota_set": {**detail, "id": wanted}}
    return {"quota_set": {**QUOTAS, "id": wanted}}


@router.get("/os-quota-sets/{wanted}/defaults")
def show_default_quotas(wanted: str, who: Caller) -> JSON:
    return show_quotas(wanted, who)


@router.get("/types")
def list_types(who: Caller) -> JSON:
    del who
    return {"volume_types": [_TYPE]}


@router.get("/types/{type_id}")
def show_type(type_id: str, who: Caller) -> JSON:
    del who
    if type_id not in {VOLUME_TYPE_ID, "default"}:
        raise NotFound(f"Volume type {type_id} could not be found.")
    return {"volume_type": _TYPE}


@router.get("/os-availability-zone")
def list_zones(who: Caller) -> JSON:
    del who
    return {"availabilityZoneInfo": [{"zoneName": AVAILABILITY_ZONE, "zoneState": {"available": True}}]}


@router.get("/extensions")
def list_extensions(who: Caller) -> JSON:
    del who
    return {"extensions": []}


@router.post("/volumes")
def create_volume(body: dict[str, dict[str, Any]], who: Caller, request: Request) -> None:
    size = body.get("volume", {}).get("size")
    if not isinstance(size, int | str) or not str(size).isdigit() or int(size) < 1:
        raise Invalid(
            f"Invalid input for field/attribute size. Value: {size}. {size} is less than the minimum of 1"
        )
    volumes: VolumeService = request.app.state.volumes
    volumes.create(who, int(size))


@router.get("/{collection}")
@router.get("/{collection}/detail")
def list_nothing(collection: str, who: Caller) -> JSON:
    del who
    if collection not in _KINDS:
        raise NotFound("The resource could not be found.")
    return {_KEYS.get(collection, collection): []}


@router.get("/{collection}/{item_id}")
def show_nothing(collection: str, item_id: str, who: Caller) -> JSON:
    del who
    raise NotFound(f"{_KINDS.get(collection, 'Resource')} {item_id} could not be found.")


def volume_app(
    *, volumes: VolumeService, auth: KeystoneAuth, base_url: str, auth_url: str, prefix: str
) -> ASGIApp:
    """Block Storage v3 under `prefix`; `base_url` is where clients find it, the prefix included."""
    decide = gate(service="volume", prefix=prefix, rows=policy.ROWS)
    app = FastAPI(
        title="Block Storage", openapi_url=None, redirect_slashes=False, dependencies=[Depends(decide)]
    )
    app.state.volumes = volumes
    app.state.authenticate = auth.principal
    app.state.base_url, app.state.auth_url = base_url, auth_url
    speak_nova(app)
    app.include_router(versions, prefix=prefix)
    app.include_router(router, prefix=prefix + "/v3/{project_id}")
    versioned = Microversions(app, service="volume", minimum=(3, 0), maximum=(3, 70), refuse=fault)
    versioned = Bounded(versioned, most=MOST_BYTES, refuse=fault)
    return RequestIds(versioned, header_names=("x-openstack-request-id", "x-compute-request-id"))
