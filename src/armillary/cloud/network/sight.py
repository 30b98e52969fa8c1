"""A server's network cards as the compute API shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from armillary.base.ids import ServerId
from armillary.cloud import store
from armillary.cloud.network.desk import Desk
from armillary.cloud.network.model import Port, SecurityGroup


@dataclass(frozen=True, kw_only=True)
class Nic:
    """One port with what belongs to it."""

    port: Port
    network_name: str
    floating_ips: tuple[str, ...]
    groups: tuple[SecurityGroup, ...]


def nics_of(desk: Desk, server_ids: Sequence[ServerId]) -> Mapping[ServerId, Sequence[Nic]]:
    """The cards of servers; who may see the servers has been settled by the caller."""
    if not server_ids:
        return {}
    with desk.reading() as connection:
        ports = store.PORTS.find(connection, store.ports.c.device_id.in_(server_ids))
        network_ids = {port.network_id for port in ports}
        networks = store.NETWORKS.find(connection, store.networks.c.id.in_(network_ids))
        floating = store.FLOATING_IPS.find(
            connection, store.floating_ips.c.port_id.in_([p.id for p in ports])
        )
        group_ids = {group for port in ports for group in port.security_groups}
        groups = store.SECURITY_GROUPS.find(connection, store.security_groups.c.id.in_(group_ids))
    names = {network.id: network.name for network in networks}
    by_id = {group.id: group for group in groups}
    found: dict[ServerId, list[Nic]] = {}
    for port in ports:
        nic = Nic(
            port=port,
            network_name=names.get(port.network_id, ""),
            floating_ips=tuple(f.address for f in floating if f.port_id == port.id),
            groups=tuple(by_id[g] for g in port.security_groups if g in by_id),
        )
        found.setdefault(ServerId(port.device_id), []).append(nic)
    return found
