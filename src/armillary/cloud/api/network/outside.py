"""/v2.0/routers and floatingips"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, cast

from fastapi import APIRouter, Body, Request

from armillary.accounts.model import Principal
from armillary.base.errors import Invalid
from armillary.base.ids import ServerId
from armillary.cloud.api.network import bodies, views
from armillary.cloud.api.network.attributes import JSON, identifier, read_body
from armillary.cloud.api.network.deps import Member, Network
from armillary.cloud.api.network.kinds import Kind, routes_of
from armillary.cloud.api.network.listing import filtered
from armillary.cloud.network.desk import bad
from armillary.cloud.network.model import FloatingIp, Port, Router
from armillary.cloud.network.service import NetworkService

router = APIRouter()
Sent = Annotated[Any, Body()]


def _routers(network: NetworkService, _who: Principal, found: Sequence[Router]) -> list[JSON]:
    gateways = network.routers.gateway_ports([item.id for item in found])
    return [views.router(item, gateways.get(item.id)) for item in found]


def _floating(network: NetworkService, _who: Principal, found: Sequence[FloatingIp]) -> list[JSON]:
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


KINDS = (
    Kind(
        path="routers", item="router_id", singular="router", plural="routers", attributes=bodies.ROUTER,
        shelf=lambda network: network.routers, shown=_routers,
    ),
    Kind(
        path="floatingips", item="floating_id", singular="floatingip", plural="floatingips",
        attributes=bodies.FLOATING_IP, shelf=lambda network: network.floating_ips, shown=_floating,
        followed=lambda network: network.applied(),
    ),
)  # fmt: skip
for _kind in KINDS:
    router.include_router(routes_of(_kind))


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


def _refused(reason: str) -> Invalid:
    return bad(f"Bad router request: {reason}.", code="bad_request")


def _wish(body: Any, *, both: bool) -> dict[str, str | None]:
    """What an interface request names: `subnet_id`, `port_id`, or, to part them, both."""
    sent = cast("JSON", body) if isinstance(body, dict) else {}
    wish: dict[str, str | None] = {name: sent.get(name) for name in ("subnet_id", "port_id")}
    if wish["subnet_id"] is None and wish["port_id"] is None:
        raise _refused("Either subnet_id or port_id must be specified")
    if not both and None not in wish.values():
        raise _refused("Cannot specify both subnet-id and port-id")
    for value in wish.values():
        if value is not None:
            try:
                identifier("", value)
            except Invalid as error:
                raise _refused(f"'{value}' is not a valid UUID") from error
    return wish


@router.put("/routers/{router_id}/add_router_interface")
def add_interface(router_id: str, body: Sent, who: Member, network: Network) -> JSON:
    network.routers.get(who, router_id)
    return _interface(network.routers.add_interface(who, router_id, **_wish(body, both=False)))


@router.put("/routers/{router_id}/remove_router_interface")
def remove_interface(router_id: str, body: Sent, who: Member, network: Network) -> JSON:
    network.routers.get(who, router_id)
    return _interface(network.routers.remove_interface(who, router_id, **_wish(body, both=True)))


def _routes(body: Any) -> list[JSON]:
    return read_body(body, "router", {"routes": bodies.ROUTER["routes"]}, creating=False).get("routes", [])


@router.put("/routers/{router_id}/add_extraroutes")
def add_routes(router_id: str, body: Sent, who: Member, network: Network) -> JSON:
    changed = network.routers.change_routes(who, router_id, add=_routes(body))
    return {"router": _routers(network, who, [changed])[0]}


@router.put("/routers/{router_id}/remove_extraroutes")
def remove_routes(router_id: str, body: Sent, who: Member, network: Network) -> JSON:
    changed = network.routers.change_routes(who, router_id, remove=_routes(body))
    return {"router": _routers(network, who, [changed])[0]}


@router.get("/floatingip_pools")
def list_floating_ip_pools(request: Request, who: Member, network: Network) -> JSON:
    own = who.project.id if who.project is not None else ""
    pools = [
        {
            "subnet_id": subnet.id,
            "subnet_name": subnet.name,
            "network_id": subnet.network_id,
            "cidr": subnet.cidr,
            "project_id": own,
            "tenant_id": own,
        }
        for subnet in network.floating_ips.pools(who)
    ]
    return filtered(request, "floatingip_pools", pools)
