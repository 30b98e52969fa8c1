"""/v2.0/networks, subnets, ports"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from armillary.cloud.api.network import views, wire
from armillary.cloud.api.network.deps import Member, Network
from armillary.cloud.api.network.listing import collection, pruned
from armillary.cloud.network.model import Network as NetworkRecord

router = APIRouter()
JSON = dict[str, Any]


def _networks(network: Network, who: Member, found: Sequence[NetworkRecord]) -> list[JSON]:
    subnets = network.networks.subnets_of([n.id for n in found])
    return [views.network(n, subnets.get(n.id, ()), as_admin=who.is_cloud_admin) for n in found]


@router.get("/networks")
def list_networks(request: Request, who: Member, network: Network) -> JSON:
    return collection(request, "networks", _networks(network, who, network.networks.list(who)))


@router.post("/networks", status_code=201)
def create_network(body: wire.CreateNetwork, who: Member, network: Network) -> JSON:
    made = network.networks.create(who, **body.network.fields())
    return {"network": _networks(network, who, [made])[0]}


@router.get("/networks/{network_id}")
def show_network(network_id: str, request: Request, who: Member, network: Network) -> JSON:
    (view,) = _networks(network, who, [network.networks.get(who, network_id)])
    return {"network": pruned(request, view)}


@router.put("/networks/{network_id}")
def update_network(network_id: str, body: wire.UpdateNetwork, who: Member, network: Network) -> JSON:
    changed = network.networks.update(who, network_id, body.network.fields())
    return {"network": _networks(network, who, [changed])[0]}


@router.delete("/networks/{network_id}", status_code=204)
def delete_network(network_id: str, who: Member, network: Network) -> Response:
    network.networks.delete(who, network_id)
    return Response(status_code=204)


@router.get("/subnets")
def list_subnets(request: Request, who: Member, network: Network) -> JSON:
    return collection(request, "subnets", [views.subnet(s) for s in network.subnets.list(who)])


def _tuples(sent: JSON) -> JSON:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in sent.items()}  # pyright: ignore[reportUnknownArgumentType]


@router.post("/subnets", status_code=201)
def create_subnet(body: wire.CreateSubnet, who: Member, network: Network) -> JSON:
    return {"subnet": views.subnet(network.subnets.create(who, **_tuples(body.subnet.fields())))}


@router.get("/subnets/{subnet_id}")
def show_subnet(subnet_id: str, request: Request, who: Member, network: Network) -> JSON:
    return {"subnet": pruned(request, views.subnet(network.subnets.get(who, subnet_id)))}


@router.put("/subnets/{subnet_id}")
def update_subnet(subnet_id: str, body: wire.UpdateSubnet, who: Member, network: Network) -> JSON:
    return {"subnet": views.subnet(network.subnets.update(who, subnet_id, _tuples(body.subnet.fields())))}


@router.delete("/subnets/{subnet_id}", status_code=204)
def delete_subnet(subnet_id: str, who: Member, network: Network) -> Response:
    network.subnets.delete(who, subnet_id)
    return Response(status_code=204)


@router.get("/ports")
def list_ports(request: Request, who: Member, network: Network) -> JSON:
    as_admin = who.is_cloud_admin
    return collection(request, "ports", [views.port(p, as_admin=as_admin) for p in network.ports.list(who)])


@router.post("/ports", status_code=201)
def create_port(body: wire.CreatePort, who: Member, network: Network) -> JSON:
    sent = body.port.fields()
    if body.port.tenant_id is not None:
        sent.setdefault("project_id", body.port.tenant_id)
    return {"port": views.port(network.ports.create(who, **sent), as_admin=who.is_cloud_admin)}


@router.get("/ports/{port_id}")
def show_port(port_id: str, request: Request, who: Member, network: Network) -> JSON:
    view = views.port(network.ports.get(who, port_id), as_admin=who.is_cloud_admin)
    return {"port": pruned(request, view)}


@router.put("/ports/{port_id}")
def update_port(port_id: str, body: wire.UpdatePort, who: Member, network: Network) -> JSON:
    changed = network.ports.update(who, port_id, body.port.fields())
    return {"port": views.port(changed, as_admin=who.is_cloud_admin)}


@router.delete("/ports/{port_id}", status_code=204)
def delete_port(port_id: str, who: Member, network: Network) -> Response:
    network.ports.delete(who, port_id)
    return Response(status_code=204)
