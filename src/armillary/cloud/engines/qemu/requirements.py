"""What the QEMU engine needs of this computer, as data: `armillary doctor` prints it."""

from __future__ import annotations

import errno
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from armillary.base.units import format_size
from armillary.cloud.engines.qemu.accelerate import Acceleration
from armillary.cloud.engines.qemu.disks import find_program, free_memory_mib

_GIB = 2**30
_OLDEST_QEMU = (7, 2)
"""The first with unix datagram netdevs, which carry the machines' network."""
_LOW_MEMORY_MIB, _LOW_DISK = 2048, 10 * _GIB
_PROGRAMS = {
    "qemu-system-x86_64": "sudo apt-get install qemu-system-x86",
    "qemu-img": "sudo apt-get install qemu-utils",
    "mkfs.ext4": "sudo apt-get install e2fsprogs",
    "setsid": "sudo apt-get install util-linux",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    """A command, or one thing to do; empty when all is well."""
    required: bool = True
    """False when everything works without it, only slower or under another port."""


def findings(*, directory: Path, acceleration: Acceleration) -> list[Finding]:
    """Return everything looked at, in the order in which it matters.

    Args:
        directory: where machines will live (or its nearest parent that exists).
        acceleration: the probe's verdict.
    """
    return [
        *(_program(name, remedy) for name, remedy in _PROGRAMS.items()),
        _qemu_version(),
        _acceleration(acceleration),
        privileged_ports(),
        _memory(),
        _disk(directory),
    ]


def _program(name: str, remedy: str) -> Finding:
    found = find_program(name)
    if found:
        return Finding(name=name, ok=True, detail=found)
    return Finding(name=name, ok=False, detail="not installed", remedy=remedy)


def _qemu_version() -> Finding:
    name = "QEMU's version"
    try:
        words = subprocess.run(
            ["qemu-system-x86_64", "--version"], capture_output=True, text=True, check=False
        ).stdout.split()
        version = words[3]
        numbers = tuple(int(part) for part in version.split(".")[:2])
    except (OSError, IndexError, ValueError):
        return Finding(name=name, ok=False, detail="unknown", remedy=_PROGRAMS["qemu-system-x86_64"])
    if numbers < _OLDEST_QEMU:
        wanted = ".".join(map(str, _OLDEST_QEMU))
        remedy = f"Install QEMU {wanted} or newer (Debian 12, Ubuntu 24.04 have it)"
        return Finding(name=name, ok=False, detail=f"{version}, older than {wanted}", remedy=remedy)
    return Finding(name=name, ok=True, detail=version)


def _acceleration(found: Acceleration) -> Finding:
    if found.kind == "kvm":
        return Finding(name="acceleration", ok=True, detail=f"KVM: {found.reason}", required=False)
    remedy = ""
    if "does not open" in found.reason:
        remedy = "sudo usermod -aG kvm $USER, then log in again"
    elif "no kernel at hand" in found.reason:
        remedy = "armillary image build debian-12"
    else:
        remedy = "Run on a computer with KVM for machines about ten times as quick"
    detail = f"TCG (everything works, slowly): {found.reason}"
    return Finding(name="acceleration", ok=False, detail=detail, remedy=remedy, required=False)


def privileged_ports(address: str = "127.16.0.1", port: int = 22) -> Finding:
    """Return whether floating IPs can answer on port 22 itself, found by binding it for a moment."""
    name = "floating IPs on port 22"
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((address, port))
            trial.listen(1)
        except OSError as error:
            instead = "port 10022 is used instead"
            if error.errno == errno.EACCES:
                remedy = "sudo sysctl net.ipv4.ip_unprivileged_port_start=22"
                return Finding(
                    name=name, ok=False, detail=f"not permitted; {instead}", remedy=remedy, required=False
                )
            remedy = "Let this computer's own ssh server listen on its outer address only (ListenAddress)"
            detail = f"{error.strerror}; {instead}"
            return Finding(name=name, ok=False, detail=detail, remedy=remedy, required=False)
    return Finding(name=name, ok=True, detail="permitted", required=False)


def _memory() -> Finding:
    free = free_memory_mib()
    ok = free >= _LOW_MEMORY_MIB
    remedy = "" if ok else "Close programs: two small machines need 2 GiB"
    return Finding(name="free memory", ok=ok, detail=format_size(free * 2**20), remedy=remedy)


def _disk(directory: Path) -> Finding:
    existing = next(path for path in (directory.absolute(), *directory.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    ok = free >= _LOW_DISK
    remedy = "" if ok else "Free some space, or point ARMILLARY_HOME at a larger disk"
    return Finding(name="free disk", ok=ok, detail=f"{format_size(free)} at {existing}", remedy=remedy)
