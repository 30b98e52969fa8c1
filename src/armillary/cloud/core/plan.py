"""From the records of the network service to the plan that the fabric makes true."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from armillary.base.ids import PortId, SecurityGroupId, ServerId, SubnetId
from armillary.cloud.model import (
    AddressPair,
    MetadataSite,
    NetworkPlan,
    PortAddress,
    PortPlan,
    PortSpec,
    Rule,
)
from armillary.cloud.network.model import FloatingIp, Network, Port, SecurityGroupRule, Subnet

_ANYWHERE = ("0.0.0.0/0", "::/0")
_NO_IPV4 = {"fixed_ip": "", "cidr": "169.254.0.0/24", "gateway_ip": "169.254.0.1"}
"""of a port without an IPv4 address"""


@dataclass(frozen=True, kw_only=True)
class NetworkRecords:
    """Everything that the plan depends on, read at one moment."""

    networks: Sequence[Network]
    subnets: Sequence[Subnet]
    ports: Sequence[Port]
    rules: Sequence[SecurityGroupRule]
    floating_ips: Sequence[FloatingIp]


def port_spec(port: Port, network: Network, subnets: Mapping[SubnetId, Subnet]) -> PortSpec | None:
    """The network card of a port, or None when it has no address that an engine could serve."""
    ipv4: dict[str, str] | None = None
    for fixed in port.fixed_ips:
        subnet = subnets.get(fixed.subnet_id)
        if subnet is None:
            continue
        if subnet.ip_version == 4:
            ipv4 = {"fixed_ip": fixed.ip_address, "cidr": subnet.cidr, "gateway_ip": subnet.gateway_ip or ""}
            break
        ipv4 = _NO_IPV4
    if ipv4 is None:
        return None
    return PortSpec(id=port.id, network_id=port.network_id, mac=port.mac_address, mtu=network.mtu, **ipv4)


def _more_addresses(
    port: Port, spec: PortSpec, subnets: Mapping[SubnetId, Subnet]
) -> tuple[PortAddress, ...]:
    found: list[PortAddress] = []
    for fixed in port.fixed_ips:
        subnet = subnets.get(fixed.subnet_id)
        if subnet is None or fixed.ip_address == spec.fixed_ip:
            continue
        served = subnet.ip_version == 6 and subnet.enable_dhcp
        # a subnet that says nothing about its addresses serves them by DHCPv6, as the config drive tells the guest
        mode = (subnet.ipv6_address_mode or subnet.ipv6_ra_mode or "dhcpv6-stateful") if served else ""
        resolvers = subnet.dns_nameservers if subnet.ip_version == 6 else ()
        found.append(
            PortAddress(ip=fixed.ip_address, cidr=subnet.cidr, mode=mode, resolvers=tuple(resolvers))
        )
    return tuple(found)


def _floating_ips(spec: PortSpec, bound: Sequence[FloatingIp]) -> dict[str, Any]:
    first = next((each for each in bound if each.fixed_ip_address in {None, spec.fixed_ip}), None)
    further = tuple((each.address, each.fixed_ip_address or "") for each in bound if each is not first)
    return {"floating_ip": first.address if first else None, "further_floating_ips": further}


def _pairs(port: Port) -> tuple[AddressPair, ...]:
    return tuple(
        AddressPair(cidr=pair["ip_address"], mac=pair.get("mac_address"))
        for pair in port.allowed_address_pairs
    )


def build_plan(
    records: NetworkRecords, *, host_ports: Iterable[int] = (), metadata: MetadataSite | None = None
) -> NetworkPlan:
    """The whole desired network: each server's ports with their rules, remote groups resolved to addresses."""
    networks = {network.id: network for network in records.networks}
    subnets = {subnet.id: subnet for subnet in records.subnets}
    members = _addresses_by_group(records.ports)
    rules: dict[SecurityGroupId, list[Rule]] = {}
    for rule in records.rules:
        rules.setdefault(rule.security_group_id, []).append(_resolve(rule, members))
    floating: dict[PortId, list[FloatingIp]] = {}
    for each in records.floating_ips:
        if each.port_id:
            floating.setdefault(each.port_id, []).append(each)

    plans: list[PortPlan] = []
    for port in records.ports:
        network = networks.get(port.network_id)
        if not port.device_owner.startswith("compute:") or not port.device_id or network is None:
            continue
        spec = port_spec(port, network, subnets)
        if spec is None or not port.admin_state_up or not network.admin_state_up:
            continue
        plans.append(
            PortPlan(
                server_id=ServerId(port.device_id),
                port=spec,
                rules=tuple(rule for group in port.security_groups for rule in rules.get(group, ())),
                filtered=port.port_security_enabled,
                **_floating_ips(spec, floating.get(port.id, ())),
                project_id=port.project_id,
                addresses=_more_addresses(port, spec, subnets),
                pairs=_pairs(port),
            )
        )
    return NetworkPlan(ports=tuple(plans), host_ports=frozenset(host_ports), metadata=metadata)


def _addresses_by_group(ports: Iterable[Port]) -> Mapping[SecurityGroupId, frozenset[str]]:
    found: dict[SecurityGroupId, set[str]] = {}
    for port in ports:
        for group in port.security_groups:
            found.setdefault(group, set()).update(fixed.ip_address for fixed in port.fixed_ips)
            found[group].update(pair["ip_address"] for pair in port.allowed_address_pairs)
    return {group: frozenset(addresses) for group, addresses in found.items()}


def _resolve(rule: SecurityGroupRule, members: Mapping[SecurityGroupId, frozenset[str]]) -> Rule:
    remote_ips = members.get(rule.remote_group_id, frozenset[str]()) if rule.remote_group_id else None
    cidr = rule.remote_ip_prefix if rule.remote_ip_prefix not in _ANYWHERE else None
    return Rule(
        direction=rule.direction,
        ethertype=rule.ethertype,
        protocol=rule.protocol,
        port_min=rule.port_range_min,
        port_max=rule.port_range_max,
        remote_cidr=None if remote_ips is not None else cidr,
        remote_ips=remote_ips,
    )
