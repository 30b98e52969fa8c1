"""/v2.0/security-groups and security-group-rules"""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter

from armillary.accounts.model import Principal
from armillary.cloud.api.network import bodies, views
from armillary.cloud.api.network.attributes import JSON
from armillary.cloud.api.network.kinds import Kind, routes_of
from armillary.cloud.network.model import SecurityGroup
from armillary.cloud.network.service import NetworkService

router = APIRouter()


def _groups(network: NetworkService, who: Principal, found: Sequence[SecurityGroup]) -> list[JSON]:
    ids = [group.id for group in found]
    rules, shared = network.groups.rules_of(ids), network.groups.shared_with(who, ids)
    return [views.group(group, rules, shared=group.id in shared) for group in found]


KINDS = (
    Kind(
        path="security-groups", item="group_id", singular="security_group", plural="security_groups",
        attributes=bodies.SECURITY_GROUP, shelf=lambda network: network.groups, shown=_groups,
    ),
    Kind(
        path="security-group-rules", item="rule_id", singular="security_group_rule",
        plural="security_group_rules", attributes=bodies.SECURITY_GROUP_RULE,
        shelf=lambda network: network.group_rules, tagged=False,
        shown=lambda _network, _who, found: [views.rule(item) for item in found],
    ),
)  # fmt: skip
for _kind in KINDS:
    router.include_router(routes_of(_kind))
