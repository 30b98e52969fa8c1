"""The network service: its rooms, and what the cloud itself provides."""

from __future__ import annotations

from collections.abc import Callable, Collection
from ipaddress import ip_network

from sqlalchemy import Engine

from armillary.accounts.model import Project
from armillary.base.clock import Clock
from armillary.base.ids import NetworkId, ServerId, new_uuid
from armillary.cloud import store
from armillary.cloud.network.desk import Desk
from armillary.cloud.network.floating import FloatingIps
from armillary.cloud.network.furnishing import Furnishing, add_topology
from armillary.cloud.network.groups import SecurityGroups
from armillary.cloud.network.model import PROVIDER, Network
from armillary.cloud.network.networks import Networks
from armillary.cloud.network.pools import AddressScopes, SubnetPools
from armillary.cloud.network.port_shelf import Ports
from armillary.cloud.network.quotas import Quotas
from armillary.cloud.network.routers import Routers
from armillary.cloud.network.sharing import Sharing, bring_up_to_date, share_with_all
from armillary.cloud.network.subnets import Subnets, add_subnet

PUBLIC = "public"


class NetworkService:
    """Networks, ports, security groups, routers and floating IPs of one cloud.

    Every project has a default security group and, with `furnish_projects`, a network of its own with a way out,
    from the first time that it looks; see `Furnishing` for which.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        clock: Clock,
        changed: Callable[[], None],
        floating_cidr: str,
        furnish_projects: bool = True,
        applied: Callable[[], None] = lambda: None,
        ssh_port: Callable[[ServerId], int | None] = lambda _: None,
        projects: Callable[[], Collection[str]],
    ) -> None:
        """Take over the cloud's network records.

        Args:
            engine: the cloud's database.
            clock: tells the time of changes.
            changed: is called after every change that the fabric should follow.
            floating_cidr: the addresses of the network `public`, made if it is not there.
            furnish_projects: whether projects get a network of their own.
            applied: waits for a moment until the fabric has followed.
            ssh_port: where a server's ssh answers at its floating IP.
            projects: the projects that there are.
        """
        self.desk = desk = Desk(
            engine=engine,
            clock=clock,
            changed=changed,
            topology=lambda connection, owner: add_topology(desk, connection, owner, prefix="auto_allocated"),
        )
        self.networks = Networks(desk=desk)
        self.subnets = Subnets(desk=desk)
        self.subnet_pools = SubnetPools(desk=desk)
        self.address_scopes = AddressScopes(desk=desk)
        self.ports = Ports(desk=desk)
        self.groups = SecurityGroups(desk=desk)
        self.group_rules = self.groups.all_rules
        self.routers = Routers(desk=desk)
        self.floating_ips = FloatingIps(desk=desk)
        self.sharing = Sharing(desk=desk)
        self.quotas = Quotas(desk=desk)
        self.furnishing = Furnishing(desk=desk, networks=furnish_projects)
        self.applied = applied
        self.ssh_port = ssh_port
        self._projects = projects
        self._provide_public(floating_cidr)

    def _provide_public(self, cidr: str) -> None:
        with self.desk.writing() as connection:
            if store.NETWORKS.find(connection, store.networks.c.external):
                bring_up_to_date(self.desk, connection)
                return
            stamps = self.desk.stamps(PROVIDER, name=PUBLIC, description="Floating IPs of this cloud")
            made = Network(id=NetworkId(new_uuid()), external=True, is_default=True, **stamps)
            network = store.NETWORKS.add(connection, made)
            share_with_all(self.desk, connection, "network", network)
            add_subnet(
                self.desk,
                connection,
                network,
                PROVIDER,
                cidr=cidr,
                name="public-subnet",
                enable_dhcp=False,
                gateway_ip=str(ip_network(cidr).network_address + 1),
            )

    def furnish(self, project: Project) -> None:
        """Give a project its first security group and network, once."""
        self.furnishing.furnish(project)

    def reconcile(self) -> None:
        """Take away what was given to projects that are not there any more."""
        self.furnishing.clear(self._projects)
