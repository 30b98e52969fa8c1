"""What was done to a server: its instance actions. Its migrations, and the security groups of its ports."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from armillary.base.errors import NotFound
from armillary.cloud.api.compute import views
from armillary.cloud.api.compute.deps import BaseUrl, Compute, Network, Version, nics, since
from armillary.cloud.api.compute.groups import group_view
from armillary.cloud.api.compute.queries import PAGING, check_query, limit_of, moment, moment_of
from armillary.cloud.api.shared import Caller, next_link

router = APIRouter()

_DELETED_TOO = 21
_ACTIONS = "/servers/{server_id}/os-instance-actions"


@router.get(_ACTIONS)
def list_actions(
    server_id: str, request: Request, who: Caller, compute: Compute, version: Version, base_url: BaseUrl
) -> Response:
    query = request.query_params
    paged = version >= 58
    known = {**PAGING, "changes-since": moment} if paged else {}
    known |= {"changes-before": moment} if version >= 66 else {}
    check_query(query, known, strict=paged)
    times = {
        n: moment_of(n, query[n]) for n in ("changes-since", "changes-before") if n in known and n in query
    }
    found, more = compute.history.page(
        who,
        server_id,
        deleted=version >= _DELETED_TOO,
        since=times.get("changes-since"),
        before=times.get("changes-before"),
        limit=limit_of(query) if paged else None,
        marker=(query.get("marker") or None) if paged else None,
    )
    shown: dict[str, Any] = {"instanceActions": [views.action(entry, version=version) for entry in found]}
    if paged and more:
        url = f"{base_url}/v2.1/servers/{server_id}/os-instance-actions"
        shown["links"] = next_link(url, query, found[-1].id)
    return JSONResponse(shown)


@router.get(_ACTIONS + "/{action_id}")
def show_action(
    server_id: str, action_id: str, who: Caller, compute: Compute, version: Version
) -> dict[str, Any]:
    entry = compute.history.get(who, server_id, action_id, deleted=version >= _DELETED_TOO)
    return {"instanceAction": views.action(entry, version=version, in_full=True)}


@router.get("/servers/{server_id}/migrations")
def list_live_migrations(server_id: str, who: Caller, compute: Compute, version: Version) -> dict[str, Any]:
    """Live migrations in progress, of which a cloud of one host has none; resizes are in /os-migrations."""
    since(version, 23)
    compute.get(who, server_id)
    return {"migrations": []}


@router.get("/servers/{server_id}/migrations/{migration_id}")
def show_live_migration(
    server_id: str, migration_id: str, who: Caller, compute: Compute, version: Version
) -> None:
    since(version, 23)
    compute.get(who, server_id)
    raise NotFound(
        f"In-progress live migration {migration_id} is not found for server {server_id}.",
        code="migration_not_found",
    )


@router.get("/servers/{server_id}/os-security-groups")
def list_groups(server_id: str, who: Caller, compute: Compute, network: Network) -> dict[str, Any]:
    server = compute.get(who, server_id)
    groups = {g.id: g for nic in nics(network, [server]).get(server.id, ()) for g in nic.groups}
    rules = network.groups.rules(who)
    names = {group.id: group for group in network.groups.list(who)}
    return {"security_groups": [group_view(group, rules, names) for group in groups.values()]}
