"""`network_data.json`: the guest's links, its networks and their services, in Nova's words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_network
from typing import Any

from armillary.cloud.core.about import Card
from armillary.cloud.network.model import Subnet

_EVERYWHERE = {4: "0.0.0.0", 6: "::"}  # noqa: S104 - a route's network, nothing is bound there


def network_data(cards: Sequence[Card]) -> dict[str, Any]:
    """Return the document for a server's ports, in their order."""
    links: list[dict[str, Any]] = []
    networks: list[dict[str, Any]] = []
    services: list[dict[str, str]] = []
    for card in cards:
        if not card.subnets:
            continue  # Nova leaves a port without addresses out
        link = f"tap{card.port.id[:11]}"
        links.append(
            {
                "id": link,
                "vif_id": card.port.id,
                "type": "ovs",
                "mtu": card.mtu,
                "ethernet_mac_address": card.port.mac_address,
            }
        )
        for subnet, address in _addresses(card):
            networks.append(_network(f"network{len(networks)}", link, card, subnet, address))
            services += [service for service in _resolvers(subnet) if service not in services]
    return {"links": links, "networks": networks, "services": services}


def _addresses(card: Card) -> Iterable[tuple[Subnet, str]]:
    """Return the first IPv4 and the first IPv6 address: the format has room for one of each on a port."""
    by_id = {subnet.id: subnet for subnet in card.subnets}
    found = [(by_id[f.subnet_id], f.ip_address) for f in card.port.fixed_ips if f.subnet_id in by_id]
    for version in (4, 6):
        yield from [pair for pair in found if pair[0].ip_version == version][:1]


def _network(name: str, link: str, card: Card, subnet: Subnet, address: str) -> dict[str, Any]:
    version, mode = subnet.ip_version, subnet.ipv6_address_mode
    kind = f"ipv{version}_{mode}" if mode else f"ipv{version}"
    network_id = card.port.network_id
    if mode is None and subnet.enable_dhcp:
        return {"id": name, "type": f"{kind}_dhcp", "link": link, "network_id": network_id}
    everywhere = _EVERYWHERE[version]
    routes = (
        [{"network": everywhere, "netmask": everywhere, "gateway": subnet.gateway_ip}]
        if subnet.gateway_ip
        else []
    )
    for route in subnet.host_routes:
        target = ip_network(route["destination"], strict=False)
        routes.append(
            {
                "network": str(target.network_address),
                "netmask": str(target.netmask),
                "gateway": route["nexthop"],
            }
        )
    return {
        "id": name,
        "type": kind,
        "link": link,
        "ip_address": address,
        "netmask": str(ip_network(subnet.cidr, strict=False).netmask),
        "routes": routes,
        "network_id": network_id,
        "services": _resolvers(subnet),
    }


def _resolvers(subnet: Subnet) -> list[dict[str, str]]:
    return [{"type": "dns", "address": address} for address in subnet.dns_nameservers]
