"""TCP segments, and answers to who looks for an address, from and to Ethernet frames. Pure, standard library only."""

from __future__ import annotations

import struct
from typing import NamedTuple

from armillary.cloud.engines.qemu.frames import ARP, ICMPV6, IPV4, IPV6, NEIGHBOUR_ADVERTISEMENT, TCP, Packet
from armillary.cloud.engines.qemu.tcp import SYN, Segment

_HEADER = struct.Struct(">HHIIBBHHH")
_DO_NOT_FRAGMENT, _HOPS, _ALL_HOPS = 0x4000, 64, 255
_SOLICITED_AND_SURE = 0x60000000
"""Flags of a neighbour advertisement (RFC 4861, 4.4): it was asked for, and takes the place of what was known."""


class Ends(NamedTuple):
    """The two ends of a wire as a frame names them: hardware addresses, and addresses of one IP."""

    to_mac: bytes
    from_mac: bytes
    source: bytes
    target: bytes


def read_segment(frame: bytes, packet: Packet) -> Segment | None:
    """Return the TCP segment in a frame, or None if it is cut, or damaged on its way."""
    start, is_ipv4 = packet.payload, len(packet.source) == 4
    end = 14 + int.from_bytes(frame[16:18], "big") if is_ipv4 else 54 + int.from_bytes(frame[18:20], "big")
    if packet.protocol != TCP or end > len(frame) or end < start + _HEADER.size:
        return None
    source, target, seq, ack, length, flags, window, _, _ = _HEADER.unpack_from(frame, start)
    body = start + (length >> 4) * 4
    if (
        body < start + _HEADER.size
        or body > end
        or checksum(_pseudo(packet.source, packet.target, TCP, end - start) + frame[start:end])
    ):
        return None
    mss = _mss(frame[start + _HEADER.size : body]) if flags & SYN else None
    return Segment(source, target, seq, ack, flags, window, frame[body:end], mss)


def _mss(options: bytes) -> int | None:
    """Find the option that names the largest segment (kind 2) among those of a SYN."""
    at = 0
    while at < len(options) and options[at] != 0:
        if options[at] == 1:
            at += 1
            continue
        length = options[at + 1] if at + 1 < len(options) else 0
        if length < 2:
            return None
        if options[at] == 2 and length == 4:
            return int.from_bytes(options[at + 2 : at + 4], "big")
        at += length
    return None


def write_segment(segment: Segment, ends: Ends) -> bytes:
    """Return the frame that carries a segment."""
    options = b"" if segment.mss is None else struct.pack(">BBH", 2, 4, segment.mss)
    words = (_HEADER.size + len(options)) // 4 << 4
    fields = [segment.source_port, segment.target_port, segment.seq, segment.ack, words, segment.flags]
    tail = options + segment.data
    length = _HEADER.size + len(tail)
    pseudo = _pseudo(ends.source, ends.target, TCP, length)
    summed = checksum(pseudo + _HEADER.pack(*fields, segment.window, 0, 0) + tail)
    tcp = _HEADER.pack(*fields, segment.window, summed, 0) + tail
    if len(ends.source) == 16:
        return ends.to_mac + ends.from_mac + IPV6 + _ipv6(ends.source, ends.target, TCP, length, _HOPS) + tcp
    ip = struct.pack(
        ">BBHHHBBH4s4s", 0x45, 0, 20 + length, 0, _DO_NOT_FRAGMENT, _HOPS, TCP, 0, ends.source, ends.target
    )
    ip = ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:]
    return ends.to_mac + ends.from_mac + IPV4 + ip + tcp


def answer_arp(frame: bytes, mac: bytes) -> bytes:
    """Return the frame that tells the sender of an ARP request who has the address that it asks for."""
    asker, asker_ip, asked_ip = frame[22:28], frame[28:32], frame[38:42]
    return asker + mac + ARP + frame[14:20] + b"\x00\x02" + mac + asked_ip + asker + asker_ip


def answer_discovery(frame: bytes, packet: Packet, mac: bytes, address: bytes) -> bytes:
    """Return the frame that tells who looks for an IPv6 address of ours that it is here (RFC 4861)."""
    body = (
        struct.pack(">BBHI", NEIGHBOUR_ADVERTISEMENT, 0, 0, _SOLICITED_AND_SURE) + address + b"\x02\x01" + mac
    )
    summed = checksum(_pseudo(address, packet.source, ICMPV6, len(body)) + body)
    body = body[:2] + struct.pack(">H", summed) + body[4:]
    return frame[6:12] + mac + IPV6 + _ipv6(address, packet.source, ICMPV6, len(body), _ALL_HOPS) + body


def _ipv6(source: bytes, target: bytes, protocol: int, length: int, hops: int) -> bytes:
    return struct.pack(">IHBB", 6 << 28, length, protocol, hops) + source + target


def _pseudo(source: bytes, target: bytes, protocol: int, length: int) -> bytes:
    """Return the header that checksums cover beside the packet (RFC 9293, 3.1; RFC 8200, 8.1)."""
    form = ">BBH" if len(source) == 4 else ">HHI"
    fields = (0, protocol, length) if len(source) == 4 else (length >> 16, length & 0xFFFF, protocol)
    return source + target + struct.pack(form, *fields)


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071); 0 for what holds its own right one."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
