"""Giving addresses out and taking them back, inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from sqlalchemy import Connection, delete, insert, select

from armillary.base.errors import Conflict
from armillary.cloud import store
from armillary.cloud.core.addressing import free_address
from armillary.cloud.network.desk import bad
from armillary.cloud.network.model import FixedIp, Subnet


def taken(connection: Connection, subnet: Subnet) -> set[str]:
    """The addresses of a subnet that somebody holds."""
    query = select(store.addresses.c.ip_address).where(store.addresses.c.subnet_id == subnet.id)
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
        raise Conflict(
            f"No more IP addresses available on network {subnet.network_id}.",
            code="ip_address_generation_failure",
            facts={"subnet": subnet.id, "cidr": subnet.cidr, "used": len(used)},
        )
    connection.execute(
        insert(store.addresses).values(subnet_id=subnet.id, ip_address=address, holder_id=holder_id)
    )
    return FixedIp(subnet_id=subnet.id, ip_address=address)


def _check(subnet: Subnet, wanted: str, used: set[str]) -> None:
    try:
        inside = ip_address(wanted) in ip_network(subnet.cidr)
    except ValueError as error:
        raise bad(f"'{wanted}' is not a valid IP address.") from error
    if not inside:
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


def pick(connection: Connection, subnets: Sequence[Subnet], holder_id: str) -> tuple[FixedIp, ...]:
    """Give an address of the first IPv4 subnet that has one left, as Neutron does for a port without wishes."""
    candidates = [subnet for subnet in subnets if subnet.ip_version == 4] or list(subnets)
    for number, subnet in enumerate(candidates):
        try:
            return (hold(connection, subnet, holder_id),)
        except Conflict:
            if number == len(candidates) - 1:
                raise
    return ()
