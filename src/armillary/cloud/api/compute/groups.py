"""/os-security-groups and their rules: Nova's old proxy to Neutron, until 2.35."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from armillary.accounts.model import Principal
from armillary.base.errors import Conflict, Invalid
from armillary.base.ids import SecurityGroupId
from armillary.cloud.access import project_of
from armillary.cloud.api.compute import wire
from armillary.cloud.api.compute.deps import Network, Version, until
from armillary.cloud.api.compute.queries import check_query, limit_of, number, text
from armillary.cloud.api.shared import Caller
from armillary.cloud.network.model import SecurityGroup, SecurityGroupRule
from armillary.cloud.network.service import NetworkService

router = APIRouter()
_LAST = 35
_MOST = 255
_PROTOCOLS = frozenset({"tcp", "udp", "icmp", "6", "17", "1"})


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
        icmp = rule.protocol in {"icmp", "1"}
        anywhere = "0.0.0.0/0" if rule.ethertype == "IPv4" else "::/0"
        cidr = {"cidr": rule.remote_ip_prefix or anywhere} if rule.remote_group_id is None else {}
        shown.append(
            {
                "id": rule.id,
                "parent_group_id": group.id,
                "ip_protocol": rule.protocol,
                "from_port": -1 if icmp and rule.port_range_min is None else rule.port_range_min,
                "to_port": -1 if icmp and rule.port_range_max is None else rule.port_range_max,
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


def _shown(network: NetworkService, who: Principal, group: SecurityGroup) -> dict[str, Any]:
    by_id = {other.id: other for other in network.groups.list(who)}
    return group_view(group, network.groups.rules_of([group.id]), by_id)


def _check_id(group_id: str) -> str:
    try:
        UUID(group_id)
    except ValueError as error:
        raise Invalid("Security group id should be uuid", code="invalid_uuid") from error
    return group_id


def _text(group: wire.SecurityGroupIn) -> dict[str, str]:
    """Name and description, both of which Nova's proxy wants."""
    for field, value in (("name", group.name), ("description", group.description)):
        if value is None:
            raise Invalid(f"{field} is not a string or unicode", code="text_needed")
        if len(value) > _MOST:
            raise Invalid(f"{field} should not be greater than {_MOST} characters.", code="text_too_long")
    return {"name": group.name or "", "description": group.description or ""}


@router.get("/os-security-groups")
def list_groups(request: Request, who: Caller, network: Network, version: Version) -> Response:
    until(version, _LAST)
    project = project_of(who)
    network.furnish(project)
    query = request.query_params
    check_query(query, {"limit": number, "offset": number, "all_tenants": text}, strict=False)
    groups = network.groups.list(who)
    by_id = {group.id: group for group in groups}
    if not (who.is_cloud_admin and "all_tenants" in query):
        groups = [group for group in groups if group.project_id == project.id]
    start = int(query.get("offset") or 0)
    groups = groups[start : start + limit_of(query)]
    rules = network.groups.rules_of([group.id for group in groups])
    return JSONResponse({"security_groups": [group_view(group, rules, by_id) for group in groups]})


@router.post("/os-security-groups")
def create_group(body: wire.CreateSecurityGroup, who: Caller, network: Network, version: Version) -> Response:
    until(version, _LAST)
    made = network.groups.create(who, **_text(body.security_group))
    return JSONResponse({"security_group": _shown(network, who, made)})


@router.get("/os-security-groups/{group_id}")
def show_group(group_id: str, who: Caller, network: Network, version: Version) -> Response:
    until(version, _LAST)
    group = network.groups.get(who, _check_id(group_id))
    return JSONResponse({"security_group": _shown(network, who, group)})


@router.put("/os-security-groups/{group_id}")
def update_group(
    group_id: str, body: wire.CreateSecurityGroup, who: Caller, network: Network, version: Version
) -> Response:
    until(version, _LAST)
    changed = network.groups.update(who, _check_id(group_id), _text(body.security_group))
    return JSONResponse({"security_group": _shown(network, who, changed)})


@router.delete("/os-security-groups/{group_id}", status_code=202)
def delete_group(group_id: str, who: Caller, network: Network, version: Version) -> Response:
    until(version, _LAST)
    try:
        network.groups.delete(who, _check_id(group_id))
    except Conflict as error:
        # Neutron's conflicts are bad requests here
        raise Invalid(error.message, code=error.code) from error
    return Response(status_code=202)


@router.post("/os-security-group-rules")
def create_rule(body: wire.CreateGroupRule, who: Caller, network: Network, version: Version) -> Response:
    until(version, _LAST)
    asked = body.security_group_rule
    group = network.groups.get(who, _check_id(asked.parent_group_id))
    try:
        made = network.groups.create_rule(who, _rule(asked))
    except Conflict as error:
        raise Invalid(f"This rule already exists in group {group.id}", code=error.code) from error
    by_id = {other.id: other for other in network.groups.list(who)}
    return JSONResponse({"security_group_rule": group_view(group, [made], by_id)["rules"][0]})


def _rule(asked: wire.GroupRuleIn) -> dict[str, Any]:
    """Neutron's rule for Nova's, in Nova's words where it is none."""
    protocol = str(asked.ip_protocol).lower() if asked.ip_protocol is not None else None
    first, last = asked.from_port, asked.to_port
    if protocol is not None:
        if protocol not in _PROTOCOLS:
            raise Invalid(f"Invalid IP protocol {asked.ip_protocol}.", code="invalid_protocol")
        most = 255 if protocol in {"icmp", "1"} else 65535
        least = -1 if protocol in {"icmp", "1"} else 1
        if first is None or last is None or not (least <= first <= most and least <= last <= most):
            raise Invalid(
                f"Invalid port range {first}:{last}. Valid {protocol.upper()} ports should be between {max(least, 1)}-{most}",
                code="invalid_port_range",
            )
        if first > last and most != 255:
            raise Invalid(
                f"Invalid port range {first}:{last}. Former value cannot be greater than the later",
                code="invalid_port_range",
            )
    cidr = None
    if asked.group_id is None:
        try:
            cidr = str(ip_network(asked.cidr or "0.0.0.0/0", strict=False))
        except ValueError as error:
            raise Invalid(f"{asked.cidr} is not a valid IP network.", code="invalid_cidr") from error
    ports = {"port_range_min": first if first != -1 else None, "port_range_max": last if last != -1 else None}
    return {
        "security_group_id": asked.parent_group_id,
        "direction": "ingress",
        "ethertype": "IPv6" if cidr is not None and ":" in cidr else "IPv4",
        "protocol": protocol,
        "remote_group_id": asked.group_id,
        "remote_ip_prefix": cidr,
        **ports,
    }


@router.delete("/os-security-group-rules/{rule_id}", status_code=202)
def delete_rule(rule_id: str, who: Caller, network: Network, version: Version) -> Response:
    until(version, _LAST)
    network.groups.delete_rule(who, _check_id(rule_id))
    return Response(status_code=202)
