"""Where a card's way out answers for names: known to the card, and to the switch that lets questions pass."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

_PLACES = (3, 2, 4, 5)
"""Behind the subnet's own address; the first is what allocation leaves free as long as it can."""


def resolver_of(net: IPv4Network, *taken: IPv4Address | None) -> IPv4Address:
    """Return the address of the resolver on a subnet: none of the card's own address and its gateway's."""
    return next(net.network_address + place for place in _PLACES if net.network_address + place not in taken)
