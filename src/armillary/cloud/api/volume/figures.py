"""What block storage says of itself: limits, quotas, zones, services, pools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request

from armillary.base.errors import Invalid, NotFound
from armillary.cloud.access import project_of
from armillary.cloud.api.volume import schemas
from armillary.cloud.api.volume.catalog import EXTENSIONS, RESOURCE_FILTERS
from armillary.cloud.api.volume.checks import check, truth
from armillary.cloud.api.volume.deps import JSON, Body, Version, Volumes, Who, since, stamp, takes
from armillary.cloud.api.volume.views import HOST
from armillary.cloud.core.config_drive import AVAILABILITY_ZONE

router = APIRouter()

_MOST = 2147483647
_PARTS = (
    ("cinder-scheduler", "armillary"),
    ("cinder-volume", "armillary@disk"),
    ("cinder-backup", "armillary"),
)


@router.get("/limits")
def show_limits(request: Request, who: Who, service: Volumes, version: Version) -> JSON:
    project_id = project_of(who).id
    wanted = request.query_params.get("project_id")
    if version >= 39 and wanted and who.is_cloud_admin:
        project_id = wanted
    found = service.quotas.limits_and_use(who, project_id)
    absolute = {f"maxTotal{name}": found[quota][0] for quota, name in _TOTALS.items()}
    absolute |= {
        f"total{name.replace('VolumeGigabytes', 'Gigabytes')}Used": found[quota][1]
        for quota, name in _TOTALS.items()
    }
    return {"limits": {"rate": [], "absolute": absolute}}


_TOTALS = {
    "volumes": "Volumes",
    "snapshots": "Snapshots",
    "gigabytes": "VolumeGigabytes",
    "backups": "Backups",
    "backup_gigabytes": "BackupGigabytes",
}


@router.get("/os-quota-sets/{wanted}")
def show_quotas(wanted: str, who: Who, service: Volumes, usage: str = "False") -> JSON:
    found = service.quotas.limits_and_use(who, wanted)
    if truth(usage):
        detail = {
            name: {"limit": limit, "in_use": used, "reserved": 0} for name, (limit, used) in found.items()
        }
        return {"quota_set": {**detail, "id": wanted}}
    return {"quota_set": {**{name: limit for name, (limit, _) in found.items()}, "id": wanted}}


@router.get("/os-quota-sets/{wanted}/defaults")
def show_default_quotas(wanted: str, who: Who, service: Volumes) -> JSON:
    return {"quota_set": {**service.quotas.defaults(who, wanted), "id": wanted}}


@router.put("/os-quota-sets/{wanted}", openapi_extra=takes(schemas.QUOTAS))
def set_quotas(wanted: str, body: Body, who: Who, service: Volumes) -> JSON:
    asked: Mapping[str, Any] = check(schemas.QUOTAS, body)["quota_set"]
    amounts = {
        name: _amount(name, value) for name, value in asked.items() if name not in ("tenant_id", "force")
    }
    return {"quota_set": service.quotas.set(wanted, amounts)}


def _amount(name: str, value: Any) -> int:
    try:
        amount = int(value)
    except (TypeError, ValueError) as error:
        raise Invalid(f"{name} must be an integer", code="bad_quota") from error
    if not -1 <= amount <= _MOST:
        bound = ">= -1" if amount < 0 else f"<= {_MOST}"
        raise Invalid(f"{name} must be {bound}", code="bad_quota")
    return amount


@router.delete("/os-quota-sets/{wanted}")
def reset_quotas(wanted: str, who: Who, service: Volumes) -> JSON:
    service.quotas.reset(wanted)
    return {}


@router.get("/os-quota-class-sets/{name}")
def show_class_quotas(name: str, who: Who, service: Volumes) -> JSON:
    return {"quota_class_set": {**service.quotas.defaults(who, project_of(who).id), "id": name}}


@router.put("/os-quota-class-sets/{name}")
def set_class_quotas(name: str, who: Who) -> JSON:
    raise Invalid(
        f"The quotas of class {name} follow from each project's allocation.",
        code="fixed_quota_class",
        remedy="Set the quotas of single projects, or their allocations.",
    )


@router.get("/os-availability-zone")
def list_zones(who: Who) -> JSON:
    del who
    return {"availabilityZoneInfo": [{"zoneName": AVAILABILITY_ZONE, "zoneState": {"available": True}}]}


@router.get("/extensions")
def list_extensions(who: Who) -> JSON:
    del who
    return {"extensions": [_extension(*item) for item in EXTENSIONS]}


@router.get("/extensions/{alias}")
def show_extension(alias: str, who: Who) -> JSON:
    del who
    for item in EXTENSIONS:
        if item[1] == alias:
            return {"extension": _extension(*item)}
    raise NotFound("The resource could not be found.")


def _extension(name: str, alias: str, description: str, updated: str) -> JSON:
    return {"name": name, "alias": alias, "description": description, "updated": updated, "links": []}


@router.get("/os-services")
def list_services(request: Request, who: Who, service: Volumes, version: Version) -> JSON:
    host, binary = (request.query_params.get(name) for name in ("host", "binary"))
    now = stamp(service.now())
    rows: list[JSON] = []
    for name, where in _PARTS:
        row: JSON = {
            "binary": name,
            "host": where,
            "zone": AVAILABILITY_ZONE,
            "status": "enabled",
            "state": "up",
            "updated_at": now,
            "disabled_reason": None,
        }
        if name == "cinder-volume":
            row |= {"replication_status": "disabled", "active_backend_id": None, "frozen": False}
            if version >= 49:
                row["backend_state"] = "up"
        if version >= 7:
            row["cluster"] = None
        rows.append(row)
    return {
        "services": [row for row in rows if host in (None, row["host"]) and binary in (None, row["binary"])]
    }


@router.put("/os-services/{action}")
def change_service(action: str, who: Who) -> None:
    raise Invalid(
        f"Block storage is a part of the platform, and cannot be told to {action}.",
        code="one_disk",
        remedy="Stop the platform instead.",
    )


@router.get("/scheduler-stats/get_pools")
def list_pools(who: Who, service: Volumes, detail: str = "False") -> JSON:
    if not truth(detail):
        return {"pools": [{"name": HOST}]}
    whole, used = service.room()
    capabilities = {
        "volume_backend_name": "disk",
        "vendor_name": "Armillary",
        "driver_version": "1.0",
        "storage_protocol": "file",
        "total_capacity_gb": whole,
        "free_capacity_gb": max(0, whole - used),
        "allocated_capacity_gb": used,
        "reserved_percentage": 0,
        "thin_provisioning_support": True,
        "QoS_support": False,
        "multiattach": False,
        "timestamp": stamp(service.now()),
    }
    return {"pools": [{"name": HOST, "capabilities": capabilities}]}


@router.get("/capabilities/{host}")
def show_capabilities(host: str, who: Who) -> JSON:
    return {
        "namespace": f"OS::Storage::Capabilities::{host}",
        "vendor_name": "Armillary",
        "volume_backend_name": "disk",
        "pool_name": "disk",
        "driver_version": "1.0",
        "storage_protocol": "file",
        "display_name": "The computer's disk",
        "description": "Files on the disk of the computer that the cloud runs on.",
        "visibility": "public",
        "replication_targets": [],
        "properties": {},
    }


@router.get("/os-hosts")
def list_hosts(who: Who, service: Volumes) -> JSON:
    rows = [
        {
            "host_name": host,
            "service": part,
            "zone": AVAILABILITY_ZONE,
            "service-status": "available",
            "service-state": "enabled",
            "last-update": stamp(service.now()),
        }
        for part, host in _PARTS
    ]
    return {"hosts": rows}


@router.get("/resource_filters")
def list_filters(who: Who, version: Version, resource: str | None = None) -> JSON:
    del who
    since(version, 33)
    return {
        "resource_filters": [
            {"resource": name, "filters": list(filters)}
            for name, filters in RESOURCE_FILTERS.items()
            if resource in (None, name)
        ]
    }


@router.get("/clusters")
@router.get("/clusters/detail")
def list_clusters(who: Who, version: Version) -> JSON:
    since(version, 7)
    return {"clusters": []}
