"""A machine's network cards as QEMU sees them: wires to the switch, and a way out for the card's owner alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from armillary.cloud.engines.qemu.hardware import Hardware, card_device
from armillary.cloud.engines.qemu.layout import MachineFiles, port_key
from armillary.cloud.engines.qemu.resolver import resolver_of
from armillary.cloud.model import PortSpec


@dataclass(frozen=True, kw_only=True)
class Card:
    """A card: arguments of `netdev_add`, and of `device_add`, or of the command line's words for the same."""

    wire: dict[str, Any]
    """between the card and the switch"""
    way_out: Sequence[dict[str, Any]]
    """between the switch and the card's own user-mode network stack, in the order in which they are made"""
    device: dict[str, Any]

    @property
    def netdevs(self) -> Sequence[dict[str, Any]]:
        """Return all that must be there before the device."""
        return (self.wire, *self.way_out)


def cards_of(hardware: Hardware, files: MachineFiles) -> Iterator[Card]:
    """Return a machine's cards in the order of its record."""
    for port in hardware.spec.ports:
        slot = hardware.slots[card_device(port.id)]
        yield lonely_card(port, slot) if hardware.stage == "template" else card(port, files, slot)


def card(port: PortSpec, files: MachineFiles, slot: int) -> Card:
    """Return a card wired to the switch, and its owner's way out, wired to the switch as well."""
    key, sockets = port_key(port.id), files.port(port.id)
    hub = int(key, 16) % 2**31
    stack = _stack(port)
    return Card(
        wire=_wire(f"n{key}", sockets.nic, sockets.nic_switch),
        way_out=(
            {"type": "user", "id": f"u{key}", "ipv6": False, **stack},
            _wire(f"d{key}", sockets.slirp, sockets.slirp_switch),
            *(
                {"type": "hubport", "id": f"h{end}{key}", "hubid": hub, "netdev": f"{end}{key}"}
                for end in ("u", "d")
            ),
        ),
        device=_device(port, slot),
    )


def lonely_card(port: PortSpec, slot: int) -> Card:
    """Return a card in front of a stack that gives it its address and carries nothing, in or out."""
    key = port_key(port.id)
    return Card(
        wire={"type": "hubport", "id": f"n{key}", "hubid": 0},
        way_out=(
            {"type": "user", "id": f"u{key}", "ipv6": False, **_stack(port), "restrict": True},
            {"type": "hubport", "id": f"hu{key}", "hubid": 0, "netdev": f"u{key}"},
        ),
        device=_device(port, slot),
    )


def _device(port: PortSpec, slot: int) -> dict[str, Any]:
    mtu = {"host_mtu": port.mtu} if port.mtu != 1500 else {}
    return {
        "driver": "virtio-net-pci",
        "id": card_device(port.id),
        "netdev": f"n{port_key(port.id)}",
        "mac": port.mac,
        "addr": f"{slot:#x}",
        **mtu,
    }


def _stack(port: PortSpec) -> dict[str, Any]:
    """Return the addresses of a card's way out. All must be on its network, those too that it has no use for.

    A network without a gateway gets one that the switch lets nobody reach, and that its guest is not told of; a card
    without an IPv4 address is offered one that the switch does not carry.
    """
    net = IPv4Network(port.cidr)
    own, gateway = (IPv4Address(each) if each else None for each in (port.fixed_ip, port.gateway_ip))
    resolver = resolver_of(net, own, gateway)
    free = (net.network_address + number for number in range(1, min(6, net.num_addresses)))
    spare = next(
        (address for address in free if address not in (own, gateway, resolver)), net.network_address
    )
    has_gateway = gateway is not None and gateway in net
    return {
        "net": port.cidr,
        "host": str(gateway if has_gateway else spare),
        "dhcpstart": str(own or spare),
        "dns": str(resolver),
        **({} if has_gateway else {"restrict": True}),
    }


def _wire(name: str, here: Path, there: Path) -> dict[str, Any]:
    ends = {end: {"type": "unix", "path": str(path)} for end, path in (("local", here), ("remote", there))}
    return {"type": "dgram", "id": name, **ends}
