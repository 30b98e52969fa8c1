"""Giving addresses out and taking them back, inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network

from sqlalchemy import Connection, delete, insert, select

from armillary.base.errors import Conflict
from armillary.cloud import store
from armillary.cloud.core.addressing import eui64, free_address
from armillary.cloud.core.subnet_rules import is_host
from armillary.cloud.network.desk import bad, not_found
from armillary.cloud.network.model import ROUTER_OWNERS, FixedIp, Subnet

MOST_FIXED_IPS = 5


def taken(connection: Connection, subnet: Subnet) -> set[str]:
    """The addresses of a subnet that somebody holds."""
    query = select(store.addresses.c.ip_address).where(store.addresses.c.subnet_id == subnet.id)
    return set(connection.execute(query).scalars())


def holders(connection: Connection, subnet: Subnet) -> set[str]:
    """Who holds addresses of a subnet."""
    query = select(store.addresses.c.holder_id).where(store.addresses.c.subnet_id == subnet.id)
    return set(connection.execute(query).scalars())


def hold(connection: Connection, subnet: Subnet, holder_id: str, wanted: str | None = None) -> FixedIp:
    """Give `holder_id` the wanted address of a subnet, or the lowest free one.

    Raises:
        Invalid: the address is not in the subnet.
        Conflict: it is held, or none is left.
    """
    used = taken(connection, subnet)
    if wanted is not None:
        _check(subnet, wanted, used)
    address = wanted or free_address(subnet.cidr, subnet.allocation_pools, used)
    if address is None:
        raise exhausted(subnet.network_id)
    connection.execute(
        insert(store.addresses).values(subnet_id=subnet.id, ip_address=address, holder_id=holder_id)
    )
    return FixedIp(subnet_id=subnet.id, ip_address=address)


def exhausted(network_id: str) -> Conflict:
    """No address is left, in Neutron's words."""
    return Conflict(
        f"No more IP addresses available on network {network_id}.", code="ip_address_generation_failure"
    )


def _check(subnet: Subnet, wanted: str, used: set[str]) -> None:
    if not is_host(subnet.cidr, wanted):
        raise bad(
            f"IP address {wanted} is not a valid IP for the specified subnet.", code="invalid_ip_for_subnet"
        )
    if wanted in used:
        raise Conflict(
            f"IP address {wanted} already allocated in subnet {subnet.id}",
            code="ip_address_already_allocated",
        )


def give_back(connection: Connection, holder_id: str) -> None:
    """Take back all that `holder_id` holds."""
    connection.execute(delete(store.addresses).where(store.addresses.c.holder_id == holder_id))


def forget(connection: Connection, subnet: Subnet) -> None:
    """Take back all addresses of a subnet that goes."""
    connection.execute(delete(store.addresses).where(store.addresses.c.subnet_id == subnet.id))


def pick(
    connection: Connection, subnets: Sequence[Subnet], holder_id: str, *, mac: str, owner: str = ""
) -> tuple[FixedIp, ...]:
    """Give addresses to a port without wishes: of IPv4, of IPv6, and those that the guest makes itself.

    Args:
        connection: to write with.
        subnets: those of the network.
        holder_id: the port.
        mac: its hardware address.
        owner: its `device_owner`, which some subnets are reserved for.

    Raises:
        Conflict: a family has subnets, and none has an address left.
    """
    open_to = [s for s in subnets if not s.service_types or owner in s.service_types]
    if subnets and not open_to:
        raise exhausted(subnets[0].network_id)
    given: list[FixedIp] = []
    for version in (4, 6):
        family = [s for s in open_to if s.ip_version == version and not s.is_auto]
        for number, subnet in enumerate(family):
            try:
                given.append(hold(connection, subnet, holder_id))
                break
            except Conflict:
                if number == len(family) - 1:
                    raise
    return (*given, *_own_made(connection, open_to, holder_id, given, mac=mac, owner=owner))


def _own_made(
    connection: Connection, subnets: Sequence[Subnet], holder_id: str, given: Sequence[FixedIp], *, mac: str,
    owner: str,
) -> list[FixedIp]:  # fmt: skip
    if owner in ROUTER_OWNERS:
        return []
    there = {fixed.subnet_id for fixed in given}
    auto = [s for s in subnets if s.is_auto and s.id not in there]
    return [hold(connection, subnet, holder_id, eui64(subnet.cidr, mac)) for subnet in auto]


def give(
    connection: Connection,
    subnets: Sequence[Subnet],
    holder: str,
    wishes: Sequence[Mapping[str, str]],
    *,
    network_id: str,
    mac: str,
    owner: str = "",
) -> tuple[FixedIp, ...]:
    """Give the addresses that were asked for, each by subnet, address, or both, and those that a guest makes itself.

    Raises:
        Invalid: an address is of no subnet, or not the one that the guest makes.
        NotFound: there is no such subnet.
        Conflict: it is held, or none is left.
    """
    if len(wishes) > MOST_FIXED_IPS:
        raise bad("Exceeded maximum amount of fixed ips per port.")
    given: list[FixedIp] = []
    for wish in wishes:
        subnet = _subnet_of(connection, subnets, wish, network_id)
        address = wish.get("ip_address")
        if subnet.is_auto and owner not in ROUTER_OWNERS:
            made = eui64(subnet.cidr, mac)
            if address is not None and address != made:
                raise bad(
                    f"IPv6 address {address} cannot be directly assigned to a port on subnet {subnet.id} as the "
                    "subnet is configured for automatic addresses",
                    code="allocation_on_auto_address_subnet",
                )
            address = made
        given.append(hold(connection, subnet, holder, address))
    return (*given, *_own_made(connection, subnets, holder, given, mac=mac, owner=owner))


def _subnet_of(
    connection: Connection, subnets: Sequence[Subnet], wish: Mapping[str, str], network_id: str
) -> Subnet:
    subnet_id, address = wish.get("subnet_id"), wish.get("ip_address")
    if subnet_id is not None:
        found = next((s for s in subnets if s.id == subnet_id), None)
        if found is not None:
            return found
        if store.SUBNETS.get(connection, subnet_id) is None:
            raise not_found("Subnet", subnet_id)
        raise bad(
            f"Failed to create port on network {network_id}, because fixed_ips included invalid subnet {subnet_id}."
        )
    if address is None:
        raise bad("IP allocation requires subnet_id or ip_address.")
    for subnet in subnets:
        if is_host(subnet.cidr, address):
            return subnet
    raise bad(
        f"IP address {address} is not a valid IP for any of the subnets on the specified network.",
        code="invalid_ip_for_network",
    )


def counted(subnet: Subnet) -> int:
    """How many addresses a subnet has to give."""
    if not subnet.allocation_pools:
        return ip_network(subnet.cidr).num_addresses
    return sum(int(ip_address(p["end"])) - int(ip_address(p["start"])) + 1 for p in subnet.allocation_pools)
