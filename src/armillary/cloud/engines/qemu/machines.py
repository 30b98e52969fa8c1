"""Machines on QEMU: one folder and one process each, found again whatever becomes of us."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from armillary.base.ids import ServerId
from armillary.cloud.engines.qemu import disks, snapshots
from armillary.cloud.engines.qemu.command import Tuning, command
from armillary.cloud.engines.qemu.layout import BUILDING, LEAVING, Layout, MachineFiles
from armillary.cloud.engines.qemu.process import Lifeline, find, holder, start
from armillary.cloud.engines.qemu.qmp import Monitor, MonitorError, TooSlow
from armillary.cloud.model import Capacity, MachineSpec, MachineState
from armillary.cloud.ports import BootFailed

_OBEY_SECONDS = 60.0
_START_SECONDS = 60.0
_CONSOLE_KEPT = 2**20


class QemuMachines:
    """The `Machines` port on QEMU processes without root.

    Args:
        directory: where machines live; the same directory finds the same machines.
        capacity: what this computer lends in all.
        tuning: accelerator and other ways to run.
        obey_seconds: how long a machine has to obey its power button.
        free_memory: how much memory the computer has left, in MiB.
    """

    def __init__(
        self,
        *,
        directory: Path,
        capacity: Capacity,
        tuning: Tuning | None = None,
        obey_seconds: float = _OBEY_SECONDS,
        free_memory: Callable[[], int] = disks.free_memory_mib,
    ) -> None:
        self._layout = Layout(directory=directory.absolute())
        self._capacity = capacity
        self._tuning = tuning or Tuning()
        self._obey_seconds = obey_seconds
        self._free_memory = free_memory
        self._guard = threading.Lock()
        self._locks: dict[ServerId, threading.Lock] = {}
        self._rebooting: set[ServerId] = set()
        self._layout.prepare()
        self._sweep()

    def capacity(self) -> Capacity:
        """What this engine may use in all, whatever runs now."""
        return self._capacity

    def boot(self, spec: MachineSpec) -> None:
        """Make the machine's disks if they are not there, and run it; all or nothing (see the port)."""
        files = self._layout.machine(spec.id)
        with self._lock(spec.id):
            if holder(files.pidfile) is not None:
                self._wake(files)
                return
            known = files.folder.exists()
            try:
                self._check_memory(spec)
                if known:
                    self._refresh(spec, files)
                else:
                    self._make(spec, files)
                self._run(spec, files)
            except BaseException as error:
                self._kill(files)
                if not known:
                    self._remove(files)
                if isinstance(error, OSError):
                    raise disks.explain(str(error)) from error
                raise

    def stop(self, server_id: ServerId, *, hard: bool = False) -> None:
        """Shut the machine down by its power button, or at once if `hard` or when it does not obey."""
        files = self._layout.machine(server_id)
        process = find(files.pidfile)
        if process is None:
            return
        with process:
            if not hard and self._press_power_button(files):
                process.wait(self._obey_seconds)
            with self._lock(server_id):
                self._quit(files)
                process.end(grace=5)

    def reboot(self, server_id: ServerId, *, hard: bool = False) -> None:
        """Restart the machine from inside; reset it if `hard` or when it does not obey.

        The process lives on through both, and with it the machine's network.
        """
        files = self._layout.machine(server_id)
        if holder(files.pidfile) is None:
            raise BootFailed("The machine does not run.", code="not_running", remedy="Start it instead.")
        self._rebooting.add(server_id)
        try:
            with Monitor(files.monitor) as monitor:
                if not hard:
                    self._shut_down_inside(monitor)
                monitor.ask("set-action", shutdown="poweroff")
                monitor.ask("system_reset")
                monitor.ask("cont")
        except MonitorError as error:
            raise BootFailed(f"The machine cannot be restarted: {error}", code="not_running") from error
        finally:
            self._rebooting.discard(server_id)

    def destroy(self, server_id: ServerId) -> None:
        """End the machine and remove its disks and all its files; unknown ids are fine."""
        files = self._layout.machine(server_id)
        with self._lock(server_id):
            self._kill(files)
            self._remove(files)
        with self._guard:
            self._locks.pop(server_id, None)

    def states(self) -> Mapping[ServerId, MachineState]:
        """Every machine that has files here, as it is now."""
        found: dict[ServerId, MachineState] = {}
        for folder in sorted((self._layout.directory / "machines").iterdir()):
            if folder.suffix not in (BUILDING, LEAVING):
                server_id = ServerId(folder.name)
                found[server_id] = self._state(server_id)
        return found

    def console(self, server_id: ServerId, *, last_bytes: int = 65536) -> bytes:
        """The end of what the machine wrote on its serial console, over all its boots; empty if unknown."""
        try:
            with self._layout.machine(server_id).console.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - min(last_bytes, _CONSOLE_KEPT)))
                return file.read(last_bytes).lstrip(b"\0")
        except FileNotFoundError:
            return b""

    def snapshot(self, server_id: ServerId, target: Path) -> None:
        """Write the root disk as it is at one moment to `target`, a qcow2 file without a backing file."""
        files = self._layout.machine(server_id)
        if not files.root.exists():
            raise BootFailed("The machine has no disk here.", code="unknown_machine")
        try:
            if holder(files.pidfile) is not None:
                snapshots.copy_running(files, target)
                return
            with self._lock(server_id):  # it must not start while its disk is read
                image, image_format = _image_of(files.spec)
                snapshots.copy_stopped(files, target, image=image, image_format=image_format)
        except BaseException:
            target.unlink(missing_ok=True)
            raise

    # -- making

    def _make(self, spec: MachineSpec, files: MachineFiles) -> None:
        """Make the machine's folder under another name first, so that a folder by its name is always whole."""
        building = replace(files, folder=files.folder.with_name(files.folder.name + BUILDING))
        shutil.rmtree(building.folder, ignore_errors=True)
        building.folder.mkdir(mode=0o700)
        try:
            if spec.image_path is not None:
                disks.make_root(spec, spec.image_path, building.root)
            if spec.ephemeral_disk:
                disks.make_ephemeral(building.ephemeral, spec.ephemeral_disk)
            self._write_down(spec, building)
            building.folder.rename(files.folder)
        except BaseException:
            shutil.rmtree(building.folder, ignore_errors=True)
            raise

    def _refresh(self, spec: MachineSpec, files: MachineFiles) -> None:
        """Bring what may have changed since the last boot: a larger root disk, a new config drive."""
        if spec.image_path is not None:
            disks.grow_root(files.root, spec.root_disk)
        self._write_down(spec, files)

    def _write_down(self, spec: MachineSpec, files: MachineFiles) -> None:
        if spec.config_drive:
            disks.make_config_drive(files.config_drive, spec.config_drive)
        record = asdict(replace(spec, config_drive={}))
        partial = files.spec.with_suffix(".partial")
        partial.write_text(json.dumps(record, indent=1, default=str), encoding="utf-8")
        partial.replace(files.spec)

    def _check_memory(self, spec: MachineSpec) -> None:
        free, needed = self._free_memory(), spec.ram + self._tuning.overhead
        if free < needed:
            raise BootFailed(
                f"The computer has {free} MiB of memory free, and the machine needs {needed} MiB.",
                code="no_memory",
                remedy="Stop another machine, or choose a smaller flavor.",
                facts={"free_mib": free, "needed_mib": needed},
            )

    def _run(self, spec: MachineSpec, files: MachineFiles) -> None:
        files.runtime.mkdir(mode=0o700, exist_ok=True)
        files.pidfile.unlink(missing_ok=True)
        lifeline = start(command(spec, files, self._tuning), log=files.log)
        try:
            self._await_running(files, lifeline)
        finally:
            lifeline.close()

    def _await_running(self, files: MachineFiles, lifeline: Lifeline) -> None:
        """Return when QEMU runs the machine's processors."""
        waited, pause = 0.0, 0.02
        while not lifeline.ended(within=pause):
            waited += pause
            try:
                with Monitor(files.monitor) as monitor:
                    if monitor.ask("query-status")["running"]:
                        return
            except MonitorError:
                if waited > _START_SECONDS:
                    raise BootFailed("QEMU did not come up in time.", code="too_slow") from None
        raise disks.explain(files.log.read_text(encoding="utf-8", errors="replace"))

    # -- ending

    def _press_power_button(self, files: MachineFiles) -> bool:
        try:
            with Monitor(files.monitor) as monitor:
                monitor.ask("system_powerdown")
                return True
        except MonitorError:
            return False

    def _shut_down_inside(self, monitor: Monitor) -> None:
        """Let the guest shut itself down, and hold the process at that point instead of ending it."""
        monitor.ask("set-action", shutdown="pause")
        monitor.ask("system_powerdown")
        with contextlib.suppress(TooSlow):  # it does not obey: it is reset
            monitor.wait_for("SHUTDOWN", timeout=self._obey_seconds)

    def _wake(self, files: MachineFiles) -> None:
        """Let a machine run on that was left shut down half-way through a restart."""
        try:
            with Monitor(files.monitor) as monitor:
                if monitor.ask("query-status")["status"] == "shutdown":
                    monitor.ask("set-action", shutdown="poweroff")
                    monitor.ask("system_reset")
                    monitor.ask("cont")
        except MonitorError as error:
            raise BootFailed(
                f"The machine runs but does not answer: {error}", code="not_answering"
            ) from error

    def _quit(self, files: MachineFiles) -> None:
        """Ask QEMU to end; it flushes the disks first."""
        try:
            with Monitor(files.status_monitor, timeout=5) as monitor:
                monitor.ask("quit")
        except MonitorError:
            return  # it hung up as it went, or does not answer: signals follow

    def _kill(self, files: MachineFiles) -> None:
        process = find(files.pidfile)
        if process is not None:
            with process:
                process.end(grace=2)

    def _remove(self, files: MachineFiles) -> None:
        leaving = files.folder.with_name(files.folder.name + LEAVING)
        if files.folder.exists():
            shutil.rmtree(leaving, ignore_errors=True)
            files.folder.rename(leaving)
        shutil.rmtree(leaving, ignore_errors=True)
        shutil.rmtree(files.runtime, ignore_errors=True)

    def _sweep(self) -> None:
        """Remove what a process before us left half made or half removed."""
        for folder in (self._layout.directory / "machines").iterdir():
            if folder.suffix in (BUILDING, LEAVING):
                shutil.rmtree(folder, ignore_errors=True)

    # -- looking

    def _state(self, server_id: ServerId) -> MachineState:
        files = self._layout.machine(server_id)
        if holder(files.pidfile) is None:
            return MachineState.STOPPED
        _bound(files.console, _CONSOLE_KEPT)
        try:
            with Monitor(files.status_monitor, timeout=2) as monitor:
                status: str = monitor.ask("query-status")["status"]
        except MonitorError:
            # a monitor that is busy or slow says nothing about the processors; the process lives
            return MachineState.RUNNING if holder(files.pidfile) is not None else MachineState.STOPPED
        if status == "shutdown" and server_id not in self._rebooting:
            return MachineState.STOPPED
        return (
            MachineState.PAUSED
            if status in ("paused", "io-error", "internal-error")
            else MachineState.RUNNING
        )

    def _lock(self, server_id: ServerId) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(server_id, threading.Lock())


def _image_of(spec: Path) -> tuple[Path, str]:
    record: dict[str, Any] = json.loads(spec.read_text(encoding="utf-8"))
    return Path(record["image_path"]), record["image_format"]


def _bound(log: Path, kept: int) -> None:
    """Give the log's older part back to the file system, in place: QEMU goes on appending to the same file."""
    size, used = log.stat().st_size, log.stat().st_blocks * 512
    if size <= 2 * kept or used <= 2 * kept:
        return
    keep_size_punch_hole = 0x01 | 0x02
    with log.open("rb+") as file:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.fallocate(file.fileno(), keep_size_punch_hole, ctypes.c_long(0), ctypes.c_long(size - kept))
