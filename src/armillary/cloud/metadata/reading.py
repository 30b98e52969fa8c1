"""Gathers from the records what a guest may know of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from sqlalchemy import Connection

from armillary.cloud import store
from armillary.cloud.compute.model import BlockDevice, DeviceState, Server
from armillary.cloud.compute.store import INTERFACES, devices_of, interfaces
from armillary.cloud.core.about import About, Card, Disk
from armillary.cloud.metadata.store import PASSWORDS


def read_about(connection: Connection, server: Server, *, static: Mapping[str, str]) -> About:
    """Read everything around a server at one moment; `static` is the cloud's own vendor data."""
    ports = store.PORTS.find(connection, store.ports.c.device_id == server.id)
    network_ids = {port.network_id for port in ports}
    networks = {n.id: n for n in store.NETWORKS.find(connection, store.networks.c.id.in_(network_ids))}
    subnets = store.SUBNETS.find(connection, store.subnets.c.network_id.in_(network_ids))
    floating = store.FLOATING_IPS.find(
        connection, store.floating_ips.c.port_id.in_([port.id for port in ports])
    )
    group_ids = {group for port in ports for group in port.security_groups}
    groups = store.SECURITY_GROUPS.find(connection, store.security_groups.c.id.in_(group_ids))
    tags = {
        card.port_id: card.tag for card in INTERFACES.find(connection, interfaces.c.server_id == server.id)
    }
    posted = PASSWORDS.get(connection, server.id)
    return About(
        server=server,
        cards=tuple(
            Card(
                port=port,
                mtu=networks[port.network_id].mtu,
                subnets=tuple(subnet for subnet in subnets if subnet.network_id == port.network_id),
                floating_ips=tuple(f.address for f in floating if f.port_id == port.id),
                tag=tags.get(port.id),
            )
            for port in ports
        ),
        disks=tuple(
            Disk(
                kind=_kind(device),
                device=device.device_name,
                serial=device.volume_id or "",
                boot=device.boot_index == 0,
                tag=device.tag,
            )
            for device in devices_of(connection, server.id)
            if device.state is not DeviceState.DETACHING
        ),
        group_names=tuple(sorted(group.name for group in groups)),
        static=static,
        password=posted.password if posted is not None else "",
    )


def _kind(device: BlockDevice) -> Literal["volume", "ephemeral", "swap", "root"]:
    if device.destination_type == "volume":
        return "volume"
    if device.source_type == "image":
        return "root"
    return "swap" if device.guest_format == "swap" else "ephemeral"
