"""Floating IPs: addresses of this computer's loopback at which machines answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from armillary.accounts.model import Principal
from armillary.base.errors import Conflict, NotFound
from armillary.base.ids import FloatingIpId, PortId, new_uuid
from armillary.cloud import store
from armillary.cloud.access import allow_writing, project_of
from armillary.cloud.network import addresses
from armillary.cloud.network.desk import Desk, bad, not_found
from armillary.cloud.network.model import ROUTER_INTERFACE, FloatingIp, Port
from armillary.cloud.network.ports import port_or_refusal


class FloatingIps:
    """Addresses that a project holds, each perhaps bound to a port."""

    def __init__(self, *, desk: Desk) -> None:
        self._desk = desk

    def list(self, principal: Principal) -> list[FloatingIp]:
        """The floating IPs of one's project; administrators see all."""
        with self._desk.reading() as connection:
            if principal.is_cloud_admin:
                return store.FLOATING_IPS.find(connection)
            mine = store.floating_ips.c.project_id == project_of(principal).id
            return store.FLOATING_IPS.find(connection, mine)

    def of_ports(self, port_ids: Sequence[PortId]) -> Sequence[FloatingIp]:
        """Those bound to these ports."""
        with self._desk.reading() as connection:
            return store.FLOATING_IPS.find(connection, store.floating_ips.c.port_id.in_(port_ids))

    def ports_of(self, floating: Sequence[FloatingIp]) -> Mapping[PortId, Port]:
        """The ports that these are bound to."""
        with self._desk.reading() as connection:
            ids = [f.port_id for f in floating if f.port_id]
            return {port.id: port for port in store.PORTS.find(connection, store.ports.c.id.in_(ids))}

    def get(self, principal: Principal, floating_id: str) -> FloatingIp:
        """One floating IP."""
        with self._desk.reading() as connection:
            return self._own(connection, principal, floating_id)

    def create(
        self,
        principal: Principal,
        *,
        network_id: str,
        address: str | None = None,
        subnet_id: str | None = None,
        port_id: str | None = None,
        fixed_ip_address: str | None = None,
        description: str = "",
        project_id: str | None = None,
    ) -> FloatingIp:
        """Take an address of an external network, perhaps for a port at once.

        Raises:
            Invalid: the network is not external.
            Conflict: quota, or no address left, or the port has one.
        """
        own = allow_writing(principal, "create_floatingip")
        with self._desk.writing() as connection:
            network = store.NETWORKS.get(connection, network_id)
            if network is None:
                raise not_found("Network", network_id)
            if not network.external:
                raise bad(
                    f"Bad floatingip request: Network {network_id} is not a valid external network.",
                    code="bad_request",
                )
            owner = self._desk.owner(principal, own.id, project_id)
            self._desk.charge(connection, owner, "floatingip")
            identifier = FloatingIpId(new_uuid())
            subnets = [
                subnet
                for subnet in store.SUBNETS.find(connection, store.subnets.c.network_id == network.id)
                if subnet_id in {None, subnet.id}
            ]
            if not subnets:
                raise bad(
                    f"Bad floatingip request: Network {network.id} does not contain any IPv4 subnet.",
                    code="bad_request",
                )
            held = addresses.hold(connection, subnets[0], identifier, address)
            floating = store.FLOATING_IPS.add(
                connection,
                FloatingIp(
                    id=identifier,
                    network_id=network.id,
                    address=held.ip_address,
                    **self._desk.stamps(owner, description=description),
                ),
            )
            if port_id:
                floating = self._bind(connection, principal, floating, port_id, fixed_ip_address)
        self._desk.changed()
        return floating

    def update(self, principal: Principal, floating_id: str, changes: Mapping[str, Any]) -> FloatingIp:
        """Bind (`port_id`, `fixed_ip_address`), let go (`port_id` None), or describe a floating IP."""
        allow_writing(principal, "update_floatingip")
        with self._desk.writing() as connection:
            floating = self._own(connection, principal, floating_id)
            if "description" in changes:
                floating = self._desk.touch(floating, description=changes["description"])
            # as Neutron: an update that does not name a port lets go of it, unless it only describes
            if "port_id" in changes or "description" not in changes:
                port_id = changes.get("port_id")
                if port_id:
                    floating = self._bind(
                        connection, principal, floating, port_id, changes.get("fixed_ip_address")
                    )
                else:
                    floating = self._desk.touch(floating, port_id=None, fixed_ip_address=None, router_id=None)
            store.FLOATING_IPS.save(connection, floating)
        self._desk.changed()
        return floating

    def delete(self, principal: Principal, floating_id: str) -> None:
        """Give the address back."""
        allow_writing(principal, "delete_floatingip")
        with self._desk.writing() as connection:
            floating = self._own(connection, principal, floating_id)
            addresses.give_back(connection, floating.id)
            store.FLOATING_IPS.remove(connection, store.floating_ips.c.id == floating.id)
        self._desk.changed()

    def _own(self, connection: Connection, principal: Principal, floating_id: str) -> FloatingIp:
        return self._desk.own(connection, store.FLOATING_IPS, "Floating IP", floating_id, principal)

    def _bind(
        self,
        connection: Connection,
        principal: Principal,
        floating: FloatingIp,
        port_id: str,
        fixed_ip_address: str | None,
    ) -> FloatingIp:
        port = port_or_refusal(connection, principal, port_id)
        fixed = next((f for f in port.fixed_ips if fixed_ip_address in {None, f.ip_address}), None)
        if fixed is None:
            raise bad(
                f"Bad floatingip request: Port {port.id} does not have fixed ip {fixed_ip_address}.",
                code="bad_request",
            )
        for other in store.FLOATING_IPS.find(connection, store.floating_ips.c.port_id == port.id):
            if other.id != floating.id:
                raise Conflict(
                    f"Cannot associate floating IP {floating.address} ({floating.id}) with port {port.id} using "
                    f"fixed IP {fixed.ip_address}, as that fixed IP already has a floating IP on external network "
                    f"{other.network_id}.",
                    code="floating_ip_port_already_associated",
                )
        router_id = self._router_between(connection, port, floating)
        if router_id is None:
            raise NotFound(
                f"External network {floating.network_id} is not reachable from subnet {fixed.subnet_id}. Therefore, "
                f"cannot associate Port {port.id} with a Floating IP.",
                code="external_gateway_for_floating_ip_not_found",
                remedy="Join the subnet and the external network with a router.",
            )
        floating = self._desk.touch(
            floating, port_id=port.id, fixed_ip_address=fixed.ip_address, router_id=router_id
        )
        store.FLOATING_IPS.save(connection, floating)
        return floating

    def _router_between(self, connection: Connection, port: Port, floating: FloatingIp) -> str | None:
        subnets = {fixed.subnet_id for fixed in port.fixed_ips}
        interfaces = store.PORTS.find(
            connection,
            store.ports.c.network_id == port.network_id,
            store.ports.c.device_owner == ROUTER_INTERFACE,
        )
        for interface in interfaces:
            router = store.ROUTERS.get(connection, interface.device_id)
            joined = subnets & {fixed.subnet_id for fixed in interface.fixed_ips}
            if router and joined and router.external_network_id == floating.network_id:
                return router.id
        return None
