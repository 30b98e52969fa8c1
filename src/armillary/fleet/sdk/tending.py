"""What one OpenStack cloud measures of machines, and does to them beyond starting and stopping (Nova)."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from armillary.accounts.model import Project
from armillary.base.clock import from_iso
from armillary.base.errors import NotFound
from armillary.base.ids import ImageId, ServerId
from armillary.base.units import MiB
from armillary.fleet.model import PROJECT_MARK, WORKER_MARK, FleetCloud
from armillary.fleet.parts import Capacity, Reading, ServerEvent
from armillary.fleet.sdk.connections import Connections
from armillary.fleet.sdk.errors import refusals
from armillary.fleet.sdk.servers import SdkServers

STATISTICS = "2.53"
DIAGNOSTICS = "2.48"
"""Nova's microversion from which figures have one form on every hypervisor."""
NANO = 1e9


class SdkTending:
    """Implements `CloudTending` with openstacksdk."""

    def __init__(self, *, cloud: FleetCloud, connections: Connections, servers: SdkServers) -> None:
        self._cloud = cloud
        self._connections = connections
        self._servers = servers

    def running(self) -> list[tuple[str, ServerId]]:
        """Everybody's running machines but workers."""
        found: list[tuple[str, ServerId]] = []
        with refusals(self._cloud.name):
            nova = self._connections.get(self._cloud, None).compute
            scope = {"all_projects": True} if self._cloud.per_project else {}
            for server in nova.servers(status="ACTIVE", **scope):
                marks: Mapping[str, Any] = server.metadata or {}
                owner = server.project_id if self._cloud.per_project else marks.get(PROJECT_MARK)
                if owner and WORKER_MARK not in marks:
                    found.append((str(owner), ServerId(str(server.id))))
        return found

    def capacity(self) -> Capacity | None:
        """What its hosts have and what is taken of it; None where a cloud tells nobody."""
        with refusals(self._cloud.name):
            nova = self._connections.get(self._cloud, None).compute
            # asked as it was before Nova took the figures out of it
            reply = nova.get("/os-hypervisors/statistics", microversion=STATISTICS)
            if reply.status_code in (403, 404):
                return None  # only administrators of a cloud see its hosts
            _check(reply)
            told = reply.json()["hypervisor_statistics"]
        return Capacity(
            hosts=int(told["count"]),
            vcpus=int(told["vcpus"]),
            vcpus_used=int(told["vcpus_used"]),
            ram=MiB(int(told["memory_mb"])),
            ram_used=MiB(int(told["memory_mb_used"])),
            servers=int(told["running_vms"]),
        )

    def reading(self, project_id: str, server_id: ServerId) -> Reading:
        """What the hypervisor measures now."""
        with refusals(self._cloud.name):
            nova = self._connections.get(self._cloud, None).compute
            # asked as it is, not as the SDK's resource: that one drops what a release before it did not know
            reply = nova.get(f"/servers/{server_id}/diagnostics", microversion=DIAGNOSTICS)
            _check(reply)
            return reading_of(reply.json(), at=datetime.now(UTC))

    def events(self, project: Project, server_id: ServerId) -> list[ServerEvent]:
        """What was done to it, the newest first."""
        self._servers.server_of(project, server_id)
        with refusals(self._cloud.name):
            nova = self._connections.get(self._cloud, project).compute
            found = [
                ServerEvent(
                    action=str(event.action),
                    at=from_iso(str(event.start_time)),
                    by=str(event.user_id or ""),
                    message=str(event.message or ""),
                    request_id=str(event.request_id),
                )
                for event in nova.server_actions(str(server_id))
            ]
        return sorted(found, key=lambda event: event.at, reverse=True)

    def resize(self, project: Project, server_id: ServerId, flavor: str) -> None:
        """Begin to give it another size."""
        self._servers.server_of(project, server_id)
        size = next((f for f in self._servers.flavors(project) if flavor in (f.name, f.id)), None)
        if size is None:
            raise NotFound(f"Cloud {self._cloud.name} has no flavor {flavor}.", code="flavor_not_found")
        with refusals(self._cloud.name):
            self._connections.get(self._cloud, project).compute.resize_server(str(server_id), size.id)

    def settle_resize(self, project: Project, server_id: ServerId, *, keep: bool) -> None:
        """Keep the new size, or go back."""
        self._servers.server_of(project, server_id)
        with refusals(self._cloud.name):
            nova = self._connections.get(self._cloud, project).compute
            if keep:
                nova.confirm_server_resize(str(server_id))
            else:
                nova.revert_server_resize(str(server_id))

    def rebuild(self, project: Project, server_id: ServerId, image_id: ImageId) -> None:
        """Begin its root disk anew from an image."""
        self._servers.server_of(project, server_id)
        with refusals(self._cloud.name):
            self._connections.get(self._cloud, project).compute.rebuild_server(
                str(server_id), image=str(image_id)
            )


def reading_of(told: Mapping[str, Any], *, at: datetime) -> Reading:
    """Read Nova's diagnostics (2.48): processor time in ns, memory in MiB, the rest in bytes; null is not measured."""
    cpus: list[Mapping[str, Any]] = told.get("cpu_details") or []
    cards: list[Mapping[str, Any]] = told.get("nic_details") or []
    disks: list[Mapping[str, Any]] = told.get("disk_details") or []
    memory: Mapping[str, Any] = told.get("memory_details") or {}
    spent = _sum(cpus, "time")
    used = memory.get("used")
    return Reading(
        at=at,
        cores=int(told.get("num_cpus") or len(cpus) or 1),
        cpu_seconds=None if spent is None else spent / NANO,
        memory=MiB(int(memory.get("maximum") or 0)),
        memory_used=None if used is None else MiB(int(used)),
        disk_read=_sum(disks, "read_bytes"),
        disk_written=_sum(disks, "write_bytes"),
        net_in=_sum(cards, "rx_octets"),
        net_out=_sum(cards, "tx_octets"),
    )


def _sum(parts: list[Mapping[str, Any]], name: str) -> int | None:
    known = [int(part[name]) for part in parts if part.get(name) is not None]
    return sum(known) if known else None


def _check(reply: Any) -> None:
    # the proxy's own `get` raises for nothing
    exceptions: Any = importlib.import_module("openstack.exceptions")
    exceptions.raise_from_response(reply)
