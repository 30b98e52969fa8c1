"""Ports: where machines and routers meet networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from sqlalchemy import Connection, or_

from armillary.accounts.model import Principal
from armillary.base.errors import Conflict
from armillary.base.ids import PortId, ProjectId, ServerId, new_uuid
from armillary.cloud import store
from armillary.cloud.access import allow_writing, project_of
from armillary.cloud.core.addressing import mac_of
from armillary.cloud.network import addresses
from armillary.cloud.network.desk import Desk, bad, not_found
from armillary.cloud.network.groups import DEFAULT, find_groups
from armillary.cloud.network.model import COMPUTE, FixedIp, Network, Port, Subnet
from armillary.cloud.network.networks import visible

_DEVICES = ("network:router_interface", "network:router_gateway", "network:floatingip")


class Ports:
    """Plugs, each with a MAC and fixed addresses."""

    def __init__(self, *, desk: Desk) -> None:
        self._desk = desk

    def list(self, principal: Principal) -> list[Port]:
        """The ports of one's project; administrators see all."""
        with self._desk.reading() as connection:
            if principal.is_cloud_admin:
                return store.PORTS.find(connection)
            return store.PORTS.find(connection, store.ports.c.project_id == project_of(principal).id)

    def of_servers(self, server_ids: Sequence[ServerId]) -> Sequence[Port]:
        """The ports of servers; who may see the servers has been settled by the caller."""
        with self._desk.reading() as connection:
            return store.PORTS.find(connection, store.ports.c.device_id.in_(server_ids))

    def get(self, principal: Principal, port_id: str) -> Port:
        """One port."""
        with self._desk.reading() as connection:
            return self._desk.own(connection, store.PORTS, "Port", port_id, principal)

    def create(
        self,
        principal: Principal,
        *,
        network_id: str,
        fixed_ips: Sequence[Mapping[str, str]] | None = None,
        security_groups: Sequence[str] | None = None,
        project_id: str | None = None,
        **fields: Any,
    ) -> Port:
        """Make a port; `fields` are further attributes of `Port`. Without wishes it gets one free address."""
        own = allow_writing(principal, "create_port")
        with self._desk.writing() as connection:
            network = visible(connection, principal, network_id)
            owner = self._desk.owner(principal, own.id, project_id)
            port = add_port(
                self._desk, connection, network, owner, principal=principal, fixed_ips=fixed_ips,
                security_groups=security_groups, **fields,
            )  # fmt: skip
        self._desk.changed()
        return port

    def update(self, principal: Principal, port_id: str, changes: Mapping[str, Any]) -> Port:
        """Change attributes, addresses or security groups of a port."""
        allow_writing(principal, "update_port")
        with self._desk.writing() as connection:
            port = self._desk.own(connection, store.PORTS, "Port", port_id, principal)
            changes = dict(changes)
            if changes.get("security_groups") is not None:
                changes["security_groups"] = find_groups(
                    connection, principal, port.project_id, changes["security_groups"]
                )
            if changes.get("fixed_ips") is not None:
                subnets = subnets_of(connection, port)
                addresses.give_back(connection, port.id)
                changes["fixed_ips"] = give(connection, subnets, port.id, changes["fixed_ips"])
            port = self._desk.touch(port, **changes)
            store.PORTS.save(connection, port)
        self._desk.changed()
        return port

    def delete(self, principal: Principal, port_id: str) -> None:
        """Remove a port and give its addresses back; a floating IP on it stays, unbound.

        Raises:
            Conflict: a router needs it.
        """
        allow_writing(principal, "delete_port")
        with self._desk.writing() as connection:
            port = self._desk.own(connection, store.PORTS, "Port", port_id, principal)
            if port.device_owner in _DEVICES:
                raise Conflict(
                    f"Port {port.id} cannot be deleted directly via the port API: has device owner "
                    f"{port.device_owner}.",
                    code="service_port_in_use",
                )
            drop_port(self._desk, connection, port)
        self._desk.changed()


def subnets_of(connection: Connection, port: Port) -> list[Subnet]:
    """The subnets of a port's network."""
    return store.SUBNETS.find(connection, store.subnets.c.network_id == port.network_id)


def give(
    connection: Connection, subnets: Sequence[Subnet], holder: str, wishes: Sequence[Mapping[str, str]]
) -> tuple[FixedIp, ...]:
    """Give the addresses that were asked for, each by subnet, address, or both."""
    given: list[FixedIp] = []
    for wish in wishes:
        subnet_id, address = wish.get("subnet_id"), wish.get("ip_address")
        found = [
            s for s in subnets if (subnet_id in {None, s.id}) and (address is None or _inside(s, address))
        ]
        if not found:
            raise bad(
                f"IP address {address} is not a valid IP for any of the subnets on the specified network."
                if address
                else f"Failed to create port on network, because fixed_ips included invalid subnet {subnet_id}.",
                code="invalid_ip_for_network",
            )
        given.append(addresses.hold(connection, found[0], holder, address))
    return tuple(given)


def _inside(subnet: Subnet, address: str) -> bool:
    try:
        return ip_address(address) in ip_network(subnet.cidr)
    except ValueError:
        return False


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
    **fields: Any,
) -> Port:
    """Write a port in the caller's transaction."""
    desk.charge(connection, owner, "port")
    identifier = PortId(new_uuid())
    subnets = store.SUBNETS.find(connection, store.subnets.c.network_id == network.id)
    mac = mac_address or mac_of(identifier)
    if store.PORTS.find(connection, store.ports.c.mac_address == mac):
        raise Conflict(
            f"Unable to complete operation for network {network.id}. The mac address {mac} is in use.",
            code="mac_address_in_use",
        )
    secure = fields.setdefault("port_security_enabled", network.port_security_enabled)
    groups: tuple[Any, ...] = ()
    if secure:
        wanted = [DEFAULT] if security_groups is None else list(security_groups)
        groups = find_groups(connection, principal, owner, wanted)
    given = (
        addresses.pick(connection, subnets, identifier)
        if fixed_ips is None
        else give(connection, subnets, identifier, fixed_ips)
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
        wishes = [{"uuid": _only_network(connection, owner)}]
    made: list[Port] = []
    for wish in wishes:
        if wish.get("port"):
            made.append(_take(desk, connection, principal, wish["port"], server_id))
            continue
        network = store.NETWORKS.get(connection, wish.get("uuid", ""))
        allowed = network is not None and (network.shared or network.project_id == owner)
        if network is None or not (allowed or principal.is_cloud_admin):
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


def _only_network(connection: Connection, owner: ProjectId) -> str:
    columns = store.networks.c
    mine = store.NETWORKS.find(
        connection, or_(columns.project_id == owner, columns.shared), columns.external.is_(False)
    )
    if len(mine) > 1:
        raise Conflict(
            "Multiple possible networks found, use a Network ID to be more specific.",
            code="network_ambiguous",
            facts={"networks": {network.id: network.name for network in mine}},
        )
    if not mine:
        raise bad(
            "The project has no network.",
            code="network_not_found",
            remedy="Make a network with a subnet first.",
        )
    return mine[0].id


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
        if port.ours:
            drop_port(desk, connection, port)
        else:
            store.PORTS.save(connection, desk.touch(port, device_id="", device_owner="", status="DOWN"))


def port_or_refusal(connection: Connection, principal: Principal, port_id: str) -> Port:
    """A port of one's project.

    Raises:
        NotFound: there is none.
    """
    port = store.PORTS.get(connection, port_id)
    if port is None or not (principal.is_cloud_admin or port.project_id == project_of(principal).id):
        raise not_found("Port", port_id)
    return port
