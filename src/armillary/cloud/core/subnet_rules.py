"""What a subnet may be: Neutron's rules about prefixes, gateways, pools and IPv6's two modes. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Protocol

from armillary.base.errors import Conflict, Invalid

_EUI64_PREFIX = 64
_AUTO = ("slaac", "dhcpv6-stateless")
_OWNER = re.compile(r"(network:|compute:|baremetal:|neutron:|trunk:)\S*")


class _Subnet(Protocol):
    @property
    def ip_version(self) -> int: ...
    @property
    def cidr(self) -> str: ...
    @property
    def gateway_ip(self) -> str | None: ...
    @property
    def enable_dhcp(self) -> bool: ...
    @property
    def dns_nameservers(self) -> tuple[str, ...]: ...
    @property
    def host_routes(self) -> tuple[Mapping[str, str], ...]: ...
    @property
    def ipv6_ra_mode(self) -> str | None: ...
    @property
    def ipv6_address_mode(self) -> str | None: ...
    @property
    def service_types(self) -> tuple[str, ...]: ...


def _bad(reason: str) -> Invalid:
    return Invalid(f"Invalid input for operation: {reason}", code="invalid_input")


def check_subnet(subnet: _Subnet) -> None:
    """Refuse a subnet that cannot be.

    Raises:
        Invalid: in Neutron's words.
    """
    whole = ip_network(subnet.cidr)
    if subnet.enable_dhcp:
        for wrong, name in ((whole.is_multicast, "Multicast"), (whole.is_loopback, "Loopback")):
            if wrong:
                raise _bad(f"{name} IP subnet is not supported if enable_dhcp is True.")
        if int(whole.network_address) == 0:
            raise _bad(
                f"First IP '{whole.network_address}' of network is not supported if enable_dhcp is True.."
            )
    if subnet.gateway_ip is not None:
        _same_version(subnet, "gateway_ip", subnet.gateway_ip)
    for server in subnet.dns_nameservers:
        _same_version(subnet, "dns_nameserver", server)
    for route in subnet.host_routes:
        _same_version(subnet, "destination", route["destination"])
        _same_version(subnet, "nexthop", route["nexthop"])
    for kind in subnet.service_types:
        if not _OWNER.fullmatch(kind):
            raise Invalid(
                f"Subnet service type {kind} does not correspond to a valid device owner.",
                code="invalid_subnet_service_type",
            )
    _check_modes(subnet)


def _same_version(subnet: _Subnet, name: str, value: str) -> None:
    if ip_network(value, strict=False).version != subnet.ip_version:
        raise _bad(f"{name} '{value}' does not match the ip_version '{subnet.ip_version}'.")


def _check_modes(subnet: _Subnet) -> None:
    ra, address = subnet.ipv6_ra_mode, subnet.ipv6_address_mode
    if ra is None and address is None:
        return
    if subnet.ip_version == 4:
        raise _bad(f"{'ipv6_ra_mode' if ra else 'ipv6_address_mode'} is not valid when ip_version is 4.")
    if not subnet.enable_dhcp:
        raise _bad("ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False.")
    if ra and address and ra != address:
        raise _bad(
            f"ipv6_ra_mode set to '{ra}' with ipv6_address_mode set to '{address}' is not valid. If both attributes "
            "are set, they must be the same value."
        )
    if address in _AUTO and ip_network(subnet.cidr).prefixlen != _EUI64_PREFIX:
        raise _bad(
            f"Invalid CIDR {subnet.cidr} for IPv6 address mode. OpenStack uses the EUI-64 address format, which "
            "requires the prefix to be /64."
        )


def check_pools(cidr: str, gateway_ip: str | None, pools: Sequence[Mapping[str, str]]) -> None:
    """Refuse pools that leave the subnet, overlap, or hold the gateway.

    Raises:
        Invalid, Conflict: in Neutron's words.
    """
    whole = ip_network(cidr)
    ranges: list[tuple[int, int, str]] = []
    for pool in pools:
        start, end = ip_address(pool["start"]), ip_address(pool["end"])
        if start.version != end.version or start.version != whole.version or int(start) > int(end):
            raise Invalid(f"The allocation pool {dict(pool)} is not valid.", code="invalid_allocation_pool")
        named = f"{start}-{end}"
        if not (_host(whole, start) and _host(whole, end)):
            raise Invalid(
                f"The allocation pool {named} spans beyond the subnet cidr {cidr}.",
                code="out_of_bounds_allocation_pool",
            )
        for low, high, other in ranges:
            if low <= int(end) and int(start) <= high:
                raise Conflict(
                    f"Found overlapping allocation pools: {other} {named} for subnet {cidr}.",
                    code="overlapping_allocation_pools",
                )
        ranges.append((int(start), int(end), named))
    for low, high, named in ranges:
        if gateway_ip is not None and low <= int(ip_address(gateway_ip)) <= high:
            raise Conflict(
                f"Gateway ip {gateway_ip} conflicts with allocation pool {named}.",
                code="gateway_conflict_with_allocation_pools",
            )


def _host(whole: Any, address: IPv4Address | IPv6Address) -> bool:
    if address not in whole:
        return False
    edges = whole.version == 4 and whole.prefixlen <= 30
    return not (edges and address in {whole.network_address, whole.broadcast_address})


def is_host(cidr: str, address: str) -> bool:
    """Whether somebody on the subnet may have this address."""
    return _host(ip_network(cidr), ip_address(address))
