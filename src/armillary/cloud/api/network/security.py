"""/v2.0/security-groups and security-group-rules"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from armillary.cloud.api.network import views, wire
from armillary.cloud.api.network.deps import Member, Network
from armillary.cloud.api.network.listing import collection, pruned

router = APIRouter()
JSON = dict[str, Any]


@router.get("/security-groups")
def list_groups(request: Request, who: Member, network: Network) -> JSON:
    rules = network.groups.rules(who)
    shown = [views.group(group, rules) for group in network.groups.list(who)]
    return collection(request, "security_groups", shown)


@router.post("/security-groups", status_code=201)
def create_group(body: wire.CreateSecurityGroup, who: Member, network: Network) -> JSON:
    group = network.groups.create(who, **body.security_group.fields())
    return {"security_group": views.group(group, network.groups.rules(who))}


@router.get("/security-groups/{group_id}")
def show_group(group_id: str, request: Request, who: Member, network: Network) -> JSON:
    view = views.group(network.groups.get(who, group_id), network.groups.rules(who))
    return {"security_group": pruned(request, view)}


@router.put("/security-groups/{group_id}")
def update_group(group_id: str, body: wire.UpdateSecurityGroup, who: Member, network: Network) -> JSON:
    group = network.groups.update(who, group_id, body.security_group.fields())
    return {"security_group": views.group(group, network.groups.rules(who))}


@router.delete("/security-groups/{group_id}", status_code=204)
def delete_group(group_id: str, who: Member, network: Network) -> Response:
    network.groups.delete(who, group_id)
    return Response(status_code=204)


@router.get("/security-group-rules")
def list_rules(request: Request, who: Member, network: Network) -> JSON:
    return collection(request, "security_group_rules", [views.rule(r) for r in network.groups.rules(who)])


@router.post("/security-group-rules", status_code=201)
def create_rule(body: wire.CreateRule, who: Member, network: Network) -> JSON:
    rule = network.groups.create_rule(who, body.security_group_rule.fields())
    return {"security_group_rule": views.rule(rule)}


@router.get("/security-group-rules/{rule_id}")
def show_rule(rule_id: str, request: Request, who: Member, network: Network) -> JSON:
    return {"security_group_rule": pruned(request, views.rule(network.groups.rule(who, rule_id)))}


@router.delete("/security-group-rules/{rule_id}", status_code=204)
def delete_rule(rule_id: str, who: Member, network: Network) -> Response:
    network.groups.delete_rule(who, rule_id)
    return Response(status_code=204)
