"""A server's network cards as the compute API shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, select

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


# made once: to build these costs more than SQLite needs to answer them, and every view of a server asks them
_PORTS = (
    select(store.ports, store.networks.c.name.label("network_name"))
    .outerjoin(store.networks, store.networks.c.id == store.ports.c.network_id)
    .where(store.ports.c.device_id.in_(bindparam("servers", expanding=True)))
    .order_by(store.ports.c.created_at, store.ports.c.id)
)
_FLOATING = (
    select(store.floating_ips.c.port_id, store.floating_ips.c.address)
    .where(store.floating_ips.c.port_id.in_(bindparam("ports", expanding=True)))
    .order_by(store.floating_ips.c.created_at, store.floating_ips.c.id)
)
_GROUPS = select(store.security_groups).where(
    store.security_groups.c.id.in_(bindparam("groups", expanding=True))
)


def nics_of(desk: Desk, server_ids: Sequence[ServerId]) -> Mapping[ServerId, Sequence[Nic]]:
    """The cards of servers; who may see the servers has been settled by the caller."""
    if not server_ids:
        return {}
    with desk.reading() as connection:
        rows = [dict(row) for row in connection.execute(_PORTS, {"servers": list(server_ids)}).mappings()]
        names = [row.pop("network_name") or "" for row in rows]
        ports = [Port(**row) for row in rows]
        addresses: dict[str, list[str]] = {}
        for port_id, address in connection.execute(_FLOATING, {"ports": [port.id for port in ports]}):
            addresses.setdefault(port_id, []).append(address)
        group_ids = {group for port in ports for group in port.security_groups}
        groups = connection.execute(_GROUPS, {"groups": list(group_ids)}).mappings().all()
    by_id = {row["id"]: SecurityGroup(**row) for row in groups}
    found: dict[ServerId, list[Nic]] = {}
    for port, name in zip(ports, names, strict=True):
        nic = Nic(
            port=port,
            network_name=name,
            floating_ips=tuple(addresses.get(port.id, ())),
            groups=tuple(by_id[g] for g in port.security_groups if g in by_id),
        )
        found.setdefault(ServerId(port.device_id), []).append(nic)
    return found
