"""The volumes of one OpenStack cloud (Cinder, and Nova for what holds them)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from armillary.accounts.model import Project
from armillary.base.clock import from_iso
from armillary.base.errors import NotFound
from armillary.base.ids import ServerId, VolumeId
from armillary.base.units import GiB
from armillary.fleet.model import PROJECT_MARK, FleetCloud
from armillary.fleet.parts import Volume
from armillary.fleet.sdk.connections import Connections
from armillary.fleet.sdk.errors import refusals
from armillary.fleet.sdk.servers import SdkServers

AVAILABLE_SECONDS = 60
"""How long a new volume may take; an empty one is there at once, or as soon as its cloud has looked for a place."""


class SdkVolumes:
    """Implements `CloudVolumes` with openstacksdk."""

    def __init__(self, *, cloud: FleetCloud, connections: Connections, servers: SdkServers) -> None:
        self._cloud = cloud
        self._connections = connections
        self._servers = servers

    def volumes(self, project: Project) -> list[Volume]:
        """Every one of the project, the newest first."""
        with refusals(self._cloud.name):
            cinder = self._connections.get(self._cloud, project).block_storage
            found = [to_volume(one) for one in cinder.volumes() if self._is_of(one, project)]
        return sorted(found, key=lambda volume: volume.created_at, reverse=True)

    def create(self, project: Project, name: str, size: GiB) -> Volume:
        """Make an empty one; it can be attached when this returns."""
        marks = {} if self._cloud.per_project else {PROJECT_MARK: str(project.id)}
        with refusals(self._cloud.name):
            cinder = self._connections.get(self._cloud, project).block_storage
            made = cinder.create_volume(name=name, size=int(size), metadata=marks)
            # only then can it be attached
            return to_volume(
                cinder.wait_for_status(made, status="available", interval=1, wait=AVAILABLE_SECONDS)
            )

    def delete(self, project: Project, volume_id: VolumeId) -> None:
        """Remove one."""
        self._own(project, volume_id)
        with refusals(self._cloud.name):
            self._connections.get(self._cloud, project).block_storage.delete_volume(str(volume_id))

    def attach(self, project: Project, server_id: ServerId, volume_id: VolumeId) -> None:
        """Plug it into a machine."""
        self._own(project, volume_id)
        self._servers.server_of(project, server_id)
        with refusals(self._cloud.name):
            nova = self._connections.get(self._cloud, project).compute
            nova.create_volume_attachment(str(server_id), volume_id=str(volume_id))

    def detach(self, project: Project, server_id: ServerId, volume_id: VolumeId) -> None:
        """Pull it out of a machine."""
        self._own(project, volume_id)
        self._servers.server_of(project, server_id)
        with refusals(self._cloud.name):
            nova = self._connections.get(self._cloud, project).compute
            nova.delete_volume_attachment(str(server_id), str(volume_id))

    def _own(self, project: Project, volume_id: VolumeId) -> None:
        with refusals(self._cloud.name):
            found = self._connections.get(self._cloud, project).block_storage.get_volume(str(volume_id))
        if not self._is_of(found, project):
            raise NotFound(
                f"Cloud {self._cloud.name} has no volume {volume_id}.",
                code="volume_not_found",
                facts={"cloud": self._cloud.name, "volume": volume_id},
                remedy="List the volumes.",
            )

    def _is_of(self, volume: Any, project: Project) -> bool:
        if self._cloud.per_project:
            return str(volume.project_id) == str(project.id)
        marks: Mapping[str, Any] = volume.metadata or {}
        return marks.get(PROJECT_MARK) == str(project.id)


def to_volume(volume: Any) -> Volume:
    """Read the SDK's volume."""
    attachments: list[dict[str, Any]] = volume.attachments or []
    holder = attachments[0] if attachments else {}
    return Volume(
        id=VolumeId(str(volume.id)),
        name=str(volume.name or ""),
        size=GiB(int(volume.size or 0)),
        status=str(volume.status),
        created_at=from_iso(str(volume.created_at)),
        server_id=ServerId(str(holder["server_id"])) if holder.get("server_id") else None,
        device=str(holder.get("device") or ""),
    )
