"""Subnets: ranges of addresses on networks."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

from sqlalchemy import ColumnElement, Connection, or_

from armillary.accounts.model import Principal
from armillary.base.errors import Conflict, NotFound
from armillary.base.ids import ProjectId, SubnetId, new_uuid
from armillary.cloud import store
from armillary.cloud.access import project_of
from armillary.cloud.core.addressing import default_pools, eui64, first_address
from armillary.cloud.core.subnet_rules import check_pools, check_subnet
from armillary.cloud.network import addresses
from armillary.cloud.network.desk import Desk, bad, forbid, not_found
from armillary.cloud.network.listing import Facet, member
from armillary.cloud.network.model import ROUTER_INTERFACE, ROUTER_OWNERS, FixedIp, Network, Subnet
from armillary.cloud.network.networks import usable
from armillary.cloud.network.pools import check_affinity, take_prefix
from armillary.cloud.network.sharing import granted
from armillary.cloud.network.shelf import Shelf

FROM_CIDR = "from cidr"
"""for `gateway_ip`: the first address of the subnet"""


class Subnets(Shelf[Subnet]):
    """One's project's subnets, and those of networks that are shared with it."""

    records = store.SUBNETS
    singular = "subnet"
    quota = "subnet"

    def missing(self, identifier: str) -> NotFound:
        return not_found("Subnet", identifier)

    def _mine(self, connection: Connection, who: Principal) -> ColumnElement[bool]:
        own, columns = project_of(who).id, store.subnets.c
        return or_(columns.project_id == own, granted("network", columns.network_id, own))

    def _facets(self) -> dict[str, Facet]:
        return super()._facets() | {"service_types": member(store.subnets.c.service_types)}

    def _may_change(self, who: Principal, item: Subnet) -> bool:
        if super()._may_change(who, item):
            return True
        with self._desk.reading() as connection:
            network = store.NETWORKS.get(connection, item.network_id)
        return network is not None and who.project is not None and network.project_id == who.project.id

    def _make(
        self, connection: Connection, who: Principal, owner: ProjectId, fields: dict[str, Any]
    ) -> Subnet:
        network = usable(connection, who, fields.pop("network_id"), project_of(who).id)
        if not (who.is_cloud_admin or network.project_id == project_of(who).id):
            raise forbid("create_subnet")
        wanted, prefixlen = fields.pop("subnetpool_id", None), fields.pop("prefixlen", None)
        default = fields.pop("use_default_subnetpool", False)
        if wanted or default:
            fields["cidr"], fields["subnetpool_id"] = take_prefix(
                connection, who, owner, pool_id=wanted, version=fields["ip_version"],
                cidr=fields.get("cidr"), prefixlen=prefixlen, gateway=fields.get("gateway_ip"),
            )  # fmt: skip
        elif fields.get("cidr") is None or prefixlen is not None:
            raise bad(
                "Bad subnets request: a subnetpool must be specified in the absence of a cidr.",
                code="bad_request",
            )
        check_affinity(connection, network.id, fields["ip_version"], fields.get("subnetpool_id"))
        return add_subnet(self._desk, connection, network, owner, **fields)

    def _change(
        self, connection: Connection, who: Principal, item: Subnet, changes: dict[str, Any]
    ) -> Subnet:
        fresh = {name: tuple(value) if isinstance(value, list) else value for name, value in changes.items()}  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]
        changed = self._desk.touch(item, **fresh)
        check_subnet(changed)
        check_pools(changed.cidr, changed.gateway_ip, changed.allocation_pools)
        if changed.gateway_ip != item.gateway_ip and item.gateway_ip is not None:
            self._check_gateway_unused(connection, item)
        return changed

    def _check_gateway_unused(self, connection: Connection, subnet: Subnet) -> None:
        ports = store.ports.c
        for port in store.PORTS.find(
            connection, ports.network_id == subnet.network_id, ports.device_owner == ROUTER_INTERFACE
        ):
            if FixedIp(subnet_id=subnet.id, ip_address=subnet.gateway_ip or "") in port.fixed_ips:
                raise Conflict(
                    f"Current gateway ip {subnet.gateway_ip} already in use by port {port.id}. Unable to update.",
                    code="gateway_ip_in_use",
                )

    def _remove(self, connection: Connection, who: Principal, item: Subnet) -> None:
        holders = addresses.holders(connection, item)
        ports = store.PORTS.find(connection, store.ports.c.id.in_(holders))
        auto = [port for port in ports if item.is_auto and port.device_owner not in ROUTER_OWNERS]
        if len(auto) < len(holders):
            raise Conflict(
                f"Unable to complete operation on subnet {item.id}: One or more ports have an IP allocation "
                "from this subnet.",
                code="subnet_in_use",
            )
        for port in auto:  # addresses that guests made themselves go with their prefix
            left = tuple(fixed for fixed in port.fixed_ips if fixed.subnet_id != item.id)
            store.PORTS.save(connection, self._desk.touch(port, fixed_ips=left))
        addresses.forget(connection, item)


def add_subnet(
    desk: Desk,
    connection: Connection,
    network: Network,
    owner: ProjectId,
    *,
    cidr: str,
    gateway_ip: str | None = FROM_CIDR,
    name: str = "",
    description: str = "",
    **fields: Any,
) -> Subnet:
    """Write a subnet in the caller's transaction, with a gateway and allocation pools unless they are given.

    Raises:
        Invalid, Conflict: in Neutron's words.
    """
    whole = ip_network(cidr, strict=False)
    version = fields.pop("ip_version", whole.version)
    if version != whole.version:
        raise bad(f"cidr '{cidr}' does not match the ip_version '{version}'.")
    if gateway_ip == FROM_CIDR:
        gateway_ip = first_address(str(whole))
    pools = fields.pop("allocation_pools", None)
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]
    subnet = Subnet(
        id=SubnetId(new_uuid()),
        network_id=network.id,
        ip_version=version,
        cidr=str(whole),
        gateway_ip=str(ip_address(gateway_ip)) if gateway_ip else None,
        allocation_pools=tuple(pools) if pools is not None else (),
        **desk.stamps(owner, name=name, description=description),
        **fields,
    )
    check_subnet(subnet)
    for other in store.SUBNETS.find(connection, store.subnets.c.network_id == network.id):
        if other.ip_version == version and ip_network(other.cidr).overlaps(whole):
            raise bad(
                f"Requested subnet with cidr: {cidr} for network: {network.id} overlaps with another subnet."
            )
    if pools is None:
        subnet = desk.replaced(subnet, allocation_pools=default_pools(str(whole), subnet.gateway_ip))
    check_pools(subnet.cidr, subnet.gateway_ip, subnet.allocation_pools)
    store.SUBNETS.add(connection, subnet)
    if subnet.is_auto:
        _give_to_ports(desk, connection, subnet)
    return subnet


def _give_to_ports(desk: Desk, connection: Connection, subnet: Subnet) -> None:
    """Guests that are there hear of a new prefix and make themselves an address of it: note it."""
    ports = store.ports.c
    for port in store.PORTS.find(connection, ports.network_id == subnet.network_id):
        if port.device_owner in ROUTER_OWNERS:
            continue
        address = eui64(subnet.cidr, port.mac_address)
        fixed = addresses.hold(connection, subnet, port.id, address)
        store.PORTS.save(connection, desk.touch(port, fixed_ips=(*port.fixed_ips, fixed)))
