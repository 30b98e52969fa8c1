"""What the network service keeps. Values only; the names are Neutron's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from armillary.base.ids import FloatingIpId, NetworkId, PortId, ProjectId, SecurityGroupId, SubnetId

ROUTER_INTERFACE = "network:router_interface"
ROUTER_GATEWAY = "network:router_gateway"
FLOATING_IP = "network:floatingip"
COMPUTE = "compute:nova"
"""values of a port's `device_owner`"""
ROUTER_OWNERS = (ROUTER_INTERFACE, ROUTER_GATEWAY, FLOATING_IP)
"""of ports that only their router may take away"""
AUTO_MODES = ("slaac", "dhcpv6-stateless")

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
    """With every project; see `RbacPolicy` for sharing with some. `external` likewise."""
    is_default: bool = False
    """The external network that projects without one of their own are joined to."""
    port_security_enabled: bool = True
    availability_zone_hints: tuple[str, ...] = ()


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
    subnetpool_id: str | None = None
    service_types: tuple[str, ...] = ()
    """Device owners of the ports that it has addresses for; empty: all."""

    @property
    def is_auto(self) -> bool:
        """Whether guests make their address themselves, of the prefix and their MAC (EUI-64)."""
        return self.ipv6_address_mode in AUTO_MODES


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
    extra_dhcp_opts: tuple[Mapping[str, Any], ...] = ()
    vnic_type: str = "normal"
    host_id: str = ""
    profile: Mapping[str, Any] = field(default_factory=dict[str, Any])
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
    availability_zone_hints: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FloatingIp(Resource):
    id: FloatingIpId
    network_id: NetworkId
    address: str
    port_id: PortId | None = None
    fixed_ip_address: str | None = None
    router_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class SubnetPool(Resource):
    id: str
    ip_version: int
    prefixes: tuple[str, ...]
    default_prefixlen: int
    min_prefixlen: int
    max_prefixlen: int
    default_quota: int | None = None
    """How much one project may take: addresses of IPv4, /64 networks of IPv6."""
    address_scope_id: str | None = None
    is_default: bool = False
    shared: bool = False


@dataclass(frozen=True, kw_only=True)
class AddressScope(Resource):
    id: str
    ip_version: int
    shared: bool = False


@dataclass(frozen=True, kw_only=True)
class RbacPolicy(Resource):
    """Lets a project (or all, `*`) use what belongs to another. It is shown without a name and dates."""

    id: str
    object_type: str
    object_id: str
    action: str
    target_project: str
