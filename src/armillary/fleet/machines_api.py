"""`/api/v1/machines` and what belongs to machines: launched, listed, changed and ended by members of a project."""

# no `from __future__ import annotations` here: FastAPI could not resolve the dependencies that close over `router`

import contextlib
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from armillary.accounts.model import Principal, Project, Role
from armillary.base.clock import to_iso
from armillary.base.errors import ArmillaryError, Forbidden
from armillary.base.ids import CloudName, NetworkId, ProjectId, VolumeId
from armillary.base.units import GiB
from armillary.fleet.api import SCOPE, Memberships, choose_project
from armillary.fleet.expiry import Expiry, Term
from armillary.fleet.launching import Launching, Order, find_server
from armillary.fleet.model import WORKER_MARK, FleetServer
from armillary.fleet.parts import Network, Volume
from armillary.fleet.service import FleetService

WRITE_SCOPE = "clouds:write"


class LaunchBody(BaseModel):
    """A machine to make."""

    image: str = Field(max_length=255)
    flavor: str = Field(max_length=255)
    name: str = Field(max_length=63)
    cloud: str | None = None
    public_key: str = Field(default="", max_length=16_384)
    network: str | None = None
    group: str | None = None
    address: bool = True
    user_data: str = ""
    volume: int | None = None
    days: int | None = None


class TermBody(BaseModel):
    """By how many days; none: without an end."""

    days: int | None = Field(default=None, ge=1, le=366)


class FlavorBody(BaseModel):
    """A size."""

    flavor: str


class NameBody(BaseModel):
    """A name."""

    name: str = Field(max_length=255)


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


def machines_router(
    *,
    fleet: FleetService,
    launching: Launching,
    expiry: Expiry,
    memberships: Memberships,
    project_named: Callable[[str], Project],
    authenticate: Callable[..., Principal],
) -> APIRouter:
    """Return the routes; `authenticate` is the dependency that answers who asks."""
    routes = APIRouter(prefix="/api/v1", tags=["machines"])

    def reading(
        who: Annotated[Principal, Depends(authenticate)], project: Annotated[str | None, Query()] = None
    ) -> Project:
        _need(who, SCOPE)
        return choose_project(memberships, who, project)

    def changing(
        who: Annotated[Principal, Depends(authenticate)], project: Annotated[str | None, Query()] = None
    ) -> Project:
        _need(who, WRITE_SCOPE)
        chosen = choose_project(memberships, who, project)
        _need_member(memberships, who, chosen)
        return chosen

    def found(project: Project, machine: str, cloud: str | None) -> FleetServer:
        return find_server(fleet, project, machine, CloudName(cloud) if cloud else None)

    @routes.get("/machines")
    def machines(project: Annotated[Project, Depends(reading)], cloud: str | None = None) -> dict[str, Any]:
        terms, listed, errors = expiry.of_project(project), list[dict[str, Any]](), list[dict[str, Any]]()
        for name in [CloudName(cloud)] if cloud else fleet.clouds():
            try:
                servers = fleet.servers(name, project)
            except ArmillaryError as error:  # one silent cloud must not hide the others
                errors.append({"cloud": name, **error.as_dict()})
                continue
            listed += [
                shape(server, terms.get((server.cloud, server.id)))
                for server in servers
                if WORKER_MARK not in server.metadata
            ]
        return {"machines": listed, "errors": errors}

    @routes.post("/machines", status_code=201)
    def launch(
        body: LaunchBody,
        who: Annotated[Principal, Depends(authenticate)],
        project: Annotated[Project, Depends(changing)],
    ) -> dict[str, Any]:
        order = Order(
            image=body.image,
            flavor=body.flavor,
            name=body.name,
            cloud=CloudName(body.cloud) if body.cloud else None,
            public_key=body.public_key,
            networks=[body.network] if body.network else (),
            groups=[body.group] if body.group else (),
            floating_ip=body.address,
            user_data=body.user_data,
            volume=None if body.volume is None else GiB(body.volume),
            days=body.days,
        )
        server = launching.launch(project, who.person, order)
        return shape(server, expiry.of(server.cloud, server.id))

    @routes.get("/machines/{machine}")
    def machine(
        machine: str, project: Annotated[Project, Depends(reading)], cloud: str | None = None
    ) -> dict[str, Any]:
        server = found(project, machine, cloud)
        server = fleet.server(server.cloud, project, server.id)
        told = shape(server, expiry.of(server.cloud, server.id))
        with contextlib.suppress(ArmillaryError):  # the image was deleted since: then nobody knows its user
            if server.image_id:
                login = fleet.image(server.cloud, project, server.image_id).login
                told["ssh"] = server.ssh.command(login) if server.ssh else None
        return told

    @routes.delete("/machines/{machine}", status_code=204)
    def delete(
        machine: str, project: Annotated[Project, Depends(changing)], cloud: str | None = None
    ) -> None:
        server = found(project, machine, cloud)
        fleet.delete_server(server.cloud, project, server.id)
        expiry.forget(server.cloud, server.id)

    @routes.post("/machines/{machine}/start", status_code=202)
    def start(
        machine: str, project: Annotated[Project, Depends(changing)], cloud: str | None = None
    ) -> dict[str, Any]:
        server = found(project, machine, cloud)
        expiry.need_running_term(server.cloud, server.id)
        fleet.start_server(server.cloud, project, server.id)
        return {"id": server.id}

    @routes.post("/machines/{machine}/stop", status_code=202)
    def stop(
        machine: str, project: Annotated[Project, Depends(changing)], cloud: str | None = None
    ) -> dict[str, Any]:
        server = found(project, machine, cloud)
        fleet.stop_server(server.cloud, project, server.id)
        return {"id": server.id}

    @routes.post("/machines/{machine}/reboot", status_code=202)
    def reboot(
        machine: str, project: Annotated[Project, Depends(changing)], cloud: str | None = None
    ) -> dict[str, Any]:
        server = found(project, machine, cloud)
        fleet.reboot_server(server.cloud, project, server.id)
        return {"id": server.id}

    @routes.post("/machines/{machine}/resize", status_code=202)
    def resize(
        machine: str,
        body: FlavorBody,
        project: Annotated[Project, Depends(changing)],
        cloud: str | None = None,
    ) -> dict[str, Any]:
        server = found(project, machine, cloud)
        fleet.resize_server(server.cloud, project, server.id, body.flavor)
        return {"id": server.id}

    @routes.post("/machines/{machine}/snapshot", status_code=202)
    def snapshot(
        machine: str,
        body: NameBody,
        who: Annotated[Principal, Depends(authenticate)],
        project: Annotated[Project, Depends(changing)],
        cloud: str | None = None,
    ) -> dict[str, Any]:
        server = found(project, machine, cloud)
        marks = {"armillary_snapshot_of": server.name, "armillary_snapshot_by": who.person.user_name}
        image = fleet.snapshot(server.cloud, project, server.id, name=body.name, properties=marks)
        return {"id": image, "name": body.name, "cloud": server.cloud}

    @routes.put("/machines/{machine}/term")
    def term(
        machine: str,
        body: TermBody,
        who: Annotated[Principal, Depends(authenticate)],
        project: Annotated[Project, Depends(changing)],
        cloud: str | None = None,
    ) -> dict[str, Any]:
        server = found(project, machine, cloud)
        if body.days is None:
            expiry.set(server, project, who.person.id, None)
            return shape(server, None)
        return shape(server, expiry.extend(server, project, who.person.id, timedelta(days=body.days)))

    @routes.get("/volumes")
    def volumes(project: Annotated[Project, Depends(reading)]) -> dict[str, Any]:
        return {
            "volumes": [
                volume_shape(volume, cloud)
                for cloud in fleet.clouds()
                for volume in fleet.volumes(cloud, project)
            ]
        }

    @routes.post("/volumes", status_code=201)
    def create_volume(body: VolumeBody, project: Annotated[Project, Depends(changing)]) -> dict[str, Any]:
        cloud = CloudName(body.cloud)
        made = fleet.create_volume(cloud, project, name=body.name, size=GiB(body.size))
        return volume_shape(made, cloud)

    @routes.put("/volumes/{cloud}/{volume}/machine")
    def attach(
        cloud: str, volume: str, body: MachineBody, project: Annotated[Project, Depends(changing)]
    ) -> dict[str, Any]:
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
    def delete_volume(cloud: str, volume: str, project: Annotated[Project, Depends(changing)]) -> None:
        fleet.delete_volume(CloudName(cloud), project, VolumeId(volume))

    @routes.get("/networks")
    def networks(project: Annotated[Project, Depends(reading)]) -> dict[str, Any]:
        return {
            "networks": [
                network_shape(network, cloud)
                for cloud in fleet.clouds()
                for network in fleet.networks(cloud, project)
            ]
        }

    @routes.post("/networks", status_code=201)
    def create_network(body: NetworkBody, project: Annotated[Project, Depends(changing)]) -> dict[str, Any]:
        cloud = CloudName(body.cloud)
        return network_shape(fleet.create_network(cloud, project, name=body.name, cidr=body.addresses), cloud)

    @routes.delete("/networks/{cloud}/{network}", status_code=204)
    def delete_network(cloud: str, network: str, project: Annotated[Project, Depends(changing)]) -> None:
        fleet.delete_network(CloudName(cloud), project, NetworkId(network))

    @routes.post("/images/{image}/shares", status_code=201)
    def share(image: str, body: ShareBody, project: Annotated[Project, Depends(changing)]) -> dict[str, Any]:
        shared = fleet.find_image(project, image)
        other: ProjectId = project_named(body.project).id
        fleet.share_image(shared.cloud, project, shared.id, other=other)
        return {"id": shared.id, "cloud": shared.cloud, "project": body.project}

    @routes.get("/images/offers")
    def offers(project: Annotated[Project, Depends(reading)]) -> dict[str, Any]:
        return {
            "offers": [
                {"cloud": cloud, "id": image_id, "name": name}
                for cloud in fleet.clouds()
                for image_id, name in fleet.offered_images(cloud, project)
            ]
        }

    @routes.put("/images/offers/{image}")
    def accept(image: str, project: Annotated[Project, Depends(changing)]) -> dict[str, Any]:
        for cloud in fleet.clouds():
            for image_id, name in fleet.offered_images(cloud, project):
                if image in (image_id, name):
                    fleet.accept_image(cloud, project, image_id, take=True)
                    return {"cloud": cloud, "id": image_id, "name": name}
        return {"id": fleet.find_image(project, image).id}  # accepted before, or NotFound

    return routes


def _need(who: Principal, scope: str) -> None:
    if not who.allows(scope):
        raise Forbidden(
            "This credential is not for this.",
            code="scope_missing",
            facts={"scope": scope},
            remedy="Sign in, or make a token without limits.",
        )


def _need_member(memberships: Memberships, who: Principal, project: Project) -> None:
    roles = [each.role for each in memberships.projects_of(who.person.id) if each.project.id == project.id]
    if roles == [Role.READER]:
        raise Forbidden(
            "As a reader of this project you may look, and not change anything.",
            code="reader_only",
            facts={"project": project.name},
            remedy="Ask an administrator of the project to make you a member.",
        )


def shape(server: FleetServer, term: Term | None) -> dict[str, Any]:
    """The JSON shape of a machine."""
    return {
        "id": server.id,
        "name": server.name,
        "cloud": server.cloud,
        "status": server.state,
        "fault": server.fault,
        "flavor": server.flavor,
        "image_id": server.image_id,
        "fixed_ip": server.fixed_ip,
        "floating_ip": server.floating_ip,
        "created_at": to_iso(server.created_at),
        "ends_at": to_iso(term.ends_at) if term else None,
        "is_over": bool(term and term.is_over),
    }


def volume_shape(volume: Volume, cloud: CloudName) -> dict[str, Any]:
    """The JSON shape of a volume."""
    return {"cloud": cloud, **asdict(volume), "created_at": to_iso(volume.created_at)}


def network_shape(network: Network, cloud: CloudName) -> dict[str, Any]:
    """The JSON shape of a network."""
    return {"cloud": cloud, **asdict(network)}
