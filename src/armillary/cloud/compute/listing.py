"""Lists of servers: filters, order and pages are the database's work, so that a list costs what its page costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    Engine,
    Integer,
    RowMapping,
    String,
    and_,
    bindparam,
    case,
    cast,
    exists,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
    type_coerce,
)

from armillary.accounts.model import Principal
from armillary.base.errors import Forbidden, Invalid
from armillary.base.ids import ProjectId, ServerId
from armillary.cloud import store
from armillary.cloud.access import allow_administering, project_of, sees
from armillary.cloud.compute.model import BlockDevice, Server, TaskState, VmState
from armillary.cloud.compute.store import block_devices
from armillary.cloud.core.metadata import AVAILABILITY_ZONE
from armillary.cloud.core.patterns import pattern_of
from armillary.cloud.core.states import power_state_of, status_of

HOST = "armillary"
"""The one host of an embedded cloud, and its hypervisor."""
MOST = 1000
_COLUMNS = store.servers.c
_VOLUMES = (
    select(block_devices)
    .where(
        block_devices.c.server_id.in_(bindparam("servers", expanding=True)),
        block_devices.c.volume_id.is_not(None),
    )
    .order_by(block_devices.c.created_at, block_devices.c.id)
)
_BEFORE_ALL = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class ServerFilter:
    """Which servers a list shows, and in what order; None means any."""

    all_projects: bool = False
    project_id: str | None = None
    deleted: bool | None = False
    """None: both"""
    statuses: Sequence[str] | None = None
    changed_since: datetime | None = None
    changed_before: datetime | None = None
    locked: bool | None = None
    exactly: Mapping[str, str] = field(default_factory=dict[str, str])
    """by the names in `EXACT`"""
    matching: Mapping[str, str] = field(default_factory=dict[str, str])
    """regular expressions, as Nova takes them, by the names in `MATCHED`"""
    ip: str | None = None
    ip6: str | None = None
    tags: Sequence[str] = ()
    tags_any: Sequence[str] = ()
    not_tags: Sequence[str] = ()
    not_tags_any: Sequence[str] = ()
    order: Sequence[tuple[str, bool]] = ()
    """keys of `SORTED`, each with whether it descends"""
    limit: int = MOST
    marker: str | None = None


@dataclass(frozen=True, kw_only=True)
class ServerPage:
    """Some servers, and whether more follow."""

    servers: Sequence[Server]
    more: bool


@dataclass(frozen=True, kw_only=True)
class BriefPage:
    """Names of servers by id, and whether more follow."""

    servers: Sequence[tuple[ServerId, str]]
    more: bool


def _flavor_id() -> ColumnElement[str]:
    return type_coerce(_COLUMNS.flavor, JSON)["id"].as_string()


def _chosen(flag: ColumnElement[bool], yes: str, no: str) -> ColumnElement[str]:
    return case((flag, yes), else_=no)


def _power() -> ColumnElement[int]:
    states = {state.value: power_state_of(state) for state in VmState}
    return case(states, value=type_coerce(_COLUMNS.vm_state, String), else_=0)


EXACT: Mapping[str, Callable[[], ColumnElement[Any]]] = {
    "uuid": lambda: _COLUMNS.id,
    "user_id": lambda: _COLUMNS.user_id,
    "image": lambda: _COLUMNS.image_id,
    "flavor": _flavor_id,
    "vm_state": lambda: type_coerce(_COLUMNS.vm_state, String),
    "task_state": lambda: type_coerce(_COLUMNS.task_state, String),
    "host": lambda: _chosen(_COLUMNS.placed, HOST, ""),
    "launch_index": lambda: cast(_COLUMNS.launch_index, String),
}
MATCHED: Mapping[str, Callable[[], ColumnElement[Any]]] = {
    "name": lambda: _COLUMNS.name,
    "description": lambda: _COLUMNS.description,
    "hostname": lambda: _COLUMNS.hostname,
    "key_name": lambda: _COLUMNS.key_name,
    "reservation_id": lambda: _COLUMNS.reservation_id,
    "access_ip_v4": lambda: _COLUMNS.access_ipv4,
    "access_ip_v6": lambda: _COLUMNS.access_ipv6,
    "created_at": lambda: cast(_COLUMNS.created_at, String),
    "launched_at": lambda: cast(_COLUMNS.launched_at, String),
    "terminated_at": lambda: cast(_COLUMNS.deleted_at, String),
    "node": lambda: _chosen(_COLUMNS.placed, HOST, ""),
    "availability_zone": lambda: _chosen(_COLUMNS.placed, AVAILABILITY_ZONE, ""),
    "config_drive": lambda: _chosen(_COLUMNS.config_drive, "True", ""),
    "locked_by": lambda: _chosen(_COLUMNS.locked, "owner", ""),
    "power_state": lambda: cast(_power(), String),
    "progress": lambda: literal("0"),
    "root_device_name": lambda: literal("/dev/vda"),
    "kernel_id": lambda: literal(""),
    "ramdisk_id": lambda: literal(""),
    "auto_disk_config": lambda: _COLUMNS.disk_config,
}
SORTED: Mapping[str, Callable[[], ColumnElement[Any] | None]] = {
    "created_at": lambda: _COLUMNS.created_at,
    "updated_at": lambda: _COLUMNS.updated_at,
    "launched_at": lambda: func.coalesce(_COLUMNS.launched_at, _BEFORE_ALL, type_=_COLUMNS.launched_at.type),
    "terminated_at": lambda: func.coalesce(_COLUMNS.deleted_at, _BEFORE_ALL, type_=_COLUMNS.deleted_at.type),
    "display_name": lambda: _COLUMNS.name,
    "display_description": lambda: func.coalesce(_COLUMNS.description, ""),
    "hostname": lambda: _COLUMNS.hostname,
    "image_ref": lambda: _COLUMNS.image_id,
    "instance_type_id": _flavor_id,
    "key_name": lambda: func.coalesce(_COLUMNS.key_name, ""),
    "launch_index": lambda: _COLUMNS.launch_index,
    "project_id": lambda: _COLUMNS.project_id,
    "user_id": lambda: _COLUMNS.user_id,
    "uuid": lambda: _COLUMNS.id,
    "vm_state": lambda: type_coerce(_COLUMNS.vm_state, String),
    "task_state": lambda: func.coalesce(type_coerce(_COLUMNS.task_state, String), ""),
    "power_state": _power,
    "locked": lambda: cast(_COLUMNS.locked, Integer),
    "locked_by": lambda: cast(_COLUMNS.locked, Integer),
    "config_drive": lambda: cast(_COLUMNS.config_drive, Integer),
    "host": lambda: cast(_COLUMNS.placed, Integer),
    "node": lambda: cast(_COLUMNS.placed, Integer),
    "availability_zone": lambda: cast(_COLUMNS.placed, Integer),
    "access_ip_v4": lambda: func.coalesce(_COLUMNS.access_ipv4, ""),
    "access_ip_v6": lambda: func.coalesce(_COLUMNS.access_ipv6, ""),
    "auto_disk_config": lambda: _COLUMNS.disk_config,
    # the same for every server of ours
    "kernel_id": lambda: None,
    "ramdisk_id": lambda: None,
    "progress": lambda: None,
    "root_device_name": lambda: None,
}


class ServerLists:
    """Finds servers."""

    def __init__(self, *, engine: Engine) -> None:
        self._engine = engine

    def brief(self, principal: Principal, wanted: ServerFilter) -> BriefPage:
        """A page of ids and names, newest first if no order was asked for.

        Raises:
            Forbidden: other projects' servers were asked for by somebody who does not administer the cloud.
            Invalid: a filter or the marker does not do, in Nova's words.
        """
        rows, more = self._rows(principal, wanted, [_COLUMNS.id, _COLUMNS.name])
        return BriefPage(servers=[(row["id"], row["name"]) for row in rows], more=more)

    def full(self, principal: Principal, wanted: ServerFilter, *, user_data: bool) -> ServerPage:
        """A page of servers, as `brief`; without their user data, which is large, unless it is asked for."""
        left_out: dict[str, ColumnElement[Any]] = {"seed": literal("").label("seed")}
        if not user_data:
            left_out["user_data"] = literal(None).label("user_data")
        columns = [left_out.get(column.name, column) for column in _COLUMNS]
        rows, more = self._rows(principal, wanted, columns)
        return ServerPage(servers=[Server(**row) for row in rows], more=more)

    def volumes(self, server_ids: Sequence[ServerId]) -> Mapping[ServerId, Sequence[BlockDevice]]:
        """The volumes of servers that the caller may see, those that are being attached and detached too."""
        if not server_ids:
            return {}
        with self._engine.execution_options(readonly=True).connect() as connection:
            rows = connection.execute(_VOLUMES, {"servers": list(server_ids)}).mappings().all()
        found = [BlockDevice(**row) for row in rows]
        volumes: dict[ServerId, list[BlockDevice]] = {}
        for device in found:
            volumes.setdefault(device.server_id, []).append(device)
        return volumes

    def _rows(
        self, principal: Principal, wanted: ServerFilter, columns: Sequence[ColumnElement[Any]]
    ) -> tuple[Sequence[RowMapping], bool]:
        where = _conditions(principal, wanted)
        order = _order(wanted.order)
        if wanted.limit == 0:
            return [], False
        with self._engine.execution_options(readonly=True).connect() as connection:
            if wanted.marker is not None:
                where.append(_after(connection, principal, wanted.marker, order))
            ordered = [column.desc() if down else column.asc() for column, down in order]
            query = select(*columns).where(*where).order_by(*ordered).limit(wanted.limit + 1)
            rows = connection.execute(query).mappings().all()
        return rows[: wanted.limit], len(rows) > wanted.limit


def _conditions(principal: Principal, wanted: ServerFilter) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if wanted.all_projects:
        allow_administering(principal, "os_compute_api:servers:index:get_all_tenants")
        if wanted.project_id is not None:
            where.append(_COLUMNS.project_id == wanted.project_id)
    else:
        where.append(_COLUMNS.project_id == project_of(principal).id)
    if wanted.deleted is not None:
        gone = _COLUMNS.deleted_at
        where.append(gone.is_not(None) if wanted.deleted else gone.is_(None))
    if wanted.statuses is not None:
        where.append(_of_status(wanted.statuses))
    if wanted.changed_since is not None:
        where.append(_COLUMNS.updated_at >= wanted.changed_since)
    if wanted.changed_before is not None:
        where.append(_COLUMNS.updated_at <= wanted.changed_before)
    if wanted.locked is not None:
        where.append(_COLUMNS.locked.is_(wanted.locked))
    where += [EXACT[name]() == value for name, value in wanted.exactly.items()]
    where += [MATCHED[name]().regexp_match(pattern_of(text)) for name, text in wanted.matching.items()]
    where += [
        _has_address(pattern_of(text), version)
        for text, version in ((wanted.ip, 4), (wanted.ip6, 6))
        if text is not None
    ]
    return where + _tagged(wanted)


def states_of_status(statuses: Iterable[str]) -> tuple[frozenset[VmState], frozenset[TaskState | None]]:
    """The states that a `status` filter means, of servers and of tasks; the task None means any."""
    asked = {status.lower() for status in statuses}
    tasks: tuple[TaskState | None, ...] = (None, *TaskState)
    pairs = [(vm, task) for vm in VmState for task in tasks if status_of(vm, task).lower() in asked]
    return frozenset(vm for vm, _ in pairs), frozenset(task for _, task in pairs)


def _of_status(statuses: Sequence[str]) -> ColumnElement[bool]:
    vm_states, tasks = states_of_status(statuses)
    if not vm_states:
        return false()
    found = _COLUMNS.vm_state.in_(sorted(vm_states))
    return found if None in tasks else and_(found, _COLUMNS.task_state.in_(sorted(filter(None, tasks))))


def _has_address(pattern: str, version: int) -> ColumnElement[bool]:
    ports, addresses = store.ports.c, store.addresses.c
    family = addresses.ip_address.contains(":")
    return exists(
        select(ports.id)
        .join(store.addresses, addresses.holder_id == ports.id)
        .where(
            ports.device_id == _COLUMNS.id,
            family if version == 6 else not_(family),
            addresses.ip_address.regexp_match(pattern),
        )
    )


def _tagged(wanted: ServerFilter) -> list[ColumnElement[bool]]:
    where = [_has_tag([tag]) for tag in wanted.tags]
    if wanted.tags_any:
        where.append(_has_tag(wanted.tags_any))
    if wanted.not_tags:
        where.append(not_(and_(true(), *(_has_tag([tag]) for tag in wanted.not_tags))))
    if wanted.not_tags_any:
        where.append(not_(_has_tag(wanted.not_tags_any)))
    return where


def _has_tag(tags: Sequence[str]) -> ColumnElement[bool]:
    each = func.json_each(type_coerce(_COLUMNS.tags, JSON)).table_valued("value")
    return exists(select(each.c.value).where(each.c.value.in_(list(tags))))


def _order(keys: Sequence[tuple[str, bool]]) -> list[tuple[ColumnElement[Any], bool]]:
    """Columns with whether they descend; ended by two that no two servers share, as pages need it."""
    last = keys[0][1] if keys else True
    order = [(SORTED[key](), down) for key, down in keys]
    named = {key for key, _ in keys}
    order += [(SORTED[key](), last) for key in ("created_at", "uuid") if key not in named]
    return [(column, down) for column, down in order if column is not None]


def _after(
    connection: Connection,
    principal: Principal,
    marker: str,
    order: Sequence[tuple[ColumnElement[Any], bool]],
) -> ColumnElement[bool]:
    """What stands after the marker in this order."""
    columns = [column.label(f"key{number}") for number, (column, _) in enumerate(order)]
    query = select(_COLUMNS.project_id.label("owner"), *columns).where(_COLUMNS.id == marker)
    row = connection.execute(query).mappings().first()
    if row is None or not sees(principal, ProjectId(row["owner"])):
        raise Invalid(f"marker [{marker}] not found", code="marker_not_found")
    choices: list[ColumnElement[bool]] = []
    same: list[ColumnElement[bool]] = []
    values = [row[f"key{number}"] for number in range(len(order))]
    for (column, down), value in zip(order, values, strict=True):
        choices.append(and_(*same, column < value if down else column > value))
        same.append(column == value)
    (first, down), value = order[0], values[0]
    # said once more by itself, so that the database begins at the marker and not at the first server
    return and_(first <= value if down else first >= value, or_(*choices))


def check_sortable(principal: Principal, key: str) -> None:
    """Let administrators alone sort by where servers are.

    Raises:
        Forbidden: in Nova's words.
    """
    if key in {"host", "node"} and not principal.is_cloud_admin:
        raise Forbidden(f"Only administrators can sort servers by {key}", code="policy_not_authorized")
