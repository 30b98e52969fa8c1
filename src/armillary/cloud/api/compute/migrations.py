"""/os-migrations: the resizes, which are all the moving that a cloud of one host does."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from armillary.cloud.api.compute.deps import BaseUrl, Compute, Version
from armillary.cloud.api.compute.queries import PAGING, Check, check_query, limit_of, moment, moment_of, text
from armillary.cloud.api.shared import next_link
from armillary.cloud.compute.history import MigrationFilter
from armillary.cloud.compute.listing import HOST
from armillary.cloud.compute.model import Migration

router = APIRouter()


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")


def _view(migration: Migration, version: int) -> dict[str, Any]:
    view: dict[str, Any] = {
        "id": migration.number,
        "source_compute": HOST,
        "source_node": HOST,
        "dest_compute": HOST,
        "dest_node": HOST,
        "dest_host": "127.0.0.1",
        "status": migration.status,
        "instance_uuid": migration.server_id,
        "old_instance_type_id": migration.old_flavor_id,
        "new_instance_type_id": migration.new_flavor_id,
        "created_at": _moment(migration.created_at),
        "updated_at": _moment(migration.updated_at),
    }
    if version >= 23:
        view["migration_type"] = "resize"
    if version >= 59:
        view["uuid"] = migration.id
    if version >= 80:
        view |= {"user_id": migration.user_id, "project_id": migration.project_id}
    return view


_KNOWN: tuple[str, ...] = ("hidden", "host", "instance_uuid", "source_compute", "status", "migration_type")


@router.get("/os-migrations")
def list_migrations(request: Request, compute: Compute, version: Version, base_url: BaseUrl) -> Response:
    query = request.query_params
    paged = version >= 59
    known: dict[str, Check] = dict.fromkeys(_KNOWN, text)
    if paged:
        known.update({**PAGING, "changes-since": moment})
    if version >= 66:
        known["changes-before"] = moment
    if version >= 80:
        known.update({"user_id": text, "project_id": text})
    check_query(query, known, strict=paged)

    def asked(name: str) -> str | None:
        return query.get(name) or None if name in known else None

    times = {
        n: moment_of(n, query[n]) for n in ("changes-since", "changes-before") if n in known and n in query
    }
    here = asked("host") in {None, HOST} and asked("source_compute") in {None, HOST}
    if not here or asked("migration_type") not in {None, "resize"}:
        return JSONResponse({"migrations": []})
    wanted = MigrationFilter(
        server_id=asked("instance_uuid"), status=asked("status"), user_id=asked("user_id"),
        project_id=asked("project_id"), since=times.get("changes-since"), before=times.get("changes-before"),
        limit=limit_of(query) if paged else 1000, marker=asked("marker"),
    )  # fmt: skip
    found, more = compute.history.migrations(wanted)
    shown: dict[str, Any] = {"migrations": [_view(migration, version) for migration in found]}
    if paged and more:
        shown["migrations_links"] = next_link(f"{base_url}/v2.1/os-migrations", query, found[-1].id)
    return JSONResponse(shown)
