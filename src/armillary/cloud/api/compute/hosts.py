"""What administrators see of the one host: /os-hypervisors, /os-services, /os-hosts, zones and migrations."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from armillary.base.errors import Invalid, NotFound
from armillary.cloud.api.compute import wire
from armillary.cloud.api.compute.deps import BaseUrl, Compute, Version, until
from armillary.cloud.api.compute.queries import PAGING, check_query, text, truth
from armillary.cloud.api.shared import next_link
from armillary.cloud.compute.hosts import COMPUTE, SERVICES
from armillary.cloud.compute.listing import HOST
from armillary.cloud.compute.registers import ServiceState
from armillary.cloud.compute.service import ComputeService
from armillary.cloud.core.metadata import AVAILABILITY_ZONE

router = APIRouter()

_SPACE = uuid.UUID("6f1f58b0-3f6c-4b7e-9c0e-1f3a6d1f0a51")
"""where the identifiers of the services and the hypervisor come from: the same on every start"""
_HYPERVISOR = str(uuid.uuid5(_SPACE, "hypervisor"))
_NUMBERS = {name: number for number, name in enumerate(SERVICES, start=1)}
_ENABLED = {True: "enabled", False: "disabled"}


def _service_id(binary: str, version: int) -> int | str:
    return str(uuid.uuid5(_SPACE, binary)) if version >= 53 else _NUMBERS[binary]


# hypervisors


def _uptime() -> str:
    """How long this computer has run, and its load, in the words of `uptime`."""
    days, seconds = divmod(int(time.monotonic()), 86_400)
    load = ", ".join(f"{one:.2f}" for one in os.getloadavg())
    clock = f"{seconds // 3600}:{seconds // 60 % 60:02}"
    return f" {datetime.now(UTC):%H:%M:%S} up {days} days, {clock},  load average: {load}"


def _statistics(compute: ComputeService) -> dict[str, int]:
    filled = compute.hosts.filled()
    capacity, used = filled.capacity, filled.used
    return {
        "vcpus": capacity.vcpus,
        "memory_mb": capacity.ram,
        "local_gb": capacity.disk,
        "vcpus_used": used.cores,
        "memory_mb_used": used.ram,
        "local_gb_used": filled.disk,
        "free_ram_mb": capacity.ram - used.ram,
        "free_disk_gb": capacity.disk - filled.disk,
        "current_workload": 0,
        "running_vms": used.instances,
        "disk_available_least": capacity.disk - filled.disk,
    }


def _hypervisor(
    compute: ComputeService, version: int, *, in_full: bool, servers: bool = False
) -> dict[str, Any]:
    (service,) = [state for state in compute.hosts.services() if state.binary == COMPUTE]
    shown: dict[str, Any] = {
        "id": _HYPERVISOR if version >= 53 else 1,
        "hypervisor_hostname": HOST,
        "state": "down" if service.forced_down else "up",
        "status": _ENABLED[service.enabled],
    }
    if servers:
        shown["servers"] = [{"uuid": server_id, "name": name} for server_id, name in compute.hosts.servers()]
    if not in_full:
        return shown
    shown |= {
        "hypervisor_type": "QEMU",
        "hypervisor_version": 1,
        "host_ip": "127.0.0.1",
        "service": {"id": _service_id(COMPUTE, version), "host": HOST, "disabled_reason": service.reason},
    }
    if version >= 88:
        return shown | {"uptime": _uptime()}
    return shown | _statistics(compute) | {"cpu_info": {} if version >= 28 else "{}"}


def _hypervisors(
    request: Request, compute: ComputeService, version: int, base_url: str, *, in_full: bool
) -> dict[str, Any]:
    query = request.query_params
    known = {"hypervisor_hostname_pattern": text, "with_servers": text} if version >= 53 else {}
    check_query(query, {**known, **(PAGING if version >= 33 else {})}, strict=version >= 53)
    pattern = query.get("hypervisor_hostname_pattern") if version >= 53 else None
    if pattern and pattern not in HOST:
        raise NotFound(f"No hypervisor matching '{pattern}' could be found.", code="hypervisor_not_found")
    marker = query.get("marker") if version >= 33 else None
    if marker and marker != (_HYPERVISOR if version >= 53 else "1"):
        raise Invalid(f"marker [{marker}] not found", code="marker_not_found")
    if marker or (version >= 33 and query.get("limit") == "0"):
        return {"hypervisors": []}
    servers = version >= 53 and "with_servers" in query and truth(query["with_servers"])
    shown: dict[str, Any] = {"hypervisors": [_hypervisor(compute, version, in_full=in_full, servers=servers)]}
    if version >= 33 and query.get("limit") == "1":
        url = f"{base_url}/v2.1{request.url.path.partition('/v2.1')[2]}"
        shown["hypervisors_links"] = next_link(url, query, str(shown["hypervisors"][0]["id"]))
    return shown


@router.get("/os-hypervisors")
def list_hypervisors(
    request: Request, compute: Compute, version: Version, base_url: BaseUrl
) -> dict[str, Any]:
    return _hypervisors(request, compute, version, base_url, in_full=False)


@router.get("/os-hypervisors/detail")
def list_hypervisors_in_detail(
    request: Request, compute: Compute, version: Version, base_url: BaseUrl
) -> dict[str, Any]:
    return _hypervisors(request, compute, version, base_url, in_full=True)


@router.get("/os-hypervisors/statistics")
def show_statistics(compute: Compute, version: Version) -> dict[str, Any]:
    until(version, 87)
    return {"hypervisor_statistics": {"count": 1, **_statistics(compute)}}


def _check_hypervisor(hypervisor_id: str, version: int) -> None:
    if version >= 53:
        _check_uuid(hypervisor_id)
    if hypervisor_id != (_HYPERVISOR if version >= 53 else "1"):
        raise NotFound(
            f"Hypervisor with ID '{hypervisor_id}' could not be found.", code="hypervisor_not_found"
        )


def _check_uuid(said: str) -> None:
    try:
        uuid.UUID(said)
    except ValueError as error:
        raise Invalid(f"Invalid uuid {said}", code="invalid_uuid") from error


@router.get("/os-hypervisors/{hypervisor_id}")
def show_hypervisor(
    hypervisor_id: str, request: Request, compute: Compute, version: Version
) -> dict[str, Any]:
    _check_hypervisor(hypervisor_id, version)
    query = request.query_params
    check_query(query, {"with_servers": text} if version >= 53 else {}, strict=version >= 53)
    servers = version >= 53 and "with_servers" in query and truth(query["with_servers"])
    return {"hypervisor": _hypervisor(compute, version, in_full=True, servers=servers)}


@router.get("/os-hypervisors/{hypervisor_id}/uptime")
def show_uptime(hypervisor_id: str, compute: Compute, version: Version) -> dict[str, Any]:
    until(version, 87)
    _check_hypervisor(hypervisor_id, version)
    shown = _hypervisor(compute, version, in_full=False)
    return {"hypervisor": {**shown, "uptime": _uptime()}}


@router.get("/os-hypervisors/{pattern}/search")
def search_hypervisors(pattern: str, compute: Compute, version: Version) -> dict[str, Any]:
    until(version, 52)
    if pattern not in HOST:
        raise NotFound(f"No hypervisor matching '{pattern}' could be found.", code="hypervisor_not_found")
    return {"hypervisors": [_hypervisor(compute, version, in_full=False)]}


@router.get("/os-hypervisors/{pattern}/servers")
def list_hypervisor_servers(pattern: str, compute: Compute, version: Version) -> dict[str, Any]:
    until(version, 52)
    if pattern not in HOST:
        raise NotFound(f"No hypervisor matching '{pattern}' could be found.", code="hypervisor_not_found")
    return {"hypervisors": [_hypervisor(compute, version, in_full=False, servers=True)]}


# services


def _service(state: ServiceState, version: int) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "binary": state.binary,
        "host": HOST,
        "id": _service_id(state.binary, version),
        "zone": SERVICES[state.binary],
        "status": _ENABLED[state.enabled],
        "state": "down" if state.forced_down else "up",
        "updated_at": state.updated_at.strftime("%Y-%m-%dT%H:%M:%S.%f"),
        "disabled_reason": state.reason,
    }
    return shown | ({"forced_down": state.forced_down} if version >= 11 else {})


@router.get("/os-services")
def list_services(request: Request, compute: Compute, version: Version) -> dict[str, Any]:
    query = request.query_params
    check_query(query, {"binary": text, "host": text}, strict=version >= 75)
    binary, host = query.get("binary"), query.get("host")
    states = [
        s for s in compute.hosts.services() if binary in {None, "", s.binary} and host in {None, "", HOST}
    ]
    return {"services": [_service(state, version) for state in states]}


@router.put("/os-services/{what}")
def change_service(
    what: str, body: wire.ServiceChanges, compute: Compute, version: Version
) -> dict[str, Any]:
    if version < 53:
        return _change_by_name(what, body, compute, version)
    _check_uuid(what)
    binary = next((name for name in SERVICES if _service_id(name, version) == what), None)
    if binary is None:
        raise NotFound(f"Service {what} could not be found.", code="service_not_found")
    if body.status is None and body.forced_down is None:
        raise Invalid(
            "No updates were requested. Fields 'status' or 'forced_down' should be specified.",
            code="nothing_to_change",
        )
    if body.status == "enabled" and body.disabled_reason:
        raise Invalid("Specifying 'disabled_reason' with status 'enabled' is invalid.", code="bad_reason")
    changes: dict[str, Any] = {}
    if body.status is not None:
        changes |= {"enabled": body.status == "enabled", "reason": body.disabled_reason}
    if body.forced_down is not None:
        changes["forced_down"] = body.forced_down
    return {"service": _service(compute.hosts.change_service(binary, **changes), version)}


_BY_NAME: Mapping[str, tuple[int, dict[str, Any]]] = {
    "enable": (1, {"enabled": True, "reason": None}),
    "disable": (1, {"enabled": False, "reason": None}),
    "disable-log-reason": (1, {"enabled": False}),
    "force-down": (11, {}),
}


def _change_by_name(
    what: str, body: wire.ServiceChanges, compute: ComputeService, version: int
) -> dict[str, Any]:
    needed, changes = _BY_NAME.get(what, (999, {}))
    if version < needed:
        raise NotFound("Unknown action", code="no_such_action")
    if body.host != HOST:
        raise NotFound(f"Host '{body.host}' is not mapped to any cell", code="compute_host_not_found")
    shown: dict[str, Any] = {"host": HOST, "binary": body.binary}
    if what == "force-down":
        shown["forced_down"] = bool(body.forced_down)
        changes = {"forced_down": bool(body.forced_down)}
    else:
        shown["status"] = _ENABLED[changes["enabled"]]
    if what == "disable-log-reason":
        shown["disabled_reason"] = body.disabled_reason
        changes = changes | {"reason": body.disabled_reason}
    compute.hosts.change_service(body.binary or "", **changes)
    return {"service": shown}


@router.delete("/os-services/{service_id}", status_code=204)
def delete_service(service_id: str, version: Version) -> Response:
    if version >= 53:
        _check_uuid(service_id)
    known = {str(_service_id(name, version)): name for name in SERVICES}
    if service_id not in known:
        raise NotFound(f"Service {service_id} could not be found.", code="service_not_found")
    raise Invalid(
        f"The service {known[service_id]} runs, and would be back at once.",
        code="service_runs",
        remedy="Disable it instead.",
    )


# hosts, until 2.42


@router.get("/os-hosts")
def list_hosts(version: Version) -> dict[str, Any]:
    until(version, 42)
    hosts = [
        {"host_name": HOST, "service": name.removeprefix("nova-"), "zone": zone}
        for name, zone in SERVICES.items()
    ]
    return {"hosts": hosts}


@router.get("/os-hosts/{host}")
def show_host(host: str, compute: Compute, version: Version) -> dict[str, Any]:
    until(version, 42)
    if host != HOST:
        raise NotFound(f"Host '{host}' is not mapped to any cell", code="compute_host_not_found")
    filled = compute.hosts.filled()
    capacity, used = filled.capacity, filled.used
    figures = (
        ("(total)", capacity.vcpus, capacity.ram, capacity.disk),
        ("(used_now)", used.cores, used.ram, filled.disk),
        ("(used_max)", used.cores, used.ram, filled.disk),
    )
    resources = [
        {"resource": {"host": HOST, "project": name, "cpu": cpu, "memory_mb": ram, "disk_gb": disk}}
        for name, cpu, ram, disk in figures
    ]
    return {"host": resources}


# zones


@router.get("/os-availability-zone")
def list_zones(compute: Compute) -> dict[str, Any]:
    zone = {"zoneName": AVAILABILITY_ZONE, "zoneState": {"available": _open(compute)}, "hosts": None}
    return {"availabilityZoneInfo": [zone]}


def _open(compute: ComputeService) -> bool:
    return all(s.enabled and not s.forced_down for s in compute.hosts.services() if s.binary == COMPUTE)


@router.get("/os-availability-zone/detail")
def list_zones_in_detail(compute: Compute) -> dict[str, Any]:
    zones: dict[str, dict[str, Any]] = {}
    for state in compute.hosts.services():
        zones.setdefault(SERVICES[state.binary], {})[state.binary] = {
            "available": state.enabled,
            "active": not state.forced_down,
            "updated_at": state.updated_at.strftime("%Y-%m-%dT%H:%M:%S.%f"),
        }
    available = {AVAILABILITY_ZONE: _open(compute)}
    shown = [
        {"zoneName": name, "zoneState": {"available": available.get(name, True)}, "hosts": {HOST: services}}
        for name, services in zones.items()
    ]
    return {"availabilityZoneInfo": shown}
