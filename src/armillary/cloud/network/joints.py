"""Where routers meet subnets and the outside: their ports, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from sqlalchemy import Connection

from armillary.accounts.model import Principal
from armillary.base.errors import Conflict, Invalid, NotFound
from armillary.base.ids import NetworkId, PortId, ProjectId, SubnetId, new_uuid
from armillary.cloud import store
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
from armillary.cloud.network.networks import usable
from armillary.cloud.network.ports import drop_port, port_or_refusal


def interfaces(connection: Connection, router_id: str) -> list[Port]:
    """The ports by which a router is joined to subnets."""
    return store.PORTS.find(
        connection, store.ports.c.device_id == router_id, store.ports.c.device_owner == ROUTER_INTERFACE
    )


def _bad_router(reason: str) -> Invalid:
    return bad(f"Bad router request: {reason}", code="bad_request")


def _subnets(connection: Connection, ports: Iterable[Port]) -> list[Subnet]:
    ids = {fixed.subnet_id for port in ports for fixed in port.fixed_ips}
    return store.SUBNETS.find(connection, store.subnets.c.id.in_(ids))


def _check_overlap(connection: Connection, router: Router, subnets: Sequence[Subnet]) -> None:
    for known in _subnets(connection, interfaces(connection, router.id)):
        for subnet in subnets:
            if known.id == subnet.id:
                raise _bad_router(f"Router already has a port on subnet {subnet.id}.")
            if known.ip_version == subnet.ip_version and ip_network(known.cidr).overlaps(
                ip_network(subnet.cidr)
            ):
                raise _bad_router(
                    f"Cidr {subnet.cidr} of subnet {subnet.id} overlaps with cidr {known.cidr} of subnet {known.id}."
                )


def add_interface(desk: Desk, connection: Connection, router: Router, subnet: Subnet) -> Port:
    """Join a subnet to a router by the subnet's gateway address.

    Raises:
        Invalid: the subnet has no gateway, is joined already, or overlaps one that is.
    """
    if subnet.gateway_ip is None:
        raise _bad_router("Subnet for router interface must have a gateway IP.")
    _check_overlap(connection, router, [subnet])
    for port in interfaces(connection, router.id):
        known = _subnets(connection, [port])
        if port.network_id == subnet.network_id and subnet.ip_version == 6 and known[0].ip_version == 6:
            fixed = _gateway_of(connection, subnet, port.id)  # as Neutron: one port for all of IPv6
            joined = desk.touch(port, fixed_ips=(*port.fixed_ips, fixed))
            store.PORTS.save(connection, joined)
            return joined
    identifier = PortId(new_uuid())
    fixed = _gateway_of(connection, subnet, identifier)
    return _add_port(
        desk,
        connection,
        router.project_id,
        identifier,
        subnet.network_id,
        (fixed,),
        router.id,
        ROUTER_INTERFACE,
    )


def _gateway_of(connection: Connection, subnet: Subnet, holder: str) -> FixedIp:
    return addresses.hold(connection, subnet, holder, subnet.gateway_ip)


def join_port(desk: Desk, connection: Connection, who: Principal, router: Router, port_id: str) -> Port:
    """Join an existing port to a router.

    Raises:
        NotFound: there is none.
        Conflict: somebody has it.
        Invalid: it has no address, or its subnets overlap others.
    """
    port = port_or_refusal(connection, who, port_id)
    if port.device_id:
        raise Conflict(
            f"Unable to complete operation on port {port.id} for network {port.network_id}. Port already has an "
            f"attached device {port.device_id}.",
            code="port_in_use",
        )
    if not port.fixed_ips:
        raise _bad_router("Router port must have at least one fixed IP.")
    subnets = _subnets(connection, [port])
    if len([subnet for subnet in subnets if subnet.ip_version == 4]) > 1:
        raise _bad_router("Cannot have multiple IPv4 subnets on router port.")
    _check_overlap(connection, router, subnets)
    port = desk.touch(port, device_id=router.id, device_owner=ROUTER_INTERFACE, status="ACTIVE")
    store.PORTS.save(connection, port)
    return port


def remove_interface(
    desk: Desk, connection: Connection, router: Router, *, subnet_id: str | None, port_id: str | None
) -> Port:
    """Part a router from a subnet, or take one of its ports away.

    Raises:
        NotFound, Invalid: it is not joined so.
        Conflict: floating IPs or routes need it.
    """
    ports = interfaces(connection, router.id)
    if port_id is not None:
        port = next((each for each in ports if each.id == port_id), None)
        if port is None:
            raise NotFound(
                f"Router {router.id} does not have an interface with id {port_id}",
                code="router_interface_not_found",
            )
        if subnet_id is not None and subnet_id not in {fixed.subnet_id for fixed in port.fixed_ips}:
            raise bad(
                f"Subnet on port {port_id} does not match the requested subnet {subnet_id}.",
                code="subnet_mismatch_for_port",
            )
        leaving = {fixed.subnet_id for fixed in port.fixed_ips}
    else:
        if store.SUBNETS.get(connection, subnet_id or "") is None:
            raise not_found("Subnet", str(subnet_id))
        port = next((p for p in ports if subnet_id in {f.subnet_id for f in p.fixed_ips}), None)
        if port is None:
            raise NotFound(
                f"Router {router.id} has no interface on subnet {subnet_id}",
                code="router_interface_not_found_for_subnet",
            )
        leaving = {SubnetId(str(subnet_id))}
    _check_unused(connection, router, leaving)
    left = tuple(fixed for fixed in port.fixed_ips if fixed.subnet_id not in leaving)
    if not left:
        drop_port(desk, connection, port)
        return port
    kept = desk.touch(port, fixed_ips=left)
    addresses.give_back(connection, port.id)
    for subnet in _subnets(connection, [kept]):
        address = next(fixed.ip_address for fixed in left if fixed.subnet_id == subnet.id)
        addresses.hold(connection, subnet, port.id, address)
    store.PORTS.save(connection, kept)
    return desk.replaced(port, fixed_ips=tuple(f for f in port.fixed_ips if f.subnet_id in leaving))


def _check_unused(connection: Connection, router: Router, leaving: set[SubnetId]) -> None:
    for floating in store.FLOATING_IPS.find(connection, store.floating_ips.c.router_id == router.id):
        bound = store.PORTS.get(connection, floating.port_id or "")
        if bound and any(
            fixed.ip_address == floating.fixed_ip_address and fixed.subnet_id in leaving
            for fixed in bound.fixed_ips
        ):
            raise Conflict(
                f"Router interface for subnet {min(leaving)} on router {router.id} cannot be deleted, "
                "as it is required by one or more floating IPs.",
                code="router_interface_in_use_by_floating_ip",
            )
    for subnet in store.SUBNETS.find(connection, store.subnets.c.id.in_(leaving)):
        if any(ip_address(route["nexthop"]) in ip_network(subnet.cidr) for route in router.routes):
            raise Conflict(
                f"Router interface for subnet {subnet.id} on router {router.id} cannot be deleted, as it is required "
                "by one or more routes.",
                code="router_interface_in_use_by_route",
            )


def check_routes(connection: Connection, router: Router, routes: Sequence[Mapping[str, Any]]) -> None:
    """Refuse routes that lead nowhere.

    Raises:
        Invalid: a next hop is not on a subnet that the router is joined to, or is the router itself.
    """
    ports = store.PORTS.find(connection, store.ports.c.device_id == router.id)
    own = {fixed.ip_address for port in ports for fixed in port.fixed_ips}
    reachable = [ip_network(subnet.cidr) for subnet in _subnets(connection, ports)]
    for route in routes:
        hop = ip_address(route["nexthop"])
        reason = ""
        if not any(hop in network for network in reachable):
            reason = "the nexthop is not connected with router"
        elif str(hop) in own:
            reason = "the nexthop is used by router"
        if reason:
            shown = [dict(each) for each in routes]
            raise bad(f"Invalid format for routes: {shown}, {reason}", code="invalid_routes")


def set_gateway(
    desk: Desk,
    connection: Connection,
    who: Principal | None,
    router: Router,
    gateway: Mapping[str, Any],
) -> Router:
    """Join a router with an external network, or part it (empty `gateway`).

    `who` None is the cloud itself.

    Raises:
        Invalid: the network is not external.
        NotFound: there is none.
        Conflict: floating IPs need the gateway that is there.
    """
    columns = store.ports.c
    old = store.PORTS.find(connection, columns.device_id == router.id, columns.device_owner == ROUTER_GATEWAY)
    network_id = gateway.get("network_id")
    if network_id is not None:
        network = (
            usable(connection, who, network_id, router.project_id)
            if who is not None
            else store.NETWORKS.get(connection, network_id)
        )
        if network is None or not network.external:
            raise _bad_router(f"Network {network_id} is not an external network.")
    if router.external_network_id not in {None, network_id} and store.FLOATING_IPS.find(
        connection, store.floating_ips.c.router_id == router.id
    ):
        raise Conflict(
            f"Gateway cannot be updated for router {router.id}, since a gateway to external network "
            f"{router.external_network_id} is required by one or more floating IPs.",
            code="router_external_gateway_in_use_by_floating_ip",
        )
    kept = router.external_network_id == network_id and old and not gateway.get("external_fixed_ips")
    if not kept:
        for port in old:
            drop_port(desk, connection, port)
        if network_id is not None:
            _add_gateway_port(desk, connection, router, NetworkId(network_id), gateway)
    snat = gateway.get("enable_snat", True if network_id is None else router.enable_snat)
    router = desk.touch(router, external_network_id=network_id, enable_snat=snat)
    store.ROUTERS.save(connection, router)
    return router


def _add_gateway_port(
    desk: Desk, connection: Connection, router: Router, network_id: NetworkId, gateway: Mapping[str, Any]
) -> None:
    subnets = store.SUBNETS.find(connection, store.subnets.c.network_id == network_id)
    identifier = PortId(new_uuid())
    mac, wishes = mac_of(identifier), gateway.get("external_fixed_ips")
    fixed = (
        addresses.give(
            connection, subnets, identifier, wishes, network_id=network_id, mac=mac, owner=ROUTER_GATEWAY
        )
        if wishes
        else addresses.pick(connection, subnets, identifier, mac=mac, owner=ROUTER_GATEWAY)
    )
    _add_port(desk, connection, PROVIDER, identifier, network_id, fixed, router.id, ROUTER_GATEWAY)


def _add_port(
    desk: Desk,
    connection: Connection,
    owner: ProjectId,
    identifier: PortId,
    network_id: NetworkId,
    fixed_ips: tuple[FixedIp, ...],
    device_id: str,
    device_owner: str,
) -> Port:
    port = Port(
        id=identifier,
        network_id=network_id,
        mac_address=mac_of(identifier),
        fixed_ips=fixed_ips,
        device_id=device_id,
        device_owner=device_owner,
        status="ACTIVE",
        port_security_enabled=False,
        ours=True,
        **desk.stamps(owner),
    )
    return store.PORTS.add(connection, port)
