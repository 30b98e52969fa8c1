"""Networks and subnets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from typing import Any

from sqlalchemy import Connection, or_

from armillary.accounts.model import Principal
from armillary.base.errors import Conflict
from armillary.base.ids import NetworkId, ProjectId, SubnetId, new_uuid
from armillary.cloud import store
from armillary.cloud.access import allow_administering, allow_writing, project_of, sees
from armillary.cloud.core.addressing import default_pools
from armillary.cloud.network import addresses
from armillary.cloud.network.desk import Desk, bad, not_found
from armillary.cloud.network.model import Network, Subnet

FROM_CIDR = "from cidr"
"""for `gateway_ip`: the first address of the subnet"""


class Networks:
    """Layer 2."""

    def __init__(self, *, desk: Desk) -> None:
        self._desk = desk

    def list(self, principal: Principal) -> list[Network]:
        """One's project's networks and the shared and external ones; administrators see all."""
        with self._desk.reading() as connection:
            if principal.is_cloud_admin:
                return store.NETWORKS.find(connection)
            columns = store.networks.c
            mine = columns.project_id == project_of(principal).id
            return store.NETWORKS.find(connection, or_(mine, columns.shared, columns.external))

    def get(self, principal: Principal, network_id: str) -> Network:
        """One network that the principal may see."""
        with self._desk.reading() as connection:
            return visible(connection, principal, network_id)

    def subnets_of(self, network_ids: Sequence[NetworkId]) -> Mapping[NetworkId, Sequence[SubnetId]]:
        """The subnets' ids by network."""
        with self._desk.reading() as connection:
            found = store.SUBNETS.find(connection, store.subnets.c.network_id.in_(network_ids))
        return {n: [s.id for s in found if s.network_id == n] for n in network_ids}

    def create(
        self,
        principal: Principal,
        *,
        name: str = "",
        project_id: str | None = None,
        shared: bool = False,
        external: bool = False,
        **fields: Any,
    ) -> Network:
        """Make a network; `fields` are further attributes of `Network`."""
        own = allow_writing(principal, "create_network")
        if shared or external:
            allow_administering(principal, "create_network:shared or router:external")
        with self._desk.writing() as connection:
            owner = self._desk.owner(principal, own.id, project_id)
            self._desk.charge(connection, owner, "network")
            stamps = self._desk.stamps(owner, name=name, description=fields.pop("description", ""))
            network = Network(id=NetworkId(new_uuid()), shared=shared, external=external, **stamps, **fields)
            return store.NETWORKS.add(connection, network)

    def update(self, principal: Principal, network_id: str, changes: Mapping[str, Any]) -> Network:
        """Change attributes of one's network."""
        allow_writing(principal, "update_network")
        if {"shared", "external"} & changes.keys():
            allow_administering(principal, "update_network:shared or router:external")
        with self._desk.writing() as connection:
            network = self._desk.touch(
                self._desk.own(connection, store.NETWORKS, "Network", network_id, principal), **changes
            )
            store.NETWORKS.save(connection, network)
        self._desk.changed()
        return network

    def delete(self, principal: Principal, network_id: str) -> None:
        """Remove a network and its subnets.

        Raises:
            Conflict: ports are on it.
        """
        allow_writing(principal, "delete_network")
        with self._desk.writing() as connection:
            network = self._desk.own(connection, store.NETWORKS, "Network", network_id, principal)
            used = store.PORTS.find(connection, store.ports.c.network_id == network.id)
            floating = store.FLOATING_IPS.find(connection, store.floating_ips.c.network_id == network.id)
            if used or floating:
                ids = ", ".join([port.id for port in used] + [f.id for f in floating])
                raise Conflict(
                    f"Unable to complete operation on network {network.id}. There are one or more ports still in "
                    f"use on the network, id for these ports is: {ids}.",
                    code="network_in_use",
                )
            store.SUBNETS.remove(connection, store.subnets.c.network_id == network.id)
            store.NETWORKS.remove(connection, store.networks.c.id == network.id)


class Subnets:
    """Layer 3: ranges of addresses on networks."""

    def __init__(self, *, desk: Desk) -> None:
        self._desk = desk

    def list(self, principal: Principal) -> list[Subnet]:
        """One's project's subnets and those of shared networks; administrators see all."""
        with self._desk.reading() as connection:
            if principal.is_cloud_admin:
                return store.SUBNETS.find(connection)
            shared = [n.id for n in store.NETWORKS.find(connection, store.networks.c.shared)]
            columns = store.subnets.c
            mine = columns.project_id == project_of(principal).id
            return store.SUBNETS.find(connection, or_(mine, columns.network_id.in_(shared)))

    def get(self, principal: Principal, subnet_id: str) -> Subnet:
        """One subnet that the principal may see."""
        with self._desk.reading() as connection:
            subnet = store.SUBNETS.get(connection, subnet_id)
            if subnet is not None and not sees(principal, subnet.project_id):
                network = store.NETWORKS.get(connection, subnet.network_id)
                subnet = subnet if network is not None and network.shared else None
        if subnet is None:
            raise not_found("Subnet", subnet_id)
        return subnet

    def create(
        self,
        principal: Principal,
        *,
        network_id: str,
        cidr: str,
        gateway_ip: str | None = FROM_CIDR,
        project_id: str | None = None,
        **fields: Any,
    ) -> Subnet:
        """Make a subnet; `fields` are further attributes of `Subnet`.

        Raises:
            Invalid: the range is none, or overlaps another of the network.
        """
        own = allow_writing(principal, "create_subnet")
        with self._desk.writing() as connection:
            network = self._desk.own(connection, store.NETWORKS, "Network", network_id, principal)
            owner = self._desk.owner(principal, own.id, project_id)
            self._desk.charge(connection, owner, "subnet")
            return add_subnet(
                self._desk, connection, network, owner, cidr=cidr, gateway_ip=gateway_ip, **fields
            )

    def update(self, principal: Principal, subnet_id: str, changes: Mapping[str, Any]) -> Subnet:
        """Change attributes of one's subnet."""
        allow_writing(principal, "update_subnet")
        with self._desk.writing() as connection:
            subnet = self._desk.touch(
                self._desk.own(connection, store.SUBNETS, "Subnet", subnet_id, principal), **changes
            )
            store.SUBNETS.save(connection, subnet)
        self._desk.changed()
        return subnet

    def delete(self, principal: Principal, subnet_id: str) -> None:
        """Remove a subnet.

        Raises:
            Conflict: ports have addresses of it.
        """
        allow_writing(principal, "delete_subnet")
        with self._desk.writing() as connection:
            subnet = self._desk.own(connection, store.SUBNETS, "Subnet", subnet_id, principal)
            if addresses.taken(connection, subnet):
                raise Conflict(
                    f"Unable to complete operation on subnet {subnet.id}: One or more ports have an IP allocation "
                    "from this subnet.",
                    code="subnet_in_use",
                )
            store.SUBNETS.remove(connection, store.subnets.c.id == subnet.id)


def visible(connection: Connection, principal: Principal, network_id: str) -> Network:
    """A network that the principal may see and plug ports into (or, external, take floating IPs from)."""
    network = store.NETWORKS.get(connection, network_id)
    if network is None or not (network.shared or network.external or sees(principal, network.project_id)):
        raise not_found("Network", network_id)
    return network


def add_subnet(
    desk: Desk,
    connection: Connection,
    network: Network,
    owner: ProjectId,
    *,
    cidr: str,
    gateway_ip: str | None = FROM_CIDR,
    name: str = "",
    description: str = "",
    **fields: Any,
) -> Subnet:
    """Write a subnet in the caller's transaction, with a gateway and allocation pools unless they are given."""
    try:
        whole = ip_network(cidr, strict=False)
    except ValueError as error:
        raise bad(f"Invalid input for cidr. Reason: '{cidr}' is not a valid IP subnet.") from error
    version = fields.pop("ip_version", whole.version)
    if version != whole.version:
        raise bad(f"The ip_version '{version}' does not match the cidr {cidr}.")
    for other in store.SUBNETS.find(connection, store.subnets.c.network_id == network.id):
        if other.ip_version == version and ip_network(other.cidr).overlaps(whole):
            raise bad(
                f"Requested subnet with cidr: {cidr} for network: {network.id} overlaps with another subnet."
            )
    if gateway_ip == FROM_CIDR:
        gateway_ip = str(whole.network_address + 1)
    pools = fields.pop("allocation_pools", None) or default_pools(str(whole), gateway_ip)
    subnet = Subnet(
        id=SubnetId(new_uuid()),
        network_id=network.id,
        ip_version=version,
        cidr=str(whole),
        gateway_ip=gateway_ip,
        allocation_pools=tuple(pools),
        **desk.stamps(owner, name=name, description=description),
        **fields,
    )
    return store.SUBNETS.add(connection, subnet)
