"""Quotas, limits and usage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    Engine,
    and_,
    case,
    func,
    not_,
    or_,
    select,
    type_coerce,
)

from armillary.accounts.model import Allocation, Principal
from armillary.base.clock import Clock
from armillary.base.errors import Invalid, NotFound
from armillary.base.ids import ProjectId
from armillary.cloud import store
from armillary.cloud.access import allow_administering
from armillary.cloud.compute.keypairs import MAX_KEYPAIRS
from armillary.cloud.compute.model import Server
from armillary.cloud.compute.ports import Projects
from armillary.cloud.compute.registers import server_groups
from armillary.cloud.core.quota import Amounts, limits_of

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


_ALLOCATED = ("instances", "cores", "ram")
QUOTAS = frozenset({*_ALLOCATED, *_FIXED})
DEFAULT_CLASS = "default"
_CLASSES = "compute-class"
_LARGE = ("seed", "user_data")


@dataclass(frozen=True, kw_only=True)
class Period:
    """What a report of use shall tell."""

    start: datetime
    end: datetime
    project_id: str | None = None
    """None: all projects"""
    limit: int = 1000
    """of servers"""
    marker: str | None = None


@dataclass(frozen=True, kw_only=True)
class Usages:
    """What projects used."""

    projects: Mapping[str, Sequence[Usage]]
    last: str | None
    """The last server of the page, if more follow."""


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

    def now(self) -> datetime:
        """The moment at which a report ends that names none."""
        return self._clock.now()

    def limits(self, connection: Connection, project_id: ProjectId) -> Amounts:
        """The limits that a new server is held against."""
        allocation = self._projects.project(project_id).allocation
        return limits_of(allocation, _overrides(connection, project_id))

    def limit(self, connection: Connection, project_id: ProjectId, name: str) -> int:
        """One of the limits that do not follow from the allocation; -1 means none."""
        return _overrides(connection, project_id).get(name, _FIXED[name])

    def quota_set(self, principal: Principal, project_id: str) -> Mapping[str, int]:
        """All of Nova's quotas of a project; others' are for administrators."""
        return {name: limit for name, (limit, _) in self.quota_detail(principal, project_id).items()}

    def quota_detail(self, principal: Principal, project_id: str) -> Mapping[str, tuple[int, int]]:
        """Limit and use by quota.

        Raises:
            Forbidden: it is another's project.
            Invalid: there is no such project.
        """
        if principal.project is None or project_id != principal.project.id:
            allow_administering(principal, "os_compute_api:os-quota-sets:show")
        allocation = self._allocation(project_id)
        with self._engine.execution_options(readonly=True).connect() as connection:
            overrides = _overrides(connection, project_id)
            used = vars(charged(connection, ProjectId(project_id)))
            groups = select(func.count()).where(server_groups.c.project_id == project_id)
            used |= {"server_groups": connection.execute(groups).scalar_one()}
        limits = {**_FIXED, **overrides, **vars(limits_of(allocation, overrides))}
        return {name: (limit, used.get(name, 0)) for name, limit in limits.items()}

    def defaults(self, project_id: str) -> Mapping[str, int]:
        """The quotas of a project for which nobody set any.

        Raises:
            Invalid: there is no such project.
        """
        allocation = self._allocation(project_id)
        with self._engine.execution_options(readonly=True).connect() as connection:
            common = store.quota_overrides(connection, DEFAULT_CLASS, _CLASSES)
        return {**_FIXED, **common, **vars(limits_of(allocation, common))}

    def _allocation(self, project_id: str) -> Allocation:
        try:
            return self._projects.project(ProjectId(project_id)).allocation
        except NotFound as error:
            raise Invalid(
                f"Project ID {project_id} is not a valid project.", code="project_not_valid"
            ) from error

    def set(
        self, principal: Principal, project_id: str, amounts: Mapping[str, int], *, force: bool = False
    ) -> Mapping[str, int]:
        """Change quotas (administrators). What is in use already bounds them from below, unless `force`.

        Raises:
            Invalid: there is no such project, or it uses more.
        """
        allow_administering(principal, "os_compute_api:os-quota-sets:update")
        detail = self.quota_detail(principal, project_id)
        for name, amount in amounts.items():
            used = detail[name][1]
            if not force and 0 <= amount < used:
                raise Invalid(
                    f"Quota limit {amount} for {name} must be greater than or equal to already used and reserved {used}.",
                    code="quota_below_use",
                    remedy="Say force, or delete servers first.",
                )
        with self._engine.begin() as connection:
            store.set_quota_overrides(connection, project_id, "compute", amounts)
        return self.quota_set(principal, project_id)

    def reset(self, principal: Principal, project_id: str) -> None:
        """Return a project to its defaults (administrators)."""
        allow_administering(principal, "os_compute_api:os-quota-sets:delete")
        with self._engine.begin() as connection:
            store.clear_quota_overrides(connection, project_id, "compute")

    def of_class(self, name: str) -> Mapping[str, int]:
        """A quota class: those of `default` hold for projects that have none of their own.

        What follows from a project's allocation is -1 unless it was set.
        """
        with self._engine.execution_options(readonly=True).connect() as connection:
            own = store.quota_overrides(connection, name, _CLASSES)
        return {**dict.fromkeys(_ALLOCATED, -1), **_FIXED, **own}

    def set_class(self, name: str, amounts: Mapping[str, int]) -> Mapping[str, int]:
        """Change a quota class; who may has been settled by the caller."""
        with self._engine.begin() as connection:
            store.set_quota_overrides(connection, name, _CLASSES, amounts)
        return self.of_class(name)

    def usage(self, wanted: Period) -> Usages:
        """Each project's servers in a period, oldest first; who may ask has been settled by the caller.

        Raises:
            Invalid: there is no server of the marker's id.
        """
        columns = store.servers.c
        where: list[ColumnElement[bool]] = [
            columns.launched_at.is_not(None),
            columns.launched_at < wanted.end,
        ]
        where.append(or_(columns.deleted_at.is_(None), columns.deleted_at > wanted.start))
        if wanted.project_id is not None:
            where.append(columns.project_id == wanted.project_id)
        query = select(*(column for column in columns if column.name not in _LARGE))
        query = query.order_by(columns.created_at, columns.id).limit(wanted.limit + 1)
        with self._engine.execution_options(readonly=True).connect() as connection:
            if wanted.marker is not None:
                began = select(columns.created_at).where(columns.id == wanted.marker)
                after = connection.execute(began).scalar()
                if after is None:
                    raise Invalid(f"Marker {wanted.marker} could not be found.", code="marker_not_found")
                later = and_(columns.created_at == after, columns.id > wanted.marker)
                where.append(or_(columns.created_at > after, later))
            rows = connection.execute(query.where(*where)).mappings().all()
        servers = [Server(**row, seed="", user_data=None) for row in rows[: wanted.limit]]
        now = min(wanted.end, self._clock.now())
        found: dict[str, list[Usage]] = {}
        for server in servers:
            found.setdefault(server.project_id, []).append(_use(server, wanted.start, now))
        return Usages(projects=found, last=servers[-1].id if len(rows) > wanted.limit else None)


def _use(server: Server, start: datetime, now: datetime) -> Usage:
    began = server.launched_at or now
    hours = max(timedelta(), min(server.deleted_at or now, now) - max(began, start)) / timedelta(hours=1)
    return Usage(server=server, started_at=began, ended_at=server.deleted_at, hours=hours)


def _overrides(connection: Connection, project_id: str) -> Mapping[str, int]:
    common = store.quota_overrides(connection, DEFAULT_CLASS, _CLASSES)
    return {**common, **store.quota_overrides(connection, project_id, "compute")}


def _figure(name: str) -> ColumnElement[int]:
    return type_coerce(store.servers.c.flavor, JSON)[name].as_integer()


def charged(connection: Connection, project_id: ProjectId) -> Amounts:
    """What counts against a project's quota now."""
    columns = store.servers.c
    query = select(func.count(), func.sum(_figure("vcpus")), func.sum(_figure("ram")))
    row = connection.execute(query.where(columns.project_id == project_id, columns.charged)).one()
    return Amounts(instances=row[0], cores=row[1] or 0, ram=row[2] or 0)


def placed(connection: Connection) -> list[Server]:
    """The servers that count against the cloud's capacity now."""
    return store.SERVERS.find(connection, store.servers.c.placed)


def placed_amounts(connection: Connection) -> tuple[Amounts, int]:
    """What they take together, and of the disk (GiB)."""
    columns = store.servers.c
    root = case((columns.image_sha512 == "", 0), else_=_figure("disk"))
    figures = (_figure("vcpus"), _figure("ram"), root + _figure("ephemeral"))
    plain = columns.old_flavor.is_(None)
    query = select(func.count(), *(func.sum(figure) for figure in figures)).where(columns.placed, plain)
    count, cores, ram, disk = (figure or 0 for figure in connection.execute(query).one())
    # those that are being resized take parts of two sizes
    sizes = [s.footprint for s in store.SERVERS.find(connection, columns.placed, not_(plain))]
    cores += sum(size.vcpus for size in sizes)
    ram += sum(size.ram for size in sizes)
    disk += sum(size.disk + size.ephemeral for size in sizes)
    return Amounts(instances=count + len(sizes), cores=cores, ram=ram), disk
