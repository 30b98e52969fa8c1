"""/os-server-groups"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from fastapi import APIRouter, Request
from starlette.responses import Response

from armillary.base.errors import Invalid
from armillary.cloud.api.compute import wire
from armillary.cloud.api.compute.deps import Compute, Version
from armillary.cloud.api.compute.queries import MOST, check_query, number, text
from armillary.cloud.api.shared import Caller
from armillary.cloud.compute.registers import ServerGroup

router = APIRouter()
_SOFT = frozenset({"soft-affinity", "soft-anti-affinity"})


def _view(group: ServerGroup, members: Sequence[str], version: int) -> dict[str, Any]:
    view: dict[str, Any] = {"id": group.id, "name": group.name}
    if version >= 64:
        most = group.max_server_per_host
        view["policy"] = group.policy
        view["rules"] = {"max_server_per_host": most} if most is not None else {}
    else:
        view["policies"] = [group.policy]
        view["metadata"] = {}
    view["members"] = list(members)
    if version >= 13:
        view |= {"project_id": group.project_id, "user_id": group.user_id}
    return view


@router.get("/os-server-groups")
def list_server_groups(request: Request, who: Caller, compute: Compute, version: Version) -> dict[str, Any]:
    query = request.query_params
    check_query(query, {"all_projects": text, "limit": number, "offset": number}, strict=version >= 75)
    # whatever its value, as in Nova; and for everybody else it means nothing
    everybody = "all_projects" in query and who.is_cloud_admin
    limit = min(int(query.get("limit") or MOST) or MOST, MOST)
    offset = int(query.get("offset") or 0)
    groups = compute.groups.list(who, all_projects=everybody, offset=offset, limit=limit)
    members = compute.groups.members([group.id for group in groups])
    return {"server_groups": [_view(group, members[group.id], version) for group in groups]}


@router.post("/os-server-groups")
def create_server_group(
    body: wire.CreateServerGroup, who: Caller, compute: Compute, version: Version
) -> dict[str, Any]:
    asked = body.server_group
    newer = version >= 64
    for field, allowed in (("policy", newer), ("rules", newer), ("policies", not newer)):
        if field in asked.model_fields_set and not allowed:
            _refuse(asked, f"Additional properties are not allowed ('{field}' was unexpected)")
    policy = asked.policy if newer else (asked.policies or [None])[0]
    if policy is None:
        _refuse(asked, f"'{'policy' if newer else 'policies'}' is a required property")
    if policy in _SOFT and version < 15:
        raise Invalid(
            f"Invalid input for field/attribute 0. Value: {policy}. '{policy}' is not one of "
            "['anti-affinity', 'affinity']",
            code="invalid_policy",
        )
    rules = asked.rules
    if rules is not None and rules.max_server_per_host is not None and policy != "anti-affinity":
        raise Invalid("Only anti-affinity policy supports rules.", code="invalid_rules")
    group = compute.groups.create(
        who, name=asked.name, policy=policy, max_server_per_host=rules.max_server_per_host if rules else None
    )
    return {"server_group": _view(group, [], version)}


def _refuse(asked: wire.ServerGroupIn, why: str) -> NoReturn:
    value = str(asked.model_dump(exclude_unset=True))[:255]
    raise Invalid(
        f"Invalid input for field/attribute server_group. Value: {value}. {why}", code="invalid_server_group"
    )


@router.get("/os-server-groups/{group_id}")
def show_server_group(group_id: str, who: Caller, compute: Compute, version: Version) -> dict[str, Any]:
    group = compute.groups.get(who, group_id)
    return {"server_group": _view(group, compute.groups.members([group.id])[group.id], version)}


@router.delete("/os-server-groups/{group_id}", status_code=204)
def delete_server_group(group_id: str, who: Caller, compute: Compute) -> Response:
    compute.groups.delete(who, group_id)
    return Response(status_code=204)
