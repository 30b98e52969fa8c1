"""Decide for each frame whether it may pass, and to where. Pure: time and this computer's addresses are values.

A machine's card is wired to the switch, and so is its own way out (QEMU's user-mode network, "slirp"). Slirp takes
frames for any hardware address and maps every address of the subnet to this computer's loopback, hence the rule:
nothing goes to a way out that was not found harmless here first.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network

from armillary.cloud.engines.qemu import frames
from armillary.cloud.engines.qemu.flows import (
    METADATA_IP,
    Entry,
    Exit,
    Port,
    add,
    asks_metadata,
    new_flow,
    remember,
    touch,
)
from armillary.cloud.engines.qemu.frames import ICMP, TCP, UDP, Packet
from armillary.cloud.engines.qemu.ipv6 import Ipv6
from armillary.cloud.engines.qemu.rules import WORLD, allows

_DNS = 53
_PLAIN = b"\x08\x00\x45"
"""IPv4 whose header has no options."""
_NEVER_OUTSIDE = tuple(
    (int(net.network_address), int(net.netmask))
    for net in map(
        IPv4Network,
        # this computer's loopback and link, and what is nobody's address
        ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"),
    )
)


class Forwarder:
    """The switch's mind: ports, rules, and the conversations that they allowed."""

    def __init__(self) -> None:
        self.ports: dict[str, Port] = {}
        self._by_mac: dict[tuple[str, bytes], Port] = {}
        self._by_ip: dict[tuple[str, bytes], Port] = {}
        self._host_ports: frozenset[int] = frozenset()
        self._own_addresses: frozenset[bytes] = frozenset()
        self.ipv6 = Ipv6()

    def configure(
        self, ports: Iterable[Port], *, host_ports: frozenset[int], own_addresses: frozenset[bytes]
    ) -> None:
        """Take a new plan. Conversations go on where neither side's rules changed; others must prove themselves."""
        known, self.ports = self.ports, {port.key: port for port in ports}
        changed_host = host_ports != self._host_ports
        self._host_ports, self._own_addresses = host_ports, own_addresses
        for key, old in known.items():
            new = self.ports.get(key)
            if new is None or changed_host or not new.same_promises(old):
                for _, _, flow in [*old.sent.values(), *old.received.values()]:
                    flow.forget()
        for key, old in known.items():
            if key in self.ports and self.ports[key].same_promises(old):
                self.ports[key] = old  # with its conversations
        self._by_mac = {(port.network, mac): port for port in self.ports.values() for mac in port.macs}
        self._by_mac |= {(port.network, port.mac): port for port in self.ports.values()}
        self._by_ip = {
            (port.network, address): port
            for port in self.ports.values()
            for address in (port.ip, port.link_local, *port.more)
        }
        self.ipv6.configure(self.ports.values(), self._by_mac, self._by_ip)

    def sweep(self, now: float) -> None:
        """Forget conversations that have been silent for too long."""
        for port in self.ports.values():
            for table in (port.sent, port.received):
                for flow in [flow for _, _, flow in table.values() if flow.expires < now]:
                    flow.forget()
            port.fragments.clear()

    def from_card(self, port: Port, frame: bytes, now: float) -> Exit | None:
        """Return where a frame from a machine's card goes, or None if nowhere."""
        # Nearly every frame belongs to a known conversation without IP options; the name of that
        # conversation holds the source address, so nothing is left to check but both hardware addresses.
        if len(frame) > 37 and frame[12:15] == _PLAIN and frame[6:12] == port.mac and not _is_fragment(frame):
            entry = port.sent.get(frame[23:24] + frame[26:38])
            if entry is not None and entry[2].expires > now and entry[1] in (None, frame[:6]):
                return _went_on(entry, frame, now)
        if len(frame) < 14 or (port.filtered and frame[6:12] not in port.macs):
            return None
        kind = frame[12:14]
        if kind == frames.ARP:
            return self._arp_from_card(port, frame)
        if kind != frames.IPV4:
            return None
        packet = frames.read_ipv4(frame)
        return self._packet_from_card(port, frame, packet, now) if packet else None

    def from_out(self, port: Port, frame: bytes, now: float) -> bool:
        """Return whether a frame from the machine's way out may reach its card."""
        if len(frame) > 37 and frame[12:15] == _PLAIN and not _is_fragment(frame):
            entry = port.received.get(frame[23:24] + frame[26:38])
            if entry is not None and entry[2].expires > now:
                _went_on(entry, frame, now)
                return True
        if frame[:6] not in (port.mac, frames.BROADCAST):
            return False
        kind = frame[12:14]
        if kind == frames.ARP:
            return True
        packet = frames.read_ipv4(frame) if kind == frames.IPV4 else None
        return packet is not None and self._packet_from_out(port, frame, packet, now)

    # -- from a card

    def _arp_from_card(self, port: Port, frame: bytes) -> Exit | None:
        arp = frames.read_arp(frame)
        if arp is None:
            return None
        if port.filtered and not _may_claim(port, arp):
            return None
        if arp.is_request:
            if arp.target_ip == METADATA_IP:  # some images have a route to it that goes through no router
                return port.metadata
            other = self._by_ip.get((port.network, arp.target_ip)) or self._stands_in(port, arp.target_ip)
            if other is not None and other is not port:
                return other.card
            asks_out = arp.target_ip in (port.gateway, port.resolver, port.ip)
            return port.out if asks_out else None
        other = self._by_mac.get((port.network, frame[:6]))
        return other.card if other is not None else port.out

    def _stands_in(self, port: Port, address: bytes) -> Port | None:
        """Return another port that may use an address by a pair that names it alone."""
        for other in self.ports.values():
            if other.network == port.network and other is not port:
                for pair in other.pairs:
                    if pair.covers(address, None, b"") and pair.netmask == 2 ** (8 * pair.length) - 1:
                        return other
        return None

    def _packet_from_card(self, port: Port, frame: bytes, packet: Packet, now: float) -> Exit | None:
        if frames.is_dhcp_request(packet) and packet.target in (port.gateway, b"\xff\xff\xff\xff"):
            return port.out if port.ip and packet.source in (port.ip, b"\0\0\0\0") else None
        if port.filtered and (not port.owns(packet.source, frame[6:12]) or frames.is_dhcp_answer(packet)):
            return None
        if packet.target == METADATA_IP:
            return port.metadata if asks_metadata(port, packet) else None
        if not packet.is_first:
            return port.fragments.get(packet.fragment or b"")
        entry = port.sent.get(packet.conversation)
        if entry is not None and entry[2].expires > now and entry[1] in (None, frame[:6]):
            leaves: Exit | None = _went_on(entry, frame, now)
        elif packet.protocol == ICMP and packet.source_port in frames.ICMP_ERRORS:
            leaves = self._error_from_card(port, frame, packet, now)
        else:
            other = self._by_mac.get((port.network, frame[:6]))
            if other is not None:
                leaves = self._to_neighbour(port, other, packet, now)
            else:
                leaves = self._to_outside(port, packet, now)
        if leaves is not None and packet.fragment is not None:
            remember(port.fragments, packet.fragment, leaves)
        return leaves

    def _to_neighbour(self, port: Port, other: Port, packet: Packet, now: float) -> Exit | None:
        if other is port or (other.filtered and not other.owns(packet.target)):
            return None
        if port.filtered and not allows(port.rules, "egress", packet, packet.target):
            return None
        if other.filtered and not allows(other.rules, "ingress", packet, packet.source):
            return None
        flow = new_flow(packet, now)
        add(flow, port.sent, packet.conversation, (other.card, other.mac, flow))
        add(flow, other.sent, packet.reverse, (port.card, port.mac, flow))
        return other.card

    def _to_outside(self, port: Port, packet: Packet, now: float) -> Exit | None:
        if not self._harmless(port, packet):
            return None
        if port.filtered and not allows(port.rules, "egress", packet, packet.target):
            return None
        flow = new_flow(packet, now)
        add(flow, port.sent, packet.conversation, (port.out, None, flow))
        add(flow, port.received, packet.reverse, (port.card, None, flow))
        return port.out

    def _harmless(self, port: Port, packet: Packet) -> bool:
        """Return whether slirp would carry the packet to where a guest may go at all, whatever the rules."""
        target = packet.target
        if target == port.gateway:
            if packet.protocol == TCP:
                return packet.target_port in self._host_ports
            return packet.protocol == ICMP and packet.source_port == frames.ECHO_REQUEST
        if target == port.resolver:
            return packet.protocol in (TCP, UDP) and packet.target_port == _DNS
        number = int.from_bytes(target, "big")
        if number & int(port.subnet.netmask) == int(port.subnet.network_address):
            return False
        if any(number & mask == network for network, mask in _NEVER_OUTSIDE):
            return False
        if target in self._own_addresses:  # a service that tells its clients one address, for all of them
            return packet.protocol == TCP and packet.target_port in self._host_ports
        return True

    def _error_from_card(self, port: Port, frame: bytes, packet: Packet, now: float) -> Exit | None:
        """Let an ICMP error follow the conversation that it is about, back to its sender."""
        about = frames.read_ipv4(frame, packet.payload + 8)
        if about is None or not about.is_first:
            return None
        entry = port.sent.get(about.reverse)
        live = entry is not None and entry[2].expires > now and entry[1] in (None, frame[:6])
        return entry[0] if entry is not None and live else None

    # -- from the way out

    def _packet_from_out(self, port: Port, frame: bytes, packet: Packet, now: float) -> bool:
        if packet.target not in (port.ip, b"\xff\xff\xff\xff"):
            return False
        if frames.is_dhcp_answer(packet) and packet.target_port == 68:
            return True
        if not packet.is_first:
            return packet.fragment in port.fragments
        entry = port.received.get(packet.conversation)
        if entry is not None and entry[2].expires > now:
            _went_on(entry, frame, now)
            passes = True
        elif packet.protocol == ICMP and packet.source_port in frames.ICMP_ERRORS:
            about = frames.read_ipv4(frame, packet.payload + 8)
            passes = about is not None and about.is_first and about.reverse in port.received
        else:
            passes = self._enters(port, packet, now)
        if passes and packet.fragment is not None:
            remember(port.fragments, packet.fragment, port.card)
        return passes

    def _enters(self, port: Port, packet: Packet, now: float) -> bool:
        """Return whether a conversation may begin from outside: a floating IP's, that slirp shows as the gateway's."""
        if packet.protocol not in (TCP, UDP) or packet.source != port.gateway:
            return False
        if port.filtered and not allows(port.rules, "ingress", packet, WORLD):
            return False
        flow = new_flow(packet, now)
        add(flow, port.received, packet.conversation, (port.card, None, flow))
        add(flow, port.sent, packet.reverse, (port.out, None, flow))
        return True


def _went_on(entry: Entry, frame: bytes, now: float) -> Exit:
    return touch(entry, frame, now, protocol=frame[23], payload=14 + (frame[14] & 0x0F) * 4)


def _may_claim(port: Port, arp: frames.Arp) -> bool:
    if arp.sender_ip == b"\0\0\0\0":
        return arp.sender_mac == port.mac
    return port.owns(arp.sender_ip, arp.sender_mac)


def _is_fragment(frame: bytes) -> bool:
    return bool(frame[20] & 0x3F or frame[21])
