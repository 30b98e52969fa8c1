"""Ports as their owners see and change them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, or_, select

from armillary.accounts.model import Principal
from armillary.base.errors import Conflict, Forbidden, NotFound
from armillary.base.ids import ProjectId
from armillary.cloud import store
from armillary.cloud.access import project_of
from armillary.cloud.network import addresses
from armillary.cloud.network.desk import bad, need_admin, not_found
from armillary.cloud.network.groups import find_groups
from armillary.cloud.network.listing import Facet, fixed_ips, member, text
from armillary.cloud.network.model import ROUTER_INTERFACE, ROUTER_OWNERS, Network, Port
from armillary.cloud.network.networks import may_plug, usable
from armillary.cloud.network.ports import (
    add_port,
    check_mac,
    check_pairs,
    insecure,
    subnets_of,
    unbind_floating_ips,
)
from armillary.cloud.network.shelf import Shelf

_SHOWN = {"vnic_type": "binding:vnic_type", "host_id": "binding:host_id"}
_ADMINS = {"host_id": "binding:host_id", "profile": "binding:profile"}
_NETWORK_OWNERS = ("mac_address", "port_security_enabled")


class Ports(Shelf[Port]):
    """One's project's ports, and others' on one's project's networks."""

    records = store.PORTS
    singular = "port"
    quota = "port"

    def missing(self, identifier: str) -> NotFound:
        return not_found("Port", identifier)

    def _mine(self, connection: Connection, who: Principal) -> ColumnElement[bool]:
        own, columns = project_of(who).id, store.ports.c
        networks = select(store.networks.c.id).where(store.networks.c.project_id == own)
        return or_(columns.project_id == own, columns.network_id.in_(networks))

    def _facets(self) -> dict[str, Facet]:
        found, columns = super()._facets(), store.ports.c
        found |= {shown: found.pop(name) for name, shown in _SHOWN.items()}
        status = case((columns.device_id == "", "DOWN"), (~columns.admin_state_up, "DOWN"), else_="ACTIVE")
        return found | {
            "status": text(status),
            "fixed_ips": fixed_ips(columns.id),
            "security_groups": member(columns.security_groups),
        }

    def _columns(self) -> dict[str, ColumnElement[Any]]:
        found = super()._columns()
        return found | {shown: found.pop(name) for name, shown in _SHOWN.items()}

    def of_servers(self, server_ids: Sequence[str]) -> Sequence[Port]:
        """The ports of servers; who may see the servers has been settled by the caller."""
        with self._desk.reading() as connection:
            return store.PORTS.find(connection, store.ports.c.device_id.in_(server_ids))

    def _make(self, connection: Connection, who: Principal, owner: ProjectId, fields: dict[str, Any]) -> Port:
        network = usable(connection, who, fields.pop("network_id"), project_of(who).id)
        if not may_plug(connection, who, network, project_of(who).id):
            raise Forbidden(
                f"Tenant {project_of(who).id} not allowed to create port on this network",
                code="http_forbidden",
            )
        self._check_rights(who, network, fields, "create_port")
        return add_port(self._desk, connection, network, owner, principal=who, charged=True, **fields)

    def _check_rights(self, who: Principal, network: Network, fields: Mapping[str, Any], rule: str) -> None:
        for name, shown in _ADMINS.items():
            if fields.get(name):
                need_admin(who, rule, shown)
        if rule == "update_port" and "mac_address" in fields:
            need_admin(who, rule, "mac_address")
        if who.project is None or network.project_id != who.project.id:
            for name in _NETWORK_OWNERS:
                if name in fields:
                    need_admin(who, rule, name)
            if any("ip_address" in wish for wish in fields.get("fixed_ips") or ()):
                need_admin(who, rule, "fixed_ips:ip_address")

    def _change(self, connection: Connection, who: Principal, item: Port, changes: dict[str, Any]) -> Port:
        network = store.NETWORKS.get(connection, item.network_id)
        if network is None:
            raise self.missing(item.id)
        self._check_rights(who, network, changes, "update_port")
        mac = changes.get("mac_address", item.mac_address)
        if mac != item.mac_address:
            check_mac(connection, network, mac)
        if "security_groups" in changes:
            changes["security_groups"] = find_groups(
                connection, who, item.project_id, changes["security_groups"] or []
            )
        secure = changes.get("port_security_enabled", item.port_security_enabled)
        groups = changes.get("security_groups", item.security_groups)
        pairs = changes.get("allowed_address_pairs", item.allowed_address_pairs)
        if not secure and groups:
            if "security_groups" in changes:
                raise insecure()
            raise Conflict(
                "Port has security group associated. Cannot disable port security or IP address until security "
                "group is removed.",
                code="port_security_port_has_security_group",
            )
        check_pairs(pairs, secure=secure)
        if changes.get("fixed_ips") is not None:
            if item.device_owner == ROUTER_INTERFACE:
                raise bad(
                    f"Bad ports request: IP updates for port {item.id} are not allowed.", code="bad_request"
                )
            self._unbind(connection, item, changes["fixed_ips"])
            addresses.give_back(connection, item.id)
            changes["fixed_ips"] = addresses.give(
                connection, subnets_of(connection, item), item.id, changes["fixed_ips"], network_id=network.id,
                mac=mac, owner=item.device_owner,
            )  # fmt: skip
        changes = {n: tuple(v) if isinstance(v, list) else v for n, v in changes.items()}  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]
        return self._desk.touch(item, **changes)

    def _unbind(self, connection: Connection, port: Port, wishes: Sequence[Mapping[str, str]]) -> None:
        """Unbind floating IPs of addresses that the port is about to lose."""
        kept = {wish.get("ip_address") for wish in wishes}
        for floating in store.FLOATING_IPS.find(connection, store.floating_ips.c.port_id == port.id):
            if floating.fixed_ip_address not in kept:
                free = self._desk.touch(floating, port_id=None, fixed_ip_address=None, router_id=None)
                store.FLOATING_IPS.save(connection, free)

    def _remove(self, connection: Connection, who: Principal, item: Port) -> None:
        if item.device_owner in ROUTER_OWNERS and store.ROUTERS.get(connection, item.device_id):
            raise Conflict(
                f"Port {item.id} cannot be deleted directly via the port API: has device owner {item.device_owner}.",
                code="service_port_in_use",
            )
        unbind_floating_ips(self._desk, connection, item.id)
        addresses.give_back(connection, item.id)
