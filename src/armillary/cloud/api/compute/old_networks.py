"""/os-networks, /os-tenant-networks, /os-floating-ips, /os-floating-ip-pools: Nova's old proxies to Neutron, until 2.35."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from armillary.accounts.model import Principal
from armillary.base.errors import NotFound
from armillary.cloud.api.compute import wire
from armillary.cloud.api.compute.deps import Network, Version, until
from armillary.cloud.api.shared import Caller
from armillary.cloud.network import model
from armillary.cloud.network.service import NetworkService

router = APIRouter()
_LAST = 35
_EMPTY = (
    "cidr", "netmask", "gateway", "broadcast", "dns1", "dns2", "cidr_v6", "gateway_v6", "netmask_v6",
)  # fmt: skip
"""What nova-network knew of a network; of Neutron's it knows nothing."""


def _network(network: model.Network) -> dict[str, Any]:
    return {"id": network.id, "label": network.name, **dict.fromkeys(_EMPTY)}


def _tenant_network(network: model.Network) -> dict[str, Any]:
    return {"id": network.id, "cidr": "None", "label": network.name}


def _one(network: NetworkService, who: Principal, network_id: str) -> model.Network:
    try:
        return network.networks.get(who, network_id)
    except NotFound as error:
        raise NotFound("Network not found", code=error.code) from error


@router.get("/os-networks")
def list_networks(who: Caller, network: Network, version: Version) -> dict[str, Any]:
    until(version, _LAST)
    return {"networks": [_network(net) for net in network.networks.list(who)]}


@router.get("/os-networks/{network_id}")
def show_network(network_id: str, who: Caller, network: Network, version: Version) -> dict[str, Any]:
    until(version, _LAST)
    return {"network": _network(_one(network, who, network_id))}


@router.get("/os-tenant-networks")
def list_tenant_networks(who: Caller, network: Network, version: Version) -> dict[str, Any]:
    until(version, _LAST)
    return {"networks": [_tenant_network(net) for net in network.networks.list(who)]}


@router.get("/os-tenant-networks/{network_id}")
def show_tenant_network(network_id: str, who: Caller, network: Network, version: Version) -> dict[str, Any]:
    until(version, _LAST)
    return {"network": _tenant_network(_one(network, who, network_id))}


def _floating(
    network: NetworkService, who: Principal, floating: Sequence[model.FloatingIp]
) -> list[dict[str, Any]]:
    names = {net.id: net.name for net in network.networks.list(who)}
    ports = network.floating_ips.ports_of(floating)
    shown: list[dict[str, Any]] = []
    for ip in floating:
        port = ports.get(ip.port_id) if ip.port_id is not None else None
        shown.append(
            {
                "id": ip.id,
                "ip": ip.address,
                "pool": names.get(ip.network_id, ""),
                "fixed_ip": ip.fixed_ip_address,
                "instance_id": port.device_id or None if port is not None else None,
            }
        )
    return shown


def _missing(floating_id: str, error: NotFound) -> NotFound:
    return NotFound(f"Floating IP not found for ID {floating_id}", code=error.code)


@router.get("/os-floating-ips")
def list_floating_ips(who: Caller, network: Network, version: Version) -> dict[str, Any]:
    until(version, _LAST)
    return {"floating_ips": _floating(network, who, network.floating_ips.list(who))}


@router.get("/os-floating-ips/{floating_id}")
def show_floating_ip(floating_id: str, who: Caller, network: Network, version: Version) -> dict[str, Any]:
    until(version, _LAST)
    try:
        found = network.floating_ips.get(who, floating_id)
    except NotFound as error:
        raise _missing(floating_id, error) from error
    return {"floating_ip": _floating(network, who, [found])[0]}


@router.post("/os-floating-ips")
def create_floating_ip(
    body: wire.FloatingIpIn, who: Caller, network: Network, version: Version
) -> dict[str, Any]:
    until(version, _LAST)
    outside = [net for net in network.networks.list(who) if net.external]
    chosen = [net for net in outside if body.pool in {None, net.name, net.id}]
    if not chosen:
        raise NotFound("Floating IP pool not found.", code="floating_ip_pool_not_found")
    made = network.floating_ips.create(who, network_id=chosen[0].id)
    return {"floating_ip": _floating(network, who, [made])[0]}


@router.delete("/os-floating-ips/{floating_id}", status_code=202)
def delete_floating_ip(floating_id: str, who: Caller, network: Network, version: Version) -> Response:
    until(version, _LAST)
    try:
        network.floating_ips.delete(who, floating_id)
    except NotFound as error:
        raise _missing(floating_id, error) from error
    return Response(status_code=202)


@router.get("/os-floating-ip-pools")
def list_pools(who: Caller, network: Network, version: Version) -> dict[str, Any]:
    until(version, _LAST)
    return {"floating_ip_pools": [{"name": net.name} for net in network.networks.list(who) if net.external]}
