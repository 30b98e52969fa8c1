"""Ports in the caller's transaction: made, removed, and given to servers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, or_

from armillary.accounts.model import Principal
from armillary.base.errors import Conflict
from armillary.base.ids import PortId, ProjectId, ServerId, new_uuid
from armillary.cloud import store
from armillary.cloud.access import project_of
from armillary.cloud.core.addressing import mac_of
from armillary.cloud.network import addresses
from armillary.cloud.network.desk import Desk, bad, not_found
from armillary.cloud.network.groups import DEFAULT, find_groups
from armillary.cloud.network.model import COMPUTE, Network, Port, Subnet
from armillary.cloud.network.networks import may_plug
from armillary.cloud.network.sharing import granted

MOST_PAIRS = 10


def check_pairs(pairs: Sequence[Mapping[str, str]], *, secure: bool) -> None:
    """Refuse address pairs that mean nothing.

    Raises:
        Invalid, Conflict: in Neutron's words.
    """
    if not pairs:
        return
    if not secure:
        raise Conflict(
            "Port Security must be enabled in order to have allowed address pairs on a port.",
            code="address_pair_and_port_security_required",
        )


def check_count(pairs: Sequence[Any]) -> None:
    """Refuse more address pairs than a port may have."""
    if len(pairs) > MOST_PAIRS:
        raise bad(
            f"The number of allowed address pair exceeds the maximum {MOST_PAIRS}.",
            code="allowed_address_pair_exhausted",
        )


def insecure() -> Exception:
    """The refusal of groups where nothing is filtered."""
    return bad(
        "Port security must be enabled and port must have an IP address in order to use security groups.",
        code="port_security_and_ip_required_for_security_groups",
    )


def check_mac(connection: Connection, network: Network, mac: str) -> None:
    """Refuse a hardware address that the network has already."""
    ports = store.ports.c
    if store.PORTS.find(connection, ports.network_id == network.id, ports.mac_address == mac):
        raise Conflict(
            f"Unable to complete operation for network {network.id}. The mac address {mac} is in use.",
            code="mac_address_in_use",
        )


def subnets_of(connection: Connection, port: Port) -> list[Subnet]:
    """The subnets of a port's network."""
    return store.SUBNETS.find(connection, store.subnets.c.network_id == port.network_id)


def add_port(
    desk: Desk,
    connection: Connection,
    network: Network,
    owner: ProjectId,
    *,
    principal: Principal,
    fixed_ips: Sequence[Mapping[str, str]] | None = None,
    security_groups: Sequence[str] | None = None,
    name: str = "",
    description: str = "",
    mac_address: str | None = None,
    charged: bool = False,
    **fields: Any,
) -> Port:
    """Write a port in the caller's transaction.

    Args:
        desk: with the clock and the quotas.
        connection: of the transaction.
        network: where it is.
        owner: the project that it belongs to.
        principal: who asks, and sees the groups.
        fixed_ips: `subnet_id`, `ip_address` or both, each; None: one free address of each family.
        security_groups: by id or name; None: the project's default.
        name: for people.
        description: for people.
        mac_address: a new one if it is not given.
        charged: whether the quota has been looked at.
        fields: further attributes of `Port`.
    """
    if not charged:
        desk.charge(connection, owner, "port")
    identifier = PortId(new_uuid())
    subnets = store.SUBNETS.find(connection, store.subnets.c.network_id == network.id)
    mac = mac_address or mac_of(identifier)
    check_mac(connection, network, mac)
    device_owner: str = fields.get("device_owner", "")
    fields = {n: tuple(v) if isinstance(v, list) else v for n, v in fields.items()}  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]
    of_network = device_owner.startswith("network:")
    secure = fields.setdefault("port_security_enabled", network.port_security_enabled and not of_network)
    check_pairs(fields.get("allowed_address_pairs", ()), secure=secure)
    if security_groups and not secure:
        raise insecure()
    groups: tuple[Any, ...] = ()
    if secure:
        wanted = [DEFAULT] if security_groups is None else list(security_groups)
        groups = find_groups(connection, principal, owner, wanted, desk=desk)
    given = (
        addresses.pick(connection, subnets, identifier, mac=mac, owner=device_owner)
        if fixed_ips is None
        else addresses.give(
            connection, subnets, identifier, fixed_ips, network_id=network.id, mac=mac, owner=device_owner
        )
    )
    port = Port(
        id=identifier,
        network_id=network.id,
        mac_address=mac,
        fixed_ips=given,
        security_groups=groups,
        **desk.stamps(owner, name=name, description=description),
        **fields,
    )
    return store.PORTS.add(connection, port)


def drop_port(desk: Desk, connection: Connection, port: Port) -> None:
    """Remove a port in the caller's transaction."""
    unbind_floating_ips(desk, connection, port.id)
    addresses.give_back(connection, port.id)
    store.PORTS.remove(connection, store.ports.c.id == port.id)


def unbind_floating_ips(desk: Desk, connection: Connection, port_id: PortId) -> None:
    """Let a port's floating IPs go; they stay with their project."""
    for floating in store.FLOATING_IPS.find(connection, store.floating_ips.c.port_id == port_id):
        free = desk.touch(floating, port_id=None, fixed_ip_address=None, router_id=None)
        store.FLOATING_IPS.save(connection, free)


def port_or_refusal(connection: Connection, principal: Principal, port_id: str) -> Port:
    """A port of one's project.

    Raises:
        NotFound: there is none.
    """
    port = store.PORTS.get(connection, port_id)
    if port is None or not (principal.is_cloud_admin or port.project_id == project_of(principal).id):
        raise not_found("Port", port_id)
    return port


def plug(
    desk: Desk,
    connection: Connection,
    principal: Principal,
    owner: ProjectId,
    server_id: ServerId,
    *,
    wishes: Sequence[Mapping[str, str]] | None,
    security_groups: Sequence[str] | None,
) -> list[Port]:
    """Give a new server its ports: `wishes` name a `uuid` (network), `fixed_ip`, or `port` each; None: automatic.

    Raises:
        Conflict: no wish, and the project has several networks; or the port is in use.
        Invalid: a network or port is not there.
    """
    if wishes is None:
        wishes = [{"uuid": _only_network(desk, connection, owner).id}]
    made: list[Port] = []
    for wish in wishes:
        if wish.get("port"):
            made.append(_take(desk, connection, principal, wish["port"], server_id))
            continue
        network = store.NETWORKS.get(connection, wish.get("uuid", ""))
        if network is None or not may_plug(connection, principal, network, owner):
            raise bad(f"Network {wish.get('uuid')} could not be found.", code="network_not_found")
        if not store.SUBNETS.find(connection, store.subnets.c.network_id == network.id):
            raise bad(
                f"Network {network.id} requires a subnet in order to boot instances on.",
                code="network_requires_subnet",
            )
        address = wish.get("fixed_ip")
        made.append(
            add_port(
                desk,
                connection,
                network,
                owner,
                principal=principal,
                security_groups=security_groups,
                fixed_ips=[{"ip_address": address}] if address else None,
                device_id=server_id,
                device_owner=COMPUTE,
                ours=True,
            )
        )
    return made


def _only_network(desk: Desk, connection: Connection, owner: ProjectId) -> Network:
    columns = store.networks.c
    usable = or_(columns.project_id == owner, granted("network", columns.id, owner))
    mine = store.NETWORKS.find(connection, usable, columns.external.is_(False))
    if len(mine) > 1:
        raise Conflict(
            "Multiple possible networks found, use a Network ID to be more specific.",
            code="network_ambiguous",
            facts={"networks": {network.id: network.name for network in mine}},
        )
    return mine[0] if mine else desk.topology(connection, owner)


def _take(
    desk: Desk, connection: Connection, principal: Principal, port_id: str, server_id: ServerId
) -> Port:
    port = store.PORTS.get(connection, port_id)
    if port is None or not (principal.is_cloud_admin or port.project_id == project_of(principal).id):
        raise bad(f"Port {port_id} could not be found.", code="port_not_found")
    if port.device_id:
        raise Conflict(f"Port {port_id} is still in use.", code="port_in_use")
    port = desk.touch(port, device_id=server_id, device_owner=COMPUTE)
    store.PORTS.save(connection, port)
    return port


def unplug(desk: Desk, connection: Connection, server_id: ServerId) -> None:
    """Take a server's ports away: ours are removed, those that the user brought are let go."""
    for port in store.PORTS.find(connection, store.ports.c.device_id == server_id):
        let_go(desk, connection, port)


def let_go(desk: Desk, connection: Connection, port: Port) -> None:
    """Take one port from its server: one of ours is removed, one that the user brought is let go."""
    if port.ours:
        drop_port(desk, connection, port)
    else:
        store.PORTS.save(connection, desk.touch(port, device_id="", device_owner="", status="DOWN"))
