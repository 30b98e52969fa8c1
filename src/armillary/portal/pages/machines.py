"""Machines: the list over all clouds, and one machine with what is done to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from armillary.accounts.model import Project
from armillary.base.errors import ArmillaryError
from armillary.base.ids import CloudName, ServerId
from armillary.fleet.expiry import Term
from armillary.fleet.model import WORKER_MARK, FleetServer
from armillary.portal.context import Portal, Sent, Services, Visiting, sent
from armillary.portal.inside.reaching import login_of
from armillary.portal.pages.launching import number, terms_of
from armillary.portal.pages.machine_parts import part_of
from armillary.portal.roster import Machines
from armillary.portal.visit import Visit

PER_PAGE = 50
PARTS = ("figures", "network", "disks", "history", "change")


def all_machines(portal: Portal, project: Project) -> Machines:
    """Return the project's machines on all clouds; one that is silent hides nothing."""
    return portal.machinery.roster.look(project)


@dataclass(frozen=True, kw_only=True)
class Listing:
    """One page of the list, as the address asks for it."""

    machines: Machines
    shown: Sequence[FleetServer]
    total: int
    """of those that the filters let through"""
    page: int
    terms: Mapping[tuple[CloudName, ServerId], Term]
    query: Mapping[str, str]
    states: Sequence[str]
    """that occur"""

    @staticmethod
    def is_worker(server: FleetServer) -> bool:
        """Whether jobs started it, not a person."""
        return WORKER_MARK in server.metadata

    def address(self, path: str = "/machines", **changes: object) -> str:
        """Return the address of this list with something changed."""
        query = {**self.query, **changes}
        kept = {name: str(value) for name, value in query.items() if value not in ("", 1, "1")}
        return f"{path}?{urlencode(kept)}" if kept else path

    @property
    def previous(self) -> str | None:
        """The page before."""
        return self.address(page=self.page - 1) if self.page > 1 else None

    @property
    def next(self) -> str | None:
        """The page after."""
        return self.address(page=self.page + 1) if self.page * PER_PAGE < self.total else None


def listing(portal: Portal, visit: Visit, *, q: str, state: str, cloud: str, page: int) -> Listing:
    """Return the machines that the filters let through, one page of them."""
    machines = all_machines(portal, visit.project)
    words = q.lower()
    found = [
        server
        for server in machines.servers
        if (not state or server.state == state)
        and (not cloud or server.cloud == cloud)
        and (
            not words or words in f"{server.name} {server.floating_ip} {server.fixed_ip} {server.id}".lower()
        )
    ]
    found.sort(key=Listing.is_worker)  # what jobs started comes last
    page = min(page, max(1, -(-len(found) // PER_PAGE)))
    return Listing(
        machines=machines,
        shown=found[(page - 1) * PER_PAGE : page * PER_PAGE],
        total=len(found),
        page=page,
        terms=portal.machinery.expiry.of_project(visit.project),
        query={"q": q, "state": state, "cloud": cloud, "page": str(page)},
        states=sorted({server.state for server in machines.servers} | ({state} if state else set())),
    )


router = APIRouter(prefix="/machines")
Words = Annotated[str, Query(max_length=100)]
Number = Annotated[int, Query(ge=1, le=100_000)]


def head_of(portal: Portal, visit: Visit, server: FleetServer) -> dict[str, Any]:
    """Return what the head of a machine's page shows."""
    term = portal.machinery.expiry.of(server.cloud, server.id)
    return {
        "server": server,
        "login": login_of(portal.fleet, visit.project, server),
        "term": term,
        "left": term.left(portal.clock.now()) if term else None,
        **terms_of(portal),
    }


def where_of(visit: Visit, cloud: str, server_id: str) -> tuple[CloudName, Project, ServerId]:
    return CloudName(cloud), visit.project, ServerId(server_id)


@router.get("")
def machines(
    portal: Services, visit: Visiting, q: Words = "", state: Words = "", cloud: Words = "", page: Number = 1
) -> Response:
    found = listing(portal, visit, q=q, state=state, cloud=cloud, page=page)
    return visit.page("machines.html", listing=found, clouds=portal.fleet.clouds())


@router.get("/table")
def table(
    portal: Services, visit: Visiting, q: Words = "", state: Words = "", cloud: Words = "", page: Number = 1
) -> Response:
    return visit.page(
        "_machines.html", listing=listing(portal, visit, q=q, state=state, cloud=cloud, page=page)
    )


@router.get("/{cloud}/{server_id}")
def machine(
    portal: Services, visit: Visiting, cloud: str, server_id: str, part: Words = "figures"
) -> Response:
    server = portal.fleet.server(*where_of(visit, cloud, server_id))
    shown = part if part in PARTS else PARTS[0]
    return visit.page(
        "machine.html",
        part=shown,
        **head_of(portal, visit, server),
        **part_of(portal, visit, server, shown),
    )


@router.get("/{cloud}/{server_id}/state")
def state(portal: Services, visit: Visiting, cloud: str, server_id: str) -> Response:
    server = portal.fleet.server(*where_of(visit, cloud, server_id))
    return visit.page("_machine.html", **head_of(portal, visit, server))


@router.get("/{cloud}/{server_id}/delete")
def confirm_delete(portal: Services, visit: Visiting, cloud: str, server_id: str) -> Response:
    visit.member()
    server = portal.fleet.server(*where_of(visit, cloud, server_id))
    return visit.page("delete_machine.html", server=server)


@router.post("/{cloud}/{server_id}/delete", dependencies=[Depends(sent)])
def delete(portal: Services, visit: Visiting, cloud: str, server_id: str) -> Response:
    visit.member()
    where = where_of(visit, cloud, server_id)
    portal.fleet.server(*where)  # a machine of others is not there, and nobody is told that it was deleted
    portal.fleet.delete_server(*where)
    portal.machinery.expiry.forget(where[0], where[2])
    portal.machinery.roster.changed(visit.project)
    return visit.go("/machines", notice="deleted")


@router.post("/{cloud}/{server_id}/snapshot")
def snapshot(portal: Services, visit: Visiting, form: Sent, cloud: str, server_id: str) -> Response:
    visit.member()
    where = where_of(visit, cloud, server_id)
    server = portal.fleet.server(*where)
    marks = {"armillary_snapshot_of": server.name, "armillary_snapshot_by": visit.person.user_name}
    portal.fleet.snapshot(*where, name=form.text("name") or "snapshot", properties=marks)
    return visit.go("/images", notice="snapshot")


@router.post("/{cloud}/{server_id}/term")
def set_term(portal: Services, visit: Visiting, form: Sent, cloud: str, server_id: str) -> Response:
    """Extend a machine's time, give it one, or let it have no end."""
    project = visit.member()
    server = portal.fleet.server(*where_of(visit, cloud, server_id))
    expiry, path = portal.machinery.expiry, f"/machines/{cloud}/{server_id}"
    days = number(form.text("days"))
    try:
        if days is None:
            expiry.set(server, project, visit.person.id, None)
            return visit.go(path, notice="endless")
        expiry.extend(server, project, visit.person.id, timedelta(days=days))
    except ArmillaryError as error:
        return _refused(portal, visit, server, error)
    return visit.go(path, notice="extended")


@router.post("/{cloud}/{server_id}/start", dependencies=[Depends(sent)])
def start(portal: Services, visit: Visiting, cloud: str, server_id: str) -> Response:
    visit.member()
    where = where_of(visit, cloud, server_id)
    server = portal.fleet.server(*where)
    try:
        portal.machinery.expiry.need_running_term(server.cloud, server.id)
    except ArmillaryError as error:
        return _refused(portal, visit, server, error)
    portal.fleet.start_server(*where)
    return _done(portal, visit, cloud, server_id, "started")


@router.post("/{cloud}/{server_id}/stop", dependencies=[Depends(sent)])
def stop(portal: Services, visit: Visiting, cloud: str, server_id: str) -> Response:
    visit.member()
    portal.fleet.stop_server(*where_of(visit, cloud, server_id))
    return _done(portal, visit, cloud, server_id, "stopped")


@router.post("/{cloud}/{server_id}/reboot", dependencies=[Depends(sent)])
def reboot(portal: Services, visit: Visiting, cloud: str, server_id: str) -> Response:
    visit.member()
    portal.fleet.reboot_server(*where_of(visit, cloud, server_id))
    return _done(portal, visit, cloud, server_id, "rebooted")


def _done(portal: Portal, visit: Visit, cloud: str, server_id: str, notice: str) -> Response:
    portal.machinery.roster.changed(visit.project)
    return visit.go(f"/machines/{cloud}/{server_id}", notice=notice)


def _refused(portal: Portal, visit: Visit, server: FleetServer, error: ArmillaryError) -> Response:
    return visit.page(
        "machine.html",
        status=error.status,
        part=PARTS[0],
        **head_of(portal, visit, server),
        **part_of(portal, visit, server, PARTS[0], error),
    )
