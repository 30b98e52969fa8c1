"""What guests hear about IPv6 on their network: router advertisements and DHCPv6, answered by the switch.

It is a router with no way out (a lifetime of 0): guests learn their prefixes and addresses, and nothing else. Pure:
frames in, frames out. RFC 4861, 4862 and 8415.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from armillary.cloud.engines.qemu import frames
from armillary.cloud.engines.qemu.flows import Advertised, Port, link_local
from armillary.cloud.engines.qemu.frames import ICMPV6, UDP
from armillary.cloud.engines.qemu.packets import checksum

MAC = bytes.fromhex("fa163ea9fea8")
_ADDRESS = link_local(MAC)
_ALL_NODES = bytes.fromhex("ff020000000000000000000000000001")
_ALL_NODES_MAC = bytes.fromhex("333300000001")
_FOREVER = 0xFFFFFFFF
_MANAGED, _OTHER = 0x80, 0x40
_ON_LINK, _AUTONOMOUS = 0x80, 0x40
_HOPS = 255
_DUID = struct.pack(">HH", 3, 1) + MAC
_SOLICIT, _ADVERTISE, _REQUEST, _CONFIRM, _RENEW, _REBIND, _REPLY, _RELEASE, _DECLINE = range(1, 10)
_INFORMATION = 11
_CLIENT_ID, _SERVER_ID, _IA_NA, _IA_ADDRESS, _STATUS, _RAPID, _RESOLVERS = 1, 2, 3, 5, 13, 14, 23
_LEASE_SECONDS = 86400


def advertisement(port: Port, told: Advertised) -> bytes:
    """Return the frame that tells a guest its prefixes."""
    automatic = any(each for _, _, each in told.prefixes)
    flags = (_MANAGED | _OTHER if told.managed else 0) | (_OTHER if automatic and told.resolvers else 0)
    message = struct.pack(">BBHBBHII", frames.ROUTER_ADVERTISEMENT, 0, 0, 64, flags, 0, 0, 0)
    message += b"\x01\x01" + MAC + struct.pack(">BBHI", 5, 1, 0, told.mtu)
    for prefix, length, itself in told.prefixes:
        use = _ON_LINK | (_AUTONOMOUS if itself else 0)
        message += struct.pack(">BBBBIII", 3, 4, length, use, _FOREVER, _FOREVER, 0) + prefix
    if told.resolvers:
        head = struct.pack(">BBHI", 25, 1 + 2 * len(told.resolvers), 0, _FOREVER)
        message += head + b"".join(told.resolvers)
    return _frame(port.mac, _ALL_NODES, ICMPV6, message)


def answer(port: Port, frame: bytes) -> bytes | None:
    """Return what the network answers to a guest's question, if anything."""
    told, packet = port.advertised, frames.read_ipv6(frame)
    if told is None or packet is None:
        return None
    if packet.protocol == ICMPV6:
        return advertisement(port, told)
    said = _dhcp(told, frame[packet.payload + 8 :])
    if said is None:
        return None
    datagram = struct.pack(">HHHH", 547, 546, 8 + len(said), 0) + said
    return _frame(port.mac, packet.source, UDP, datagram)


def _frame(mac: bytes, target: bytes, protocol: int, message: bytes) -> bytes:
    at = 6 if protocol == UDP else 2  # where the checksum is
    pseudo = _ADDRESS + target + struct.pack(">II", len(message), protocol)
    summed = checksum(pseudo + message) or 0xFFFF
    message = message[:at] + struct.pack(">H", summed) + message[at + 2 :]
    head = struct.pack(">IHBB", 6 << 28, len(message), protocol, _HOPS)
    hardware = _ALL_NODES_MAC if target == _ALL_NODES else mac
    return hardware + MAC + frames.IPV6 + head + _ADDRESS + target + message


def _dhcp(told: Advertised, asked: bytes) -> bytes | None:
    if len(asked) < 4:
        return None
    kind, transaction, options = asked[0], asked[1:4], dict(_options(asked[4:]))
    server = options.get(_SERVER_ID)
    if _CLIENT_ID not in options and kind != _INFORMATION:
        return None
    if server is not None and server != _DUID:
        return None  # somebody else is meant
    if kind in {_REQUEST, _RENEW, _RELEASE, _DECLINE} and server is None:
        return None
    said = _option(_CLIENT_ID, options[_CLIENT_ID]) if _CLIENT_ID in options else b""
    said += _option(_SERVER_ID, _DUID)
    reply = _REPLY
    if kind == _SOLICIT:
        if not told.leases:
            return None
        reply = _REPLY if _RAPID in options else _ADVERTISE
        said += _option(_RAPID, b"") if _RAPID in options else b""
    if kind in {_SOLICIT, _REQUEST, _RENEW, _REBIND}:
        said += _lease(told, options.get(_IA_NA, b""))
    elif kind in {_CONFIRM, _RELEASE, _DECLINE}:
        said += _option(_STATUS, b"\0\0")
    elif kind != _INFORMATION:
        return None
    if told.resolvers:
        said += _option(_RESOLVERS, b"".join(told.resolvers))
    return bytes([reply]) + transaction + said


def _lease(told: Advertised, association: bytes) -> bytes:
    """Return the addresses that a port has, as a lease of the association that the guest named."""
    if len(association) < 12:
        return b""
    held = b"".join(
        _option(_IA_ADDRESS, lease + struct.pack(">II", _LEASE_SECONDS, _LEASE_SECONDS))
        for lease in told.leases
    )
    times = struct.pack(">II", _LEASE_SECONDS // 2, _LEASE_SECONDS * 4 // 5)
    return _option(_IA_NA, association[:4] + times + held)


def _option(kind: int, body: bytes) -> bytes:
    return struct.pack(">HH", kind, len(body)) + body


def _options(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= 4:
        kind, length = struct.unpack(">HH", data[:4])
        yield kind, data[4 : 4 + length]
        data = data[4 + length :]
