"""Security-group rules, made ready for the switch. Pure, standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any, NamedTuple

from armillary.cloud.engines.qemu.frames import ICMP, ICMPV6, TCP, UDP, Packet

WORLD = IPv4Address("127.0.0.1").packed
"""Whence the floating IPs' callers come: this computer, to itself. (The guest sees its gateway's address.)"""

_PROTOCOLS = {
    "ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "icmp": ICMP, "icmpv6": ICMPV6, "igmp": 2, "ipip": 4,
    "ipv6-icmp": ICMPV6, "ospf": 89, "pgm": 113, "rsvp": 46, "sctp": 132, "tcp": TCP, "udp": UDP, "udplite": 136,
    "vrrp": 112,
}  # fmt: skip
_ANY = frozenset((None, "any", "0", "ip", "hopopt"))


class CompiledRule(NamedTuple):
    """A rule as numbers."""

    direction: str
    length: int
    """of the addresses, in bytes: which IP it is about"""
    protocol: int | None
    low: int | None
    """The lowest port, or ICMP's type."""
    high: int | None
    """The highest port, or ICMP's code."""
    network: int | None
    netmask: int
    remotes: frozenset[bytes] | None


def compile_rules(rules: Iterable[Mapping[str, Any]]) -> tuple[CompiledRule, ...]:
    """Return the rules as numbers; rules that no packet can match are left out."""
    return tuple(rule for rule in map(_compile, rules) if rule is not None)


def _compile(rule: Mapping[str, Any]) -> CompiledRule | None:
    name: str | None = rule["protocol"]
    cidr: str | None = rule["remote_cidr"]
    version = 6 if rule.get("ethertype") == "IPv6" else 4
    net = ip_network(cidr, strict=False) if cidr is not None else None
    if name not in _ANY and name not in _PROTOCOLS and not str(name).isdecimal():
        return None  # an extension header by its name, of which we see what is inside
    if net is not None and net.version != version:
        return None
    remotes: list[str] | None = rule.get("remote_ips")
    return CompiledRule(
        direction=rule["direction"],
        length=4 if version == 4 else 16,
        protocol=None if name in _ANY else _PROTOCOLS.get(str(name)) or int(str(name)),
        low=rule["port_min"],
        high=rule["port_max"],
        network=int(net.network_address) if net else None,
        netmask=int(net.netmask) if net else 0,
        remotes=None if remotes is None else _packed(remotes),
    )


def _packed(remotes: Iterable[str]) -> frozenset[bytes]:
    """Return single addresses; of an address pair that is a range, only a lone address is a member."""
    return frozenset(ip_address(remote).packed for remote in remotes if "/" not in remote)


def allows(rules: Iterable[CompiledRule], direction: str, packet: Packet, remote: bytes) -> bool:
    """Return whether some rule lets a packet begin a conversation with `remote` in this direction."""
    return any(rule.direction == direction and _matches(rule, packet, remote) for rule in rules)


def _matches(rule: CompiledRule, packet: Packet, remote: bytes) -> bool:
    if rule.length != len(remote) or rule.protocol not in (None, packet.protocol):
        return False
    if rule.remotes is not None and remote not in rule.remotes:
        return False
    if rule.network is not None and int.from_bytes(remote, "big") & rule.netmask != rule.network:
        return False
    if rule.low is None:
        return True
    if packet.protocol in (ICMP, ICMPV6):
        # Neutron: port_range_min is the type, port_range_max the code, and no code means any
        return packet.source_port == rule.low and rule.high in (None, packet.target_port)
    return rule.low <= packet.target_port <= (rule.low if rule.high is None else rule.high)
