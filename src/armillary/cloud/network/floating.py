"""Floating IPs: addresses of this computer's loopback at which machines answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any

from sqlalchemy import ColumnElement, Connection, case

from armillary.accounts.model import Principal
from armillary.base.errors import Conflict, NotFound
from armillary.base.ids import FloatingIpId, PortId, ProjectId, new_uuid
from armillary.cloud import store
from armillary.cloud.access import project_of
from armillary.cloud.network import addresses
from armillary.cloud.network.desk import bad, need_admin
from armillary.cloud.network.listing import Facet, text
from armillary.cloud.network.model import ROUTER_INTERFACE, FixedIp, FloatingIp, Port, Subnet
from armillary.cloud.network.networks import usable
from armillary.cloud.network.ports import port_or_refusal
from armillary.cloud.network.shelf import Shelf

_SHOWN = {"address": "floating_ip_address", "network_id": "floating_network_id"}


class FloatingIps(Shelf[FloatingIp]):
    """Addresses that a project holds, each perhaps bound to a port."""

    records = store.FLOATING_IPS
    singular = "floatingip"
    quota = "floatingip"

    def missing(self, identifier: str) -> NotFound:
        return NotFound(f"Floating IP {identifier} could not be found", code="floating_ip_not_found")

    def _facets(self) -> dict[str, Facet]:
        found = super()._facets()
        status = case((store.floating_ips.c.port_id.is_(None), "DOWN"), else_="ACTIVE")
        return found | {shown: found.pop(name) for name, shown in _SHOWN.items()} | {"status": text(status)}

    def _columns(self) -> dict[str, ColumnElement[Any]]:
        found = super()._columns()
        return found | {shown: found.pop(name) for name, shown in _SHOWN.items()}

    def ports_of(self, floating: Sequence[FloatingIp]) -> Mapping[PortId, Port]:
        """The ports that these are bound to."""
        with self._desk.reading() as connection:
            ids = [f.port_id for f in floating if f.port_id]
            return {port.id: port for port in store.PORTS.find(connection, store.ports.c.id.in_(ids))}

    def pools(self, who: Principal) -> Sequence[Subnet]:
        """The subnets that floating IPs come from."""
        with self._desk.reading() as connection:
            outer = [n.id for n in store.NETWORKS.find(connection, store.networks.c.external)]
            columns = store.subnets.c
            return store.SUBNETS.find(connection, columns.network_id.in_(outer), columns.ip_version == 4)

    def _make(
        self, connection: Connection, who: Principal, owner: ProjectId, fields: dict[str, Any]
    ) -> FloatingIp:
        wanted, port_id = fields.get("address"), fields.get("port_id")
        if wanted is not None:
            need_admin(who, "create_floatingip", "floating_ip_address")
        network = usable(connection, who, fields["network_id"], project_of(who).id)
        if not network.external:
            raise bad(
                f"Bad floatingip request: Network {network.id} is not a valid external network.",
                code="bad_request",
            )
        _need_port(port_id, fields.get("fixed_ip_address"))
        identifier = FloatingIpId(new_uuid())
        columns = store.subnets.c
        subnets = store.SUBNETS.find(connection, columns.network_id == network.id, columns.ip_version == 4)
        if not subnets:
            raise bad(
                f"Bad floatingip request: Network {network.id} does not contain any IPv4 subnet.",
                code="bad_request",
            )
        held = _hold(connection, subnets, identifier, network.id, fields)
        floating = FloatingIp(
            id=identifier,
            network_id=network.id,
            address=held.ip_address,
            **self._desk.stamps(owner, description=fields.get("description", "")),
        )
        store.FLOATING_IPS.add(connection, floating)
        if port_id:
            floating = self._bind(connection, who, floating, port_id, fields.get("fixed_ip_address"))
            floating = self._desk.replaced(floating, revision_number=0)
            store.FLOATING_IPS.save(connection, floating)
        return floating

    def _change(
        self, connection: Connection, who: Principal, item: FloatingIp, changes: dict[str, Any]
    ) -> FloatingIp:
        port_id = changes.get("port_id")
        _need_port(port_id, changes.get("fixed_ip_address"))
        if "description" in changes:
            item = self._desk.touch(item, description=changes["description"])
        if port_id:
            return self._bind(connection, who, item, port_id, changes.get("fixed_ip_address"))
        # as Neutron: an update that does not name a port lets go of it, unless it only describes
        if "port_id" in changes or "description" not in changes:
            item = self._desk.touch(item, port_id=None, fixed_ip_address=None, router_id=None)
        return item

    def _remove(self, connection: Connection, who: Principal, item: FloatingIp) -> None:
        addresses.give_back(connection, item.id)

    def _bind(
        self,
        connection: Connection,
        principal: Principal,
        floating: FloatingIp,
        port_id: str,
        fixed_ip_address: str | None,
    ) -> FloatingIp:
        port = port_or_refusal(connection, principal, port_id)
        fixed = _fixed_of(port, fixed_ip_address)
        for other in store.FLOATING_IPS.find(connection, store.floating_ips.c.port_id == port.id):
            if other.id != floating.id and other.fixed_ip_address == fixed.ip_address:
                raise Conflict(
                    f"Cannot associate floating IP {floating.address} ({floating.id}) with port {port.id} using "
                    f"fixed IP {fixed.ip_address}, as that fixed IP already has a floating IP on external network "
                    f"{other.network_id}.",
                    code="floating_ip_port_already_associated",
                )
        router_id = self._router_between(connection, port, fixed, floating)
        if router_id is None:
            raise NotFound(
                f"External network {floating.network_id} is not reachable from subnet {fixed.subnet_id}. Therefore, "
                f"cannot associate Port {port.id} with a Floating IP.",
                code="external_gateway_for_floating_ip_not_found",
                remedy="Join the subnet and the external network with a router.",
            )
        return self._desk.touch(
            floating, port_id=port.id, fixed_ip_address=fixed.ip_address, router_id=router_id
        )

    def _router_between(
        self, connection: Connection, port: Port, fixed: FixedIp, floating: FloatingIp
    ) -> str | None:
        ports = store.ports.c
        interfaces = store.PORTS.find(
            connection, ports.network_id == port.network_id, ports.device_owner == ROUTER_INTERFACE
        )
        for interface in interfaces:
            router = store.ROUTERS.get(connection, interface.device_id)
            joined = fixed.subnet_id in {f.subnet_id for f in interface.fixed_ips}
            if router and joined and router.external_network_id == floating.network_id:
                return router.id
        return None


def _need_port(port_id: str | None, fixed_ip_address: str | None) -> None:
    if fixed_ip_address is not None and not port_id:
        raise bad(
            "Bad floatingip request: fixed_ip_address cannot be specified without a port_id.",
            code="bad_request",
        )


def _hold(
    connection: Connection, subnets: Sequence[Subnet], holder: str, network_id: str, fields: Mapping[str, Any]
) -> FixedIp:
    wish = {"subnet_id": fields.get("subnet_id"), "ip_address": fields.get("address")}
    wish = {name: value for name, value in wish.items() if value is not None}
    if wish:
        return addresses.give(connection, subnets, holder, [wish], network_id=network_id, mac="")[0]
    return addresses.pick(connection, subnets, holder, mac="")[0]


def _fixed_of(port: Port, wanted: str | None) -> FixedIp:
    """Which of a port's addresses a floating IP leads to."""
    of_ipv4 = [fixed for fixed in port.fixed_ips if ip_address(fixed.ip_address).version == 4]
    if wanted is not None:
        found = next((fixed for fixed in of_ipv4 if fixed.ip_address == wanted), None)
        if found is None:
            raise bad(
                f"Bad floatingip request: Port {port.id} does not have fixed ip {wanted}.", code="bad_request"
            )
        return found
    if not of_ipv4:
        raise bad(
            f"Bad floatingip request: Cannot add floating IP to port {port.id} that has no fixed IPv4 addresses.",
            code="bad_request",
        )
    if len(of_ipv4) > 1:
        raise bad(
            f"Bad floatingip request: Port {port.id} has multiple fixed IPv4 addresses.  Must provide a specific "
            "IPv4 address when assigning a floating IP.",
            code="bad_request",
        )
    return of_ipv4[0]
