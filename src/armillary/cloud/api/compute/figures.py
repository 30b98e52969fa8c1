"""Limits, quotas, usage, and what administrators see of the host."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from armillary.base.clock import from_iso
from armillary.base.errors import Invalid, NotFound
from armillary.cloud.access import allow_administering, project_of
from armillary.cloud.api.compute import views, wire
from armillary.cloud.api.compute.deps import Compute, Version
from armillary.cloud.api.shared import Caller
from armillary.cloud.compute.quotas import Usage

router = APIRouter()

_HYPERVISOR = "2c1cb0a3-7d0a-5f6c-8f8d-6f3a4a1b7a10"
_ABSOLUTE = {
    "maxTotalInstances": "instances",
    "maxTotalCores": "cores",
    "maxTotalRAMSize": "ram",
    "maxServerMeta": "metadata_items",
    "maxTotalKeypairs": "key_pairs",
    "maxServerGroups": "server_groups",
    "maxServerGroupMembers": "server_group_members",
}


@router.get("/limits")
def limits(who: Caller, compute: Compute, version: Version, tenant_id: str | None = None) -> dict[str, Any]:
    detail = compute.quotas.quota_detail(who, tenant_id or project_of(who).id)
    absolute = {name: detail[quota][0] for name, quota in _ABSOLUTE.items()}
    if version < 57:
        absolute |= {"maxPersonality": 5, "maxPersonalitySize": 10240}
    if version < 39:
        absolute |= {"maxImageMeta": 128}
    absolute |= {
        "totalRAMUsed": detail["ram"][1],
        "totalCoresUsed": detail["cores"][1],
        "totalInstancesUsed": detail["instances"][1],
        "totalServerGroupsUsed": 0,
    }
    if version < 36:
        absolute |= {"maxTotalFloatingIps": -1, "maxSecurityGroups": -1, "maxSecurityGroupRules": -1}
        absolute |= {"totalFloatingIpsUsed": 0, "totalSecurityGroupsUsed": 0}
    return {"limits": {"rate": [], "absolute": absolute}}


@router.get("/os-quota-sets/{project_id}")
def show_quotas(project_id: str, who: Caller, compute: Compute, version: Version) -> dict[str, Any]:
    return {
        "quota_set": views.quota_set(compute.quotas.quota_set(who, project_id), project_id, version=version)
    }


@router.get("/os-quota-sets/{project_id}/detail")
def show_quotas_in_detail(project_id: str, who: Caller, compute: Compute, version: Version) -> dict[str, Any]:
    figures = compute.quotas.quota_detail(who, project_id)
    detail = {name: {"limit": lim, "in_use": use, "reserved": 0} for name, (lim, use) in figures.items()}
    return {"quota_set": views.quota_set(detail, project_id, version=version)}


@router.get("/os-quota-sets/{project_id}/defaults")
def show_default_quotas(project_id: str, who: Caller, compute: Compute, version: Version) -> dict[str, Any]:
    return {
        "quota_set": views.quota_set(compute.quotas.defaults(who, project_id), project_id, version=version)
    }


@router.put("/os-quota-sets/{project_id}")
def set_quotas(
    project_id: str, body: wire.QuotaChanges, who: Caller, compute: Compute, version: Version
) -> dict[str, Any]:
    amounts: dict[str, int] = {}
    for name, value in body.quota_set.items():
        if name in {"force", "tenant_id", "project_id"} or value is None:
            continue
        if isinstance(value, bool | str):
            raise Invalid(f"Invalid input for field/attribute {name}. Value: {value}.")
        amounts[name] = value
    changed = compute.quotas.set(who, project_id, amounts)
    return {"quota_set": views.quota_set(changed, None, version=version)}


@router.delete("/os-quota-sets/{project_id}", status_code=202)
def reset_quotas(project_id: str, who: Caller, compute: Compute) -> Response:
    compute.quotas.reset(who, project_id)
    return Response(status_code=202)


def _period(request: Request) -> tuple[datetime, datetime]:
    query = request.query_params
    try:
        end = from_iso(query["end"]) if query.get("end") else datetime.now(UTC)
        start = from_iso(query["start"]) if query.get("start") else end - timedelta(days=28)
    except ValueError as error:
        raise Invalid("Datetime is in invalid format") from error
    if start > end:
        raise Invalid("Invalid start time. The start time cannot occur after the end time.")
    return start, end


def _usage(
    project_id: str, uses: Sequence[Usage], start: datetime, end: datetime, *, detailed: bool
) -> dict[str, Any]:
    view: dict[str, Any] = {
        "tenant_id": project_id,
        "start": start.strftime("%Y-%m-%dT%H:%M:%S.%f"),
        "stop": end.strftime("%Y-%m-%dT%H:%M:%S.%f"),
        "total_hours": sum(u.hours for u in uses),
        "total_vcpus_usage": sum(u.hours * u.server.flavor.vcpus for u in uses),
        "total_memory_mb_usage": sum(u.hours * u.server.flavor.ram for u in uses),
        "total_local_gb_usage": sum(
            u.hours * (u.server.flavor.disk + u.server.flavor.ephemeral) for u in uses
        ),
    }
    if detailed:
        view["server_usages"] = [
            {
                "instance_id": u.server.id,
                "name": u.server.name,
                "tenant_id": u.server.project_id,
                "flavor": u.server.flavor.name,
                "hours": u.hours,
                "vcpus": u.server.flavor.vcpus,
                "memory_mb": u.server.flavor.ram,
                "local_gb": u.server.flavor.disk + u.server.flavor.ephemeral,
                "started_at": u.started_at.strftime("%Y-%m-%dT%H:%M:%S.%f"),
                "ended_at": u.ended_at.strftime("%Y-%m-%dT%H:%M:%S.%f") if u.ended_at else None,
                "state": "terminated" if u.ended_at else u.server.vm_state.value,
                "uptime": int(((u.ended_at or end) - u.started_at).total_seconds()),
            }
            for u in uses
        ]
    return view


@router.get("/os-simple-tenant-usage")
def list_usage(request: Request, who: Caller, compute: Compute) -> dict[str, Any]:
    start, end = _period(request)
    detailed = request.query_params.get("detailed") == "1"
    found = compute.quotas.usage(who, None, start, end)
    return {"tenant_usages": [_usage(p, uses, start, end, detailed=detailed) for p, uses in found.items()]}


@router.get("/os-simple-tenant-usage/{project_id}")
def show_usage(project_id: str, request: Request, who: Caller, compute: Compute) -> dict[str, Any]:
    start, end = _period(request)
    uses = compute.quotas.usage(who, project_id, start, end).get(project_id, [])
    return {"tenant_usage": _usage(project_id, uses, start, end, detailed=True) if uses else {}}


def _statistics(compute: Compute) -> dict[str, int]:
    capacity, servers = compute.capacity()
    disk = sum(s.flavor.disk + s.flavor.ephemeral for s in servers)
    ram = sum(s.flavor.ram for s in servers)
    return {
        "vcpus": capacity.vcpus,
        "vcpus_used": sum(s.flavor.vcpus for s in servers),
        "memory_mb": capacity.ram,
        "memory_mb_used": ram,
        "free_ram_mb": capacity.ram - ram,
        "local_gb": capacity.disk,
        "local_gb_used": disk,
        "free_disk_gb": capacity.disk - disk,
        "disk_available_least": capacity.disk - disk,
        "running_vms": len(servers),
        "current_workload": 0,
    }


def _hypervisor(compute: Compute, version: int, *, in_full: bool) -> dict[str, Any]:
    brief: dict[str, Any] = {
        "id": _HYPERVISOR if version >= 53 else 1,
        "hypervisor_hostname": views.HOST,
        "state": "up",
        "status": "enabled",
    }
    if not in_full:
        return brief
    service = {"id": _HYPERVISOR if version >= 53 else 1, "host": views.HOST, "disabled_reason": None}
    full = brief | {
        "hypervisor_type": "QEMU",
        "hypervisor_version": 1,
        "host_ip": "127.0.0.1",
        "service": service,
    }
    if version >= 53:
        full["servers"] = []
    if version >= 88:
        return full | {"uptime": None}
    return full | {"cpu_info": {} if version >= 28 else "{}"} | _statistics(compute)


@router.get("/os-hypervisors")
def list_hypervisors(who: Caller, compute: Compute, version: Version) -> dict[str, Any]:
    allow_administering(who, "os_compute_api:os-hypervisors:list")
    return {"hypervisors": [_hypervisor(compute, version, in_full=False)]}


@router.get("/os-hypervisors/detail")
def list_hypervisors_in_detail(who: Caller, compute: Compute, version: Version) -> dict[str, Any]:
    allow_administering(who, "os_compute_api:os-hypervisors:list-detail")
    return {"hypervisors": [_hypervisor(compute, version, in_full=True)]}


@router.get("/os-hypervisors/statistics")
def show_statistics(who: Caller, compute: Compute) -> dict[str, Any]:
    allow_administering(who, "os_compute_api:os-hypervisors:statistics")
    return {"hypervisor_statistics": {"count": 1, **_statistics(compute)}}


@router.get("/os-hypervisors/{hypervisor_id}")
def show_hypervisor(hypervisor_id: str, who: Caller, compute: Compute, version: Version) -> dict[str, Any]:
    allow_administering(who, "os_compute_api:os-hypervisors:show")
    if hypervisor_id not in {_HYPERVISOR, "1"}:
        raise NotFound(f"Compute host {hypervisor_id} could not be found.")
    return {"hypervisor": _hypervisor(compute, version, in_full=True)}
