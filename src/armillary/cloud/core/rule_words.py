"""What a security group rule may say, in Neutron's words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any

from armillary.base.errors import Invalid

_PROTOCOLS = {
    "ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "hopopt": 0, "icmp": 1, "igmp": 2, "ip": 0, "ipip": 4,
    "ipv6-encap": 41, "ipv6-frag": 44, "ipv6-icmp": 58, "icmpv6": 58, "ipv6-nonxt": 59, "ipv6-opts": 60,
    "ipv6-route": 43, "ospf": 89, "pgm": 113, "rsvp": 46, "sctp": 132, "tcp": 6, "udp": 17, "udplite": 136,
    "vrrp": 112,
}  # fmt: skip
_WITH_PORTS = frozenset((6, 17, 132, 33, 136))
_ICMP = frozenset((1, 58))
_OF_IPV6 = frozenset(
    ("ipv6-encap", "ipv6-frag", "ipv6-icmp", "icmpv6", "ipv6-nonxt", "ipv6-opts", "ipv6-route")
)
_FAMILIES = {"ipv4": "IPv4", "ipv6": "IPv6"}


def protocol_number(protocol: str) -> int:
    """A protocol's number, of its name or of the number as text."""
    return _PROTOCOLS[protocol] if protocol in _PROTOCOLS else int(protocol)


def check_rule(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rule's fields as they are kept.

    Raises:
        Invalid: it means nothing, in Neutron's words.
    """
    checked = dict(fields)
    checked["ethertype"] = ethertype = _ethertype(fields.get("ethertype"))
    checked["protocol"] = protocol = _protocol(fields.get("protocol"), ethertype)
    for name in ("port_range_min", "port_range_max"):
        checked[name] = _port(fields.get(name))
    low, high = checked["port_range_min"], checked["port_range_max"]
    if protocol is None:
        if low is not None or high is not None:
            raise Invalid(
                "Must also specify protocol if port range is given.",
                code="security_group_protocol_required_with_ports",
            )
    else:
        _check_range(protocol_number(protocol), low, high)
    checked["remote_ip_prefix"] = _prefix(fields, ethertype)
    return checked


def _ethertype(value: Any) -> str:
    if value is None:
        return "IPv4"
    known = _FAMILIES.get(value.lower()) if isinstance(value, str) else None
    if known is None:
        raise Invalid(
            f"Security group rule for ethertype '{value}' not supported. Allowed values are ['IPv4', 'IPv6'].",
            code="security_group_rule_invalid_ether_type",
        )
    return known


def _protocol(value: Any, ethertype: str) -> str | None:
    if value is None or value == "":
        return None
    name = str(value).lower()
    if name not in _PROTOCOLS and not (name.isdecimal() and int(name) <= 255):
        known = [None, *_PROTOCOLS]
        raise Invalid(
            f"Security group rule protocol {value} not supported. Only protocol values {known} and integer "
            "representations [0 to 255] are supported.",
            code="security_group_rule_invalid_protocol",
        )
    if ethertype == "IPv4" and name in _OF_IPV6:
        raise Invalid(
            f"Invalid ethertype {ethertype} for protocol {name}.",
            code="security_group_ethertype_conflict_with_protocol",
        )
    if ethertype == "IPv6" and name in {"icmp", "icmpv6"}:
        return "ipv6-icmp"  # as Neutron keeps it, so that one rule is not there under three names
    return name


def _port(value: Any) -> int | None:
    if value is None:
        return None
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        raise _bad_port(value) from error


def _bad_port(value: Any) -> Invalid:
    return Invalid(f"Invalid value for port {value}", code="security_group_invalid_port_value")


def _check_range(protocol: int, low: int | None, high: int | None) -> None:
    if protocol in _ICMP:
        _check_icmp(low, high)
    elif low is None and high is None:
        return
    elif protocol not in _WITH_PORTS:
        raise Invalid(
            f"Ports cannot be specified for protocol {protocol}. Ports are only supported for DCCP, SCTP, TCP, UDP, "
            "UDPLITE.",
            code="security_group_invalid_protocol_for_port",
        )
    else:
        for value in (low, high):
            if value is not None and not 1 <= value <= 65535:
                raise _bad_port(value)
        if low is None or high is None or low > high:
            raise Invalid(
                "For TCP/UDP protocols, port_range_min must be <= port_range_max",
                code="security_group_invalid_port_range",
            )


def _check_icmp(kind: int | None, code: int | None) -> None:
    for name, field, value in (("type", "port_range_min", kind), ("code", "port_range_max", code)):
        if value is not None and not 0 <= value <= 255:
            raise Invalid(
                f"Invalid value for ICMP {name} ({field}) {value}. It must be 0 to 255.",
                code="security_group_invalid_icmp_value",
            )
    if kind is None and code is not None:
        raise Invalid(
            f"ICMP code (port-range-max) {code} is provided but ICMP type (port-range-min) is missing.",
            code="security_group_missing_icmp_type",
        )


def _prefix(fields: Mapping[str, Any], ethertype: str) -> str | None:
    prefix = fields.get("remote_ip_prefix")
    if prefix is None:
        return None
    if fields.get("remote_group_id") is not None:
        raise Invalid(
            "Only one of remote_ip_prefix or remote_group_id or remote_address_group_id may be provided.",
            code="security_group_multiple_remote_entites",  # the name is Neutron's
        )
    try:
        network = ip_network(prefix, strict=False)
    except ValueError as error:
        raise Invalid(f"Invalid CIDR {prefix} given as IP prefix.", code="invalid_cidr") from error
    if f"IPv{network.version}" != ethertype:
        raise Invalid(
            f"Conflicting value ethertype {ethertype} for CIDR {prefix}",
            code="security_group_rule_parameter_conflict",
        )
    return prefix if "/" in prefix else str(network)
