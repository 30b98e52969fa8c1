"""Networks: layer 2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, or_, select

from armillary.accounts.model import Principal
from armillary.base.errors import Conflict, NotFound
from armillary.base.ids import NetworkId, ProjectId, SubnetId, new_uuid
from armillary.cloud import store
from armillary.cloud.access import project_of
from armillary.cloud.network import store as own_store
from armillary.cloud.network.desk import bad, need_admin, not_found
from armillary.cloud.network.listing import Facet
from armillary.cloud.network.model import Network
from armillary.cloud.network.sharing import EXTERNAL, SHARED, forget, granted, share_with_all, shared_ids
from armillary.cloud.network.shelf import Shelf

MTU = 1500
"""of what carries the frames; a network may have a smaller one"""
_ADMINS = {"shared": "shared", "external": "router:external", "is_default": "is_default"}


class Networks(Shelf[Network]):
    """One's project's networks, and the shared and external ones."""

    records = store.NETWORKS
    singular = "network"
    quota = "network"

    def missing(self, identifier: str) -> NotFound:
        return not_found("Network", identifier)

    def _mine(self, connection: Connection, who: Principal) -> ColumnElement[bool]:
        own = project_of(who).id
        columns = store.networks.c
        return or_(columns.project_id == own, granted("network", columns.id, own, SHARED, EXTERNAL))

    def _facets(self) -> dict[str, Facet]:
        found = super()._facets()
        found["router:external"] = found.pop("external")
        return found

    def _columns(self) -> dict[str, ColumnElement[Any]]:
        found = super()._columns()
        found["router:external"] = found.pop("external")
        return found

    def subnets_of(self, network_ids: Sequence[NetworkId]) -> Mapping[NetworkId, Sequence[SubnetId]]:
        """The subnets' ids by network."""
        with self._desk.reading() as connection:
            found = store.SUBNETS.find(connection, store.subnets.c.network_id.in_(network_ids))
        by_network: dict[NetworkId, list[SubnetId]] = {n: [] for n in network_ids}
        for subnet in found:
            by_network[subnet.network_id].append(subnet.id)
        return by_network

    def scopes_of(self, network_ids: Sequence[NetworkId]) -> Mapping[tuple[NetworkId, int], str]:
        """The address scopes by network and IP version."""
        subnets, pools = store.subnets.c, own_store.subnet_pools.c
        query = (
            select(subnets.network_id, subnets.ip_version, pools.address_scope_id)
            .join(own_store.subnet_pools, pools.id == subnets.subnetpool_id)
            .where(subnets.network_id.in_(network_ids), pools.address_scope_id.is_not(None))
        )
        with self._desk.reading() as connection:
            return {(NetworkId(n), version): scope for n, version, scope in connection.execute(query)}

    def shared_with(self, who: Principal, network_ids: Sequence[NetworkId]) -> frozenset[str]:
        """Which of these networks are shared with the caller's project."""
        with self._desk.reading() as connection:
            own = who.project.id if who.project is not None else ""
            return shared_ids(connection, "network", own, network_ids)

    def _make(
        self, connection: Connection, who: Principal, owner: ProjectId, fields: dict[str, Any]
    ) -> Network:
        for name, shown in _ADMINS.items():
            if fields.get(name):
                need_admin(who, "create_network", shown)
        _check_mtu(fields)
        stamps = self._desk.stamps(
            owner, name=fields.pop("name", ""), description=fields.pop("description", "")
        )
        network = Network(id=NetworkId(new_uuid()), **stamps, **fields)
        share_with_all(self._desk, connection, "network", network)
        return store.NETWORKS.add(connection, network)

    def _change(
        self, connection: Connection, who: Principal, item: Network, changes: dict[str, Any]
    ) -> Network:
        for name, shown in _ADMINS.items():
            if name in changes:
                need_admin(who, "update_network", shown)
        _check_mtu(changes)
        if changes.get("shared") is False and item.shared:
            self._check_foreign_ports(connection, item)
        changed = self._desk.touch(item, **changes)
        share_with_all(self._desk, connection, "network", changed, item)
        return changed

    def _check_foreign_ports(self, connection: Connection, network: Network) -> None:
        ports = store.ports.c
        foreign = store.PORTS.find(
            connection, ports.network_id == network.id, ports.project_id != network.project_id,
            ports.device_owner.not_like("network:%"),
        )  # fmt: skip
        if foreign:
            raise Conflict(
                f"Unable to reconfigure sharing settings for network {network.name}. Multiple projects are using it.",
                code="invalid_shared_setting",
            )

    def _remove(self, connection: Connection, who: Principal, item: Network) -> None:
        used = store.PORTS.find(connection, store.ports.c.network_id == item.id)
        floating = store.FLOATING_IPS.find(connection, store.floating_ips.c.network_id == item.id)
        if used or floating:
            ids = ",".join([port.id for port in used] + [f.id for f in floating])
            raise Conflict(
                f"Unable to complete operation on network {item.id}. There are one or more ports still in "
                f"use on the network, id for these ports is: {ids}.",
                code="network_in_use",
            )
        forget(connection, item.id)
        store.SUBNETS.remove(connection, store.subnets.c.network_id == item.id)


def _check_mtu(fields: Mapping[str, Any]) -> None:
    mtu = fields.get("mtu")
    if mtu is not None and mtu > MTU:
        raise bad(f"Requested MTU is too big, maximum is {MTU}.")


def usable(connection: Connection, who: Principal, network_id: str, project_id: str) -> Network:
    """A network that the caller sees.

    Raises:
        NotFound: there is none.
    """
    network = store.NETWORKS.get(connection, network_id)
    if network is None or not (who.is_cloud_admin or network.project_id == project_id):
        found = granted("network", store.networks.c.id, project_id, SHARED, EXTERNAL)
        if network is None or not store.NETWORKS.find(connection, store.networks.c.id == network_id, found):
            raise not_found("Network", network_id)
    return network


def may_plug(connection: Connection, who: Principal, network: Network, project_id: str) -> bool:
    """Whether a project may have ports on a network that it sees: it is its own, or shared with it."""
    if who.is_cloud_admin or network.project_id == project_id:
        return True
    return network.id in shared_ids(connection, "network", project_id, [network.id])
