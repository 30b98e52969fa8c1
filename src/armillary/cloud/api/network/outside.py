"""/v2.0/routers and floatingips"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from armillary.base.ids import ServerId
from armillary.cloud.api.network import views, wire
from armillary.cloud.api.network.deps import Member, Network
from armillary.cloud.api.network.listing import collection, pruned
from armillary.cloud.network.desk import bad
from armillary.cloud.network.model import FloatingIp, Port, Router

router = APIRouter()
JSON = dict[str, Any]


def _router(network: Network, item: Router) -> JSON:
    return views.router(item, network.routers.gateway_ports([item.id]).get(item.id))


@router.get("/routers")
def list_routers(request: Request, who: Member, network: Network) -> JSON:
    found = network.routers.list(who)
    gateways = network.routers.gateway_ports([item.id for item in found])
    return collection(request, "routers", [views.router(item, gateways.get(item.id)) for item in found])


@router.post("/routers", status_code=201)
def create_router(body: wire.CreateRouter, who: Member, network: Network) -> JSON:
    sent = body.router.fields()
    if body.router.tenant_id is not None:
        sent.setdefault("project_id", body.router.tenant_id)
    return {"router": _router(network, network.routers.create(who, **sent))}


@router.get("/routers/{router_id}")
def show_router(router_id: str, request: Request, who: Member, network: Network) -> JSON:
    return {"router": pruned(request, _router(network, network.routers.get(who, router_id)))}


@router.put("/routers/{router_id}")
def update_router(router_id: str, body: wire.UpdateRouter, who: Member, network: Network) -> JSON:
    return {"router": _router(network, network.routers.update(who, router_id, body.router.fields()))}


@router.delete("/routers/{router_id}", status_code=204)
def delete_router(router_id: str, who: Member, network: Network) -> Response:
    network.routers.delete(who, router_id)
    return Response(status_code=204)


def _interface(joined: tuple[Router, Port]) -> JSON:
    item, port = joined
    subnet_id = port.fixed_ips[0].subnet_id if port.fixed_ips else None
    return {
        "id": item.id,
        "tenant_id": item.project_id,
        "port_id": port.id,
        "network_id": port.network_id,
        "subnet_id": subnet_id,
        "subnet_ids": [fixed.subnet_id for fixed in port.fixed_ips],
    }


def _checked(body: wire.RouterInterface, *, both: bool) -> None:
    if body.subnet_id is None and body.port_id is None:
        raise bad("Either subnet_id or port_id must be specified", code="bad_request")
    if not both and body.subnet_id is not None and body.port_id is not None:
        raise bad("Cannot specify both subnet-id and port-id", code="bad_request")


@router.put("/routers/{router_id}/add_router_interface")
def add_interface(router_id: str, body: wire.RouterInterface, who: Member, network: Network) -> JSON:
    _checked(body, both=False)
    return _interface(
        network.routers.add_interface(who, router_id, subnet_id=body.subnet_id, port_id=body.port_id)
    )


@router.put("/routers/{router_id}/remove_router_interface")
def remove_interface(router_id: str, body: wire.RouterInterface, who: Member, network: Network) -> JSON:
    _checked(body, both=True)
    return _interface(
        network.routers.remove_interface(who, router_id, subnet_id=body.subnet_id, port_id=body.port_id)
    )


def _floating(network: Network, found: Sequence[FloatingIp]) -> list[JSON]:
    bound = network.floating_ips.ports_of(found)
    shown: list[JSON] = []
    for item in found:
        port = bound.get(item.port_id) if item.port_id else None
        view = views.floating_ip(item, port)
        number = network.ssh_port(ServerId(port.device_id)) if port is not None and port.device_id else None
        if number not in {None, 22}:  # where the platform's user may not bind ports below 1024
            view["description"] = f"{item.description} (ssh port {number})".lstrip()
        shown.append(view)
    return shown


@router.get("/floatingips")
def list_floating_ips(request: Request, who: Member, network: Network) -> JSON:
    return collection(request, "floatingips", _floating(network, network.floating_ips.list(who)))


@router.post("/floatingips", status_code=201)
def create_floating_ip(body: wire.CreateFloatingIp, who: Member, network: Network) -> JSON:
    asked = body.floatingip
    made = network.floating_ips.create(
        who, network_id=asked.network_id, address=asked.address, subnet_id=asked.subnet_id, port_id=asked.port_id,
        fixed_ip_address=asked.fixed_ip_address, description=asked.description,
        project_id=asked.project_id or asked.tenant_id,
    )  # fmt: skip
    network.applied()
    return {"floatingip": _floating(network, [made])[0]}


@router.get("/floatingips/{floating_id}")
def show_floating_ip(floating_id: str, request: Request, who: Member, network: Network) -> JSON:
    (view,) = _floating(network, [network.floating_ips.get(who, floating_id)])
    return {"floatingip": pruned(request, view)}


@router.put("/floatingips/{floating_id}")
def update_floating_ip(floating_id: str, body: wire.UpdateFloatingIp, who: Member, network: Network) -> JSON:
    changed = network.floating_ips.update(who, floating_id, body.floatingip.fields())
    network.applied()
    return {"floatingip": _floating(network, [changed])[0]}


@router.delete("/floatingips/{floating_id}", status_code=204)
def delete_floating_ip(floating_id: str, who: Member, network: Network) -> Response:
    network.floating_ips.delete(who, floating_id)
    return Response(status_code=204)
