"""Machines that need not boot: templates are kept as they waited, and new machines go on from there."""

from __future__ import annotations

import logging
import os
import shutil
import time
import uuid
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from armillary.base.ids import ServerId
from armillary.cloud.engines.copying import copy_sparse
from armillary.cloud.engines.qemu import disks, hardware
from armillary.cloud.engines.qemu.checkpoints import (
    CONSOLE,
    DISKS,
    MEMORY,
    CheckpointShelf,
    Keeping,
    key_of,
)
from armillary.cloud.engines.qemu.hardware import Hardware, card_device
from armillary.cloud.engines.qemu.layout import BUILDING, MachineFiles
from armillary.cloud.engines.qemu.memory import as_it_is, drop_ways_out, read_memory, write_memory
from armillary.cloud.engines.qemu.process import find
from armillary.cloud.engines.qemu.qmp import Monitor, MonitorError
from armillary.cloud.engines.qemu.roots import QemuRoots
from armillary.cloud.engines.qemu.stand import BUSY_SECONDS, alive
from armillary.cloud.engines.qemu.waker import FAILED, WAITING, Unwilling, Waker
from armillary.cloud.model import Checkpoint, MachineSpec
from armillary.cloud.ports import BootFailed

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 1.0
_TURN_SECONDS = 3.0
_PASSING = ("no_memory", "disk_full")
"""What may be otherwise at the next try."""


class QemuWarm(QemuRoots):
    """The `Checkpoints` port, and the way from one of them to a machine."""

    _shelf: CheckpointShelf
    _keeping: Keeping

    def prepare(self, spec: MachineSpec, *, pause: Callable[[float], bool]) -> bool:
        """Boot the template of `spec` in the shape of `spec`, and keep it as its checkpoint (see the port)."""
        key = key_of(spec, self._tuning)
        if key is None or spec.template is None:
            return False
        if self._shelf.find(key) is not None:
            return True
        if not self._shelf.begin(key):
            return False
        try:
            with self._turn(pause) as ours:
                return ours and self._prepare(spec, key, pause)
        finally:
            self._shelf.end(key)

    def checkpoints(self) -> Sequence[Checkpoint]:
        """Those that are kept, the one that was used last at the end."""
        return self._shelf.all()

    def forget_checkpoint(self, key: str) -> None:
        """Remove one; machines that began from it have its disk under a name of their own."""
        self._shelf.forget(key)

    # -- making one

    @contextmanager
    def _turn(self, pause: Callable[[float], bool]) -> Generator[bool]:
        """Wait until no other template boots and processors are idle; give whether anybody wants it still."""
        while not self._keeping.turn.acquire(blocking=False):
            if not pause(_TURN_SECONDS):
                yield False
                return
        try:
            yield self._await_spare_processors(pause)
        finally:
            self._keeping.turn.release()

    def _await_spare_processors(self, pause: Callable[[float], bool]) -> bool:
        while self._keeping.spare:
            before = idle_seconds()
            if not pause(_TURN_SECONDS):
                return False
            if idle_seconds() - before >= self._keeping.spare * _TURN_SECONDS:
                break
        return True

    def _prepare(self, spec: MachineSpec, key: str, pause: Callable[[float], bool]) -> bool:
        """Make the checkpoint."""
        assert spec.template is not None
        files = self._layout.template(key)
        began = time.monotonic()
        try:
            self._shelf.check_room(spec)
            self._check_memory(spec)
            if not self._boot_template(spec, key, files, pause):
                return False
            self._save_template(files)
            self._shelf.keep(files.folder, key, spec.template.image)
        except (BootFailed, MonitorError, OSError) as error:
            found = error if isinstance(error, BootFailed) else disks.explain(str(error))
            if found.code not in _PASSING:
                self._shelf.rest(key)
            if found is error:
                raise
            raise found from error
        finally:
            self._kill(files)
            shutil.rmtree(files.folder, ignore_errors=True)
            shutil.rmtree(files.runtime, ignore_errors=True)
        _log.info("checkpoint %s was made in %.0f s", key, time.monotonic() - began)
        return True

    def _boot_template(
        self, spec: MachineSpec, key: str, files: MachineFiles, pause: Callable[[float], bool]
    ) -> bool:
        """Run the template until it waits; False if `pause` says that nobody wants it any more."""
        assert spec.template is not None
        port = replace(spec.template.port, mtu=spec.ports[0].mtu)
        like = replace(
            spec,
            id=ServerId(str(uuid.UUID(hex=key))),
            name="template",
            ports=(port,),
            config_drive=spec.template.config_drive,
        )
        self._kill(files)  # of a process before us
        shutil.rmtree(files.folder, ignore_errors=True)
        files.folder.mkdir(mode=0o700)
        files.anew.touch()
        made = replace(self._refresh(like, files), stage="template")
        hardware.write(made, files)
        self._launch(made, files, calm=self._keeping.spare > 0)
        deadline = time.monotonic() + self._keeping.boot_seconds
        with Waker(files.waker) as waker:
            while time.monotonic() < deadline:
                if not pause(0):
                    return False
                line = waker.hear(within=_LOOK_SECONDS)
                if line == WAITING:
                    return True
                if line.startswith(FAILED):
                    why = line.removeprefix(FAILED).strip()
                    raise BootFailed(f"The image cannot be a template: {why}", code="no_template")
        raise BootFailed("The template did not come to wait in time.", code="too_slow")

    def _save_template(self, files: MachineFiles) -> None:
        with Monitor(files.monitor, timeout=BUSY_SECONDS) as monitor:
            monitor.ask("stop")
            found = as_it_is(hardware.read(files), monitor)
            hardware.write(found, files)
            drop_ways_out(monitor, found, files)
            write_memory(monitor, files.folder / MEMORY)
        self._quit(files)  # which brings the disks to their files
        process = find(files.pidfile)
        if process is not None:
            with process:
                process.end(grace=5)

    # -- beginning from one

    def _begin_warm(self, spec: MachineSpec, files: MachineFiles) -> bool:
        """Let a new machine go on from its checkpoint; False, with nothing left of it, if that cannot be."""
        key = key_of(spec, self._tuning)
        kept = self._shelf.find(key) if key is not None else None
        if key is None or kept is None:
            return False
        began = time.monotonic()
        try:
            made = self._lay_out(spec, files, kept)
            self._launch(made, files, incoming=True)
            within = self._keeping.wake_seconds
            with Monitor(files.monitor, timeout=BUSY_SECONDS) as monitor:
                read_memory(monitor, kept / MEMORY, within=within)
                monitor.ask("cont")
            with Waker(files.waker) as waker:
                waker.wake(within=within)
        except (BootFailed, MonitorError, Unwilling, OSError) as error:
            _log.warning("server %s boots, it cannot begin from checkpoint %s: %s", spec.id, key, error)
            self._kill(files)
            self._remove(files)
            if not isinstance(error, Unwilling):  # then it is the server's own data that do not fit
                self._shelf.strike(key)
            return False
        files.waking.unlink()
        self._shelf.used(key)
        _log.info("server %s began from checkpoint %s in %.1f s", spec.id, key, time.monotonic() - began)
        return True

    def _lay_out(self, spec: MachineSpec, files: MachineFiles, kept: Path) -> Hardware:
        """Make the folder of a machine that goes on from a checkpoint. Until its mark goes, it is nobody's."""
        building = files.folder.with_name(files.folder.name + BUILDING)
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(mode=0o700)
        (building / files.waking.name).touch()
        building.rename(files.folder)
        root, *others = DISKS
        os.link(kept / root, files.warm)
        size = disks.virtual_size_of_overlay(files.warm)
        disks.lay_over(files.root, files.warm, "qcow2", size)
        for name in others:
            if (kept / name).exists():
                copy_sparse(kept / name, files.folder / name)
        if (kept / CONSOLE).exists():
            copy_sparse(kept / CONSOLE, files.console)  # how it booted, as of any other machine
        disks.make_config_drive(files.config_drive, spec.config_drive)
        template = hardware.read(replace(files, folder=kept))
        made = hardware.hardware_of(spec, accelerator=self._tuning.accelerator)
        known = (made.config_drive, made.slots[card_device(spec.ports[0].id)])
        if known != (template.config_drive, *template.slots.values()):
            raise BootFailed("The checkpoint is of a machine with other devices.", code="checkpoint_differs")
        made = replace(made, stage="woken", machine_type=template.machine_type)
        hardware.write(made, files)
        return made

    def _forget_half_woken(self, files: MachineFiles) -> None:
        """Remove a machine that a process before us was waking when it was killed: it never was anybody."""
        if files.waking.exists():
            self._kill(files)
            self._remove(files)

    def _end_templates(self) -> None:
        """End and remove what a process before us was making checkpoints of."""
        for folder in self._layout.checkpoints.iterdir():
            if folder.suffix == BUILDING:
                files = self._layout.template(folder.name.removesuffix(BUILDING))
                if alive(files):
                    self._kill(files)
                shutil.rmtree(files.runtime, ignore_errors=True)
            if folder.name not in {each.key for each in self._shelf.all()}:
                shutil.rmtree(folder, ignore_errors=True)


def idle_seconds() -> float:
    """Return for how long processors of this computer had nothing to do, all together, since it started."""
    idle = Path("/proc/uptime").read_text(encoding="ascii").split()[1]
    return float(idle)
