"""Frames, written down field by field."""

import struct
from ipaddress import IPv4Address

BROADCAST = "ff:ff:ff:ff:ff:ff"
SLIRP = "52:55:0a:00:00:01"
ICMP, TCP, UDP = 1, 6, 17
SYN, ACK, FIN = 0x02, 0x10, 0x01


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def ip(text: str) -> bytes:
    return IPv4Address(text).packed


def ethernet(source: str, target: str, kind: bytes, payload: bytes) -> bytes:
    return mac(target) + mac(source) + kind + payload


def arp(
    source: str, target: str, *, sender_ip: str, target_ip: str, reply: bool = False, sender: str = ""
) -> bytes:
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2 if reply else 1)
    body += mac(sender or source) + ip(sender_ip) + (mac(target) if reply else bytes(6)) + ip(target_ip)
    return ethernet(source, target, b"\x08\x06", body)


def ipv4_body(
    source: str, target: str, protocol: int, payload: bytes, *, fragment: int = 0, number: int = 7
) -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), number, fragment, 64, protocol, 0)
    return head + ip(source) + ip(target) + payload


def ipv4(
    macs: tuple[str, str], source: str, target: str, protocol: int, payload: bytes, **more: int
) -> bytes:
    return ethernet(*macs, b"\x08\x00", ipv4_body(source, target, protocol, payload, **more))


def tcp(macs: tuple[str, str], source: str, target: str, sport: int, dport: int, flags: int = SYN) -> bytes:
    return ipv4(
        macs, source, target, TCP, struct.pack("!HHIIBBHHH", sport, dport, 0, 0, 0x50, flags, 0, 0, 0)
    )


def udp(macs: tuple[str, str], source: str, target: str, sport: int, dport: int, **more: int) -> bytes:
    return ipv4(macs, source, target, UDP, struct.pack("!HHHH", sport, dport, 8, 0), **more)


def ping(macs: tuple[str, str], source: str, target: str, *, reply: bool = False, number: int = 1) -> bytes:
    return ipv4(macs, source, target, ICMP, struct.pack("!BBHHH", 0 if reply else 8, 0, 0, number, 1))


def unreachable(macs: tuple[str, str], source: str, target: str, about: bytes) -> bytes:
    return ipv4(macs, source, target, ICMP, struct.pack("!BBHI", 3, 1, 0, 0) + about[14:42])
