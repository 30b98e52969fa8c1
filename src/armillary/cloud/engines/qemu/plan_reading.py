"""The switch's plan: from the JSON that the fabric writes to the values that frames are judged by. Pure."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, ip_address, ip_network
from typing import Any

from armillary.cloud.engines.qemu.flows import Advertised, Pair, Port
from armillary.cloud.engines.qemu.rules import compile_rules


def read_port(entry: dict[str, Any]) -> Port:
    """Return one port of the plan."""
    further: list[dict[str, Any]] = entry["addresses"]
    return Port(
        key=entry["key"],
        network=entry["network"],
        mac=bytes.fromhex(entry["mac"].replace(":", "")),
        ip=IPv4Address(entry["ip"]).packed if entry["ip"] else b"",
        subnet=IPv4Network(entry["cidr"]),
        gateway=IPv4Address(entry["gateway"]).packed if entry["gateway"] else b"",
        more=frozenset(ip_address(each["ip"]).packed for each in further),
        pairs=tuple(_pair(pair) for pair in entry["pairs"]),
        advertised=_advertised(further, entry["mtu"]),
        rules=compile_rules(entry["rules"]),
        filtered=entry["filtered"],
    )


def _pair(entry: dict[str, Any]) -> Pair:
    net, mac = ip_network(entry["cidr"], strict=False), entry["mac"]
    return Pair(
        length=4 if net.version == 4 else 16,
        network=int(net.network_address),
        netmask=int(net.netmask),
        mac=bytes.fromhex(mac.replace(":", "")) if mac else None,
    )


def _advertised(addresses: list[dict[str, Any]], mtu: int) -> Advertised | None:
    told = [each for each in addresses if each["mode"]]
    if not told:
        return None
    leased = [each for each in told if each["mode"] == "dhcpv6-stateful"]
    prefixes = {(ip_network(each["cidr"]), each["mode"] != "dhcpv6-stateful") for each in told}
    resolvers = dict.fromkeys(resolver for each in told for resolver in each["resolvers"])
    return Advertised(
        prefixes=tuple(
            (net.network_address.packed, net.prefixlen, itself) for net, itself in sorted(prefixes, key=str)
        ),
        leases=tuple(ip_address(each["ip"]).packed for each in leased),
        resolvers=tuple(ip_address(resolver).packed for resolver in resolvers),
        managed=bool(leased),
        mtu=mtu,
    )
