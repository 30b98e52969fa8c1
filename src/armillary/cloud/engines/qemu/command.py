"""The command line of a machine: a pure function of its specification and of where its files lie."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Literal

from armillary.base.units import MiB
from armillary.cloud.engines.qemu.layout import MachineFiles, port_key
from armillary.cloud.model import MachineSpec, PortSpec

Accelerator = Literal["kvm", "tcg"]

SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
ROOT_NODE = "root"
"""QEMU's name for the root disk's contents, that a snapshot copies."""


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """What differs between computers and between ways to run; none of it can be seen from inside a guest."""

    binary: str = "qemu-system-x86_64"
    accelerator: Accelerator = "tcg"
    tb_size: int = 256
    """MiB for translated code under TCG. A Debian boots to ssh with 41 s of processor time; 512 costs 47 s (memory
    is touched that caches could hold), 128 costs 45 s (code is translated again)."""
    root_cache: Literal["writeback", "unsafe"] = "writeback"
    """`unsafe` ignores the guest's flushes: for throw-away machines only."""

    @property
    def overhead(self) -> MiB:
        """How much memory QEMU takes beside the guest's own, at most."""
        return MiB(64 + (self.tb_size if self.accelerator == "tcg" else 0))


def command(spec: MachineSpec, files: MachineFiles, tuning: Tuning) -> list[str]:
    """Return the words that start the machine. Its disks and the runtime folder must be there."""
    return [
        *_machine(spec, tuning),
        *_monitors(files),
        *_console(files),
        *_disks(spec, files, tuning),
        *(word for port in spec.ports for word in _port(port, files)),
        *("-device", _json(driver="virtio-rng-pci")),
        *("-sandbox", SANDBOX),
        *("-pidfile", str(files.pidfile)),
    ]


def _machine(spec: MachineSpec, tuning: Tuning) -> Iterator[str]:
    yield tuning.binary
    yield from ("-name", f"guest={spec.id},debug-threads=on")
    yield from ("-nodefaults", "-no-user-config", "-display", "none")
    yield from ("-machine", "pc,usb=off,vmport=off,smm=off")
    yield from ("-global", "PIIX4_PM.disable_s3=1", "-global", "PIIX4_PM.disable_s4=1")
    if tuning.accelerator == "kvm":
        yield from ("-accel", "kvm", "-cpu", "host")
        yield from ("-global", "kvm-pit.lost_tick_policy=delay", "-rtc", "base=utc,driftfix=slew")
    else:
        yield from ("-accel", f"tcg,thread=multi,tb-size={tuning.tb_size}")
        # everything that TCG can emulate: software of today asks for x86-64-v2, and older models boot no quicker
        yield from ("-cpu", "max", "-rtc", "base=utc")
    yield from ("-smp", f"{spec.vcpus},sockets=1,cores={spec.vcpus},threads=1", "-m", f"{spec.ram}M")
    yield from ("-uuid", spec.id)
    # cloud-init knows OpenStack by the product's name (ds-identify)
    yield "-smbios"
    yield f"type=1,manufacturer=OpenStack Foundation,product=OpenStack Nova,uuid={spec.id}"
    yield from ("-boot", "strict=on")


def _monitors(files: MachineFiles) -> Iterator[str]:
    for name, path in (("q", files.monitor), ("s", files.status_monitor), ("f", files.fabric_monitor)):
        yield from ("-chardev", f"socket,id=m{name},path={_comma(path)},server=on,wait=off")
        yield from ("-mon", f"chardev=m{name},mode=control")


def _console(files: MachineFiles) -> Iterator[str]:
    yield from ("-chardev", f"file,id=console,path={_comma(files.console)},append=on")
    yield from ("-serial", "chardev:console")
    yield from ("-device", _json(driver="virtio-serial-pci"))
    yield from ("-chardev", f"socket,id=agent,path={_comma(files.agent)},server=on,wait=off")
    yield from ("-device", _json(driver="virtserialport", chardev="agent", name="org.qemu.guest_agent.0"))


def _disks(spec: MachineSpec, files: MachineFiles, tuning: Tuning) -> Iterator[str]:
    if spec.image_path is not None:
        # The image is named here, not in the overlay alone, so that the data folder may be moved.
        image = _file(spec.image_path, writable=False)
        base = {"driver": spec.image_format, "read-only": True, "file": image}
        overlay = {"driver": "qcow2", "file": _file(files.root), "backing": base, "discard": "unmap"}
        cache = {"no-flush": tuning.root_cache == "unsafe"}
        yield from _disk(ROOT_NODE, {**overlay, "cache": cache}, bootindex=0)
    if spec.ephemeral_disk:
        # what an ephemeral disk holds is gone with its machine anyway, but a reboot must find it whole
        ephemeral = {"driver": "raw", "file": _file(files.ephemeral), "discard": "unmap"}
        yield from _disk("ephemeral", ephemeral)
    if spec.config_drive:
        drive = {"driver": "raw", "read-only": True, "file": _file(files.config_drive, writable=False)}
        yield from _disk("config", drive)


def _file(path: Path, *, writable: bool = True) -> dict[str, Any]:
    node: dict[str, Any] = {"driver": "file", "filename": str(path), "aio": "threads"}
    return {**node, "discard": "unmap"} if writable else {**node, "read-only": True}


def _disk(name: str, node: Mapping[str, Any], **properties: Any) -> Iterator[str]:
    yield from ("-blockdev", _json(**{"node-name": name}, **node))
    yield from ("-device", _json(driver="virtio-blk-pci", drive=name, id=f"disk-{name}", **properties))


def _port(port: PortSpec, files: MachineFiles) -> Iterator[str]:
    """Return a card wired to the switch, and a way out for the card's owner alone, wired to the switch as well."""
    key, sockets = port_key(port.id), files.port(port.id)
    hub = int(key, 16) % 2**31
    resolver = str(IPv4Network(port.cidr).network_address + 3)
    yield from ("-netdev", _wire(f"n{key}", sockets.nic, sockets.nic_switch))
    way_out = {"net": port.cidr, "host": port.gateway_ip, "dhcpstart": port.fixed_ip, "dns": resolver}
    yield from ("-netdev", _json(type="user", id=f"u{key}", ipv6=False, **way_out))
    yield from ("-netdev", _wire(f"d{key}", sockets.slirp, sockets.slirp_switch))
    for end in ("u", "d"):
        yield from ("-netdev", _json(type="hubport", id=f"h{end}{key}", hubid=hub, netdev=f"{end}{key}"))
    mtu = {"host_mtu": port.mtu} if port.mtu != 1500 else {}
    yield from ("-device", _json(driver="virtio-net-pci", netdev=f"n{key}", mac=port.mac, **mtu))


def _wire(name: str, here: Path, there: Path) -> str:
    ends = {end: {"type": "unix", "path": str(path)} for end, path in (("local", here), ("remote", there))}
    return _json(type="dgram", id=name, **ends)


def _json(**properties: Any) -> str:
    return json.dumps(properties)


def _comma(path: Path) -> str:
    """Write a path for one of QEMU's older options, where a comma ends a value unless it is doubled."""
    return str(path).replace(",", ",,")
