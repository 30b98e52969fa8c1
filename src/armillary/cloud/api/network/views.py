"""How Neutron shows its things."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_network
from typing import Any

from armillary.base.clock import to_iso
from armillary.base.ids import SubnetId
from armillary.cloud.network.model import (
    AddressScope,
    FloatingIp,
    Network,
    Port,
    RbacPolicy,
    Resource,
    Router,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    SubnetPool,
)

View = dict[str, Any]
AVAILABILITY_ZONE = "nova"


def _common(item: Resource) -> View:
    return {
        "description": item.description,
        "tags": list(item.tags),
        "created_at": to_iso(item.created_at),
        "updated_at": to_iso(item.updated_at),
        "revision_number": item.revision_number,
        "tenant_id": item.project_id,
        "project_id": item.project_id,
    }


def network(
    item: Network, subnets: Sequence[SubnetId], *, scopes: Sequence[str | None], shared: bool, as_admin: bool
) -> View:
    view: View = {
        "id": item.id,
        "name": item.name,
        "admin_state_up": item.admin_state_up,
        "mtu": item.mtu,
        "status": "ACTIVE",
        "subnets": list(subnets),
        "shared": item.shared or shared,
        "availability_zone_hints": list(item.availability_zone_hints),
        "availability_zones": [AVAILABILITY_ZONE],
        "ipv4_address_scope": scopes[0],
        "ipv6_address_scope": scopes[1],
        "router:external": item.external,
        "port_security_enabled": item.port_security_enabled,
        **_common(item),
    }
    if item.external:
        view["is_default"] = item.is_default
    if as_admin:
        view |= {
            "provider:network_type": "local",
            "provider:physical_network": None,
            "provider:segmentation_id": None,
        }
    return view


def subnet(item: Subnet) -> View:
    return {
        "id": item.id,
        "name": item.name,
        "network_id": item.network_id,
        "ip_version": item.ip_version,
        "subnetpool_id": item.subnetpool_id,
        "enable_dhcp": item.enable_dhcp,
        "ipv6_ra_mode": item.ipv6_ra_mode,
        "ipv6_address_mode": item.ipv6_address_mode,
        "gateway_ip": item.gateway_ip,
        "cidr": item.cidr,
        "allocation_pools": [dict(pool) for pool in item.allocation_pools],
        "host_routes": [dict(route) for route in item.host_routes],
        "dns_nameservers": list(item.dns_nameservers),
        "service_types": list(item.service_types),
        **_common(item),
    }


def port(item: Port, *, as_admin: bool) -> View:
    view: View = {
        "id": item.id,
        "name": item.name,
        "network_id": item.network_id,
        "mac_address": item.mac_address,
        "admin_state_up": item.admin_state_up,
        "status": "ACTIVE" if item.device_id and item.admin_state_up else "DOWN",
        "device_id": item.device_id,
        "device_owner": item.device_owner,
        "fixed_ips": [vars(fixed) for fixed in item.fixed_ips],
        "allowed_address_pairs": [
            {"mac_address": item.mac_address, **pair} for pair in item.allowed_address_pairs
        ],
        "extra_dhcp_opts": [dict(option) for option in item.extra_dhcp_opts],
        "security_groups": list(item.security_groups),
        "binding:vnic_type": item.vnic_type,
        "port_security_enabled": item.port_security_enabled,
        **_common(item),
    }
    if as_admin:
        host = item.host_id or ("armillary" if item.device_id else "")
        view |= {"binding:host_id": host, "binding:vif_type": "other" if host else "unbound"}
        view |= {"binding:vif_details": {}, "binding:profile": dict(item.profile)}
    return view


def rule(item: SecurityGroupRule) -> View:
    common = _common(item)
    return {
        "id": item.id,
        "security_group_id": item.security_group_id,
        "ethertype": item.ethertype,
        "direction": item.direction,
        "protocol": item.protocol,
        "port_range_min": item.port_range_min,
        "port_range_max": item.port_range_max,
        "remote_ip_prefix": item.remote_ip_prefix,
        "remote_address_group_id": None,
        "normalized_cidr": _normalized(item.remote_ip_prefix),
        "remote_group_id": item.remote_group_id,
        **common,
    }


def _normalized(prefix: str | None) -> str | None:
    return str(ip_network(prefix, strict=False)) if prefix else None


def group(item: SecurityGroup, rules: Iterable[SecurityGroupRule], *, shared: bool = False) -> View:
    return {
        "id": item.id,
        "name": item.name,
        "stateful": item.stateful,
        "shared": shared,
        "security_group_rules": [rule(r) for r in rules if r.security_group_id == item.id],
        **_common(item),
    }


def router(item: Router, gateway: Port | None) -> View:
    outside = None
    if item.external_network_id is not None:
        fixed = [vars(f) for f in gateway.fixed_ips] if gateway else []
        outside = {
            "network_id": item.external_network_id,
            "external_fixed_ips": fixed,
            "enable_snat": item.enable_snat,
        }
    return {
        "id": item.id,
        "name": item.name,
        "admin_state_up": item.admin_state_up,
        "status": "ACTIVE",
        "external_gateway_info": outside,
        "availability_zones": [AVAILABILITY_ZONE],
        "availability_zone_hints": list(item.availability_zone_hints),
        "routes": [dict(route) for route in item.routes],
        "flavor_id": None,
        **_common(item),
    }


def floating_ip(item: FloatingIp, bound: Port | None) -> View:
    details = None
    if bound is not None:
        details = {
            "name": bound.name,
            "network_id": bound.network_id,
            "mac_address": bound.mac_address,
            "admin_state_up": bound.admin_state_up,
            "status": "ACTIVE",
            "device_id": bound.device_id,
            "device_owner": bound.device_owner,
        }
    return {
        "id": item.id,
        "floating_ip_address": item.address,
        "floating_network_id": item.network_id,
        "router_id": item.router_id,
        "port_id": item.port_id,
        "fixed_ip_address": item.fixed_ip_address,
        "status": "ACTIVE" if item.port_id else "DOWN",
        "port_details": details,
        **_common(item),
    }


def subnet_pool(item: SubnetPool) -> View:
    return {
        "id": item.id,
        "name": item.name,
        "ip_version": item.ip_version,
        "prefixes": list(item.prefixes),
        "default_prefixlen": item.default_prefixlen,
        "min_prefixlen": item.min_prefixlen,
        "max_prefixlen": item.max_prefixlen,
        "default_quota": item.default_quota,
        "address_scope_id": item.address_scope_id,
        "is_default": item.is_default,
        "shared": item.shared,
        **_common(item),
    }


def _owned(item: Resource) -> View:
    return {"project_id": item.project_id, "tenant_id": item.project_id}


def address_scope(item: AddressScope) -> View:
    return {
        "id": item.id,
        "name": item.name,
        "ip_version": item.ip_version,
        "shared": item.shared,
        **_owned(item),
    }


def rbac_policy(item: RbacPolicy) -> View:
    return {
        "id": item.id,
        "object_type": item.object_type,
        "object_id": item.object_id,
        "action": item.action,
        "target_tenant": item.target_project,
        **_owned(item),
    }
