"""Security groups and their rules."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any

from sqlalchemy import Connection

from armillary.accounts.model import Principal
from armillary.base.errors import Conflict
from armillary.base.ids import ProjectId, SecurityGroupId, new_uuid
from armillary.cloud import store
from armillary.cloud.access import allow_writing, project_of, sees
from armillary.cloud.network.desk import Desk, bad, not_found
from armillary.cloud.network.model import SecurityGroup, SecurityGroupRule

DEFAULT = "default"
_DEFAULT_DESCRIPTION = (
    "Default security group: lets everything out; lets in ssh (tcp 22) and what its members send"
)
_PROTOCOLS = {
    "ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "icmp": 1, "icmpv6": 58, "igmp": 2, "ipip": 4,
    "ipv6-encap": 41, "ipv6-frag": 44, "ipv6-icmp": 58, "ipv6-nonxt": 59, "ipv6-opts": 60, "ipv6-route": 43,
    "ospf": 89, "pgm": 113, "rsvp": 46, "sctp": 132, "tcp": 6, "udp": 17, "udplite": 136, "vrrp": 112,
}  # fmt: skip
_WITH_PORTS = {"tcp", "udp", "sctp", "dccp", "udplite", "6", "17", "132", "33", "136"}
_ICMP = {"icmp", "1", "icmpv6", "ipv6-icmp", "58"}
_SAME = (
    "direction",
    "ethertype",
    "protocol",
    "port_range_min",
    "port_range_max",
    "remote_ip_prefix",
    "remote_group_id",
)


class SecurityGroups:
    """Who may talk to whom."""

    def __init__(self, *, desk: Desk) -> None:
        self._desk = desk

    def list(self, principal: Principal) -> list[SecurityGroup]:
        """The groups of one's project; administrators see all."""
        with self._desk.reading() as connection:
            if principal.is_cloud_admin:
                return store.SECURITY_GROUPS.find(connection)
            mine = store.security_groups.c.project_id == project_of(principal).id
            return store.SECURITY_GROUPS.find(connection, mine)

    def get(self, principal: Principal, group_id: str) -> SecurityGroup:
        """One group."""
        with self._desk.reading() as connection:
            return self._desk.own(connection, store.SECURITY_GROUPS, "Security group", group_id, principal)

    def rules(self, principal: Principal) -> list[SecurityGroupRule]:
        """The rules of one's project's groups; administrators see all."""
        with self._desk.reading() as connection:
            if principal.is_cloud_admin:
                return store.SECURITY_GROUP_RULES.find(connection)
            mine = store.security_group_rules.c.project_id == project_of(principal).id
            return store.SECURITY_GROUP_RULES.find(connection, mine)

    def rule(self, principal: Principal, rule_id: str) -> SecurityGroupRule:
        """One rule."""
        with self._desk.reading() as connection:
            return self._desk.own(
                connection, store.SECURITY_GROUP_RULES, "Security group rule", rule_id, principal
            )

    def create(
        self, principal: Principal, *, name: str, description: str = "", project_id: str | None = None,
        stateful: bool = True,
    ) -> SecurityGroup:  # fmt: skip
        """Make a group that lets everything out and nothing in."""
        own = allow_writing(principal, "create_security_group")
        if name == DEFAULT:
            raise Conflict(
                "Default security group already exists.", code="security_group_default_already_exists"
            )
        with self._desk.writing() as connection:
            owner = self._desk.owner(principal, own.id, project_id)
            self._desk.charge(connection, owner, "security_group")
            return add_group(
                self._desk, connection, owner, name=name, description=description, stateful=stateful
            )

    def update(self, principal: Principal, group_id: str, changes: Mapping[str, Any]) -> SecurityGroup:
        """Rename or describe a group."""
        allow_writing(principal, "update_security_group")
        with self._desk.writing() as connection:
            group = self._desk.own(connection, store.SECURITY_GROUPS, "Security group", group_id, principal)
            if group.name == DEFAULT and changes.get("name", DEFAULT) != DEFAULT:
                raise Conflict(
                    "Updating default security group not allowed.",
                    code="security_group_cannot_update_default",
                )
            group = self._desk.touch(group, **changes)
            store.SECURITY_GROUPS.save(connection, group)
            return group

    def delete(self, principal: Principal, group_id: str) -> None:
        """Remove a group that no port uses.

        Raises:
            Conflict: a port uses it, or it is the project's default.
        """
        allow_writing(principal, "delete_security_group")
        with self._desk.writing() as connection:
            group = self._desk.own(connection, store.SECURITY_GROUPS, "Security group", group_id, principal)
            if group.name == DEFAULT and not principal.is_cloud_admin:
                raise Conflict(
                    "Insufficient rights for removing default security group.",
                    code="security_group_cannot_remove_default",
                )
            ports = store.PORTS.find(connection, store.ports.c.project_id == group.project_id)
            if any(group.id in port.security_groups for port in ports):
                raise Conflict(f"Security Group {group.id} in use.", code="security_group_in_use")
            store.SECURITY_GROUP_RULES.remove(
                connection, store.security_group_rules.c.security_group_id == group.id
            )
            store.SECURITY_GROUPS.remove(connection, store.security_groups.c.id == group.id)

    def create_rule(self, principal: Principal, fields: Mapping[str, Any]) -> SecurityGroupRule:
        """Open something: `fields` are the attributes of `SecurityGroupRule`.

        Raises:
            Invalid: ports without a protocol that has them, a range upside down, a remote of the wrong family.
            Conflict: the group has this rule.
        """
        allow_writing(principal, "create_security_group_rule")
        check_rule(fields)
        with self._desk.writing() as connection:
            group = self._desk.own(
                connection, store.SECURITY_GROUPS, "Security group", fields["security_group_id"], principal
            )
            remote = fields.get("remote_group_id")
            if remote is not None:
                self._desk.own(connection, store.SECURITY_GROUPS, "Security group", remote, principal)
            self._desk.charge(connection, group.project_id, "security_group_rule")
            rule = add_rule(self._desk, connection, group, **fields)
        self._desk.changed()
        return rule

    def delete_rule(self, principal: Principal, rule_id: str) -> None:
        """Close what the rule opened."""
        allow_writing(principal, "delete_security_group_rule")
        with self._desk.writing() as connection:
            rule = self._desk.own(
                connection, store.SECURITY_GROUP_RULES, "Security group rule", rule_id, principal
            )
            store.SECURITY_GROUP_RULES.remove(connection, store.security_group_rules.c.id == rule.id)
        self._desk.changed()


def find_groups(
    connection: Connection, principal: Principal, owner: ProjectId, wanted: list[str]
) -> tuple[SecurityGroupId, ...]:
    """Groups of a project by id or name, in order and without repetition.

    Raises:
        NotFound: one is not there.
        Conflict: a name is not unique.
    """
    mine = store.SECURITY_GROUPS.find(connection, store.security_groups.c.project_id == owner)
    found: dict[SecurityGroupId, None] = {}
    for text in wanted:
        by_id = [group.id for group in mine if group.id == text]
        by_name = by_id or [group.id for group in mine if group.name == text]
        if not by_name:
            foreign = store.SECURITY_GROUPS.get(connection, text)
            if foreign is None or not sees(principal, foreign.project_id):
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
        add_rule(desk, connection, group, direction="egress", ethertype=ethertype)
    return group


def add_default_group(desk: Desk, connection: Connection, owner: ProjectId) -> SecurityGroup:
    """Write a project's default group: Neutron's, and ssh from everywhere, without which nobody gets in."""
    group = add_group(desk, connection, owner, name=DEFAULT, description=_DEFAULT_DESCRIPTION)
    for ethertype in ("IPv4", "IPv6"):
        add_rule(desk, connection, group, direction="ingress", ethertype=ethertype, remote_group_id=group.id)
    add_rule(
        desk, connection, group, direction="ingress", protocol="tcp", port_range_min=22, port_range_max=22
    )
    return group


def add_rule(desk: Desk, connection: Connection, group: SecurityGroup, **fields: Any) -> SecurityGroupRule:
    """Write a checked rule in the caller's transaction."""
    fields = {"ethertype": "IPv4", **{k: v for k, v in fields.items() if v is not None}}
    prefix = fields.get("remote_ip_prefix")
    if prefix is not None:
        fields["remote_ip_prefix"] = str(ip_network(prefix, strict=False))
    for other in store.SECURITY_GROUP_RULES.find(
        connection, store.security_group_rules.c.security_group_id == group.id
    ):
        if all(getattr(other, name) == fields.get(name) for name in _SAME):
            raise Conflict(
                f"Security group rule already exists. Rule id is {other.id}.",
                code="security_group_rule_exists",
            )
    fields.pop("security_group_id", None)
    description = fields.pop("description", "")
    rule = SecurityGroupRule(
        id=new_uuid(),
        security_group_id=group.id,
        **desk.stamps(group.project_id, description=description),
        **fields,
    )
    return store.SECURITY_GROUP_RULES.add(connection, rule)


def check_rule(fields: Mapping[str, Any]) -> None:
    """Refuse a rule that means nothing.

    Raises:
        Invalid: in Neutron's words.
    """
    protocol, low, high = fields.get("protocol"), fields.get("port_range_min"), fields.get("port_range_max")
    if (
        protocol is not None
        and protocol not in _PROTOCOLS
        and not (protocol.isdigit() and int(protocol) <= 255)
    ):
        known = sorted(_PROTOCOLS)
        raise bad(
            f"Security group rule protocol {protocol} not supported. Only protocol values {known} and integer "
            "representations [0 to 255] are supported.",
            code="security_group_rule_invalid_protocol",
        )
    if (low is not None or high is not None) and protocol is None:
        raise bad(
            "Must also specify protocol if port range is given.",
            code="security_group_protocol_required_with_ports",
        )
    if protocol in _WITH_PORTS:
        _check_ports(low, high)
    elif protocol in _ICMP:
        for name, value in (("port_range_min", low), ("port_range_max", high)):
            if value is not None and not 0 <= value <= 255:
                raise bad(
                    f"Invalid value for ICMP {name} {value}. It must be 0 to 255.",
                    code="security_group_invalid_icmp_value",
                )
        if low is None and high is not None:
            raise bad(
                f"ICMP code (port-range-max) {high} is provided but ICMP type (port-range-min) is missing.",
                code="security_group_missing_icmp_type",
            )
    elif low is not None or high is not None:
        raise bad(
            f"Port range cannot be specified for protocol {protocol}.",
            code="security_group_invalid_protocol_for_port",
        )
    _check_remote(fields)


def _check_ports(low: int | None, high: int | None) -> None:
    if low is None and high is None:
        return
    if low is None or high is None or not 1 <= low <= high <= 65535:
        raise bad(
            "For TCP/UDP protocols, port_range_min must be <= port_range_max",
            code="security_group_invalid_port_range",
        )


def _check_remote(fields: Mapping[str, Any]) -> None:
    prefix = fields.get("remote_ip_prefix")
    if prefix is None:
        return
    if fields.get("remote_group_id") is not None:
        raise bad(
            "Only remote_ip_prefix or remote_group_id may be provided.",
            code="security_group_remote_group_and_remote_ip_prefix",
        )
    try:
        version = ip_network(prefix, strict=False).version
    except ValueError as error:
        raise bad(
            f"Invalid input for remote_ip_prefix. Reason: '{prefix}' is not a valid IP subnet."
        ) from error
    ethertype = fields.get("ethertype") or "IPv4"
    if f"IPv{version}" != ethertype:
        raise bad(
            f"Conflicting value ethertype {ethertype} for CIDR {prefix}",
            code="security_group_rule_parameter_conflict",
        )
