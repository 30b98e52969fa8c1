"""Find out whether KVM truly runs a kernel here, by running one.

A `/dev/kvm` that opens proves little: nested or restricted hosts hand out a device that stops at the first
instruction it cannot do. So a stock kernel is booted for a moment and its serial console is read. The answer is
kept until QEMU, the kernel, this computer's boot or the device change.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from armillary.cloud.engines.qemu.process import readable

_SIGNS = (
    b"Run /init",
    b"Kernel panic - not syncing: VFS",
    b"Freeing unused kernel",
    b"Trying to unpack rootfs",
)
"""What a kernel prints when its processors, memory and interrupts work. `Linux version` alone comes too early."""
_MAX_OUTPUT = 2**20
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, kw_only=True)
class Acceleration:
    """How machines can be run here, and why."""

    kind: Literal["kvm", "tcg"]
    reason: str
    probed: bool
    """Whether a kernel was run to find out."""


def probe(
    *,
    kernel: Path | None,
    cache: Path,
    binary: str = "qemu-system-x86_64",
    device: Path = Path("/dev/kvm"),
    seconds: float = 20.0,
) -> Acceleration:
    """Return the acceleration that works here, from the cache if nothing changed since.

    Args:
        kernel: a stock kernel (bzImage) to run; without one KVM cannot be trusted.
        cache: a JSON file of ours.
        binary: QEMU.
        device: KVM's device.
        seconds: how long the kernel has to show that it runs.
    """
    try:
        descriptor = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return Acceleration(kind="tcg", reason=f"there is no {device}", probed=False)
    except OSError as error:
        return Acceleration(kind="tcg", reason=f"{device} does not open: {error.strerror}", probed=False)
    os.close(descriptor)
    if kernel is None or not kernel.is_file():
        return Acceleration(
            kind="tcg", reason="KVM is untested: there is no kernel at hand to try it with yet", probed=False
        )
    known = _identity(kernel, binary, device)
    found = _recall(cache, known)
    if found is None:
        found = _try(kernel, binary, seconds)
        _keep(cache, known, found)
    return found


def _try(kernel: Path, binary: str, seconds: float) -> Acceleration:
    command = [
        *(binary, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-machine", "pc", "-accel", "kvm", "-cpu", "host", "-m", "256"),
        *("-kernel", str(kernel), "-append", "console=ttyS0 panic=-1", "-serial", "stdio"),
    ]
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except OSError as error:
        return Acceleration(kind="tcg", reason=f"{binary} does not start: {error.strerror}", probed=True)
    with process:
        try:
            printed, ended = _listen(process, seconds)
        finally:
            process.kill()
    if any(sign in printed for sign in _SIGNS):
        return Acceleration(kind="kvm", reason="a kernel ran under KVM", probed=True)
    said = _last_line(printed)
    how = "ended at once" if ended else f"showed no life in {seconds:.0f} s"
    return Acceleration(
        kind="tcg", reason=f"under KVM a kernel {how}" + (f": {said}" if said else ""), probed=True
    )


def _listen(process: subprocess.Popen[bytes], seconds: float) -> tuple[bytes, bool]:
    """Return what the machine printed until a sign of life, its end, or the end of its time; and whether it ended."""
    assert process.stdout is not None
    descriptor, printed = process.stdout.fileno(), bytearray()
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0 and len(printed) < _MAX_OUTPUT:
        if not readable(descriptor, within=left):
            break
        piece = os.read(descriptor, 65536)
        if not piece:
            return bytes(printed), True
        printed += piece
        if any(sign in printed for sign in _SIGNS):
            break
    return bytes(printed), False


def _last_line(printed: bytes) -> str:
    """Return what QEMU complained of, or else the last thing printed, fit for a person."""
    lines = [line.strip() for line in printed.decode("utf-8", errors="replace").splitlines() if line.strip()]
    complaints = [line for line in lines if "qemu" in line.lower() or "kvm" in line.lower()]
    return "".join(letter for letter in (complaints or lines or [""])[-1] if letter.isprintable())[:200]


def _identity(kernel: Path, binary: str, device: Path) -> dict[str, Any]:
    """Return what the answer depends on."""
    try:
        version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        version = ""
    with kernel.open("rb") as file:
        kernel_digest = hashlib.file_digest(file, "sha256").hexdigest()
    found = device.stat()
    return {
        "qemu": version.partition("\n")[0],
        "kernel": kernel_digest,
        "host": list(platform.uname()),
        "boot": _BOOT_ID.read_text(encoding="ascii").strip() if _BOOT_ID.exists() else "",
        "device": [found.st_rdev, found.st_mode, found.st_uid, found.st_gid],
    }


def _recall(cache: Path, known: dict[str, Any]) -> Acceleration | None:
    try:
        kept: dict[str, Any] = json.loads(cache.read_text(encoding="utf-8"))
        return Acceleration(**kept["acceleration"]) if kept["known"] == known else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep(cache: Path, known: dict[str, Any], found: Acceleration) -> None:
    partial = cache.with_name(cache.name + ".partial")
    cache.parent.mkdir(parents=True, exist_ok=True)
    partial.write_text(
        json.dumps({"known": known, "acceleration": asdict(found)}, indent=1), encoding="utf-8"
    )
    partial.replace(cache)
