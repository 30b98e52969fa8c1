"""What can be known of a server from outside: diagnostics, topology, and its administrator's password."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from armillary.base.errors import Conflict
from armillary.cloud.api.compute.deps import Compute, Network, Version, sights, since
from armillary.cloud.api.compute.views import Sight
from armillary.cloud.api.shared import Caller
from armillary.cloud.compute.model import Server, VmState
from armillary.cloud.metadata.service import MetadataService

router = APIRouter()


async def _metadata(request: Request) -> MetadataService:
    return request.app.state.metadata


Metadata = Annotated[MetadataService, Depends(_metadata)]


@router.get("/servers/{server_id}/diagnostics")
def show_diagnostics(
    server_id: str, who: Caller, compute: Compute, network: Network, version: Version
) -> dict[str, Any]:
    server = compute.get(who, server_id)
    if server.vm_state is not VmState.ACTIVE:
        raise Conflict(
            f"Cannot 'get_diagnostics' instance {server.id} while it is in vm_state {server.vm_state.value}",
            code="instance_invalid_state",
        )
    sight = sights(compute, network, [server])[server.id]
    if version < 48:
        return {"memory": server.flavor.ram * 1024, **{f"cpu{n}_time": 0 for n in range(server.flavor.vcpus)}}
    return _standard(server, sight, compute.quotas.now())


def _standard(server: Server, sight: Sight, now: datetime) -> dict[str, Any]:
    """Nova's own form; null is what is not measured."""
    nothing = ("rx_octets", "rx_errors", "rx_drop", "rx_packets", "rx_rate")
    nothing += tuple(name.replace("rx", "tx") for name in nothing)
    nics = [{"mac_address": nic.port.mac_address, **dict.fromkeys(nothing)} for nic in sight.nics]
    disks = dict.fromkeys(("read_bytes", "read_requests", "write_bytes", "write_requests", "errors_count"))
    count = _disks(server, sight.volumes)
    return {
        "state": "running",
        "driver": "libvirt",
        "hypervisor": "qemu",
        "hypervisor_os": platform.system().lower(),
        "uptime": int((now - server.launched_at).total_seconds()) if server.launched_at else None,
        "config_drive": server.config_drive,
        "num_cpus": server.flavor.vcpus,
        "num_nics": len(nics),
        "num_disks": count,
        "memory_details": {"maximum": server.flavor.ram, "used": None},
        "cpu_details": [{"id": n, "time": None, "utilisation": None} for n in range(server.flavor.vcpus)],
        "nic_details": nics,
        "disk_details": [disks] * count,
    }


def _disks(server: Server, volumes: Sequence[Any]) -> int:
    return len(volumes) + (not server.from_volume) + (server.flavor.ephemeral > 0) + server.config_drive


@router.get("/servers/{server_id}/topology")
def show_topology(server_id: str, who: Caller, compute: Compute, version: Version) -> dict[str, Any]:
    since(version, 78)
    compute.get(who, server_id)
    return {"nodes": [], "pagesize_kb": None}


@router.get("/servers/{server_id}/os-server-password")
def show_password(server_id: str, who: Caller, metadata: Metadata) -> dict[str, Any]:
    return {"password": metadata.password(who, server_id)}


@router.delete("/servers/{server_id}/os-server-password", status_code=204)
def forget_password(server_id: str, who: Caller, metadata: Metadata) -> Response:
    metadata.clear_password(who, server_id)
    return Response(status_code=204)
