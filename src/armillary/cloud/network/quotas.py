"""How much of each kind a project may have, and how many addresses a network has left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from armillary.accounts.model import Principal
from armillary.base.errors import NotFound
from armillary.cloud import store
from armillary.cloud.network.addresses import counted
from armillary.cloud.network.desk import QUOTAS, Desk, bad, forbid
from armillary.cloud.network.model import Network, Subnet


class Quotas:
    """Neutron's quotas of projects. Others' are for administrators."""

    def __init__(self, *, desk: Desk) -> None:
        self._desk = desk

    def limits(self, who: Principal, project_id: str) -> Mapping[str, int]:
        """A project's quotas; -1 means none."""
        _may_see(who, project_id)
        with self._desk.reading() as connection:
            return self._desk.limits(connection, project_id)

    def used(self, who: Principal, project_id: str) -> Mapping[str, int]:
        """What a project uses of its quotas."""
        _may_see(who, project_id)
        with self._desk.reading() as connection:
            return self._desk.used(connection, project_id)

    def changed(self, who: Principal) -> Mapping[str, Mapping[str, int]]:
        """The quotas of the projects that do not have the defaults (administrators)."""
        if not who.is_cloud_admin:
            raise forbid("get_quota")
        query = select(store.quotas.c.project_id).where(store.quotas.c.service == "network").distinct()
        with self._desk.reading() as connection:
            ids = list(connection.execute(query).scalars())
            return {project_id: self._desk.limits(connection, project_id) for project_id in ids}

    def set(
        self, who: Principal, project_id: str, amounts: Mapping[str, int], *, check_limit: bool = False
    ) -> Mapping[str, int]:
        """Change a project's quotas (administrators); with `check_limit`, not below what is used."""
        if not who.is_cloud_admin:
            raise forbid("update_quota")
        with self._desk.writing() as connection:
            used = self._desk.used(connection, project_id)
            for name, amount in amounts.items():
                if check_limit and 0 <= amount < used[name]:
                    raise bad(
                        f"Quota limit {amount} for {name} must be greater than or equal to already used "
                        f"{used[name]}",
                        code="http_bad_request",
                    )
            store.set_quota_overrides(connection, project_id, "network", amounts)
            return self._desk.limits(connection, project_id)

    def reset(self, who: Principal, project_id: str) -> None:
        """Return a project to the default quotas (administrators).

        Raises:
            NotFound: it has them.
        """
        if not who.is_cloud_admin:
            raise forbid("delete_quota")
        with self._desk.writing() as connection:
            if not store.quota_overrides(connection, project_id, "network"):
                raise NotFound(
                    f"Quota for tenant {project_id} could not be found.", code="tenant_quota_not_found"
                )
            store.clear_quota_overrides(connection, project_id, "network")

    def default(self, who: Principal, project_id: str) -> Mapping[str, int]:
        """What a project has that nobody set quotas for."""
        _may_see(who, project_id)
        return QUOTAS

    def availability(self, networks: Sequence[Network], *, version: int = 0) -> Sequence[Availability]:
        """How many addresses these networks have, of one version of IP or (0) of both, and how many are held."""
        with self._desk.reading() as connection:
            ids = [network.id for network in networks]
            columns = store.subnets.c
            of_version = (columns.ip_version == version,) if version else ()
            subnets = store.SUBNETS.find(connection, columns.network_id.in_(ids), *of_version)
            held = store.addresses.c
            query = (
                select(held.subnet_id, func.count())
                .where(held.subnet_id.in_([subnet.id for subnet in subnets]))
                .group_by(held.subnet_id)
            )
            used: dict[str, int] = {row[0]: row[1] for row in connection.execute(query)}
        return [
            Availability(
                network=network,
                subnets=tuple(
                    (subnet, counted(subnet), used.get(subnet.id, 0))
                    for subnet in subnets
                    if subnet.network_id == network.id
                ),
            )
            for network in networks
        ]


@dataclass(frozen=True, kw_only=True)
class Availability:
    """A network's subnets, each with how many addresses it has and how many are held."""

    network: Network
    subnets: tuple[tuple[Subnet, int, int], ...]


def _may_see(who: Principal, project_id: str) -> None:
    if not (who.is_cloud_admin or (who.project is not None and who.project.id == project_id)):
        raise forbid("get_quota")
