"""What was done to servers: instance actions, and migrations."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from armillary.base.errors import NotFound
from armillary.cloud.api.compute import views
from armillary.cloud.api.compute.deps import Compute, Network, Version, nics
from armillary.cloud.api.compute.groups import group_view
from armillary.cloud.api.shared import Caller

router = APIRouter()


@router.get("/servers/{server_id}/os-instance-actions")
def list_actions(server_id: str, who: Caller, compute: Compute, version: Version) -> dict[str, Any]:
    return {"instanceActions": [views.action(a, version=version) for a in compute.actions(who, server_id)]}


@router.get("/servers/{server_id}/os-instance-actions/{action_id}")
def show_action(
    server_id: str, action_id: str, who: Caller, compute: Compute, version: Version
) -> dict[str, Any]:
    for entry in compute.actions(who, server_id):
        if entry.id == action_id:
            return {"instanceAction": views.action(entry, version=version, in_full=True)}
    raise NotFound(f"Action for request_id {action_id} on instance {server_id} not found")


@router.get("/servers/{server_id}/os-security-groups")
def list_groups(server_id: str, who: Caller, compute: Compute, network: Network) -> dict[str, Any]:
    server = compute.get(who, server_id)
    groups = {g.id: g for nic in nics(network, [server]).get(server.id, ()) for g in nic.groups}
    rules = network.groups.rules(who)
    names = {group.id: group for group in network.groups.list(who)}
    return {"security_groups": [group_view(group, rules, names) for group in groups.values()]}
