"""`/api/v1/machines` and what belongs to machines: launched, listed, changed and ended by members of a project."""

# no `from __future__ import annotations` here: FastAPI could not resolve the dependencies that close over `router`

import contextlib
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from armillary.accounts.model import Principal, Project, Role
from armillary.base.clock import to_iso
from armillary.base.errors import ArmillaryError, Forbidden
from armillary.base.ids import CloudName
from armillary.base.units import GiB
from armillary.bounded import BoundedRoute
from armillary.fleet.api import PAGE, SCOPE, Limit, Marker, Memberships, choose_project, page_of
from armillary.fleet.expiry import Expiry, Term
from armillary.fleet.launching import Launching, Order, find_server
from armillary.fleet.model import WORKER_MARK, FleetServer
from armillary.fleet.parts_api import add_parts, everywhere
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
    """None: without an end; left out: as many as the platform's settings say"""


class TermBody(BaseModel):
    """By how many days; none: without an end."""

    days: int | None = Field(default=None, ge=1, le=3660)


class FlavorBody(BaseModel):
    """A size."""

    flavor: str


class NameBody(BaseModel):
    """A name."""

    name: str = Field(max_length=255)


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
    routes = APIRouter(prefix="/api/v1", tags=["machines"], route_class=BoundedRoute)

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
    def machines(
        project: Annotated[Project, Depends(reading)],
        cloud: str | None = None,
        limit: Limit = PAGE,
        marker: Marker = None,
    ) -> dict[str, Any]:
        terms = expiry.of_project(project)
        names = [CloudName(cloud)] if cloud else fleet.clouds()
        found, errors = everywhere(names, lambda name: fleet.servers(name, project))
        people = [server for _, server in found if WORKER_MARK not in server.metadata]
        shown, following = page_of(people, key=lambda server: server.id, limit=limit, marker=marker)
        listed = [shape(server, terms.get((server.cloud, server.id))) for server in shown]
        return {"machines": listed, "next": following, "errors": errors}

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
            days=body.days if "days" in body.model_fields_set else expiry.rules.default,
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

    add_parts(routes, fleet, Depends(reading), Depends(changing), project_named)
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
