"""Choosing addresses: free fixed IPs of a subnet, MACs, default pools."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

_FEW = 3
"""An IPv4 subnet's first addresses after its own: the gateway, and what the engine answers on for DHCP and DNS."""


def first_address(cidr: str) -> str:
    """Where Neutron puts a gateway: an IPv4 subnet's first host, an IPv6 subnet's own address."""
    network = ip_network(cidr)
    return str(network.network_address + (1 if network.version == 4 else 0))


def eui64(cidr: str, mac: str) -> str:
    """The address that a guest makes itself of a /64 prefix and its MAC (RFC 4291, appendix A)."""
    octets = bytearray.fromhex(mac.replace(":", ""))
    octets[0] ^= 0x02
    host = bytes(octets[:3]) + b"\xff\xfe" + bytes(octets[3:])
    return str(ip_network(cidr).network_address + int.from_bytes(host, "big"))


def default_pools(cidr: str, gateway_ip: str | None) -> tuple[dict[str, str], ...]:
    """All host addresses of a subnet without its gateway, as one or two ranges."""
    first, last = _bounds(ip_network(cidr))
    if gateway_ip is None or not first <= int(ip_address(gateway_ip)) <= last:
        return _ranges(cidr, (first, last))
    gateway = int(ip_address(gateway_ip))
    return _ranges(cidr, (first, gateway - 1), (gateway + 1, last))


def _bounds(network: IPv4Network | IPv6Network) -> tuple[int, int]:
    start, end = int(network.network_address), int(network.broadcast_address)
    if isinstance(network, IPv4Network):
        return (start + 1, end - 1) if network.prefixlen <= 30 else (start, end)
    return start + 1, end


def _ranges(cidr: str, *bounds: tuple[int, int]) -> tuple[dict[str, str], ...]:
    kind = type(ip_network(cidr).network_address)
    return tuple({"start": str(kind(low)), "end": str(kind(high))} for low, high in bounds if low <= high)


def free_address(cidr: str, pools: Sequence[Mapping[str, str]], taken: Collection[str]) -> str | None:
    """The lowest free address of the pools; the subnet's first few only when nothing else is left."""
    network = ip_network(cidr)
    edge = int(network.network_address) + _FEW
    spare: str | None = None
    for address in _in_pools(pools):
        if address in taken:
            continue
        if network.version == 4 and int(ip_address(address)) <= edge:
            spare = spare or address
            continue
        return address
    return spare


def _in_pools(pools: Sequence[Mapping[str, str]]) -> Iterator[str]:
    for pool in pools:
        start, end = ip_address(pool["start"]), ip_address(pool["end"])
        for number in range(int(start), int(end) + 1):
            yield str(type(start)(number))


def mac_of(port_id: str) -> str:
    """A locally administered MAC in OpenStack's own range, from a port's random id."""
    digits = port_id.replace("-", "")[-6:]
    return f"fa:16:3e:{digits[:2]}:{digits[2:4]}:{digits[4:]}"
