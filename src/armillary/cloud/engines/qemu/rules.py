"""Security-group rules, made ready for the switch. Pure, standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Any, NamedTuple

from armillary.cloud.engines.qemu.frames import ICMP, TCP, UDP, Packet

WORLD = IPv4Address("127.0.0.1").packed
"""Whence the floating IPs' callers come: this computer, to itself. (The guest sees its gateway's address.)"""

_PROTOCOLS = {"icmp": ICMP, "tcp": TCP, "udp": UDP}
_NOT_IPV4 = frozenset(("icmpv6", "ipv6-icmp", "58"))


class CompiledRule(NamedTuple):
    """A rule as numbers."""

    direction: str
    protocol: int | None
    low: int | None
    """The lowest port, or ICMP's type."""
    high: int | None
    """The highest port, or ICMP's code."""
    network: int | None
    netmask: int
    remotes: frozenset[bytes] | None


def compile_rules(rules: Iterable[Mapping[str, Any]]) -> tuple[CompiledRule, ...]:
    """Return the rules as numbers; rules that no IPv4 packet can match are left out."""
    return tuple(rule for rule in map(_compile, rules) if rule is not None)


def _compile(rule: Mapping[str, Any]) -> CompiledRule | None:
    name: str | None = rule["protocol"]
    cidr: str | None = rule["remote_cidr"]
    if name in _NOT_IPV4 or (cidr is not None and ":" in cidr):
        return None
    protocol = None if name in (None, "any", "0") else _PROTOCOLS.get(name) or int(name)
    net = IPv4Network(cidr, strict=False) if cidr is not None else None
    remotes: list[str] | None = rule.get("remote_ips")
    return CompiledRule(
        direction=rule["direction"],
        protocol=protocol,
        low=rule["port_min"],
        high=rule["port_max"],
        network=int(net.network_address) if net else None,
        netmask=int(net.netmask) if net else 0,
        remotes=None if remotes is None else frozenset(IPv4Address(ip).packed for ip in remotes),
    )


def allows(rules: Iterable[CompiledRule], direction: str, packet: Packet, remote: bytes) -> bool:
    """Return whether some rule lets a packet begin a conversation with `remote` in this direction."""
    return any(rule.direction == direction and _matches(rule, packet, remote) for rule in rules)


def _matches(rule: CompiledRule, packet: Packet, remote: bytes) -> bool:
    if rule.protocol is not None and rule.protocol != packet.protocol:
        return False
    if rule.remotes is not None and remote not in rule.remotes:
        return False
    if rule.network is not None and int.from_bytes(remote, "big") & rule.netmask != rule.network:
        return False
    if rule.low is None:
        return True
    if packet.protocol == ICMP:
        # Neutron: port_range_min is the type, port_range_max the code, and no code means any
        return packet.source_port == rule.low and rule.high in (None, packet.target_port)
    return rule.low <= packet.target_port <= (rule.low if rule.high is None else rule.high)
