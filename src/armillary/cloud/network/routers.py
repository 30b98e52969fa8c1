"""Routers: they join a project's subnets with each other and with the outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from armillary.accounts.model import Principal
from armillary.base.errors import Conflict
from armillary.base.ids import NetworkId, PortId, ProjectId, new_uuid
from armillary.cloud import store
from armillary.cloud.access import allow_writing, project_of
from armillary.cloud.core.addressing import mac_of
from armillary.cloud.network import addresses
from armillary.cloud.network.desk import Desk, bad, not_found
from armillary.cloud.network.model import (
    PROVIDER,
    ROUTER_GATEWAY,
    ROUTER_INTERFACE,
    FixedIp,
    Port,
    Router,
    Subnet,
)
from armillary.cloud.network.ports import drop_port, port_or_refusal


class Routers:
    """Layer 3 between networks. On this cloud they carry no packets themselves: the fabric routes for them."""

    def __init__(self, *, desk: Desk) -> None:
        self._desk = desk

    def list(self, principal: Principal) -> list[Router]:
        """The routers of one's project; administrators see all."""
        with self._desk.reading() as connection:
            if principal.is_cloud_admin:
                return store.ROUTERS.find(connection)
            return store.ROUTERS.find(connection, store.routers.c.project_id == project_of(principal).id)

    def get(self, principal: Principal, router_id: str) -> Router:
        """One router."""
        with self._desk.reading() as connection:
            return self._desk.own(connection, store.ROUTERS, "Router", router_id, principal)

    def gateway_ports(self, router_ids: Sequence[str]) -> Mapping[str, Port]:
        """The outer ports by router."""
        with self._desk.reading() as connection:
            found = store.PORTS.find(
                connection,
                store.ports.c.device_id.in_(router_ids),
                store.ports.c.device_owner == ROUTER_GATEWAY,
            )
        return {port.device_id: port for port in found}

    def create(
        self,
        principal: Principal,
        *,
        name: str = "",
        description: str = "",
        project_id: str | None = None,
        gateway: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> Router:
        """Make a router, perhaps with a gateway (`network_id`, `enable_snat`, `external_fixed_ips`)."""
        own = allow_writing(principal, "create_router")
        with self._desk.writing() as connection:
            owner = self._desk.owner(principal, own.id, project_id)
            self._desk.charge(connection, owner, "router")
            router = add_router(self._desk, connection, owner, name=name, description=description, **fields)
            return set_gateway(self._desk, connection, router, gateway) if gateway else router

    def update(self, principal: Principal, router_id: str, changes: Mapping[str, Any]) -> Router:
        """Change attributes; `gateway` sets the outer network, an empty one clears it."""
        allow_writing(principal, "update_router")
        with self._desk.writing() as connection:
            router = self._desk.own(connection, store.ROUTERS, "Router", router_id, principal)
            plain = {name: value for name, value in changes.items() if name != "gateway"}
            router = self._desk.touch(router, **plain)
            store.ROUTERS.save(connection, router)
            if "gateway" in changes:
                router = set_gateway(self._desk, connection, router, changes["gateway"] or {})
        self._desk.changed()
        return router

    def delete(self, principal: Principal, router_id: str) -> None:
        """Remove a router without interfaces.

        Raises:
            Conflict: it has some.
        """
        allow_writing(principal, "delete_router")
        with self._desk.writing() as connection:
            router = self._desk.own(connection, store.ROUTERS, "Router", router_id, principal)
            if _interfaces(connection, router.id):
                raise Conflict(f"Router {router.id} still has ports", code="router_in_use")
            set_gateway(self._desk, connection, router, {})
            store.ROUTERS.remove(connection, store.routers.c.id == router.id)

    def add_interface(
        self,
        principal: Principal,
        router_id: str,
        *,
        subnet_id: str | None = None,
        port_id: str | None = None,
    ) -> tuple[Router, Port]:
        """Join a subnet (by its gateway address) or an existing port to a router."""
        allow_writing(principal, "add_router_interface")
        with self._desk.writing() as connection:
            router = self._desk.own(connection, store.ROUTERS, "Router", router_id, principal)
            if port_id is not None:
                port = port_or_refusal(connection, principal, port_id)
                if port.device_id:
                    raise Conflict(f"Port {port.id} is in use by {port.device_id}.", code="port_in_use")
                port = self._desk.touch(
                    port, device_id=router.id, device_owner=ROUTER_INTERFACE, status="ACTIVE"
                )
                store.PORTS.save(connection, port)
                return router, port
            subnet = store.SUBNETS.get(connection, subnet_id or "")
            if subnet is None:
                raise not_found("Subnet", str(subnet_id))
            self._desk.own(connection, store.SUBNETS, "Subnet", subnet.id, principal)
            return router, add_interface(self._desk, connection, router, subnet)

    def remove_interface(
        self,
        principal: Principal,
        router_id: str,
        *,
        subnet_id: str | None = None,
        port_id: str | None = None,
    ) -> tuple[Router, Port]:
        """Part a subnet from a router.

        Raises:
            NotFound: it is not joined.
            Conflict: a floating IP needs it.
        """
        allow_writing(principal, "remove_router_interface")
        with self._desk.writing() as connection:
            router = self._desk.own(connection, store.ROUTERS, "Router", router_id, principal)
            for port in _interfaces(connection, router.id):
                subnets = {fixed.subnet_id for fixed in port.fixed_ips}
                if port.id != port_id and subnet_id not in subnets:
                    continue
                for floating in store.FLOATING_IPS.find(
                    connection, store.floating_ips.c.router_id == router.id
                ):
                    bound = store.PORTS.get(connection, floating.port_id or "")
                    if bound and subnets & {fixed.subnet_id for fixed in bound.fixed_ips}:
                        raise Conflict(
                            f"Router interface for subnet {min(subnets)} on router {router.id} cannot be deleted, "
                            "as it is required by one or more floating IPs.",
                            code="router_interface_in_use_by_floating_ip",
                        )
                drop_port(self._desk, connection, port)
                return router, port
            if subnet_id is not None:
                raise not_found("Subnet", subnet_id)
            raise not_found("Port", str(port_id))


def _interfaces(connection: Connection, router_id: str) -> list[Port]:
    return store.PORTS.find(
        connection, store.ports.c.device_id == router_id, store.ports.c.device_owner == ROUTER_INTERFACE
    )


def add_router(
    desk: Desk, connection: Connection, owner: ProjectId, *, name: str, description: str = "", **fields: Any
) -> Router:
    """Write a router in the caller's transaction."""
    stamps = desk.stamps(owner, name=name, description=description)
    return store.ROUTERS.add(connection, Router(id=new_uuid(), **stamps, **fields))


def add_interface(desk: Desk, connection: Connection, router: Router, subnet: Subnet) -> Port:
    """Join a subnet to a router by the subnet's gateway address, in the caller's transaction.

    Raises:
        Invalid: the subnet has no gateway, or is joined already.
    """
    if subnet.gateway_ip is None:
        raise bad("Subnet for router interface must have a gateway IP", code="bad_router_request")
    for port in _interfaces(connection, router.id):
        if subnet.id in {fixed.subnet_id for fixed in port.fixed_ips}:
            raise bad(
                f"Bad router request: Router already has a port on subnet {subnet.id}.",
                code="bad_router_request",
            )
    identifier = PortId(new_uuid())
    fixed = addresses.hold(connection, subnet, identifier, subnet.gateway_ip)
    return _add_port(
        desk, connection, router.project_id, identifier, subnet.network_id, fixed, router.id, ROUTER_INTERFACE
    )


def set_gateway(desk: Desk, connection: Connection, router: Router, gateway: Mapping[str, Any]) -> Router:
    """Join a router with an external network, or part it (empty `gateway`), in the caller's transaction.

    Raises:
        Invalid: the network is not external.
        NotFound: there is none.
        Conflict: floating IPs need the gateway that is there.
    """
    old = [
        port
        for port in store.PORTS.find(connection, store.ports.c.device_id == router.id)
        if port.device_owner == ROUTER_GATEWAY
    ]
    network_id = gateway.get("network_id")
    if network_id is not None:
        network = store.NETWORKS.get(connection, network_id)
        if network is None:
            raise not_found("Network", network_id)
        if not network.external:
            raise bad(
                f"Bad router request: Network {network_id} is not an external network.",
                code="bad_router_request",
            )
    elif old and store.FLOATING_IPS.find(connection, store.floating_ips.c.router_id == router.id):
        raise Conflict(
            f"Gateway cannot be updated for router {router.id}, since a gateway to external network "
            f"{router.external_network_id} is required by one or more floating IPs.",
            code="router_external_gateway_in_use_by_floating_ip",
        )
    kept = network_id is not None and router.external_network_id == network_id and old
    if not kept:
        for port in old:
            drop_port(desk, connection, port)
        if network_id is not None:
            _add_gateway_port(desk, connection, router, NetworkId(network_id), gateway)
    router = desk.touch(
        router, external_network_id=network_id, enable_snat=gateway.get("enable_snat", router.enable_snat)
    )
    store.ROUTERS.save(connection, router)
    return router


def _add_gateway_port(
    desk: Desk, connection: Connection, router: Router, network_id: NetworkId, gateway: Mapping[str, Any]
) -> None:
    subnets = store.SUBNETS.find(connection, store.subnets.c.network_id == network_id)
    wishes: list[Mapping[str, str]] = gateway.get("external_fixed_ips") or [{}]
    wanted = wishes[0].get("ip_address")
    subnet = next((s for s in subnets if wishes[0].get("subnet_id") in {None, s.id}), None)
    if subnet is not None:
        identifier = PortId(new_uuid())
        fixed = addresses.hold(connection, subnet, identifier, wanted)
        _add_port(desk, connection, PROVIDER, identifier, network_id, fixed, router.id, ROUTER_GATEWAY)


def _add_port(
    desk: Desk,
    connection: Connection,
    owner: ProjectId,
    identifier: PortId,
    network_id: NetworkId,
    fixed: FixedIp,
    device_id: str,
    device_owner: str,
) -> Port:
    port = Port(
        id=identifier,
        network_id=network_id,
        mac_address=mac_of(identifier),
        fixed_ips=(fixed,),
        device_id=device_id,
        device_owner=device_owner,
        status="ACTIVE",
        port_security_enabled=False,
        ours=True,
        **desk.stamps(owner),
    )
    return store.PORTS.add(connection, port)
