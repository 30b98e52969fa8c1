"""Server groups. A cloud of one host keeps servers together by itself, and apart only one at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, Engine, func, select

from armillary.accounts.model import Principal
from armillary.base.clock import Clock
from armillary.base.errors import NotFound, QuotaExceeded
from armillary.base.ids import new_uuid
from armillary.cloud import store
from armillary.cloud.access import allow_administering, allow_writing, project_of, sees
from armillary.cloud.compute.model import Server
from armillary.cloud.compute.quotas import Quotas
from armillary.cloud.compute.registers import SERVER_GROUPS, ServerGroup, server_groups

POLICIES = ("anti-affinity", "affinity", "soft-anti-affinity", "soft-affinity")


class ServerGroups:
    """Groups of servers with a policy."""

    def __init__(self, *, engine: Engine, clock: Clock, quotas: Quotas) -> None:
        self._engine = engine
        self._clock = clock
        self._quotas = quotas

    def list(
        self, principal: Principal, *, all_projects: bool = False, offset: int = 0, limit: int | None = None
    ) -> Sequence[ServerGroup]:
        """A project's groups, oldest first; all projects' are for administrators."""
        columns = server_groups.c
        query = select(server_groups).order_by(columns.created_at, columns.id).offset(offset).limit(limit)
        if all_projects:
            allow_administering(principal, "os_compute_api:os-server-groups:index:all_projects")
        else:
            query = query.where(columns.project_id == project_of(principal).id)
        with self._engine.execution_options(readonly=True).connect() as connection:
            return [ServerGroup(**row) for row in connection.execute(query).mappings()]

    def members(self, group_ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """The servers in groups, by group."""
        columns = store.servers.c
        query = select(columns.group_id, columns.id).where(
            columns.group_id.in_(group_ids), columns.deleted_at.is_(None)
        )
        found: dict[str, list[str]] = {group_id: [] for group_id in group_ids}
        with self._engine.execution_options(readonly=True).connect() as connection:
            for row in connection.execute(query.order_by(columns.created_at, columns.id)):
                found[row.group_id].append(row.id)
        return found

    def get(self, principal: Principal, group_id: str) -> ServerGroup:
        """One group.

        Raises:
            NotFound: there is none that the principal sees.
        """
        with self._engine.execution_options(readonly=True).connect() as connection:
            return group_of(connection, principal, group_id)

    def create(
        self, principal: Principal, *, name: str, policy: str, max_server_per_host: int | None = None
    ) -> ServerGroup:
        """Make a group.

        Raises:
            QuotaExceeded: the project has as many as it may.
        """
        project = allow_writing(principal, "os_compute_api:os-server-groups:create")
        with self._engine.begin() as connection:
            most = self._quotas.limit(connection, project.id, "server_groups")
            if 0 <= most <= count_groups(connection, project.id):
                raise QuotaExceeded("Quota exceeded, too many server groups.", facts={"limit": most})
            group = ServerGroup(
                id=new_uuid(),
                name=name,
                project_id=project.id,
                user_id=principal.person.id,
                policy=policy,
                max_server_per_host=max_server_per_host,
                created_at=self._clock.now(),
            )
            return SERVER_GROUPS.add(connection, group)

    def delete(self, principal: Principal, group_id: str) -> None:
        """Forget a group; its servers stay as they are."""
        allow_writing(principal, "os_compute_api:os-server-groups:delete")
        with self._engine.begin() as connection:
            group_of(connection, principal, group_id)
            SERVER_GROUPS.remove(connection, server_groups.c.id == group_id)


def group_of(connection: Connection, principal: Principal, group_id: str) -> ServerGroup:
    """A group that the principal sees.

    Raises:
        NotFound: in Nova's words.
    """
    group = SERVER_GROUPS.get(connection, group_id)
    if group is None or not sees(principal, group.project_id):
        raise NotFound(f"Instance group {group_id} could not be found.", code="server_group_not_found")
    return group


def count_groups(connection: Connection, project_id: str) -> int:
    """How many groups a project has."""
    query = select(func.count()).where(server_groups.c.project_id == project_id)
    return connection.execute(query).scalar_one()


def count_members(connection: Connection, group_id: str) -> int:
    """How many servers are in a group, those that are being built too."""
    columns = store.servers.c
    query = select(func.count()).where(columns.group_id == group_id, columns.deleted_at.is_(None))
    return connection.execute(query).scalar_one()


def kept_apart(connection: Connection, server: Server) -> str | None:
    """Why the one host cannot take a server beside others of its group, in Nova's words; None if it can."""
    group = SERVER_GROUPS.get(connection, server.group_id) if server.group_id else None
    if group is None or group.policy != "anti-affinity":
        return None
    columns = store.servers.c
    others = select(func.count()).where(
        columns.group_id == group.id, columns.placed, columns.id != server.id, columns.deleted_at.is_(None)
    )
    if connection.execute(others).scalar_one() < (group.max_server_per_host or 1):
        return None
    return (
        "No valid host was found. The server group's policy is anti-affinity, and this cloud has one host, on which "
        "another of its servers runs."
    )
