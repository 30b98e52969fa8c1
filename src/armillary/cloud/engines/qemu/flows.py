"""What the switch remembers: cards, and the conversations that their rules allowed. Pure, standard library only."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import NamedTuple

from armillary.cloud.engines.qemu import frames
from armillary.cloud.engines.qemu.frames import ICMP, ICMPV6, TCP, Packet
from armillary.cloud.engines.qemu.resolver import resolver_of
from armillary.cloud.engines.qemu.rules import CompiledRule, allows

MAX_FLOWS = 16384
"""Conversations remembered for one card; the oldest gives way."""
_MAX_FRAGMENTS = 256
_TCP_SECONDS, _CLOSED_SECONDS, _UDP_SECONDS, _ICMP_SECONDS = 5 * 86400.0, 60.0, 180.0, 30.0

METADATA_IP, METADATA_IPV6 = bytes((169, 254, 169, 254)), bytes.fromhex("fe8000000000000000000000a9fea9fe")
METADATA_PORT = 80
METADATA_MAC = bytes.fromhex("fa163ea9fea9")
"""What guests are told that has these addresses, when they look for them on their own wire."""

Exit = tuple[str, str]
"""Where a frame leaves the switch: a port's key, and `card`, `out` or `metadata`."""


class Flow:
    """A conversation that may go on in both directions."""

    __slots__ = ("ends", "expires", "seconds")

    def __init__(self, *, now: float, seconds: float) -> None:
        self.expires = now + seconds
        self.seconds = seconds
        self.ends: list[tuple[dict[bytes, Entry], bytes]] = []

    def forget(self) -> None:
        """Remove the conversation from both sides' tables."""
        for table, key in self.ends:
            table.pop(key, None)


class Pair(NamedTuple):
    """Addresses that a port may use though they are not its own."""

    length: int
    network: int
    netmask: int
    mac: bytes | None

    def covers(self, address: bytes, mac: bytes | None, own: bytes) -> bool:
        """Return whether an address, with a hardware address if one is given, is among them."""
        if len(address) != self.length or mac not in (None, self.mac or own):
            return False
        return int.from_bytes(address, "big") & self.netmask == self.network


class Advertised(NamedTuple):
    """What a guest is told about IPv6: prefixes on its network, and the addresses that it asks for."""

    prefixes: tuple[tuple[bytes, int, bool], ...]
    """Each with its length, and whether the guest makes itself an address of it."""
    leases: tuple[bytes, ...]
    resolvers: tuple[bytes, ...]
    managed: bool
    mtu: int


def link_local(mac: bytes) -> bytes:
    """Return the address that a card has on its link (RFC 4291, appendix A)."""
    return b"\xfe\x80" + bytes(6) + bytes((mac[0] ^ 2, *mac[1:3], 0xFF, 0xFE, *mac[3:6]))


Entry = tuple[Exit, bytes | None, Flow]
"""Where frames of a conversation leave, the hardware address that they must name, the conversation."""


@dataclass(kw_only=True)
class Port:
    """A machine's card as the switch knows it."""

    key: str
    network: str
    mac: bytes
    ip: bytes
    subnet: IPv4Network
    gateway: bytes
    rules: tuple[CompiledRule, ...]
    filtered: bool = True
    sent: dict[bytes, Entry] = field(default_factory=dict[bytes, "Entry"])
    """Conversations by the name that frames from the card give them."""
    received: dict[bytes, Entry] = field(default_factory=dict[bytes, "Entry"])
    """Conversations by the name that frames from the way out give them."""
    more: frozenset[bytes] = frozenset()
    """Further addresses, of either IP."""
    pairs: tuple[Pair, ...] = ()
    advertised: Advertised | None = None
    """What its guest is told about IPv6 on its network."""
    fragments: dict[bytes, Exit] = field(default_factory=dict[bytes, "Exit"])
    """Fragmented packets whose first fragment passed."""

    def __post_init__(self) -> None:
        self.card: Exit = (self.key, "card")
        self.out: Exit = (self.key, "out")
        self.metadata: Exit = (self.key, "metadata")
        self.link_local = link_local(self.mac)
        self.macs = frozenset((self.mac, *(pair.mac for pair in self.pairs if pair.mac is not None)))
        own = (IPv4Address(each) if each else None for each in (self.ip, self.gateway))
        self.resolver = resolver_of(self.subnet, *own).packed

    def same_promises(self, other: Port) -> bool:
        """Return whether conversations allowed under `other` are allowed under this one too."""
        mine = (self.network, self.mac, self.ip, self.subnet, self.gateway, self.rules, self.filtered)
        further = (self.more, self.pairs, self.advertised)
        return further == (other.more, other.pairs, other.advertised) and mine == (
            other.network, other.mac, other.ip, other.subnet, other.gateway, other.rules, other.filtered
        )  # fmt: skip

    def owns(self, address: bytes, mac: bytes | None = None) -> bool:
        """Return whether the port may use an address, with its own hardware address or another that it may use."""
        if address in self.more or (address == self.ip and self.ip):
            return mac in (None, self.mac)
        return any(pair.covers(address, mac, self.mac) for pair in self.pairs)


def new_flow(packet: Packet, now: float) -> Flow:
    """Begin a conversation with its first packet."""
    seconds = {TCP: _TCP_SECONDS, ICMP: _ICMP_SECONDS, ICMPV6: _ICMP_SECONDS}.get(
        packet.protocol, _UDP_SECONDS
    )
    return Flow(now=now, seconds=seconds)


def add(flow: Flow, table: dict[bytes, Entry], key: bytes, entry: Entry) -> None:
    """Note how one side names a conversation; the oldest gives way."""
    if len(table) >= MAX_FLOWS:
        table[next(iter(table))][2].forget()
    table[key] = entry
    flow.ends.append((table, key))


def touch(entry: Entry, frame: bytes, now: float, *, protocol: int, payload: int) -> Exit:
    """Note that a conversation lives; after a goodbye it is forgotten soon."""
    flow = entry[2]
    if protocol == TCP and frames.ends_tcp(frame, payload):
        flow.seconds = _CLOSED_SECONDS
    flow.expires = now + flow.seconds
    return entry[0]


def remember(fragments: dict[bytes, Exit], fragment: bytes, leaves: Exit) -> None:
    """Note where the first fragment of a packet went, for those that follow it."""
    if len(fragments) >= _MAX_FRAGMENTS:
        del fragments[next(iter(fragments))]
    fragments[fragment] = leaves


def asks_metadata(port: Port, packet: Packet) -> bool:
    """Return whether a packet may go to the metadata service; no conversation is remembered, each is asked."""
    if packet.protocol != TCP or packet.target_port != METADATA_PORT or packet.fragment is not None:
        return False
    return not port.filtered or allows(port.rules, "egress", packet, packet.target)
