"""From the records of the network service to the plan that the fabric makes true."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from armillary.base.ids import SecurityGroupId, ServerId, SubnetId
from armillary.cloud.model import MetadataSite, NetworkPlan, PortPlan, PortSpec, Rule
from armillary.cloud.network.model import FloatingIp, Network, Port, SecurityGroupRule, Subnet

_IPV4_CIDR_OF_ANY = "0.0.0.0/0"


@dataclass(frozen=True, kw_only=True)
class NetworkRecords:
    """Everything that the plan depends on, read at one moment."""

    networks: Sequence[Network]
    subnets: Sequence[Subnet]
    ports: Sequence[Port]
    rules: Sequence[SecurityGroupRule]
    floating_ips: Sequence[FloatingIp]


def port_spec(port: Port, network: Network, subnets: Mapping[SubnetId, Subnet]) -> PortSpec | None:
    """The network card of a port, or None when it has no IPv4 address that an engine could serve."""
    for fixed in port.fixed_ips:
        subnet = subnets.get(fixed.subnet_id)
        if subnet is not None and subnet.ip_version == 4:
            return PortSpec(
                id=port.id,
                network_id=port.network_id,
                mac=port.mac_address,
                fixed_ip=fixed.ip_address,
                cidr=subnet.cidr,
                gateway_ip=subnet.gateway_ip or "",
                mtu=network.mtu,
            )
    return None


def build_plan(
    records: NetworkRecords, *, host_ports: Iterable[int] = (), metadata: MetadataSite | None = None
) -> NetworkPlan:
    """The whole desired network: each server's ports with their rules, remote groups resolved to addresses."""
    networks = {network.id: network for network in records.networks}
    subnets = {subnet.id: subnet for subnet in records.subnets}
    members = _addresses_by_group(records.ports)
    rules: dict[SecurityGroupId, list[Rule]] = {}
    for rule in records.rules:
        if rule.ethertype == "IPv4":
            rules.setdefault(rule.security_group_id, []).append(_resolve(rule, members))
    floating = {f.port_id: f.address for f in records.floating_ips if f.port_id}

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
                floating_ip=floating.get(port.id),
                project_id=port.project_id,
            )
        )
    return NetworkPlan(ports=tuple(plans), host_ports=frozenset(host_ports), metadata=metadata)


def _addresses_by_group(ports: Iterable[Port]) -> Mapping[SecurityGroupId, frozenset[str]]:
    found: dict[SecurityGroupId, set[str]] = {}
    for port in ports:
        for group in port.security_groups:
            found.setdefault(group, set()).update(fixed.ip_address for fixed in port.fixed_ips)
    return {group: frozenset(addresses) for group, addresses in found.items()}


def _resolve(rule: SecurityGroupRule, members: Mapping[SecurityGroupId, frozenset[str]]) -> Rule:
    remote_ips = members.get(rule.remote_group_id, frozenset[str]()) if rule.remote_group_id else None
    cidr = rule.remote_ip_prefix if rule.remote_ip_prefix != _IPV4_CIDR_OF_ANY else None
    return Rule(
        direction=rule.direction,
        protocol=rule.protocol,
        port_min=rule.port_range_min,
        port_max=rule.port_range_max,
        remote_cidr=None if remote_ips is not None else cidr,
        remote_ips=remote_ips,
    )
