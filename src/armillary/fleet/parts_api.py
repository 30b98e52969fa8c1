"""Volumes, networks, and images that are offered: the routes beside those of machines."""

# no `from __future__ import annotations` here: FastAPI could not resolve the dependencies that are parameters

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from armillary.accounts.model import Project
from armillary.base.clock import to_iso
from armillary.base.errors import ArmillaryError
from armillary.base.ids import CloudName, NetworkId, ProjectId, VolumeId
from armillary.base.units import GiB
from armillary.fleet.launching import find_server
from armillary.fleet.parts import Network, Volume
from armillary.fleet.service import FleetService


class VolumeBody(BaseModel):
    """A volume to make."""

    cloud: str
    name: str = Field(max_length=255)
    size: int


class MachineBody(BaseModel):
    """A machine by name or id; none: no machine."""

    machine: str | None = None


class NetworkBody(BaseModel):
    """A network to make."""

    cloud: str
    name: str = Field(max_length=255)
    addresses: str


class ShareBody(BaseModel):
    """Whom an image is offered to."""

    project: str


def add_parts(
    routes: APIRouter,
    fleet: FleetService,
    reading: Any,
    changing: Any,
    project_named: Callable[[str], Project],
) -> None:
    """Add the routes; `reading` and `changing` are FastAPI's marks of the project that one may look at, or change."""

    @routes.get("/volumes")
    def volumes(project: Project = reading) -> dict[str, Any]:
        found, errors = everywhere(fleet.clouds(), lambda cloud: fleet.volumes(cloud, project))
        return {"volumes": [volume_shape(volume, cloud) for cloud, volume in found], "errors": errors}

    @routes.post("/volumes", status_code=201)
    def create_volume(body: VolumeBody, project: Project = changing) -> dict[str, Any]:
        cloud = CloudName(body.cloud)
        made = fleet.create_volume(cloud, project, name=body.name, size=GiB(body.size))
        return volume_shape(made, cloud)

    @routes.put("/volumes/{cloud}/{volume}/machine")
    def attach(cloud: str, volume: str, body: MachineBody, project: Project = changing) -> dict[str, Any]:
        where, volume_id = CloudName(cloud), VolumeId(volume)
        if body.machine:
            server = find_server(fleet, project, body.machine, where)
            fleet.attach_volume(where, project, server.id, volume_id)
            return {"id": volume, "server_id": server.id}
        holder = next((v.server_id for v in fleet.volumes(where, project) if v.id == volume_id), None)
        if holder:
            fleet.detach_volume(where, project, holder, volume_id)
        return {"id": volume, "server_id": None}

    @routes.delete("/volumes/{cloud}/{volume}", status_code=204)
    def delete_volume(cloud: str, volume: str, project: Project = changing) -> None:
        fleet.delete_volume(CloudName(cloud), project, VolumeId(volume))

    @routes.get("/networks")
    def networks(project: Project = reading) -> dict[str, Any]:
        found, errors = everywhere(fleet.clouds(), lambda cloud: fleet.networks(cloud, project))
        return {"networks": [network_shape(network, cloud) for cloud, network in found], "errors": errors}

    @routes.post("/networks", status_code=201)
    def create_network(body: NetworkBody, project: Project = changing) -> dict[str, Any]:
        cloud = CloudName(body.cloud)
        return network_shape(fleet.create_network(cloud, project, name=body.name, cidr=body.addresses), cloud)

    @routes.delete("/networks/{cloud}/{network}", status_code=204)
    def delete_network(cloud: str, network: str, project: Project = changing) -> None:
        fleet.delete_network(CloudName(cloud), project, NetworkId(network))

    @routes.post("/images/{image}/shares", status_code=201)
    def share(image: str, body: ShareBody, project: Project = changing) -> dict[str, Any]:
        shared = fleet.find_image(project, image)
        other: ProjectId = project_named(body.project).id
        fleet.share_image(shared.cloud, project, shared.id, other=other)
        return {"id": shared.id, "cloud": shared.cloud, "project": body.project}

    @routes.get("/images/offers")
    def offers(project: Project = reading) -> dict[str, Any]:
        found, errors = everywhere(fleet.clouds(), lambda cloud: fleet.offered_images(cloud, project))
        offered = [{"cloud": cloud, "id": image_id, "name": name} for cloud, (image_id, name) in found]
        return {"offers": offered, "errors": errors}

    @routes.put("/images/offers/{image}")
    def accept(image: str, project: Project = changing) -> dict[str, Any]:
        found, _ = everywhere(fleet.clouds(), lambda cloud: fleet.offered_images(cloud, project))
        for cloud, (image_id, name) in found:
            if image in (image_id, name):
                fleet.accept_image(cloud, project, image_id, take=True)
                return {"cloud": cloud, "id": image_id, "name": name}
        return {"id": fleet.find_image(project, image).id}  # accepted before, or NotFound


def everywhere(
    clouds: Sequence[CloudName], ask: Callable[[CloudName], Sequence[Any]]
) -> tuple[list[tuple[CloudName, Any]], list[dict[str, Any]]]:
    """Return what clouds have, each thing with its cloud, and why some did not tell: none hides the others."""
    found: list[tuple[CloudName, Any]] = []
    errors: list[dict[str, Any]] = []
    for cloud in clouds:
        try:
            found += [(cloud, one) for one in ask(cloud)]
        except ArmillaryError as error:
            errors.append({"cloud": cloud, **error.as_dict()})
    return found, errors


def volume_shape(volume: Volume, cloud: CloudName) -> dict[str, Any]:
    """The JSON shape of a volume."""
    return {"cloud": cloud, **asdict(volume), "created_at": to_iso(volume.created_at)}


def network_shape(network: Network, cloud: CloudName) -> dict[str, Any]:
    """The JSON shape of a network."""
    return {"cloud": cloud, **asdict(network)}
