"""The attributes of each kind of resource that clients may send."""

from __future__ import annotations

from armillary.cloud.api.network.attributes import (
    Attribute,
    Attributes,
    address,
    address_pairs,
    anything,
    boolean,
    choice,
    cidr,
    dhcp_options,
    exactly,
    fixed_ips,
    gateway,
    identifier,
    integer,
    listed,
    mac,
    mapping,
    nameserver,
    or_none,
    pool_prefix,
    prefix,
    string,
)

_IPV6_MODES = ("slaac", "dhcpv6-stateful", "dhcpv6-stateless")
_VNICS = (
    "normal", "direct", "macvtap", "baremetal", "direct-physical", "virtio-forwarder", "smart-nic",
    "accelerator-direct", "accelerator-direct-physical", "remote-managed", "vdpa",
)  # fmt: skip


def _text(*, required: bool = False, put: bool = True) -> Attribute:
    return Attribute(read=string, required=required, put=put)


_ID: Attributes = {"id": Attribute(read=anything, post=False, put=False)}
_OWNER: Attributes = {
    "project_id": Attribute(read=string, put=False),
    "tenant_id": Attribute(read=string, field="project_id", put=False),
}
_SHOWN: Attributes = {
    name: Attribute(read=anything, post=False, put=False)
    for name in ("status", "created_at", "updated_at", "revision_number")
}
_COMMON: Attributes = {**_ID, **_OWNER, **_SHOWN, "name": _text(), "description": _text()}
_UP: Attributes = {"admin_state_up": Attribute(read=boolean)}
_HINTS: Attributes = {
    "availability_zone_hints": Attribute(read=listed(string), put=False),
    "availability_zones": Attribute(read=anything, post=False, put=False),
}
_ROUTES = listed(exactly({"destination": prefix, "nexthop": address}))

NETWORK: Attributes = {
    **_COMMON, **_UP, **_HINTS,
    "shared": Attribute(read=boolean),
    "router:external": Attribute(read=boolean, field="external"),
    "is_default": Attribute(read=boolean),
    "mtu": Attribute(read=integer(0)),
    "port_security_enabled": Attribute(read=boolean),
    "subnets": Attribute(read=anything, post=False, put=False),
}  # fmt: skip
SUBNET: Attributes = {
    **_COMMON,
    "network_id": Attribute(read=identifier, required=True, put=False),
    "ip_version": Attribute(read=choice(4, 6), required=True, put=False),
    "cidr": Attribute(read=or_none(cidr), put=False),
    "subnetpool_id": Attribute(read=or_none(identifier), put=False),
    "use_default_subnetpool": Attribute(read=boolean, put=False),
    "prefixlen": Attribute(read=integer(0), put=False),
    "gateway_ip": Attribute(read=or_none(address)),
    "enable_dhcp": Attribute(read=boolean),
    "allocation_pools": Attribute(read=listed(exactly({"start": address, "end": address}))),
    "dns_nameservers": Attribute(read=listed(nameserver, unique="nameserver")),
    "host_routes": Attribute(read=_ROUTES),
    "ipv6_ra_mode": Attribute(read=choice(*_IPV6_MODES), put=False),
    "ipv6_address_mode": Attribute(read=choice(*_IPV6_MODES), put=False),
    "service_types": Attribute(read=listed(string, unique="service type")),
}
SUBNET_POOL: Attributes = {
    **_COMMON,
    "name": _text(required=True),
    "prefixes": Attribute(read=listed(pool_prefix), required=True),
    "default_prefixlen": Attribute(read=integer(0)),
    "min_prefixlen": Attribute(read=integer(0)),
    "max_prefixlen": Attribute(read=integer(0)),
    "default_quota": Attribute(read=or_none(integer(0))),
    "address_scope_id": Attribute(read=or_none(identifier)),
    "is_default": Attribute(read=boolean),
    "shared": Attribute(read=boolean, put=False),
    "ip_version": Attribute(read=anything, post=False, put=False),
}
ADDRESS_SCOPE: Attributes = {
    **_ID, **_OWNER,
    "name": _text(),
    "ip_version": Attribute(read=choice(4, 6), required=True, put=False),
    "shared": Attribute(read=boolean),
}  # fmt: skip
PORT: Attributes = {
    **_COMMON, **_UP,
    "network_id": Attribute(read=identifier, required=True, put=False),
    "mac_address": Attribute(read=mac),
    "device_id": _text(),
    "device_owner": _text(),
    "fixed_ips": Attribute(read=fixed_ips),
    "security_groups": Attribute(read=or_none(listed(identifier))),
    "port_security_enabled": Attribute(read=boolean),
    "allowed_address_pairs": Attribute(read=address_pairs),
    "extra_dhcp_opts": Attribute(read=dhcp_options),
    "binding:vnic_type": Attribute(read=choice(*_VNICS), field="vnic_type"),
    "binding:host_id": Attribute(read=string, field="host_id"),
    "binding:profile": Attribute(read=mapping, field="profile"),
    "binding:vif_type": Attribute(read=anything, post=False, put=False),
    "binding:vif_details": Attribute(read=anything, post=False, put=False),
}  # fmt: skip
SECURITY_GROUP: Attributes = {
    **_COMMON,
    "stateful": Attribute(read=boolean),
    "security_group_rules": Attribute(read=anything, post=False, put=False),
    "shared": Attribute(read=anything, post=False, put=False),
}
SECURITY_GROUP_RULE: Attributes = {
    **_ID, **_OWNER, **_SHOWN,
    "description": _text(),
    "security_group_id": Attribute(read=string, required=True, put=False),
    "direction": Attribute(read=choice("ingress", "egress"), required=True, put=False),
    "ethertype": Attribute(read=anything, put=False),
    "protocol": Attribute(read=anything, put=False),
    "port_range_min": Attribute(read=anything, put=False),
    "port_range_max": Attribute(read=anything, put=False),
    "remote_ip_prefix": Attribute(read=or_none(string), put=False),
    "remote_group_id": Attribute(read=or_none(string), put=False),
    "normalized_cidr": Attribute(read=anything, post=False, put=False),
}  # fmt: skip
ROUTER: Attributes = {
    **_COMMON, **_UP, **_HINTS,
    "external_gateway_info": Attribute(read=gateway, field="gateway"),
    "routes": Attribute(read=_ROUTES, post=False),
}  # fmt: skip
FLOATING_IP: Attributes = {
    **_ID, **_OWNER, **_SHOWN,
    "description": _text(),
    "floating_network_id": Attribute(read=identifier, field="network_id", required=True, put=False),
    "floating_ip_address": Attribute(read=or_none(address), field="address", put=False),
    "subnet_id": Attribute(read=or_none(identifier), put=False),
    "port_id": Attribute(read=or_none(identifier)),
    "fixed_ip_address": Attribute(read=or_none(address)),
    "router_id": Attribute(read=anything, post=False, put=False),
    "port_details": Attribute(read=anything, post=False, put=False),
}  # fmt: skip
RBAC_POLICY: Attributes = {
    **_ID, **_OWNER,
    "object_type": _text(required=True, put=False),
    "object_id": Attribute(read=identifier, required=True, put=False),
    "action": _text(required=True, put=False),
    "target_tenant": Attribute(read=string, field="target_project", required=True),
}  # fmt: skip
