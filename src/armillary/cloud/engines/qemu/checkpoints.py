"""The shelf of checkpoints: each whole or not there, bounded in number and bytes, and never believed unseen."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import os
import platform
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from armillary.base.ids import Sha512
from armillary.base.units import format_size
from armillary.cloud.engines.qemu import disks
from armillary.cloud.engines.qemu.command import Tuning
from armillary.cloud.engines.qemu.layout import BUILDING, LEAVING, Layout
from armillary.cloud.engines.qemu.memory import sync_folder
from armillary.cloud.model import Checkpoint, MachineSpec
from armillary.cloud.ports import BootFailed

_log = logging.getLogger(__name__)
_LAYOUT = 1
"""Of a checkpoint's folder and of the machines that are put together from it: change it with either."""
_BLOCK = 2**20
_RESERVE = 2 * 2**30
"""Bytes of the computer's disk that no checkpoint is worth."""
_STRIKES = 2
MANIFEST, MEMORY, HARDWARE, CONSOLE = "manifest.json", "memory", "spec.json", "console.log"
DISKS = ("root.qcow2", "ephemeral.raw", "swap.raw")
_KEPT = (MEMORY, HARDWARE, CONSOLE, *DISKS)


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """How many checkpoints are kept, and how long one may take."""

    most: int = 4
    """0: none are made or used."""
    octets: int = 10 * 2**30
    boot_seconds: float = 1800.0
    """for a template to boot, though it may have only the processor time that others leave"""
    wake_seconds: float = 60.0
    """for a machine to become itself; then it is booted instead"""
    rest_seconds: float = 3600.0
    """after a failure, before the same checkpoint is tried again"""
    spare: float = 0.0
    """How many processors must have had nothing to do for a moment before a template is booted, which then takes the
    time that others leave; 0: it boots at once, like any machine."""
    turn: threading.Lock = field(default_factory=threading.Lock)
    """Held while a template boots: clouds of one computer share it, and boot them one after another."""


class CheckpointShelf:
    """The folder of checkpoints."""

    def __init__(self, *, layout: Layout, keeping: Keeping) -> None:
        self._folder = layout.checkpoints
        self._keeping = keeping
        self._lock = threading.Lock()
        self._making: set[str] = set()
        self._strikes: dict[str, int] = {}
        self._resting: dict[str, float] = {}
        self._seen: dict[str, object] = {}
        """By key: how the files looked when their digests were right."""

    def find(self, key: str) -> Path | None:
        """Return the folder of a checkpoint that is there and whole; a broken one is removed."""
        folder = self._folder / key
        if not self._keeping.most or not folder.exists():
            return None
        try:
            manifest = _read(folder)
            looks = _looks(folder)
            if self._seen.get(key) != looks:
                if _digests(folder) != manifest["digests"]:
                    raise ValueError("its files are not those that were written")
                self._seen[key] = looks
        except (OSError, ValueError, KeyError) as error:
            _log.warning("checkpoint %s is broken and is removed: %s", key, error)
            self.forget(key)
            return None
        return folder

    def all(self) -> list[Checkpoint]:
        """Return what is there, the one that was used last at the end."""
        found: list[Checkpoint] = []
        for folder in self._folder.iterdir():
            if folder.suffix in (BUILDING, LEAVING):
                continue
            try:
                manifest, used = _read(folder), (folder / MANIFEST).stat().st_mtime
                image, octets = Sha512(manifest["image"]), int(manifest["octets"])
            except (OSError, ValueError, KeyError):
                image, octets, used = Sha512(""), 0, 0.0  # broken: the first to go
            found.append(Checkpoint(key=folder.name, image=image, octets=octets, used=used))
        return sorted(found, key=lambda each: each.used)

    def begin(self, key: str) -> bool:
        """Take the making of a checkpoint; False if somebody has it, or if it failed lately."""
        with self._lock:
            if not self._keeping.most or key in self._making or time.monotonic() < self._resting.get(key, 0):
                return False
            self._making.add(key)
            return True

    def end(self, key: str) -> None:
        """Give the making back."""
        with self._lock:
            self._making.discard(key)

    def check_room(self, spec: MachineSpec) -> None:
        """Raise BootFailed if the disk may become full. A memory that is all in use is the most that is written."""
        free, needed = shutil.disk_usage(self._folder).free, spec.ram * 2**20 + _RESERVE
        if free < needed:
            raise BootFailed(
                f"The computer's disk has {format_size(free)} free; a checkpoint may need {format_size(needed)}.",
                code="disk_full",
                facts={"free": free, "needed": needed},
            )

    def keep(self, folder: Path, key: str, image: Sha512) -> None:
        """Take over a folder that holds all of a checkpoint: from the end of this call it is there.

        Raises:
            BootFailed: it is larger than all checkpoints may be.
            OSError: the disk is full.
        """
        for path in folder.iterdir():
            if path.name not in _KEPT:
                path.unlink()
        octets = sum(path.stat().st_blocks * 512 for path in folder.iterdir())
        if octets > self._keeping.octets:
            raise BootFailed(
                f"The checkpoint has {format_size(octets)}, and all may have {format_size(self._keeping.octets)}.",
                code="checkpoint_too_large",
            )
        for path in folder.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        manifest = {"layout": _LAYOUT, "image": image, "octets": octets, "digests": _digests(folder)}
        with (folder / MANIFEST).open("w", encoding="utf-8") as file:
            json.dump(manifest, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(folder)
        self.forget(key)  # one that was found broken while this one was made
        folder.replace(self._folder / key)
        sync_folder(self._folder)
        self._make_room(key)

    def used(self, key: str) -> None:
        """Note that a machine began from it."""
        self._strikes.pop(key, None)
        try:
            os.utime(self._folder / key / MANIFEST)
        except FileNotFoundError:
            return  # it went meanwhile

    def strike(self, key: str) -> None:
        """Note that no machine came of it. One that fails again goes."""
        with self._lock:
            self._strikes[key] = self._strikes.get(key, 0) + 1
            out = self._strikes[key] >= _STRIKES
        if out:
            _log.warning("checkpoint %s failed %d times and is removed", key, _STRIKES)
            self.forget(key)
            self.rest(key)

    def rest(self, key: str) -> None:
        """Leave a checkpoint that fails alone for a while."""
        with self._lock:
            self._strikes.pop(key, None)
            self._resting[key] = time.monotonic() + self._keeping.rest_seconds

    def forget(self, key: str) -> None:
        """Remove a checkpoint; one that is not there is fine."""
        folder = self._folder / key
        leaving = self._folder / (key + LEAVING)
        shutil.rmtree(leaving, ignore_errors=True)
        try:
            folder.rename(leaving)
        except FileNotFoundError:
            return
        self._seen.pop(key, None)
        shutil.rmtree(leaving, ignore_errors=True)

    def _make_room(self, newest: str) -> None:
        there = self.all()
        others = [each for each in there if each.key != newest]
        octets = sum(each.octets for each in there)
        while others and (len(others) >= self._keeping.most or octets > self._keeping.octets):
            gone = others.pop(0)
            octets -= gone.octets
            _log.info("checkpoint %s gives way to a newer one", gone.key)
            self.forget(gone.key)


def key_of(spec: MachineSpec, tuning: Tuning) -> str | None:
    """Return the name of the checkpoint from which a machine may begin; None if it may begin from none.

    All that the memory of a machine depends on is in it: another image, template, shape, QEMU or processor is another
    checkpoint.
    """
    template = spec.template
    if template is None or spec.image_path is None or spec.volumes or len(spec.ports) != 1 or spec.rescue:
        return None
    if not spec.ports[0].fixed_ip or not spec.ports[0].gateway_ip:
        return None  # the guest waits for an address and a way out before it says that it is awake
    facts = {
        "layout": _LAYOUT,
        "image": template.image,
        "format": spec.image_format,
        "template": template.name,
        "vcpus": spec.vcpus,
        "ram": spec.ram,
        "disks": [spec.root_disk, spec.ephemeral_disk, spec.swap_disk],
        "drive": bool(spec.config_drive),
        "mtu": spec.ports[0].mtu,
        "accelerator": tuning.accelerator,
        "qemu": _version(tuning.binary),
        "processor": _processor() if tuning.accelerator == "kvm" else platform.machine(),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def _version(binary: str) -> str:
    program = disks.find_program(binary)
    return _version_of(program, Path(program).stat().st_mtime_ns) if program else ""


@functools.lru_cache(maxsize=8)
def _version_of(program: str, changed: int) -> str:
    """Return what QEMU says of itself; asked again when the program's file (`changed`) is another one."""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return f"{done.stdout.partition(chr(10))[0]} {changed}"


@functools.cache
def _processor() -> list[str]:
    """Return what a guest under KVM may have seen of this computer's processor, and the kernel that showed it."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0].splitlines()
    shown = [line for line in lines if line.startswith(("model", "vendor_id", "stepping", "flags"))]
    return [*shown, platform.release()]


def _read(folder: Path) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", json.loads((folder / MANIFEST).read_text(encoding="utf-8")))


def _looks(folder: Path) -> object:
    found = [(path.name, path.stat()) for path in folder.iterdir() if path.name != MANIFEST]
    return sorted((name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in found)


def _digests(folder: Path) -> dict[str, str]:
    return {path.name: _digest(path) for path in sorted(folder.iterdir()) if path.name != MANIFEST}


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file's blocks that are not all zeros, each with its place: holes cost nothing."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        digest.update(end.to_bytes(8, "big"))
        place = 0
        while place < end:
            try:
                place = os.lseek(file.fileno(), place, os.SEEK_DATA) // _BLOCK * _BLOCK
            except OSError:
                break  # ENXIO: only a hole is left
            block = os.pread(file.fileno(), _BLOCK, place)
            if block.strip(b"\0"):
                digest.update(place.to_bytes(8, "big") + block)
            place += _BLOCK
    return digest.hexdigest()
