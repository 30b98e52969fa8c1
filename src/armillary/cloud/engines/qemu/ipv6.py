"""Decide where IPv6 frames from a card go: to a neighbour, to several, or to what tells guests about their network.

There is no IPv6 way out of the cloud, so nothing comes from outside either. Neighbour discovery passes whatever the
rules are, as in Neutron, but nobody may claim an address that is not its own or play the router.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from armillary.cloud.engines.qemu import frames
from armillary.cloud.engines.qemu.flows import (
    METADATA_IPV6,
    Exit,
    Flow,
    Port,
    add,
    asks_metadata,
    new_flow,
    remember,
    touch,
)
from armillary.cloud.engines.qemu.frames import ICMPV6, UDP, Packet
from armillary.cloud.engines.qemu.rules import allows

_NOBODY = bytes(16)
_DHCP_CLIENT, _DHCP_SERVER = 546, 547
_ALL_DHCP_SERVERS = bytes.fromhex("ff020000000000000000000000010002")
_TARGET = slice(8, 24)
"""where neighbour discovery names the address that it is about"""


class Ipv6:
    """The part of the switch's mind that knows IPv6."""

    def __init__(self) -> None:
        self._by_mac: Mapping[tuple[str, bytes], Port] = {}
        self._by_ip: Mapping[tuple[str, bytes], Port] = {}
        self._by_network: dict[str, list[Port]] = {}

    def configure(
        self,
        ports: Iterable[Port],
        by_mac: Mapping[tuple[str, bytes], Port],
        by_ip: Mapping[tuple[str, bytes], Port],
    ) -> None:
        """Take a new plan."""
        self._by_mac, self._by_ip, self._by_network = by_mac, by_ip, {}
        for port in ports:
            self._by_network.setdefault(port.network, []).append(port)

    def from_card(self, port: Port, frame: bytes, now: float) -> tuple[Exit, ...]:
        """Return where an IPv6 frame from a machine's card goes; nowhere if it may not."""
        packet = frames.read_ipv6(frame)
        if packet is None or (port.filtered and not self._honest(port, frame, packet)):
            return ()
        if packet.protocol == ICMPV6 and packet.is_first:
            kind = packet.source_port
            if kind == frames.ROUTER_SOLICITATION:
                return ((port.key, "router"),)
            if kind in frames.MULTICAST_LISTENERS:
                return ()  # every card hears what is meant for it: nobody has to say what it listens to
            if kind in (frames.NEIGHBOUR_SOLICITATION, frames.NEIGHBOUR_ADVERTISEMENT):
                return self._discovery(port, frame, packet)
        if packet.target == METADATA_IPV6:
            return (port.metadata,) if asks_metadata(port, packet) else ()
        if _asks_dhcp(packet):
            return ((port.key, "router"),)
        if packet.target[0] == 0xFF:
            return self._to_all(port, packet)
        leaves = self._to_one(port, frame, packet, now)
        return (leaves,) if leaves is not None else ()

    def _honest(self, port: Port, frame: bytes, packet: Packet) -> bool:
        """Return whether a frame says truly from whom it is, and plays no part that is the network's."""
        mac = frame[6:12]
        if mac not in port.macs:
            return False
        if packet.protocol == ICMPV6 and packet.is_first:
            kind = packet.source_port
            if kind == frames.ROUTER_ADVERTISEMENT:
                return False
            if packet.source == _NOBODY:  # somebody who looks whether an address is free, or has none yet
                return kind in {frames.NEIGHBOUR_SOLICITATION, frames.ROUTER_SOLICITATION} or (
                    kind in frames.MULTICAST_LISTENERS
                )
            if kind == frames.NEIGHBOUR_ADVERTISEMENT:
                claimed = frame[packet.payload :][_TARGET]
                if claimed != port.link_local and not port.owns(claimed, mac):
                    return False
        if packet.protocol == UDP and packet.source_port == _DHCP_SERVER:
            return False
        return packet.source == port.link_local or port.owns(packet.source, mac)

    def _discovery(self, port: Port, frame: bytes, packet: Packet) -> tuple[Exit, ...]:
        if frame[6:12] != frame[:6] and packet.target[0] != 0xFF and packet.target != METADATA_IPV6:
            other = self._by_mac.get((port.network, frame[:6]))
            return (other.card,) if other is not None and other is not port else ()
        wanted = frame[packet.payload :][_TARGET]
        if wanted == METADATA_IPV6:  # the switch has that address, and nobody else
            return (port.metadata,) if packet.source_port == frames.NEIGHBOUR_SOLICITATION else ()
        if packet.source_port == frames.NEIGHBOUR_ADVERTISEMENT:
            return self._others(port)
        other = self._by_ip.get((port.network, wanted))
        if other is not None:
            return (other.card,) if other is not port else ()
        return tuple(each.card for each in self._neighbours(port) if each.owns(wanted) or not each.filtered)

    def _neighbours(self, port: Port) -> list[Port]:
        return [other for other in self._by_network.get(port.network, ()) if other is not port]

    def _others(self, port: Port) -> tuple[Exit, ...]:
        return tuple(other.card for other in self._neighbours(port))

    def _to_all(self, port: Port, packet: Packet) -> tuple[Exit, ...]:
        """Return who hears a multicast packet: whose rules let it in, each time it is sent."""
        if port.filtered and not (packet.is_first and allows(port.rules, "egress", packet, packet.target)):
            return ()
        return tuple(
            other.card
            for other in self._neighbours(port)
            if not other.filtered or allows(other.rules, "ingress", packet, packet.source)
        )

    def _to_one(self, port: Port, frame: bytes, packet: Packet, now: float) -> Exit | None:
        if not packet.is_first:
            return port.fragments.get(packet.fragment or b"")
        entry = port.sent.get(packet.conversation)
        if entry is not None and entry[2].expires > now and entry[1] in (None, frame[:6]):
            leaves: Exit | None = touch(entry, frame, now, protocol=packet.protocol, payload=packet.payload)
        elif packet.protocol == ICMPV6 and packet.source_port in frames.ICMPV6_ERRORS:
            leaves = _error(port, frame, packet, now)
        else:
            leaves = self._begin(port, frame, packet, now)
        if leaves is not None and packet.fragment is not None:
            remember(port.fragments, packet.fragment, leaves)
        return leaves

    def _begin(self, port: Port, frame: bytes, packet: Packet, now: float) -> Exit | None:
        other = self._by_mac.get((port.network, frame[:6]))
        if other is None or other is port:
            return None
        if other.filtered and not (packet.target == other.link_local or other.owns(packet.target)):
            return None
        if port.filtered and not allows(port.rules, "egress", packet, packet.target):
            return None
        if other.filtered and not allows(other.rules, "ingress", packet, packet.source):
            return None
        flow: Flow = new_flow(packet, now)
        add(flow, port.sent, packet.conversation, (other.card, other.mac, flow))
        add(flow, other.sent, packet.reverse, (port.card, port.mac, flow))
        return other.card


def _asks_dhcp(packet: Packet) -> bool:
    return (
        packet.protocol == UDP
        and packet.source_port == _DHCP_CLIENT
        and packet.target_port == _DHCP_SERVER
        and packet.target == _ALL_DHCP_SERVERS
    )


def _error(port: Port, frame: bytes, packet: Packet, now: float) -> Exit | None:
    """Let an ICMPv6 error follow the conversation that it is about, back to its sender."""
    about = frames.read_ipv6(frame, packet.payload + 8)
    if about is None or not about.is_first:
        return None
    entry = port.sent.get(about.reverse)
    live = entry is not None and entry[2].expires > now and entry[1] in (None, frame[:6])
    return entry[0] if entry is not None and live else None
