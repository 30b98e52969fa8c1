"""What crosses the seam between the cloud's service and the engines that run its machines. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from armillary.base.ids import NetworkId, PortId, ServerId, Sha512, VolumeId
from armillary.base.units import GiB, MiB


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """How much the computer lends to one cloud."""

    vcpus: int
    ram: MiB
    disk: GiB


@dataclass(frozen=True, kw_only=True)
class PortSpec:
    """A network card of a machine: one Neutron port with its first fixed IPv4 address.

    A port of IPv6 alone has no `fixed_ip`; then `cidr` and `gateway_ip` are of a network that nothing is carried for.
    """

    id: PortId
    network_id: NetworkId
    mac: str
    fixed_ip: str
    cidr: str
    gateway_ip: str
    mtu: int = 1500


@dataclass(frozen=True, kw_only=True)
class VolumeSpec:
    """A block device of a machine that outlives it: one attached volume."""

    id: VolumeId
    """The guest sees its first 20 characters as the disk's serial number, as from Nova."""
    path: Path
    format: str
    """`qcow2` or `raw`."""
    device: str = ""
    """The name that the guest is likely to give it, such as `/dev/vdb`: the order of the disks."""
    boot: bool = False
    """The machine boots from it, and has no root disk of its own."""
    readonly: bool = False
    """The guest may only read it."""


@dataclass(frozen=True, kw_only=True)
class VolumeDisk:
    """What compute needs to know of a volume, to give it to a machine."""

    id: VolumeId
    path: Path
    format: str
    size: GiB
    bootable: bool
    image_metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    """Of the image that it was made from, with `image_id`; empty if of none."""
    readonly: bool = False
    """Servers may only read it."""


@dataclass(frozen=True, kw_only=True)
class RescueSpec:
    """A machine boots once from a throwaway disk over this image; its own disks come after that one."""

    image_path: Path
    image_format: str


@dataclass(frozen=True, kw_only=True)
class ConsoleSockets:
    """Unix sockets on which a running machine offers its consoles; None where it has no such console."""

    serial: Path | None
    """bytes in and out of the first serial port"""
    display: Path | None
    """the RFB (VNC) protocol, without a password: whoever reaches the socket has the screen"""


@dataclass(frozen=True, kw_only=True)
class Template:
    """What a machine boots as when it shall wait to become any machine of its kind.

    Nothing in it may be secret or anybody's own. Its guest says `waiting` on the second serial port (COM2, ttyS1) when
    it is ready, and whoever it becomes then is told by the new config drive.
    """

    name: str
    """Of what its config drive tells the guest to be: another name is another template."""
    image: Sha512
    """The digest of the image that it boots from."""
    port: PortSpec
    """A card of addresses that are nobody's; it leads nowhere."""
    config_drive: Mapping[str, bytes]


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A template's memory and disks at the moment when it waited, kept."""

    key: str
    image: Sha512
    octets: int
    """What it takes of the computer's disk."""
    used: float
    """When a machine last began from it, in seconds since 1970."""


_NO_SWAP = MiB(0)


@dataclass(frozen=True, kw_only=True)
class MachineSpec:
    """All that an engine needs to make a machine. The engine adds nothing that a guest could see.

    A guest finds its disks in this order (`/dev/vda`, `/dev/vdb`, …): the rescue disk, the root disk or the volume
    that it boots from, the ephemeral disk, the swap disk, the config drive, the other volumes.
    """

    id: ServerId
    name: str
    vcpus: int
    ram: MiB
    root_disk: GiB
    """0 means: as large as the image."""
    ephemeral_disk: GiB
    """0 means: none; else a disk with an ext4 file system labelled `ephemeral0`."""
    swap_disk: MiB = _NO_SWAP
    """0 means: none; else a disk that is ready for `swapon`."""
    image_path: Path | None
    """The image's bytes; the engine reads them, and never writes to them. None: it boots from a volume."""
    image_format: str
    """`qcow2` or `raw`; unused without an image."""
    ports: tuple[PortSpec, ...]
    config_drive: Mapping[str, bytes]
    """Files of the config drive by path, such as `openstack/latest/meta_data.json`; empty: it has none."""
    volumes: tuple[VolumeSpec, ...] = ()
    """Attached volumes, in the order of their devices."""
    rescue: RescueSpec | None = None
    template: Template | None = None
    """The machine may begin from a checkpoint of this template, instead of booting."""


class MachineState(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    """Its process holds its memory, and no processor turns."""
    SUSPENDED = "suspended"
    """Its memory lies on disk, no process runs it."""
    STOPPED = "stopped"
    """Its disks are there, no process runs it (shut down from inside, by us, or by a crash)."""
    MISSING = "missing"
    """Nothing is known of it."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A security-group rule with its remote group resolved to addresses: traffic that it matches may pass."""

    direction: str
    """`ingress` or `egress`"""
    ethertype: str = "IPv4"
    protocol: str | None
    """`tcp`, `udp`, `icmp`, a protocol number as text, or None for any"""
    port_min: int | None
    port_max: int | None
    remote_cidr: str | None
    """None means any address, unless `remote_ips` is given."""
    remote_ips: frozenset[str] | None = None


@dataclass(frozen=True, kw_only=True)
class MetadataSite:
    """Where the metadata service answers HTTP, for the fabric to carry guests' questions there."""

    host: str
    port: int
    path: str
    """What comes before the path that the guest asked for."""
    secret: str = field(repr=False)
    """Signs the id of the server that asks (HMAC-SHA256), so that the service can believe it."""


@dataclass(frozen=True, kw_only=True)
class PortAddress:
    """An address of a port besides the one that its `PortSpec` has: any of IPv6, and further ones of IPv4."""

    ip: str
    cidr: str
    mode: str = ""
    """How a guest comes by it: `slaac`, `dhcpv6-stateless` and `dhcpv6-stateful` are told to it on its network; it
    knows an address without a mode from elsewhere."""
    resolvers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AddressPair:
    """Addresses that a port may use though they are not its own."""

    cidr: str
    mac: str | None = None
    """None: with the port's own."""


@dataclass(frozen=True, kw_only=True)
class PortPlan:
    """What the fabric shall let through for one port of one machine."""

    server_id: ServerId
    port: PortSpec
    rules: tuple[Rule, ...]
    filtered: bool = True
    """False when port security is off: everything passes."""
    floating_ip: str | None = None
    further_floating_ips: tuple[tuple[str, str], ...] = ()
    """Those for other addresses of the port than its first: each with the address that it is for."""
    project_id: str = ""
    """Whose port it is."""
    addresses: tuple[PortAddress, ...] = ()
    pairs: tuple[AddressPair, ...] = ()


@dataclass(frozen=True, kw_only=True)
class NetworkPlan:
    """The whole desired network of a cloud at one moment."""

    ports: tuple[PortPlan, ...] = ()
    host_ports: frozenset[int] = field(default_factory=frozenset[int])
    """TCP ports of this computer's loopback that guests may reach at their gateway's address."""
    metadata: MetadataSite | None = None
    """Answers all guests at 169.254.169.254, TCP port 80, if their rules let them out there."""


@dataclass(frozen=True, kw_only=True)
class DiskUse:
    """What went through one of a machine's disks since its process started."""

    read_bytes: int
    reads: int
    written_bytes: int
    writes: int


@dataclass(frozen=True, kw_only=True)
class CardUse:
    """What went through a card since it was plugged, as its guest sees it: `in` is what it received."""

    in_bytes: int
    in_packets: int
    out_bytes: int
    out_packets: int


@dataclass(frozen=True, kw_only=True)
class MachineUse:
    """What a running machine has used of this computer since its process started."""

    cpu_nanoseconds: tuple[int, ...]
    """by virtual processor"""
    memory: MiB | None
    """that the guest has touched and the computer holds for it; the guest may have freed some of it since"""
    disks: tuple[DiskUse, ...]
