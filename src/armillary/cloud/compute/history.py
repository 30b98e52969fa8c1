"""What was done to servers, in pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, and_, or_, select

from armillary.accounts.model import Principal
from armillary.base.errors import Invalid, NotFound
from armillary.cloud import store
from armillary.cloud.access import sees
from armillary.cloud.compute.model import InstanceAction, Migration
from armillary.cloud.compute.records import own
from armillary.cloud.compute.store import migrations

_COLUMNS = store.actions.c


@dataclass(frozen=True, kw_only=True)
class MigrationFilter:
    """Which resizes a list shows; None means any."""

    server_id: str | None = None
    status: str | None = None
    user_id: str | None = None
    project_id: str | None = None
    since: datetime | None = None
    before: datetime | None = None
    limit: int = 1000
    marker: str | None = None


class History:
    """Reads the journal of what people asked of their servers."""

    def __init__(self, *, engine: Engine) -> None:
        self._engine = engine

    def page(
        self,
        principal: Principal,
        server_id: str,
        *,
        deleted: bool,
        since: datetime | None = None,
        before: datetime | None = None,
        limit: int | None = None,
        marker: str | None = None,
    ) -> tuple[list[InstanceAction], bool]:
        """A server's entries, newest first, and whether there are more; `deleted` finds ended servers too.

        Raises:
            NotFound: there is no server that the principal sees.
            Invalid: the marker is none of its entries.
        """
        where = [_COLUMNS.server_id == server_id]
        if since is not None:
            where.append(_COLUMNS.updated_at >= since)
        if before is not None:
            where.append(_COLUMNS.updated_at <= before)
        query = select(store.actions).order_by(_COLUMNS.started_at.desc(), _COLUMNS.id.desc())
        with self._engine.execution_options(readonly=True).connect() as connection:
            _check_seen(connection, principal, server_id, deleted=deleted)
            if marker is not None:
                last = _entry(connection, server_id, marker)
                if last is None:
                    raise Invalid(f"marker [{marker}] not found", code="marker_not_found")
                same = and_(_COLUMNS.started_at == last.started_at, _COLUMNS.id < last.id)
                where.append(or_(_COLUMNS.started_at < last.started_at, same))
            if limit is not None:
                query = query.limit(limit + 1)
            rows = connection.execute(query.where(*where)).mappings().all()
        found = [InstanceAction(**row) for row in rows]
        return (found, False) if limit is None else (found[:limit], len(found) > limit > 0)

    def get(self, principal: Principal, server_id: str, action_id: str, *, deleted: bool) -> InstanceAction:
        """The entry of a request.

        Raises:
            NotFound: there is none, or no such server.
        """
        with self._engine.execution_options(readonly=True).connect() as connection:
            _check_seen(connection, principal, server_id, deleted=deleted)
            entry = _entry(connection, server_id, action_id)
        if entry is None:
            raise NotFound(
                f"Action for request_id {action_id} on instance {server_id} not found",
                code="action_not_found",
            )
        return entry

    def migrations(self, wanted: MigrationFilter) -> tuple[list[Migration], bool]:
        """Resizes, newest first, and whether there are more; who may ask has been settled by the caller.

        Raises:
            Invalid: the marker is none.
        """
        columns = migrations.c
        exactly = (
            (columns.server_id, wanted.server_id),
            (columns.status, wanted.status),
            (columns.user_id, wanted.user_id),
            (columns.project_id, wanted.project_id),
        )
        where = [column == value for column, value in exactly if value is not None]
        if wanted.since is not None:
            where.append(columns.updated_at >= wanted.since)
        if wanted.before is not None:
            where.append(columns.updated_at <= wanted.before)
        with self._engine.execution_options(readonly=True).connect() as connection:
            if wanted.marker is not None:
                number = connection.execute(
                    select(columns.number).where(columns.id == wanted.marker)
                ).scalar()
                if number is None:
                    raise Invalid(f"Marker {wanted.marker} could not be found.", code="marker_not_found")
                where.append(columns.number < number)
            query = select(migrations).where(*where).order_by(columns.number.desc()).limit(wanted.limit + 1)
            found = [Migration(**row) for row in connection.execute(query).mappings()]
        return found[: wanted.limit], len(found) > wanted.limit > 0


def _entry(connection: Connection, server_id: str, action_id: str) -> InstanceAction | None:
    found = store.ACTIONS.find(connection, _COLUMNS.server_id == server_id, _COLUMNS.id == action_id)
    return found[0] if found else None


def _check_seen(connection: Connection, principal: Principal, server_id: str, *, deleted: bool) -> None:
    server = store.SERVERS.get(connection, server_id) if deleted else None
    if server is None or not sees(principal, server.project_id):
        own(connection, principal, server_id)
