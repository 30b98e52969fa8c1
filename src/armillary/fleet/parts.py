"""What surrounds a machine: its figures, its history, its cards and disks, and who may reach it. Values only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from armillary.base.ids import FloatingIpId, NetworkId, PortId, SecurityGroupId, ServerId, VolumeId
from armillary.base.units import GiB, MiB

SSH_PORT = 22


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a hypervisor says of a running machine at one moment; counters grow from its start. None: not measured."""

    at: datetime
    cores: int
    cpu_seconds: float | None
    """of all its virtual processors together"""
    memory: MiB
    memory_used: MiB | None
    disk_read: int | None
    disk_written: int | None
    net_in: int | None
    net_out: int | None


@dataclass(frozen=True, kw_only=True)
class ServerEvent:
    """Something that was done to a machine, as its cloud wrote it down."""

    action: str
    at: datetime
    by: str
    """the user's id on the cloud"""
    message: str
    request_id: str


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A disk that outlives machines."""

    id: VolumeId
    name: str
    size: GiB
    status: str
    created_at: datetime
    server_id: ServerId | None = None
    device: str = ""

    @property
    def is_free(self) -> bool:
        """Whether it can be attached or deleted."""
        return self.server_id is None and self.status in ("available", "error")


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network that the project's machines may be on."""

    id: NetworkId
    name: str
    cidrs: Sequence[str]
    is_own: bool
    """False: the cloud's, for everybody"""
    has_way_out: bool
    """whether a router leads out of it, so that floating IPs work"""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One sort of traffic that a security group lets through."""

    id: str
    ingress: bool
    protocol: str
    """tcp, udp, icmp, a number; empty for all"""
    low: int | None
    high: int | None
    remote: str
    """a prefix, the id of another group, or empty for everywhere"""
    is_ipv6: bool = False

    @property
    def lets_ssh_in(self) -> bool:
        """Whether it opens port 22 to somebody outside."""
        if not self.ingress or self.protocol not in ("", "any", "tcp", "6"):
            return False
        opens = self.low is None or self.low <= SSH_PORT <= (self.high or self.low)
        return opens and (self.remote == "" or "/" in self.remote)


@dataclass(frozen=True, kw_only=True)
class RuleRequest:
    """A rule to make: traffic that may come in."""

    protocol: str
    low: int | None
    high: int | None
    remote: str


@dataclass(frozen=True, kw_only=True)
class SecurityGroup:
    """Rules under one name; a machine's card has several of these, and what any of them opens is open."""

    id: SecurityGroupId
    name: str
    rules: Sequence[Rule]

    @property
    def lets_ssh_in(self) -> bool:
        """Whether it opens port 22 to somebody outside."""
        return any(rule.lets_ssh_in for rule in self.rules)


@dataclass(frozen=True, kw_only=True)
class Card:
    """A network card of a machine (a port)."""

    id: PortId
    network: NetworkId
    mac: str
    addresses: Sequence[str]
    groups: Sequence[SecurityGroupId]
    floating_id: FloatingIpId | None = None
    floating: str = ""


def ssh_is_open(cards: Sequence[Card], groups: Sequence[SecurityGroup]) -> bool:
    """Whether a rule of some card's groups lets ssh in from outside."""
    worn = {group for card in cards for group in card.groups}
    return any(group.lets_ssh_in for group in groups if group.id in worn)


def would_cut_off(cards: Sequence[Card], groups: Sequence[SecurityGroup], *, without_rule: str) -> bool:
    """Whether ssh passes now and would not, if a rule were gone."""
    after = [replace(group, rules=[r for r in group.rules if r.id != without_rule]) for group in groups]
    return ssh_is_open(cards, groups) and not ssh_is_open(cards, after)


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """What a cloud's hosts have, and what machines of everybody take of it."""

    hosts: int
    vcpus: int
    vcpus_used: int
    ram: MiB
    ram_used: MiB
    servers: int
