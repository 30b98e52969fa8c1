"""The network service: its rooms, and what the cloud itself provides."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from ipaddress import ip_network

from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import IntegrityError

from armillary.accounts.model import Principal, Project
from armillary.base.clock import Clock
from armillary.base.ids import NetworkId, ServerId, new_uuid
from armillary.cloud import store
from armillary.cloud.access import allow_administering, project_of
from armillary.cloud.network.desk import QUOTAS, Desk, bad
from armillary.cloud.network.floating import FloatingIps
from armillary.cloud.network.groups import SecurityGroups, add_default_group
from armillary.cloud.network.model import PROVIDER, Network
from armillary.cloud.network.networks import Networks, Subnets, add_subnet
from armillary.cloud.network.ports import Ports
from armillary.cloud.network.routers import Routers, add_interface, add_router, set_gateway

PUBLIC = "public"
PROJECT_CIDR = "10.0.0.0/24"
_MTU = 1500


class NetworkService:
    """Networks, ports, security groups, routers and floating IPs of one cloud.

    Every project has a default security group and, with `furnish_projects`, a network of its own with a way out,
    from the first time that it looks.
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
        """
        self.desk = Desk(engine=engine, clock=clock, changed=changed)
        self.networks = Networks(desk=self.desk)
        self.subnets = Subnets(desk=self.desk)
        self.ports = Ports(desk=self.desk)
        self.groups = SecurityGroups(desk=self.desk)
        self.routers = Routers(desk=self.desk)
        self.floating_ips = FloatingIps(desk=self.desk)
        self.applied = applied
        self.ssh_port = ssh_port
        self._furnish_projects = furnish_projects
        self._furnished: set[str] = set()
        self._provide_public(floating_cidr)

    def _provide_public(self, cidr: str) -> None:
        with self.desk.writing() as connection:
            if store.NETWORKS.find(connection, store.networks.c.external):
                return
            stamps = self.desk.stamps(PROVIDER, name=PUBLIC, description="Floating IPs of this cloud")
            network = store.NETWORKS.add(
                connection, Network(id=NetworkId(new_uuid()), external=True, **stamps)
            )
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
        if project.id in self._furnished:
            return
        with contextlib.suppress(IntegrityError):  # another process of this cloud was quicker by a moment
            self._furnish(project)
        self._furnished.add(project.id)

    def _furnish(self, project: Project) -> None:
        with self.desk.writing() as connection:
            mine = store.furnished.c.project_id == project.id
            if connection.execute(select(store.furnished).where(mine)).first():
                return
            connection.execute(insert(store.furnished).values(project_id=project.id))
            add_default_group(self.desk, connection, project.id)
            if not self._furnish_projects:
                return
            network = Network(
                id=NetworkId(new_uuid()),
                mtu=_MTU,
                **self.desk.stamps(project.id, name=f"{project.name}-net"),
            )
            store.NETWORKS.add(connection, network)
            subnet = add_subnet(
                self.desk, connection, network, project.id, cidr=PROJECT_CIDR, name=f"{project.name}-subnet"
            )
            router = add_router(self.desk, connection, project.id, name=f"{project.name}-router")
            add_interface(self.desk, connection, router, subnet)
            public = store.NETWORKS.find(connection, store.networks.c.external)[0]
            set_gateway(self.desk, connection, router, {"network_id": public.id})

    # quotas

    def limits(self, principal: Principal, project_id: str) -> Mapping[str, int]:
        """A project's quotas; others' are for administrators."""
        self._may_see(principal, project_id)
        with self.desk.reading() as connection:
            return self.desk.limits(connection, project_id)

    def used(self, principal: Principal, project_id: str) -> Mapping[str, int]:
        """What a project uses of its quotas."""
        self._may_see(principal, project_id)
        with self.desk.reading() as connection:
            return self.desk.used(connection, project_id)

    def set_limits(
        self, principal: Principal, project_id: str, amounts: Mapping[str, int]
    ) -> Mapping[str, int]:
        """Change a project's quotas (administrators)."""
        allow_administering(principal, "update_quota")
        unknown = amounts.keys() - QUOTAS.keys()
        if unknown:
            raise bad(f"Unrecognized attribute(s) '{', '.join(sorted(unknown))}'", code="http_bad_request")
        with self.desk.writing() as connection:
            store.set_quota_overrides(connection, project_id, "network", amounts)
            return self.desk.limits(connection, project_id)

    def reset_limits(self, principal: Principal, project_id: str) -> None:
        """Return a project to the default quotas (administrators)."""
        allow_administering(principal, "delete_quota")
        with self.desk.writing() as connection:
            store.clear_quota_overrides(connection, project_id, "network")

    def _may_see(self, principal: Principal, project_id: str) -> None:
        if principal.is_cloud_admin or project_of(principal).id == project_id:
            return
        allow_administering(principal, "get_quota of another project")
