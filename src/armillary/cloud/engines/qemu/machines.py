"""Machines on QEMU: one folder and one process each, found again whatever becomes of us."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from armillary.base.ids import ServerId
from armillary.cloud.engines.qemu import disks, hardware, snapshots
from armillary.cloud.engines.qemu.checkpoints import CheckpointShelf, Keeping
from armillary.cloud.engines.qemu.command import Tuning
from armillary.cloud.engines.qemu.devices import QemuDevices
from armillary.cloud.engines.qemu.drives import ROOT_NODE
from armillary.cloud.engines.qemu.layout import BUILDING, LEAVING, Layout, MachineFiles
from armillary.cloud.engines.qemu.measuring import QemuMeasuring
from armillary.cloud.engines.qemu.process import find
from armillary.cloud.engines.qemu.qmp import Monitor, MonitorError, TooSlow
from armillary.cloud.engines.qemu.sleep import QemuSleep
from armillary.cloud.engines.qemu.stand import alive, asleep, drop_memory, not_running
from armillary.cloud.engines.qemu.warm import QemuWarm
from armillary.cloud.model import Capacity, MachineSpec, MachineState
from armillary.cloud.ports import BootFailed

_OBEY_SECONDS = 60.0
_UNPLUG_SECONDS = 20.0
_CONSOLE_KEPT = 2**20
_STILL = ("paused", "io-error", "internal-error", "postmigrate")
"""QEMU's words for a machine whose processors stand."""


class QemuMachines(QemuSleep, QemuDevices, QemuWarm, QemuMeasuring):
    """The `Hypervisor` port on QEMU processes without root.

    Args:
        directory: where machines live; the same directory finds the same machines.
        capacity: what this computer lends in all.
        tuning: accelerator and other ways to run.
        obey_seconds: how long a machine has to obey its power button.
        unplug_seconds: how long a guest has to let go of a device.
        free_memory: how much memory the computer has left, in MiB.
        keeping: how many checkpoints are kept, and how long they may take.
        tidies: whether it ends and removes what a process before us left half done; not while another one works there.
    """

    def __init__(
        self,
        *,
        directory: Path,
        capacity: Capacity,
        tuning: Tuning | None = None,
        obey_seconds: float = _OBEY_SECONDS,
        unplug_seconds: float = _UNPLUG_SECONDS,
        free_memory: Callable[[], int] = disks.free_memory_mib,
        keeping: Keeping | None = None,
        tidies: bool = True,
    ) -> None:
        super().__init__(
            layout=Layout(directory=directory.absolute()),
            tuning=tuning or Tuning(),
            obey_seconds=obey_seconds,
            unplug_seconds=unplug_seconds,
            free_memory=free_memory,
        )
        self._capacity = capacity
        self._rebooting: set[ServerId] = set()
        self._layout.prepare()
        self._keeping = keeping or Keeping()
        self._shelf = CheckpointShelf(layout=self._layout, keeping=self._keeping)
        if tidies:
            self._sweep()

    def capacity(self) -> Capacity:
        """What this engine may use in all, whatever runs now."""
        return self._capacity

    def boot(self, spec: MachineSpec) -> None:
        """Make the machine's disks if they are not there, and run it; all or nothing (see the port)."""
        files = self._layout.machine(spec.id)
        with self._lock(spec.id):
            self._forget_half_woken(files)
            if alive(files):
                if not asleep(files):
                    self._wake(files)
                    return
                self._kill(files)
            known = files.folder.exists()
            try:
                self._check_memory(spec)
                drop_memory(files)
                if not known and self._begin_warm(spec, files):
                    return
                found = self._refresh(spec, files) if known else self._make(spec, files)
                self._launch(found, files)
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
        if process is not None:
            with process:
                if not hard and self._press_power_button(files):
                    process.wait(self._obey_seconds)
                with self._lock(server_id):
                    self._quit(files)
                    process.end(grace=5)
        with self._lock(server_id):
            if not alive(files):
                drop_memory(files)

    def reboot(self, server_id: ServerId, *, hard: bool = False) -> None:
        """Restart the machine from inside; reset it if `hard` or when it does not obey.

        The process lives on through both, and with it the machine's network.
        """
        files = self._layout.machine(server_id)
        if asleep(files) or not alive(files):
            raise not_running()
        self._rebooting.add(server_id)
        try:
            with Monitor(files.monitor) as monitor:
                if not hard and monitor.ask("query-status")["running"]:
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
        if not files.root.exists() and not files.kept.exists():
            raise BootFailed("The machine has no disk here.", code="unknown_machine")
        try:
            if alive(files) and not asleep(files):
                snapshots.copy_running(files, ROOT_NODE, target)
                return
            with self._lock(server_id):  # it must not start while its disk is read
                snapshots.copy_stopped(hardware.read(files), files, target)
        except BaseException:
            target.unlink(missing_ok=True)
            raise

    # -- ending

    def _press_power_button(self, files: MachineFiles) -> bool:
        try:
            with Monitor(files.monitor) as monitor:
                running: bool = monitor.ask("query-status")["running"]
                if running:  # else nobody is there to see the button
                    monitor.ask("system_powerdown")
                return running
        except MonitorError:
            return False

    def _shut_down_inside(self, monitor: Monitor) -> None:
        """Let the guest shut itself down, and hold the process at that point instead of ending it."""
        monitor.ask("set-action", shutdown="pause")
        monitor.ask("system_powerdown")
        with contextlib.suppress(TooSlow):  # it does not obey: it is reset
            monitor.wait_for("SHUTDOWN", timeout=self._obey_seconds)

    def _wake(self, files: MachineFiles) -> None:
        """Let a machine run on that is paused, or was left shut down half-way through a restart."""
        try:
            with Monitor(files.monitor) as monitor:
                status = monitor.ask("query-status")
                if status["status"] == "shutdown":
                    monitor.ask("set-action", shutdown="poweroff")
                    monitor.ask("system_reset")
                if not status["running"]:
                    monitor.ask("cont")
        except MonitorError as error:
            raise BootFailed(
                f"The machine runs but does not answer: {error}", code="not_answering"
            ) from error

    def _sweep(self) -> None:
        """Remove what a process before us left half made or half removed."""
        for folder in (self._layout.directory / "machines").iterdir():
            if folder.suffix in (BUILDING, LEAVING):
                shutil.rmtree(folder, ignore_errors=True)
        self._end_templates()

    # -- looking

    def _state(self, server_id: ServerId) -> MachineState:
        files = self._layout.machine(server_id)
        if asleep(files):
            return MachineState.SUSPENDED
        if not alive(files):
            return MachineState.STOPPED
        _bound(files.console, _CONSOLE_KEPT)
        try:
            with Monitor(files.status_monitor, timeout=2) as monitor:
                status: str = monitor.ask("query-status")["status"]
        except MonitorError:
            # a monitor that is busy or slow says nothing about the processors; the process lives
            return MachineState.RUNNING if alive(files) else MachineState.STOPPED
        if status == "shutdown" and server_id not in self._rebooting:
            return MachineState.STOPPED
        return MachineState.PAUSED if status in _STILL else MachineState.RUNNING


def _bound(log: Path, kept: int) -> None:
    """Give the log's older part back to the file system, in place: QEMU goes on appending to the same file."""
    size, used = log.stat().st_size, log.stat().st_blocks * 512
    if size <= 2 * kept or used <= 2 * kept:
        return
    keep_size_punch_hole = 0x01 | 0x02
    with log.open("rb+") as file:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.fallocate(file.fileno(), keep_size_punch_hole, ctypes.c_long(0), ctypes.c_long(size - kept))
