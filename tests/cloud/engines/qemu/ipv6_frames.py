"""IPv6 frames, written down field by field."""

import struct
from ipaddress import IPv6Address

from frame_builder import mac

UDP, TCP, ICMPV6 = 17, 6, 58
ALL_NODES, ALL_ROUTERS, ALL_DHCP = "ff02::1", "ff02::2", "ff02::1:2"


def ip6(text):
    return IPv6Address(text).packed


def multicast_mac(address):
    return "33:33:" + ":".join(f"{octet:02x}" for octet in ip6(address)[-4:])


def ipv6(macs, source, target, protocol, payload, *, before=b""):
    """`before`: extension headers, the first of which has the number 0 (hop by hop)."""
    number = 0 if before else protocol
    head = struct.pack("!IHBB", 6 << 28, len(before + payload), number, 255)
    return mac(macs[1]) + mac(macs[0]) + b"\x86\xdd" + head + ip6(source) + ip6(target) + before + payload


def tcp6(macs, source, target, sport, dport, flags=2, **more):
    payload = struct.pack("!HHIIBBHHH", sport, dport, 0, 0, 0x50, flags, 0, 0, 0)
    return ipv6(macs, source, target, TCP, payload, **more)


def udp6(macs, source, target, sport, dport, body=b""):
    return ipv6(macs, source, target, UDP, struct.pack("!HHHH", sport, dport, 8 + len(body), 0) + body)


def icmp6(macs, source, target, kind, body=bytes(4), code=0):
    return ipv6(macs, source, target, ICMPV6, struct.pack("!BBH", kind, code, 0) + body)


def ping6(macs, source, target, *, reply=False):
    return icmp6(macs, source, target, 129 if reply else 128, struct.pack("!HH", 7, 1))


def who_has(own, source, wanted):
    """A neighbour solicitation."""
    group = str(IPv6Address(ip6("ff02::1:ff00:0")[:13] + ip6(wanted)[13:]))
    return icmp6((own, multicast_mac(group)), source, group, 135, bytes(4) + ip6(wanted))


def i_have(macs, source, target, claimed):
    """A neighbour advertisement."""
    return icmp6(macs, source, target, 136, b"\x60\0\0\0" + ip6(claimed))


def dhcp6(own, source, kind, *options):
    body = bytes([kind]) + b"abc" + b"".join(struct.pack("!HH", n, len(b)) + b for n, b in options)
    return udp6((own, multicast_mac(ALL_DHCP)), source, ALL_DHCP, 546, 547, body)
