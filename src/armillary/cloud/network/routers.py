"""Routers: they join a project's subnets with each other and with the outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from armillary.accounts.model import Principal
from armillary.base.errors import Conflict, Forbidden, NotFound
from armillary.base.ids import ProjectId, new_uuid
from armillary.cloud import store
from armillary.cloud.access import allow_writing
from armillary.cloud.network.desk import Desk, not_found
from armillary.cloud.network.joints import (
    add_interface,
    check_routes,
    interfaces,
    join_port,
    remove_interface,
    set_gateway,
)
from armillary.cloud.network.listing import Facet, member
from armillary.cloud.network.model import ROUTER_GATEWAY, Port, Router
from armillary.cloud.network.shelf import Shelf

_ADMINS = ("enable_snat", "external_fixed_ips")


class Routers(Shelf[Router]):
    """Layer 3 between networks. On this cloud they carry no packets themselves: the fabric routes for them."""

    records = store.ROUTERS
    singular = "router"
    quota = "router"

    def missing(self, identifier: str) -> NotFound:
        return NotFound(f"Router {identifier} could not be found", code="router_not_found")

    def _facets(self) -> dict[str, Facet]:
        hints = member(store.routers.c.availability_zone_hints)
        return super()._facets() | {"availability_zone_hints": hints}

    def gateway_ports(self, router_ids: Sequence[str]) -> Mapping[str, Port]:
        """The outer ports by router."""
        with self._desk.reading() as connection:
            found = store.PORTS.find(
                connection,
                store.ports.c.device_id.in_(router_ids),
                store.ports.c.device_owner == ROUTER_GATEWAY,
            )
        return {port.device_id: port for port in found}

    def _make(
        self, connection: Connection, who: Principal, owner: ProjectId, fields: dict[str, Any]
    ) -> Router:
        gateway: Mapping[str, Any] = fields.pop("gateway", None) or {}
        _check_gateway(who, gateway, "create_router")
        router = add_router(self._desk, connection, owner, **fields)
        return set_gateway(self._desk, connection, who, router, gateway) if gateway else router

    def _change(
        self, connection: Connection, who: Principal, item: Router, changes: dict[str, Any]
    ) -> Router:
        given = "gateway" in changes
        gateway: Mapping[str, Any] = changes.pop("gateway", None) or {}
        _check_gateway(who, gateway, "update_router")
        if "routes" in changes:
            check_routes(connection, item, changes["routes"])
            changes["routes"] = tuple(changes["routes"])
        router = self._desk.touch(item, **changes) if changes or not given else item
        return set_gateway(self._desk, connection, who, router, gateway) if given else router

    def _remove(self, connection: Connection, who: Principal, item: Router) -> None:
        attached = interfaces(connection, item.id)
        if attached:
            ids = ", ".join(port.id for port in attached)
            raise Conflict(f"Router {item.id} has ports still attached: {ids}", code="router_in_use")
        set_gateway(self._desk, connection, who, item, {})

    def add_interface(
        self,
        who: Principal,
        router_id: str,
        *,
        subnet_id: str | None = None,
        port_id: str | None = None,
    ) -> tuple[Router, Port]:
        """Join a subnet (by its gateway address) or an existing port to a router."""
        allow_writing(who, "add_router_interface")
        with self._desk.writing() as connection:
            router = self.own(connection, who, router_id, "add_interface_to")
            if port_id is not None:
                joined = router, join_port(self._desk, connection, who, router, port_id)
            else:
                subnet = store.SUBNETS.get(connection, subnet_id or "")
                if subnet is None or not (who.is_cloud_admin or subnet.project_id == router.project_id):
                    raise not_found("Subnet", str(subnet_id))
                joined = router, add_interface(self._desk, connection, router, subnet)
        self._told()
        return joined

    def remove_interface(
        self, who: Principal, router_id: str, *, subnet_id: str | None = None, port_id: str | None = None
    ) -> tuple[Router, Port]:
        """Part a subnet from a router.

        Raises:
            NotFound: it is not joined.
            Conflict: a floating IP or a route needs it.
        """
        allow_writing(who, "remove_router_interface")
        with self._desk.writing() as connection:
            router = self.own(connection, who, router_id, "remove_interface_from")
            port = remove_interface(self._desk, connection, router, subnet_id=subnet_id, port_id=port_id)
        self._told()
        return router, port

    def change_routes(
        self, who: Principal, router_id: str, *, add: Sequence[Mapping[str, str]] = (),
        remove: Sequence[Mapping[str, str]] = (),
    ) -> Router:  # fmt: skip
        """Add routes to those that a router has, or take some away, in one step (`extraroute-atomic`)."""
        allow_writing(who, "update_router")
        with self._desk.writing() as connection:
            router = self.own(connection, who, router_id, "update")
            kept = [route for route in router.routes if dict(route) not in [dict(gone) for gone in remove]]
            kept += [route for route in add if dict(route) not in [dict(known) for known in kept]]
            check_routes(connection, router, kept)
            router = self._desk.touch(router, routes=tuple(kept))
            store.ROUTERS.save(connection, router)
        return router


def _check_gateway(who: Principal, gateway: Mapping[str, Any], rule: str) -> None:
    outer = f"{rule}:external_gateway_info"
    for name in _ADMINS:
        if name in gateway and not who.is_cloud_admin:
            raise Forbidden(
                f"(rule:{rule} and (rule:{outer} and (rule:{outer}:network_id and rule:{outer}:{name}))) is "
                "disallowed by policy",
                code="policy_not_authorized",
            )


def add_router(
    desk: Desk,
    connection: Connection,
    owner: ProjectId,
    *,
    name: str = "",
    description: str = "",
    **fields: Any,
) -> Router:
    """Write a router in the caller's transaction."""
    stamps = desk.stamps(owner, name=name, description=description)
    fields = {n: tuple(v) if isinstance(v, list) else v for n, v in fields.items()}  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]
    return store.ROUTERS.add(connection, Router(id=new_uuid(), **stamps, **fields))
