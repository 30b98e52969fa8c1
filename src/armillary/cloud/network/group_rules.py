"""The rules of security groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from typing import Any

from sqlalchemy import ColumnElement, Connection, or_, select

from armillary.accounts.model import Principal
from armillary.base.errors import Conflict, NotFound
from armillary.base.ids import ProjectId, new_uuid
from armillary.cloud import store
from armillary.cloud.access import project_of
from armillary.cloud.core.rule_words import check_rule
from armillary.cloud.network.desk import Desk, bad
from armillary.cloud.network.model import SecurityGroup, SecurityGroupRule
from armillary.cloud.network.shelf import Fields, Shelf

_SAME = ("direction", "ethertype", "protocol", "port_range_min", "port_range_max", "remote_group_id")


class Rules(Shelf[SecurityGroupRule]):
    """The rules of one's project's groups. A rule is never changed but for its description."""

    records = store.SECURITY_GROUP_RULES
    singular = "security_group_rule"
    quota = "security_group_rule"

    def missing(self, identifier: str) -> NotFound:
        return NotFound(
            f"Security group rule {identifier} does not exist", code="security_group_rule_not_found"
        )

    def _mine(self, connection: Connection, who: Principal) -> ColumnElement[bool]:
        own, columns = project_of(who).id, store.security_group_rules.c
        groups = select(store.security_groups.c.id).where(store.security_groups.c.project_id == own)
        return or_(columns.project_id == own, columns.security_group_id.in_(groups))

    def _look(self, connection: Connection, who: Principal, wishes: Sequence[Fields]) -> None:
        if len({wish["security_group_id"] for wish in wishes}) > 1:
            raise bad(
                "Only allowed to update rules for one security profile at a time",
                code="security_group_not_single_group_rules",
            )
        alike = [tuple(str(wish.get(name)) for name in (*_SAME, "remote_ip_prefix")) for wish in wishes]
        if len(set(alike)) < len(alike):
            raise Conflict(
                "Duplicate Security Group Rule in POST.", code="duplicate_security_group_rule_in_post"
            )

    def _make(
        self, connection: Connection, who: Principal, owner: ProjectId, fields: dict[str, Any]
    ) -> SecurityGroupRule:
        fields = check_rule(fields)
        group = self._group(connection, who, fields.pop("security_group_id"))
        remote = fields.get("remote_group_id")
        if remote is not None:
            self._group(connection, who, remote)
        return add_rule(self._desk, connection, group, fields)

    def _group(self, connection: Connection, who: Principal, identifier: str) -> SecurityGroup:
        group = store.SECURITY_GROUPS.get(connection, identifier)
        if group is None or not (who.is_cloud_admin or group.project_id == project_of(who).id):
            raise NotFound(f"Security group {identifier} does not exist", code="security_group_not_found")
        return group


def add_rule(
    desk: Desk, connection: Connection, group: SecurityGroup, fields: Mapping[str, Any]
) -> SecurityGroupRule:
    """Write a checked rule in the caller's transaction.

    Raises:
        Conflict: the group has it.
    """
    kept: dict[str, Any] = {
        "ethertype": "IPv4",
        **{name: value for name, value in fields.items() if value is not None},
    }
    prefix = _meant(kept.get("remote_ip_prefix"))
    for other in store.SECURITY_GROUP_RULES.find(
        connection, store.security_group_rules.c.security_group_id == group.id
    ):
        same = all(getattr(other, name) == kept.get(name) for name in _SAME)
        if same and _meant(other.remote_ip_prefix) == prefix:
            raise Conflict(
                f"Security group rule already exists. Rule id is {other.id}.",
                code="security_group_rule_exists",
            )
    description = kept.pop("description", "")
    rule = SecurityGroupRule(
        id=new_uuid(),
        security_group_id=group.id,
        **desk.stamps(group.project_id, description=description),
        **kept,
    )
    return store.SECURITY_GROUP_RULES.add(connection, rule)


def _meant(prefix: str | None) -> str | None:
    """What a prefix says: everywhere is the same as none."""
    if prefix is None:
        return None
    network = ip_network(prefix, strict=False)
    return None if network.prefixlen == 0 else str(network)
