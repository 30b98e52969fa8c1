"""The command line of a machine, made from its hardware and from where its files lie."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from armillary.base.units import MiB
from armillary.cloud.engines.qemu.cards import cards_of
from armillary.cloud.engines.qemu.drives import drives
from armillary.cloud.engines.qemu.hardware import (
    RANDOM_SLOT,
    SERIAL_SLOT,
    VGA_SLOT,
    Hardware,
)
from armillary.cloud.engines.qemu.layout import MachineFiles

Accelerator = Literal["kvm", "tcg"]

SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"


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
        return MiB(96 + (self.tb_size if self.accelerator == "tcg" else 0))


def command(hardware: Hardware, files: MachineFiles, tuning: Tuning, *, incoming: bool = False) -> list[str]:
    """Return the words that start the machine. Its disks and the runtime folder must be there.

    Args:
        hardware: what it has.
        files: where its files lie.
        tuning: how it runs here.
        incoming: whether it waits, its processors stopped, for a memory that it goes on from.
    """
    return [
        *_machine(hardware, tuning),
        *_monitors(files),
        *_console(files),
        *(_waiting(hardware, files) if hardware.stage != "cold" else ()),
        *_disks(hardware, files, tuning),
        *_cards(hardware, files),
        *("-device", _json(driver="virtio-rng-pci", addr=f"{RANDOM_SLOT:#x}")),
        *("-sandbox", SANDBOX),
        *("-pidfile", str(files.pidfile)),
        *(("-incoming", "defer", "-S") if incoming else ()),
    ]


def _machine(hardware: Hardware, tuning: Tuning) -> Iterator[str]:
    spec = hardware.spec
    yield tuning.binary
    yield from ("-name", f"guest={spec.id},debug-threads=on")
    yield from ("-nodefaults", "-no-user-config", "-display", "none")
    yield from ("-machine", f"{hardware.machine_type},usb=off,vmport=off,smm=off")
    yield from ("-global", "PIIX4_PM.disable_s3=1", "-global", "PIIX4_PM.disable_s4=1")
    if hardware.accelerator == "kvm":
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
    log = f"logfile={_comma(files.console)},logappend=on"
    yield from ("-chardev", f"socket,id=console,path={_comma(files.serial)},server=on,wait=off,{log}")
    yield from ("-serial", "chardev:console")
    yield from ("-device", _json(driver="VGA", addr=f"{VGA_SLOT:#x}"))
    yield from ("-vnc", f"unix:{_comma(files.display)}")
    yield from ("-device", _json(driver="virtio-serial-pci", addr=f"{SERIAL_SLOT:#x}"))
    yield from ("-chardev", f"socket,id=agent,path={_comma(files.agent)},server=on,wait=off")
    yield from ("-device", _json(driver="virtserialport", chardev="agent", name="org.qemu.guest_agent.0"))


def _waiting(hardware: Hardware, files: MachineFiles) -> Iterator[str]:
    """Return what a machine has that was, or is, a template; in a memory image it must stay."""
    yield from ("-chardev", f"socket,id=waker,path={_comma(files.waker)},server=on,wait=off")
    yield from ("-serial", "chardev:waker")
    # Another number than before tells Linux (5.18) that this is a copy, and its random numbers must be new.
    yield from ("-device", _json(driver="vmgenid", guid=hardware.spec.id))


def _disks(hardware: Hardware, files: MachineFiles, tuning: Tuning) -> Iterator[str]:
    for drive in drives(hardware, files, unsafe=tuning.root_cache == "unsafe"):
        yield from ("-blockdev", _json(**drive.node))
        yield from ("-device", _json(**drive.device))


def _cards(hardware: Hardware, files: MachineFiles) -> Iterator[str]:
    for made in cards_of(hardware, files):
        for netdev in made.netdevs:
            yield from ("-netdev", _json(**netdev))
        yield from ("-device", _json(**made.device))


def _json(**properties: Any) -> str:
    return json.dumps(properties)


def _comma(path: Path) -> str:
    """Write a path for one of QEMU's older options, where a comma ends a value unless it is doubled."""
    return str(path).replace(",", ",,")
