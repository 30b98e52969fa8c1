"""Quotas, limits and usage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, or_

from armillary.accounts.model import Principal
from armillary.base.clock import Clock
from armillary.base.errors import Invalid
from armillary.base.ids import ProjectId
from armillary.cloud import store
from armillary.cloud.access import allow_administering, project_of
from armillary.cloud.compute.keypairs import MAX_KEYPAIRS
from armillary.cloud.compute.model import Server
from armillary.cloud.compute.ports import Projects
from armillary.cloud.core.quota import Amounts, amounts_of, limits_of

METADATA_ITEMS = 128
_FIXED = {
    "key_pairs": MAX_KEYPAIRS,
    "metadata_items": METADATA_ITEMS,
    "server_groups": 10,
    "server_group_members": 10,
    "fixed_ips": -1,
    "floating_ips": -1,
    "security_groups": -1,
    "security_group_rules": -1,
    "injected_files": 5,
    "injected_file_content_bytes": 10240,
    "injected_file_path_bytes": 255,
}


@dataclass(frozen=True, kw_only=True)
class Usage:
    """One server's part in a period."""

    server: Server
    started_at: datetime
    ended_at: datetime | None
    hours: float


class Quotas:
    """What projects may use, and what they used."""

    def __init__(self, *, engine: Engine, clock: Clock, projects: Projects) -> None:
        self._engine = engine
        self._clock = clock
        self._projects = projects

    def limits(self, connection: Connection, project_id: ProjectId) -> Amounts:
        """The limits that a new server is held against."""
        allocation = self._projects.project(project_id).allocation
        return limits_of(allocation, store.quota_overrides(connection, project_id, "compute"))

    def quota_set(self, principal: Principal, project_id: str) -> Mapping[str, int]:
        """All of Nova's quotas of a project; others' are for administrators."""
        return {name: limit for name, (limit, _) in self.quota_detail(principal, project_id).items()}

    def quota_detail(self, principal: Principal, project_id: str) -> Mapping[str, tuple[int, int]]:
        """Limit and use by quota."""
        if project_id != project_of(principal).id:
            allow_administering(principal, "os_compute_api:os-quota-sets:show")
        with self._engine.execution_options(readonly=True).connect() as connection:
            limits = vars(self.limits(connection, ProjectId(project_id)))
            used = vars(charged(connection, ProjectId(project_id)))
            overrides = store.quota_overrides(connection, project_id, "compute")
        fixed = {name: (overrides.get(name, limit), 0) for name, limit in _FIXED.items()}
        return {**{name: (limits[name], used[name]) for name in limits}, **fixed}

    def defaults(self, principal: Principal, project_id: str) -> Mapping[str, int]:
        """The quotas of a project for which nobody set any."""
        del principal
        allocation = self._projects.project(ProjectId(project_id)).allocation
        return {**vars(limits_of(allocation, {})), **_FIXED}

    def set(self, principal: Principal, project_id: str, amounts: Mapping[str, int]) -> Mapping[str, int]:
        """Change quotas (administrators)."""
        allow_administering(principal, "os_compute_api:os-quota-sets:update")
        known = {"instances", "cores", "ram", *_FIXED}
        for name, amount in amounts.items():
            if name not in known:
                raise Invalid(
                    f"Additional properties are not allowed ('{name}' was unexpected)", code="unknown_quota"
                )
            if amount < -1:
                raise Invalid(f"Quota limit {amount} for {name} must be -1 or greater.", code="bad_quota")
        with self._engine.begin() as connection:
            store.set_quota_overrides(connection, project_id, "compute", amounts)
        return self.quota_set(principal, project_id)

    def reset(self, principal: Principal, project_id: str) -> None:
        """Return a project to its defaults (administrators)."""
        allow_administering(principal, "os_compute_api:os-quota-sets:delete")
        with self._engine.begin() as connection:
            store.clear_quota_overrides(connection, project_id, "compute")

    def usage(
        self, principal: Principal, project_id: str | None, start: datetime, end: datetime
    ) -> Mapping[str, list[Usage]]:
        """Each project's servers in a period; None for all projects (administrators)."""
        if project_id is None:
            allow_administering(principal, "os_compute_api:os-simple-tenant-usage:list")
        elif project_id != project_of(principal).id:
            allow_administering(principal, "os_compute_api:os-simple-tenant-usage:show")
        columns = store.servers.c
        where = [columns.launched_at.is_not(None), columns.launched_at < end]
        where.append(or_(columns.deleted_at.is_(None), columns.deleted_at > start))
        if project_id is not None:
            where.append(columns.project_id == project_id)
        with self._engine.execution_options(readonly=True).connect() as connection:
            servers = store.SERVERS.find(connection, *where)
        found: dict[str, list[Usage]] = {}
        now = min(end, self._clock.now())
        for server in servers:
            began = max(server.launched_at or now, start)
            hours = max(timedelta(), min(server.deleted_at or now, now) - began) / timedelta(hours=1)
            found.setdefault(server.project_id, []).append(
                Usage(
                    server=server,
                    started_at=server.launched_at or now,
                    ended_at=server.deleted_at,
                    hours=hours,
                )
            )
        return found


def charged(connection: Connection, project_id: ProjectId) -> Amounts:
    """What counts against a project's quota now."""
    columns = store.servers.c
    servers = store.SERVERS.find(connection, columns.project_id == project_id, columns.charged)
    return amounts_of(server.flavor for server in servers)


def placed(connection: Connection) -> list[Server]:
    """The servers that count against the cloud's capacity now."""
    return store.SERVERS.find(connection, store.servers.c.placed)
