"""What can be known of a server from outside: diagnostics, topology, and its administrator's password."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from datetime import datetime
from string import ascii_lowercase
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from armillary.base.errors import Conflict
from armillary.base.ids import PortId
from armillary.cloud.api.compute.deps import Compute, Network, Version, sights, since
from armillary.cloud.api.compute.views import Sight
from armillary.cloud.api.shared import Caller
from armillary.cloud.compute.model import Server, VmState
from armillary.cloud.metadata.service import MetadataService
from armillary.cloud.model import CardUse, DiskUse, MachineUse

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
    use, traffic = compute.use(server, [PortId(nic.port.id) for nic in sight.nics])
    if version < 48:
        return _libvirts(server, use)
    return _standard(server, sight, use, traffic, compute.quotas.now())


def _libvirts(server: Server, use: MachineUse | None) -> dict[str, Any]:
    """The form before 2.48, which was the hypervisor's own: nanoseconds, KiB, bytes."""
    times = use.cpu_nanoseconds if use else ()
    told: dict[str, Any] = {"memory": server.flavor.ram * 1024}
    told |= {f"cpu{n}_time": times[n] if n < len(times) else 0 for n in range(server.flavor.vcpus)}
    if use is None:
        return told
    if use.memory is not None:
        told["memory-rss"] = use.memory * 1024
    for letter, disk in zip(ascii_lowercase, use.disks, strict=False):
        told |= {
            f"vd{letter}_read": disk.read_bytes,
            f"vd{letter}_read_req": disk.reads,
            f"vd{letter}_write": disk.written_bytes,
            f"vd{letter}_write_req": disk.writes,
            f"vd{letter}_errors": -1,
        }
    return told


def _standard(
    server: Server,
    sight: Sight,
    use: MachineUse | None,
    traffic: Mapping[PortId, CardUse],
    now: datetime,
) -> dict[str, Any]:
    """Nova's own form; null is what is not measured."""
    times = use.cpu_nanoseconds if use else ()
    used = min(use.memory, server.flavor.ram) if use and use.memory is not None else None
    disks = [_disk(disk) for disk in use.disks] if use else [_disk(None)] * _disks(server, sight.volumes)
    return {
        "state": "running",
        "driver": "libvirt",
        "hypervisor": "qemu",
        "hypervisor_os": platform.system().lower(),
        "uptime": int((now - server.launched_at).total_seconds()) if server.launched_at else None,
        "config_drive": server.config_drive,
        "num_cpus": server.flavor.vcpus,
        "num_nics": len(sight.nics),
        "num_disks": len(disks),
        "memory_details": {"maximum": server.flavor.ram, "used": used},
        "cpu_details": [
            {"id": n, "time": times[n] if n < len(times) else None, "utilisation": None}
            for n in range(server.flavor.vcpus)
        ],
        "nic_details": [
            {"mac_address": nic.port.mac_address, **_card(traffic.get(PortId(nic.port.id)))}
            for nic in sight.nics
        ],
        "disk_details": disks,
    }


def _disk(use: DiskUse | None) -> dict[str, Any]:
    return {
        "read_bytes": use.read_bytes if use else None,
        "read_requests": use.reads if use else None,
        "write_bytes": use.written_bytes if use else None,
        "write_requests": use.writes if use else None,
        "errors_count": None,
    }


def _card(use: CardUse | None) -> dict[str, Any]:
    unknown = dict.fromkeys(("rx_errors", "rx_drop", "rx_rate", "tx_errors", "tx_drop", "tx_rate"))
    return {
        **unknown,
        "rx_octets": use.in_bytes if use else None,
        "rx_packets": use.in_packets if use else None,
        "tx_octets": use.out_bytes if use else None,
        "tx_packets": use.out_packets if use else None,
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
