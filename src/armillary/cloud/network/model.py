"""What the network service keeps. Values only; the names are Neutron's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from armillary.base.ids import FloatingIpId, NetworkId, PortId, ProjectId, SecurityGroupId, SubnetId

ROUTER_INTERFACE = "network:router_interface"
ROUTER_GATEWAY = "network:router_gateway"
FLOATING_IP = "network:floatingip"
COMPUTE = "compute:nova"
"""values of a port's `device_owner`"""

PROVIDER = ProjectId("0" * 32)
"""The project that owns what belongs to the cloud itself, such as the network `public`."""


@dataclass(frozen=True, kw_only=True)
class Resource:
    """What every Neutron resource has."""

    project_id: ProjectId
    name: str
    description: str
    tags: tuple[str, ...] = ()
    created_at: datetime
    updated_at: datetime
    revision_number: int = 0


@dataclass(frozen=True, kw_only=True)
class Network(Resource):
    id: NetworkId
    admin_state_up: bool = True
    mtu: int = 1500
    external: bool = False
    shared: bool = False
    port_security_enabled: bool = True


@dataclass(frozen=True, kw_only=True)
class Subnet(Resource):
    id: SubnetId
    network_id: NetworkId
    ip_version: int
    cidr: str
    gateway_ip: str | None
    enable_dhcp: bool = True
    allocation_pools: tuple[Mapping[str, str], ...] = ()
    """`{"start", "end"}` each"""
    dns_nameservers: tuple[str, ...] = ()
    host_routes: tuple[Mapping[str, str], ...] = ()
    ipv6_ra_mode: str | None = None
    ipv6_address_mode: str | None = None


@dataclass(frozen=True, kw_only=True)
class FixedIp:
    subnet_id: SubnetId
    ip_address: str


@dataclass(frozen=True, kw_only=True)
class Port(Resource):
    id: PortId
    network_id: NetworkId
    mac_address: str
    fixed_ips: tuple[FixedIp, ...]
    device_id: str = ""
    device_owner: str = ""
    admin_state_up: bool = True
    status: str = "DOWN"
    security_groups: tuple[SecurityGroupId, ...] = ()
    port_security_enabled: bool = True
    allowed_address_pairs: tuple[Mapping[str, str], ...] = ()
    ours: bool = False
    """Made for a server by compute, and removed with it; a port that a user brought is only let go."""


@dataclass(frozen=True, kw_only=True)
class SecurityGroup(Resource):
    id: SecurityGroupId
    stateful: bool = True


@dataclass(frozen=True, kw_only=True)
class SecurityGroupRule(Resource):
    id: str
    security_group_id: SecurityGroupId
    direction: str
    ethertype: str = "IPv4"
    protocol: str | None = None
    port_range_min: int | None = None
    port_range_max: int | None = None
    remote_ip_prefix: str | None = None
    remote_group_id: SecurityGroupId | None = None


@dataclass(frozen=True, kw_only=True)
class Router(Resource):
    id: str
    admin_state_up: bool = True
    external_network_id: NetworkId | None = None
    enable_snat: bool = True
    routes: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class FloatingIp(Resource):
    id: FloatingIpId
    network_id: NetworkId
    address: str
    port_id: PortId | None = None
    fixed_ip_address: str | None = None
    router_id: str | None = None
