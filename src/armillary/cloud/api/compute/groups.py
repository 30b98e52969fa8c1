"""/os-security-groups: Nova's old proxy to Neutron, until 2.35."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter

from armillary.base.ids import SecurityGroupId
from armillary.cloud.access import project_of
from armillary.cloud.api.compute.deps import Network, Version, until
from armillary.cloud.api.shared import Caller
from armillary.cloud.network.model import SecurityGroup, SecurityGroupRule

router = APIRouter()
_LAST = 35


def group_view(
    group: SecurityGroup,
    rules: Sequence[SecurityGroupRule],
    groups: Mapping[SecurityGroupId, SecurityGroup],
) -> dict[str, Any]:
    """A group with its ingress rules, as Nova showed them."""
    shown: list[dict[str, Any]] = []
    for rule in rules:
        if rule.security_group_id != group.id or rule.direction != "ingress":
            continue
        remote = groups.get(rule.remote_group_id) if rule.remote_group_id else None
        anywhere = "0.0.0.0/0" if rule.ethertype == "IPv4" else "::/0"
        cidr = {"cidr": rule.remote_ip_prefix or anywhere} if rule.remote_group_id is None else {}
        shown.append(
            {
                "id": rule.id,
                "parent_group_id": group.id,
                "ip_protocol": rule.protocol,
                "from_port": rule.port_range_min,
                "to_port": rule.port_range_max,
                "group": {"name": remote.name, "tenant_id": remote.project_id} if remote else {},
                "ip_range": cidr,
            }
        )
    return {
        "id": group.id,
        "name": group.name,
        "description": group.description,
        "tenant_id": group.project_id,
        "rules": shown,
    }


@router.get("/os-security-groups")
def list_groups(who: Caller, network: Network, version: Version) -> dict[str, Any]:
    until(version, _LAST)
    project = project_of(who)
    network.furnish(project)
    groups = network.groups.list(who)
    rules, by_id = network.groups.rules(who), {group.id: group for group in groups}
    mine = [group for group in groups if group.project_id == project.id]
    return {"security_groups": [group_view(group, rules, by_id) for group in mine]}


@router.get("/os-security-groups/{group_id}")
def show_group(group_id: str, who: Caller, network: Network, version: Version) -> dict[str, Any]:
    until(version, _LAST)
    group = network.groups.get(who, group_id)
    by_id = {other.id: other for other in network.groups.list(who)}
    return {"security_group": group_view(group, network.groups.rules(who), by_id)}
