"""Volumes and networks: what machines of a project are plugged into, made, listed and deleted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from armillary.base.errors import ArmillaryError
from armillary.base.ids import CloudName, NetworkId, SecurityGroupId, ServerId, VolumeId
from armillary.base.units import GiB
from armillary.fleet.parts import RuleRequest
from armillary.portal.context import Portal, Sent, Services, Visiting
from armillary.portal.forms import Form, whole
from armillary.portal.visit import Visit

router = APIRouter()


@dataclass(frozen=True, kw_only=True)
class OnClouds:
    """What the clouds told, one after the other; and why some did not."""

    found: Mapping[CloudName, Any]
    errors: Sequence[ArmillaryError]


def on_clouds(portal: Portal, ask: Callable[[CloudName], Any]) -> OnClouds:
    """Ask all clouds at once; one that is silent does not hide the others."""
    found: dict[CloudName, Any] = {}
    errors: list[ArmillaryError] = []
    clouds = portal.fleet.clouds()
    with ThreadPoolExecutor(max(1, len(clouds))) as pool:
        asked = [(cloud, pool.submit(ask, cloud)) for cloud in clouds]
    for cloud, answer in asked:
        try:
            found[cloud] = answer.result()
        except ArmillaryError as error:
            errors.append(error)
    return OnClouds(found=found, errors=errors)


def machine_names(portal: Portal, visit: Visit) -> dict[ServerId, str]:
    """Return the names of the project's machines, as far as their clouds answer."""
    return {server.id: server.name for server in portal.machinery.roster.look(visit.project).servers}


# volumes


@router.get("/volumes")
def volumes(portal: Services, visit: Visiting) -> Response:
    return _volumes(portal, visit, {}, None)


def _volumes(
    portal: Portal, visit: Visit, values: Mapping[str, str], error: ArmillaryError | None
) -> Response:
    project = visit.project
    query = visit.request.query_params
    filled = {name: values.get(name) or query.get(name, "") for name in ("cloud", "name", "size")}
    return visit.page(
        "volumes.html",
        status=error.status if error else 200,
        there=on_clouds(portal, lambda cloud: portal.fleet.volumes(cloud, project)),
        machines=machine_names(portal, visit),
        clouds=portal.fleet.clouds(),
        values=filled,
        error=error,
    )


@router.post("/volumes")
def create_volume(portal: Services, visit: Visiting, form: Sent) -> Response:
    project, size = visit.member(), form.text("size")
    try:
        gib = GiB(whole(size) or 0)
        cloud = CloudName(form.text("cloud"))
        portal.fleet.create_volume(cloud, project, name=form.text("name") or "data", size=gib)
    except ArmillaryError as error:
        return _volumes(portal, visit, form.values(), error)
    return visit.go("/volumes", notice="volume-made")


@router.get("/volumes/{cloud}/{volume_id}/delete")
def confirm_delete_volume(portal: Services, visit: Visiting, cloud: str, volume_id: str) -> Response:
    project = visit.member()
    found = [one for one in portal.fleet.volumes(CloudName(cloud), project) if one.id == volume_id]
    return visit.page("delete_volume.html", cloud=cloud, volume=found[0] if found else None)


@router.post("/volumes/{cloud}/{volume_id}/delete")
def delete_volume(portal: Services, visit: Visiting, form: Sent, cloud: str, volume_id: str) -> Response:
    portal.fleet.delete_volume(CloudName(cloud), visit.member(), VolumeId(volume_id))
    return visit.go("/volumes", notice="volume-deleted")


# networks and who may come in


@router.get("/networks")
def networks(portal: Services, visit: Visiting) -> Response:
    return _networks(portal, visit, {}, None)


def _networks(
    portal: Portal, visit: Visit, values: Mapping[str, str], error: ArmillaryError | None
) -> Response:
    project = visit.project

    def ask(cloud: CloudName) -> dict[str, Any]:
        return {
            "networks": portal.fleet.networks(cloud, project),
            "groups": portal.fleet.security_groups(cloud, project),
            "may_change": portal.fleet.settings(cloud).per_project,
        }

    query = visit.request.query_params
    names = ("cloud", "name", "cidr", "protocol", "ports", "remote")
    return visit.page(
        "networks.html",
        status=error.status if error else 200,
        there=on_clouds(portal, ask),
        values={name: values.get(name) or query.get(name, "") for name in names},
        error=error,
    )


@router.post("/networks")
def create_network(portal: Services, visit: Visiting, form: Sent) -> Response:
    project, cloud = visit.member(), CloudName(form.text("cloud"))
    try:
        cidr = form.text("cidr") or "10.20.0.0/24"
        portal.fleet.create_network(cloud, project, name=form.text("name") or "network", cidr=cidr)
    except ArmillaryError as error:
        return _networks(portal, visit, form.values(), error)
    return visit.go("/networks", notice="network-made")


@router.post("/networks/{cloud}/{network_id}/delete")
def delete_network(portal: Services, visit: Visiting, form: Sent, cloud: str, network_id: str) -> Response:
    portal.fleet.delete_network(CloudName(cloud), visit.member(), NetworkId(network_id))
    return visit.go("/networks", notice="network-deleted")


@router.post("/networks/{cloud}/groups")
def create_group(portal: Services, visit: Visiting, form: Sent, cloud: str) -> Response:
    portal.fleet.create_security_group(CloudName(cloud), visit.member(), form.text("name") or "group")
    return visit.go("/networks", notice="rules-changed")


@router.post("/networks/{cloud}/groups/{group_id}/delete")
def delete_group(portal: Services, visit: Visiting, form: Sent, cloud: str, group_id: str) -> Response:
    portal.fleet.delete_security_group(CloudName(cloud), visit.member(), SecurityGroupId(group_id))
    return visit.go("/networks", notice="rules-changed")


@router.post("/networks/{cloud}/groups/{group_id}/rules")
def add_rule(portal: Services, visit: Visiting, form: Sent, cloud: str, group_id: str) -> Response:
    project = visit.member()
    try:
        portal.fleet.add_rule(CloudName(cloud), project, SecurityGroupId(group_id), rule_of(form))
    except ArmillaryError as error:
        return _networks(portal, visit, form.values(), error)
    return visit.go(*back_of(form), notice="rules-changed")


@router.post("/networks/{cloud}/rules/{rule_id}/remove")
def remove_rule(portal: Services, visit: Visiting, form: Sent, cloud: str, rule_id: str) -> Response:
    """Close what a rule opened; asks again when machines could no longer be reached by ssh."""
    project, where = visit.member(), CloudName(cloud)
    if not form.flag("sure"):
        cut = portal.fleet.machines_cut_off(where, project, without_rule=rule_id)
        if cut:
            [back] = back_of(form)
            return visit.page(
                "cut_off.html",
                status=409,
                machines=cut,
                cloud=cloud,
                action=visit.request.url.path,
                fields={"sure": "yes", "back": back},
                back=back,
            )
    portal.fleet.remove_rule(where, project, rule_id)
    return visit.go(*back_of(form), notice="rules-changed")


def rule_of(form: Form) -> RuleRequest:
    """Read a rule: `ports` is one port or a range, `remote` a block of addresses or empty for everywhere."""
    low, _, high = form.text("ports").replace("–", "-").partition("-")
    protocol = form.text("protocol")
    if protocol == "icmp":
        low = high = ""
    return RuleRequest(
        protocol=protocol, low=_port(low), high=_port(high), remote=form.text("remote") or "0.0.0.0/0"
    )


def _port(text: str) -> int | None:
    text = text.strip()
    if not text:
        return None
    return whole(text, digits=5) or 0


def back_of(form: Form) -> tuple[str]:
    """Return the page of ours that a form wants to come back to, the networks' unless it names a machine's."""
    path = form.text("back")
    return (path if path.startswith("/machines/") and "//" not in path and "?" not in path else "/networks",)
