"""Security groups."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, or_

from armillary.accounts.model import Principal
from armillary.base.errors import Conflict, NotFound
from armillary.base.ids import ProjectId, SecurityGroupId, new_uuid
from armillary.cloud import store
from armillary.cloud.access import project_of, sees
from armillary.cloud.network.desk import Desk, not_found
from armillary.cloud.network.group_rules import Rules, add_rule
from armillary.cloud.network.listing import has
from armillary.cloud.network.model import SecurityGroup, SecurityGroupRule
from armillary.cloud.network.sharing import forget, granted, shared_ids
from armillary.cloud.network.shelf import Shelf

DEFAULT = "default"
_DEFAULT_DESCRIPTION = "Default security group"
_OPEN_DESCRIPTION = (
    "Default security group: lets everything out; lets in ssh (tcp 22) and what its members send"
)


class SecurityGroups(Shelf[SecurityGroup]):
    """Who may talk to whom: the groups of one's project, and those shared with it."""

    records = store.SECURITY_GROUPS
    singular = "security_group"
    quota = "security_group"
    follows = False

    def __init__(self, *, desk: Desk) -> None:
        super().__init__(desk=desk)
        self.all_rules = Rules(desk=desk)

    def missing(self, identifier: str) -> NotFound:
        return NotFound(f"Security group {identifier} does not exist", code="security_group_not_found")

    def _mine(self, connection: Connection, who: Principal) -> ColumnElement[bool]:
        own, columns = project_of(who).id, store.security_groups.c
        return or_(columns.project_id == own, granted("security_group", columns.id, own))

    def rules(self, who: Principal) -> list[SecurityGroupRule]:
        """The rules of one's project's groups; administrators see all."""
        return self.all_rules.list(who)

    def rules_of(self, group_ids: list[SecurityGroupId]) -> list[SecurityGroupRule]:
        """The rules of groups; who may see the groups has been settled by the caller."""
        with self._desk.reading() as connection:
            mine = store.security_group_rules.c.security_group_id.in_(group_ids)
            return store.SECURITY_GROUP_RULES.find(connection, mine)

    def shared_with(self, who: Principal, group_ids: list[SecurityGroupId]) -> frozenset[str]:
        """Which of these groups are shared with the caller's project."""
        with self._desk.reading() as connection:
            own = who.project.id if who.project is not None else ""
            return shared_ids(connection, "security_group", own, group_ids)

    def _make(
        self, connection: Connection, who: Principal, owner: ProjectId, fields: dict[str, Any]
    ) -> SecurityGroup:
        if fields.setdefault("name", "").lower() == DEFAULT:
            raise _one_default()
        return add_group(self._desk, connection, owner, **fields)

    def _change(
        self, connection: Connection, who: Principal, item: SecurityGroup, changes: dict[str, Any]
    ) -> SecurityGroup:
        name = changes.get("name", item.name)
        if item.name == DEFAULT and name != DEFAULT:
            raise Conflict(
                "Updating default security group not allowed.", code="security_group_cannot_update_default"
            )
        if item.name != DEFAULT and name.lower() == DEFAULT:
            raise _one_default()
        return self._desk.touch(item, **changes)

    def _remove(self, connection: Connection, who: Principal, item: SecurityGroup) -> None:
        if store.PORTS.find(connection, has(store.ports.c.security_groups, item.id)):
            raise Conflict(f"Security Group {item.id} in use.", code="security_group_in_use")
        if item.name == DEFAULT and not who.is_cloud_admin:
            raise Conflict(
                "Insufficient rights for removing default security group.",
                code="security_group_cannot_remove_default",
            )
        forget(connection, item.id)
        rules = store.security_group_rules.c
        store.SECURITY_GROUP_RULES.remove(
            connection, or_(rules.security_group_id == item.id, rules.remote_group_id == item.id)
        )

    # for callers inside of the cloud

    def create_rule(self, who: Principal, fields: dict[str, Any]) -> SecurityGroupRule:
        """Open something: `fields` are the attributes of `SecurityGroupRule`."""
        return self.all_rules.create(who, **fields)

    def delete_rule(self, who: Principal, rule_id: str) -> None:
        """Close what the rule opened."""
        self.all_rules.delete(who, rule_id)


def _one_default() -> Conflict:
    return Conflict("Default security group already exists.", code="security_group_default_already_exists")


def find_groups(
    connection: Connection,
    principal: Principal,
    owner: ProjectId,
    wanted: list[str],
    *,
    desk: Desk | None = None,
) -> tuple[SecurityGroupId, ...]:
    """Groups of a project by id or name, in order and without repetition; with a desk, the default one is made.

    Raises:
        NotFound: one is not there.
        Conflict: a name is not unique.
    """
    mine = store.SECURITY_GROUPS.find(connection, store.security_groups.c.project_id == owner)
    if desk is not None and wanted == [DEFAULT] and not any(group.name == DEFAULT for group in mine):
        mine.append(add_default_group(desk, connection, owner))
    found: dict[SecurityGroupId, None] = {}
    for text in wanted:
        by_id = [group.id for group in mine if group.id == text]
        by_name = by_id or [group.id for group in mine if group.name == text]
        if not by_name:
            foreign = store.SECURITY_GROUPS.get(connection, text)
            shared = foreign is not None and shared_ids(connection, "security_group", owner, [foreign.id])
            if foreign is None or not (sees(principal, foreign.project_id) or shared):
                raise not_found("Security group", text)
            by_name = [foreign.id]
        if len(by_name) > 1:
            raise Conflict(
                f"Multiple security groups match '{text}'. Use an ID to be more specific.",
                code="no_unique_match",
            )
        found[by_name[0]] = None
    return tuple(found)


def add_group(
    desk: Desk,
    connection: Connection,
    owner: ProjectId,
    *,
    name: str,
    description: str = "",
    stateful: bool = True,
) -> SecurityGroup:
    """Write a group with Neutron's two first rules: everything may leave."""
    group = SecurityGroup(
        id=SecurityGroupId(new_uuid()),
        stateful=stateful,
        **desk.stamps(owner, name=name, description=description),
    )
    store.SECURITY_GROUPS.add(connection, group)
    for ethertype in ("IPv4", "IPv6"):
        add_rule(desk, connection, group, {"direction": "egress", "ethertype": ethertype})
    return group


def add_default_group(
    desk: Desk, connection: Connection, owner: ProjectId, *, ssh: bool = False
) -> SecurityGroup:
    """Write a project's default group as Neutron does; with `ssh`, that gets in too, so that people get in."""
    description = _OPEN_DESCRIPTION if ssh else _DEFAULT_DESCRIPTION
    group = add_group(desk, connection, owner, name=DEFAULT, description=description)
    for ethertype in ("IPv4", "IPv6"):
        fields = {"direction": "ingress", "ethertype": ethertype, "remote_group_id": group.id}
        add_rule(desk, connection, group, fields)
    if ssh:
        opened = {"protocol": "tcp", "port_range_min": 22, "port_range_max": 22}
        add_rule(desk, connection, group, {"direction": "ingress", **opened})
    return group
