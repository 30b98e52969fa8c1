"""The parts of a machine's page: figures, network, disks, history, and changing it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from armillary.accounts.model import Project
from armillary.base.errors import ArmillaryError, Conflict
from armillary.base.ids import (
    CloudName,
    FloatingIpId,
    ImageId,
    NetworkId,
    PortId,
    SecurityGroupId,
    ServerId,
    Sha512,
    VolumeId,
)
from armillary.base.units import GiB
from armillary.fleet.figures import Point, advise, points_of
from armillary.fleet.model import FleetServer
from armillary.fleet.parts import Reading, ssh_is_open
from armillary.portal.context import Portal, Sent, Services, Visiting
from armillary.portal.forms import Form, whole
from armillary.portal.pages.images import all_images
from armillary.portal.visit import Visit

router = APIRouter(prefix="/machines/{cloud}/{server_id}")


def part_of(
    portal: Portal, visit: Visit, server: FleetServer, part: str, error: ArmillaryError | None = None
) -> dict[str, Any]:
    """Return what a part shows; what its cloud refuses to tell is named instead of it."""
    show = {
        "figures": _figures,
        "network": _network,
        "disks": _disks,
        "history": _history,
        "change": _change,
    }[part]
    try:
        return {"error": error, "refused": None, **show(portal, visit, server)}
    except ArmillaryError as refused:
        return {"error": error, "refused": refused}


def _figures(portal: Portal, visit: Visit, server: FleetServer) -> dict[str, Any]:
    readings: Sequence[Reading] = ()
    if server.status == "ACTIVE":
        readings = portal.machinery.sampler.fresh(server.cloud, str(visit.project.id), server.id)
    flavors = portal.fleet.flavors(server.cloud, visit.project)
    size = next((flavor for flavor in flavors if flavor.name == server.flavor), None)
    return {
        "last": readings[-1] if readings else None,
        "point": (points_of(readings) or [None])[-1],
        "size": size,
        "advice": advise(readings, flavors, size),
    }


def _network(portal: Portal, visit: Visit, server: FleetServer) -> dict[str, Any]:
    cards = portal.fleet.cards(server.cloud, visit.project, server.id)
    groups = portal.fleet.security_groups(server.cloud, visit.project)
    worn = {group for card in cards for group in card.groups}
    return {
        "cards": cards,
        "groups": groups,
        "worn": [group for group in groups if group.id in worn],
        "networks": portal.fleet.networks(server.cloud, visit.project),
        "ssh_open": ssh_is_open(cards, groups),
    }


def _disks(portal: Portal, visit: Visit, server: FleetServer) -> dict[str, Any]:
    volumes = portal.fleet.volumes(server.cloud, visit.project)
    return {
        "attached": [volume for volume in volumes if volume.server_id == server.id],
        "free": [volume for volume in volumes if volume.is_free],
    }


def _history(portal: Portal, visit: Visit, server: FleetServer) -> dict[str, Any]:
    return {"events": portal.fleet.events(server.cloud, visit.project, server.id)}


def _change(portal: Portal, visit: Visit, server: FleetServer) -> dict[str, Any]:
    flavors = portal.fleet.flavors(server.cloud, visit.project)
    images = [image for image in all_images(portal, visit.project).images if image.settled]
    return {"flavors": [flavor for flavor in flavors if flavor.name != server.flavor], "images": images}


# figures


@router.get("/figures.json")
def figures(portal: Services, visit: Visiting, cloud: str, server_id: str) -> Response:
    """The past hour, column by column, for the plots."""
    server = portal.fleet.server(CloudName(cloud), visit.project, ServerId(server_id))
    readings: Sequence[Reading] = ()
    if server.status == "ACTIVE":
        readings = portal.machinery.sampler.fresh(server.cloud, str(visit.project.id), server.id)
    points = points_of(readings)
    return JSONResponse(
        {
            "running": server.status == "ACTIVE",
            "memory": readings[-1].memory if readings else None,
            "t": [point.at.timestamp() for point in points],
            **{name: [_value(point, name) for point in points] for name in COLUMNS},
        }
    )


COLUMNS = ("cpu", "memory_used", "disk_read", "disk_written", "net_in", "net_out")


def _value(point: Point, name: str) -> float | None:
    value = point.memory if name == "memory_used" else getattr(point, name)
    return None if value is None else round(value, 4)


# changes


def _own(portal: Portal, visit: Visit, cloud: str, server_id: str) -> tuple[CloudName, Project, ServerId]:
    """Return the machine's whereabouts, if the visitor may change it; one of others is not there."""
    where = (CloudName(cloud), visit.member(), ServerId(server_id))
    portal.fleet.server(*where)
    return where


def _back(portal: Portal, visit: Visit, cloud: str, server_id: str, *, part: str, notice: str) -> Response:
    portal.machinery.roster.changed(visit.project)
    return visit.go(f"/machines/{cloud}/{server_id}", part=part, notice=notice)


@router.post("/resize")
def resize(portal: Services, visit: Visiting, form: Sent, cloud: str, server_id: str) -> Response:
    portal.fleet.resize_server(*_own(portal, visit, cloud, server_id), form.text("flavor"))
    return _back(portal, visit, cloud, server_id, part="change", notice="resized")


@router.post("/settle")
def settle(portal: Services, visit: Visiting, form: Sent, cloud: str, server_id: str) -> Response:
    portal.fleet.settle_resize(*_own(portal, visit, cloud, server_id), keep=form.text("keep") == "yes")
    return _back(portal, visit, cloud, server_id, part="change", notice="settled")


@router.post("/rebuild")
def rebuild(portal: Services, visit: Visiting, form: Sent, cloud: str, server_id: str) -> Response:
    where = _own(portal, visit, cloud, server_id)
    if not form.flag("sure"):
        raise Conflict(
            "Rebuilding drops what is on the machine's disk.",
            code="not_sure",
            facts={"field": "sure"},
            remedy="Tick the box if that is what you want.",
        )
    image = portal.fleet.find_image(where[1], form.text("image"))
    image_id: ImageId = portal.fleet.ensure_image(where[0], where[1], Sha512(str(image.sha512)))
    portal.fleet.rebuild_server(*where, image_id)
    return _back(portal, visit, cloud, server_id, part="change", notice="rebuilt")


@router.post("/volumes/attach")
def attach(portal: Services, visit: Visiting, form: Sent, cloud: str, server_id: str) -> Response:
    """Attach a volume that is there, or a new one of the size that is given."""
    where = _own(portal, visit, cloud, server_id)
    size = form.text("size")
    if size:
        name = form.text("name") or "data"
        gib = GiB(whole(size) or 0)
        volume = portal.fleet.create_volume(where[0], where[1], name=name, size=gib).id
    else:
        volume = VolumeId(form.text("volume"))
    portal.fleet.attach_volume(*where, volume)
    return _back(portal, visit, cloud, server_id, part="disks", notice="attached")


@router.post("/volumes/detach")
def detach(portal: Services, visit: Visiting, form: Sent, cloud: str, server_id: str) -> Response:
    portal.fleet.detach_volume(*_own(portal, visit, cloud, server_id), VolumeId(form.text("volume")))
    return _back(portal, visit, cloud, server_id, part="disks", notice="detached")


@router.post("/cards/plug")
def plug(portal: Services, visit: Visiting, form: Sent, cloud: str, server_id: str) -> Response:
    portal.fleet.plug_network(*_own(portal, visit, cloud, server_id), NetworkId(form.text("network")))
    return _back(portal, visit, cloud, server_id, part="network", notice="network-changed")


@router.post("/cards/unplug")
def unplug(portal: Services, visit: Visiting, form: Sent, cloud: str, server_id: str) -> Response:
    portal.fleet.unplug_card(*_own(portal, visit, cloud, server_id), PortId(form.text("card")))
    return _back(portal, visit, cloud, server_id, part="network", notice="network-changed")


@router.post("/cards/groups")
def set_groups(portal: Services, visit: Visiting, form: Sent, cloud: str, server_id: str) -> Response:
    """Give a card other security groups; asks again when nobody could come in by ssh afterwards."""
    where = _own(portal, visit, cloud, server_id)
    chosen = chosen_groups(form)
    card_id = PortId(form.text("card"))
    cards = portal.fleet.cards(*where)
    groups = portal.fleet.security_groups(where[0], where[1])
    after = [replace(card, groups=chosen) if card.id == card_id else card for card in cards]
    cut = ssh_is_open(cards, groups) and not ssh_is_open(after, groups)
    if cut and not form.flag("sure"):
        server = portal.fleet.server(*where)
        fields = {"card": str(card_id), "sure": "yes"} | {f"group-{group}": "yes" for group in chosen}
        return visit.page(
            "cut_off.html",
            status=409,
            machines=[(server.id, server.name)],
            cloud=cloud,
            action=visit.request.url.path,
            fields=fields,
            back=f"/machines/{cloud}/{server_id}?part=network",
        )
    portal.fleet.set_groups(*where, card_id, chosen)
    return _back(portal, visit, cloud, server_id, part="network", notice="network-changed")


def chosen_groups(form: Form) -> list[SecurityGroupId]:
    """Return the groups whose boxes are ticked."""
    return [
        SecurityGroupId(name.removeprefix("group-")) for name in form.values() if name.startswith("group-")
    ]


@router.post("/address/give")
def give_address(portal: Services, visit: Visiting, form: Sent, cloud: str, server_id: str) -> Response:
    portal.fleet.give_address(*_own(portal, visit, cloud, server_id))
    return _back(portal, visit, cloud, server_id, part="network", notice="network-changed")


@router.post("/address/take")
def take_address(portal: Services, visit: Visiting, form: Sent, cloud: str, server_id: str) -> Response:
    portal.fleet.take_address(*_own(portal, visit, cloud, server_id), FloatingIpId(form.text("address")))
    return _back(portal, visit, cloud, server_id, part="network", notice="network-changed")
