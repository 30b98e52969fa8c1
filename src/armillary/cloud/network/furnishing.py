"""What a project finds when it first looks: a security group, and perhaps a network with a way out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError

from armillary.accounts.model import Principal, Project
from armillary.base.errors import Conflict
from armillary.base.ids import NetworkId, ProjectId, new_uuid
from armillary.cloud import store
from armillary.cloud.network.desk import Desk, forbid
from armillary.cloud.network.groups import add_default_group
from armillary.cloud.network.joints import add_interface, interfaces, set_gateway
from armillary.cloud.network.model import ROUTER_OWNERS, Network
from armillary.cloud.network.networks import MTU
from armillary.cloud.network.ports import drop_port
from armillary.cloud.network.routers import add_router
from armillary.cloud.network.subnets import add_subnet

PROJECT_CIDR = "10.0.0.0/24"
_GOT = "auto_allocated"
"""begins the names of what is made for a project that asks for a network, as in Neutron"""


class Furnishing:
    """Gives projects their first things, and takes them away when the project is gone.

    Projects that came by registration find a network of their own, with ssh open. Those that somebody made through
    the Identity API find what Neutron gives: a default group and nothing else.
    """

    def __init__(self, *, desk: Desk, networks: bool) -> None:
        """Take over.

        Args:
            desk: of the network service.
            networks: whether projects get a network of their own at all.
        """
        self._desk = desk
        self._networks = networks
        self._known: set[str] = set()

    def furnish(self, project: Project) -> None:
        """Give a project its first security group and network, once."""
        if project.id in self._known:
            return
        with contextlib.suppress(IntegrityError):  # another process of this cloud was quicker by a moment
            self._furnish(project)
        self._known.add(project.id)

    def _furnish(self, project: Project) -> None:
        with self._desk.writing() as connection:
            mine = store.furnished.c.project_id == project.id
            if connection.execute(select(store.furnished).where(mine)).first():
                return
            connection.execute(insert(store.furnished).values(project_id=project.id))
            rich = self._networks and project.furnished
            groups = store.security_groups.c
            if not store.SECURITY_GROUPS.find(
                connection, groups.project_id == project.id, groups.name == "default"
            ):
                add_default_group(self._desk, connection, project.id, ssh=rich)
            if rich:
                add_topology(self._desk, connection, project.id, prefix=project.name)

    def got(self, who: Principal, project_id: str, *, dry_run: bool = False) -> Network | None:
        """The network that a project uses when it names none, made if there is none (`auto-allocated-topology`).

        Raises:
            Forbidden: it is another project's.
            Conflict: it has several.
        """
        own = who.project.id if who.project is not None else None
        wanted = own if project_id in {"null", "None"} else ProjectId(project_id)
        if wanted is None or (wanted != own and not who.is_cloud_admin):
            raise forbid("get_auto_allocated_topology")
        with self._desk.writing() as connection:
            columns = store.networks.c
            mine = store.NETWORKS.find(connection, columns.project_id == wanted, columns.external.is_(False))
            if len(mine) > 1:
                raise Conflict(
                    "Deployment error: several networks, and none of them is the first choice.",
                    code="auto_allocation_failure",
                )
            if mine or dry_run:
                return mine[0] if mine else None
            return add_topology(self._desk, connection, wanted, prefix=_GOT)

    def give_up(self, who: Principal, project_id: str) -> None:
        """Take away what `got` made, if nobody uses it."""
        network = self.got(who, project_id, dry_run=True)
        if network is None:
            return
        with self._desk.writing() as connection:
            if not remove_topology(self._desk, connection, network):
                raise Conflict(
                    f"Unable to complete operation on network {network.id}. There are one or more ports still in "
                    "use on the network.",
                    code="network_in_use",
                )

    def clear(self, projects: Callable[[], Collection[str]]) -> None:
        """Take away what projects that are not among these were given, unless somebody uses it."""
        with self._desk.reading() as connection:
            furnished = set(connection.execute(select(store.furnished.c.project_id)).scalars())
        for project_id in furnished.difference(projects()) if furnished else ():
            with self._desk.writing() as connection:
                self._clear(connection, ProjectId(project_id))
            self._known.discard(project_id)

    def _clear(self, connection: Connection, project_id: ProjectId) -> None:
        for network in store.NETWORKS.find(connection, store.networks.c.project_id == project_id):
            if not remove_topology(self._desk, connection, network):
                return
        groups, rules = store.security_groups.c, store.security_group_rules.c
        if store.PORTS.find(connection, store.ports.c.project_id == project_id):
            return
        store.SECURITY_GROUP_RULES.remove(connection, rules.project_id == project_id)
        store.SECURITY_GROUPS.remove(connection, groups.project_id == project_id)
        connection.execute(delete(store.furnished).where(store.furnished.c.project_id == project_id))


def add_topology(desk: Desk, connection: Connection, owner: ProjectId, *, prefix: str) -> Network:
    """Write a network with a subnet and a router that leads outside; the names begin with `prefix`."""
    network = Network(id=NetworkId(new_uuid()), mtu=MTU, **desk.stamps(owner, name=f"{prefix}-net"))
    store.NETWORKS.add(connection, network)
    subnet = add_subnet(
        desk, connection, network, owner, cidr=PROJECT_CIDR, name=f"{prefix}-subnet", ip_version=4
    )
    router = add_router(desk, connection, owner, name=f"{prefix}-router")
    add_interface(desk, connection, router, subnet)
    outer = store.NETWORKS.find(connection, store.networks.c.external)
    chosen = next((each for each in outer if each.is_default), outer[0] if outer else None)
    if chosen is not None:
        set_gateway(desk, connection, None, router, {"network_id": chosen.id})
    return network


def remove_topology(desk: Desk, connection: Connection, network: Network) -> bool:
    """Remove a network with its subnets and the routers that join nothing else; False if somebody uses it."""
    ports = store.PORTS.find(connection, store.ports.c.network_id == network.id)
    if any(port.device_owner not in ROUTER_OWNERS for port in ports):
        return False
    for port in ports:
        drop_port(desk, connection, port)
        router = store.ROUTERS.get(connection, port.device_id)
        if router is not None and not interfaces(connection, router.id):
            set_gateway(desk, connection, None, router, {})
            store.ROUTERS.remove(connection, store.routers.c.id == router.id)
    store.SUBNETS.remove(connection, store.subnets.c.network_id == network.id)
    store.NETWORKS.remove(connection, store.networks.c.id == network.id)
    return True
