"""Read Ethernet frames as far as the switch must: who, to whom, which conversation. Pure, standard library only."""

from __future__ import annotations

from typing import NamedTuple

ARP = b"\x08\x06"
IPV4 = b"\x08\x00"
IPV6 = b"\x86\xdd"
BROADCAST = b"\xff" * 6

ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
_ETHERNET = 14
_ARP_LENGTH = 42
_IPV4_ARP = b"\x00\x01\x08\x00\x06\x04"
"""Ethernet addresses for IPv4 addresses (RFC 826)."""
ECHO_REPLY, UNREACHABLE, ECHO_REQUEST, TIME_EXCEEDED, PARAMETER_PROBLEM = 0, 3, 8, 11, 12
ICMP_ERRORS = frozenset((UNREACHABLE, TIME_EXCEEDED, PARAMETER_PROBLEM))


ECHO_REQUEST_V6, ECHO_REPLY_V6 = 128, 129
ICMPV6_ERRORS = frozenset((1, 2, 3, 4))
ROUTER_SOLICITATION, ROUTER_ADVERTISEMENT, NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT = (
    133,
    134,
    135,
    136,
)
MULTICAST_LISTENERS = frozenset((130, 131, 132, 143))
_HOP_BY_HOP, _ROUTING, _FRAGMENT, _DESTINATION, _NO_NEXT = 0, 43, 44, 60, 59
_MOST_EXTENSIONS = 8


class Arp(NamedTuple):
    """An ARP message."""

    is_request: bool
    sender_mac: bytes
    sender_ip: bytes
    target_ip: bytes


class Packet(NamedTuple):
    """An IP packet. Ports are 0 where the protocol has none; for ICMP they are type and code."""

    protocol: int
    source: bytes
    target: bytes
    source_port: int
    target_port: int
    conversation: bytes
    """Names the packet's conversation, in this direction."""
    reverse: bytes
    """Names the same conversation as the other side's packets do."""
    fragment: bytes | None
    """What the fragments of one packet share, if it is one of several."""
    is_first: bool
    """False for a fragment after the first: then ports and conversation are unknown."""
    payload: int
    """Where the transport's header begins in the frame."""


def read_arp(frame: bytes) -> Arp | None:
    """Return the ARP message of a frame, or None if it is not a whole one."""
    if len(frame) < _ARP_LENGTH or frame[14:20] != _IPV4_ARP or frame[20] or frame[21] not in (1, 2):
        return None
    return Arp(frame[21] == 1, frame[22:28], frame[28:32], frame[38:42])


def read_ipv4(frame: bytes, start: int = _ETHERNET) -> Packet | None:
    """Return the IPv4 packet that begins at `start`, or None if it is not one or is cut before its ports."""
    if len(frame) < start + 20 or frame[start] >> 4 != 4:
        return None
    payload = start + (frame[start] & 0x0F) * 4
    protocol = frame[start + 9]
    source, target = frame[start + 12 : start + 16], frame[start + 16 : start + 20]
    offset = int.from_bytes(frame[start + 6 : start + 8], "big") & 0x3FFF  # the flag "more", and where
    fragment = bytes([protocol]) + source + target + frame[start + 4 : start + 6] if offset else None
    if offset & 0x1FFF:
        return Packet(protocol, source, target, 0, 0, b"", b"", fragment, False, payload)
    if len(frame) < payload + 4 or payload < start + 20:
        return None
    first, second, own, other = _ports(frame, payload, protocol)
    head = bytes([protocol])
    conversation = head + source + target + own + other
    reverse = head + target + source + other + own
    return Packet(protocol, source, target, first, second, conversation, reverse, fragment, True, payload)


def read_ipv6(frame: bytes, start: int = _ETHERNET) -> Packet | None:
    """Return the IPv6 packet that begins at `start`, or None if it is not one or is cut before its ports."""
    if len(frame) < start + 40 or frame[start] >> 4 != 6:
        return None
    source, target = frame[start + 8 : start + 24], frame[start + 24 : start + 40]
    protocol, payload, fragment = frame[start + 6], start + 40, None
    for _ in range(_MOST_EXTENSIONS):
        if protocol not in (_HOP_BY_HOP, _ROUTING, _FRAGMENT, _DESTINATION):
            break
        if len(frame) < payload + 8:
            return None
        if protocol == _FRAGMENT:
            offset = int.from_bytes(frame[payload + 2 : payload + 4], "big")
            fragment = source + target + frame[payload + 4 : payload + 8]
            protocol, payload = frame[payload], payload + 8
            if offset >> 3:
                return Packet(protocol, source, target, 0, 0, b"", b"", fragment, False, payload)
        else:
            protocol, payload = frame[payload], payload + 8 + 8 * frame[payload + 1]
    if len(frame) < payload + 4 and protocol != _NO_NEXT:
        return None
    first, second, own, other = _ports(frame, payload, protocol)
    head = bytes([protocol])
    conversation = head + source + target + own + other
    reverse = head + target + source + other + own
    return Packet(protocol, source, target, first, second, conversation, reverse, fragment, True, payload)


def _ports(frame: bytes, payload: int, protocol: int) -> tuple[int, int, bytes, bytes]:
    """Return the two numbers that rules look at, and each side's end of the conversation."""
    if protocol in (TCP, UDP):
        own, other = frame[payload : payload + 2], frame[payload + 2 : payload + 4]
        return int.from_bytes(own, "big"), int.from_bytes(other, "big"), own, other
    if protocol in (ICMP, ICMPV6):
        kind, code = frame[payload], frame[payload + 1]
        # An echo and its reply share an identifier. Longer than two ports, so that the two never look alike.
        echoes = (ECHO_REPLY, ECHO_REQUEST) if protocol == ICMP else (ECHO_REPLY_V6, ECHO_REQUEST_V6)
        name = b"echo" + frame[payload + 4 : payload + 6] if kind in echoes else b"other"
        return kind, code, name, name
    return 0, 0, b"", b""


def is_dhcp_request(packet: Packet) -> bool:
    """Return whether a client asks for its address (RFC 2131: from port 68 to 67)."""
    return packet.protocol == UDP and packet.source_port == 68 and packet.target_port == 67


def is_dhcp_answer(packet: Packet) -> bool:
    """Return whether a server answers: only the network may."""
    return packet.protocol == UDP and packet.source_port == 67


def ends_tcp(frame: bytes, packet_payload: int) -> bool:
    """Return whether a TCP segment says goodbye (FIN or RST)."""
    return len(frame) > packet_payload + 13 and bool(frame[packet_payload + 13] & 0x05)
