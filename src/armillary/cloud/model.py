"""What crosses the seam between the cloud's service and the engines that run its machines. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from armillary.base.ids import NetworkId, PortId, ServerId
from armillary.base.units import GiB, MiB


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """How much the computer lends to one cloud."""

    vcpus: int
    ram: MiB
    disk: GiB


@dataclass(frozen=True, kw_only=True)
class PortSpec:
    """A network card of a machine: one Neutron port with one fixed IPv4 address."""

    id: PortId
    network_id: NetworkId
    mac: str
    fixed_ip: str
    cidr: str
    gateway_ip: str
    mtu: int = 1500


@dataclass(frozen=True, kw_only=True)
class MachineSpec:
    """All that an engine needs to make a machine. The engine adds nothing that a guest could see."""

    id: ServerId
    name: str
    vcpus: int
    ram: MiB
    root_disk: GiB
    """0 means: as large as the image."""
    ephemeral_disk: GiB
    """0 means: none; else a disk with an ext4 file system labelled `ephemeral0`."""
    image_path: Path
    """The image's bytes; the engine reads them, and never writes to them."""
    image_format: str
    """`qcow2` or `raw`."""
    ports: tuple[PortSpec, ...]
    config_drive: Mapping[str, bytes]
    """Files of the config drive by path, such as `openstack/latest/meta_data.json`."""


class MachineState(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    """Its disks are there, no process runs it (shut down from inside, by us, or by a crash)."""
    MISSING = "missing"
    """Nothing is known of it."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A security-group rule with its remote group resolved to addresses: traffic that it matches may pass."""

    direction: str
    """`ingress` or `egress`"""
    protocol: str | None
    """`tcp`, `udp`, `icmp`, a protocol number as text, or None for any"""
    port_min: int | None
    port_max: int | None
    remote_cidr: str | None
    """None means any address, unless `remote_ips` is given."""
    remote_ips: frozenset[str] | None = None


@dataclass(frozen=True, kw_only=True)
class PortPlan:
    """What the fabric shall let through for one port of one machine."""

    server_id: ServerId
    port: PortSpec
    rules: tuple[Rule, ...]
    filtered: bool = True
    """False when port security is off: everything passes."""
    floating_ip: str | None = None


@dataclass(frozen=True, kw_only=True)
class NetworkPlan:
    """The whole desired network of a cloud at one moment."""

    ports: tuple[PortPlan, ...] = ()
    host_ports: frozenset[int] = field(default_factory=frozenset[int])
    """TCP ports of this computer's loopback that guests may reach at their gateway's address."""
