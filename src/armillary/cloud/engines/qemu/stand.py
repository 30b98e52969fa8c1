"""What every part of the QEMU engine stands on: where machines lie, one lock each, their processes."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Mapping
from typing import Any

from armillary.base.ids import ServerId
from armillary.cloud.engines.qemu import disks
from armillary.cloud.engines.qemu.command import Tuning, command
from armillary.cloud.engines.qemu.hardware import Hardware
from armillary.cloud.engines.qemu.layout import LEAVING, Layout, MachineFiles
from armillary.cloud.engines.qemu.process import Lifeline, find, holder, start
from armillary.cloud.engines.qemu.qmp import Monitor, MonitorError
from armillary.cloud.model import MachineSpec
from armillary.cloud.ports import BootFailed

_START_SECONDS = 60.0
BUSY_SECONDS = 75.0
"""How long another visitor may hold a machine's monitor: for a restart, as long as the guest takes to obey."""


class Stand:
    """The parts' common ground.

    Args:
        layout: where everything lies.
        tuning: accelerator and other ways to run.
        obey_seconds: how long a machine has to obey its power button.
        unplug_seconds: how long a guest has to let go of a device.
        free_memory: how much memory the computer has left, in MiB.
    """

    def __init__(
        self,
        *,
        layout: Layout,
        tuning: Tuning,
        obey_seconds: float,
        unplug_seconds: float,
        free_memory: Callable[[], int],
    ) -> None:
        self._layout = layout
        self._tuning = tuning
        self._obey_seconds = obey_seconds
        self._unplug_seconds = unplug_seconds
        self._free_memory = free_memory
        self._guard = threading.Lock()
        self._locks: dict[ServerId, threading.Lock] = {}

    def _lock(self, server_id: ServerId) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(server_id, threading.Lock())

    def _check_memory(self, spec: MachineSpec) -> None:
        free, needed = self._free_memory(), spec.ram + self._tuning.overhead
        if free < needed:
            raise BootFailed(
                f"The computer has {free} MiB of memory free, and the machine needs {needed} MiB.",
                code="no_memory",
                remedy="Stop another machine, or choose a smaller flavor.",
                facts={"free_mib": free, "needed_mib": needed},
            )

    def _launch(
        self, hardware: Hardware, files: MachineFiles, *, incoming: bool = False, calm: bool = False
    ) -> None:
        """Start the machine's process; return when its processors run, or when it waits for a memory.

        A `calm` one takes the processor time that others leave.
        """
        files.runtime.mkdir(mode=0o700, exist_ok=True)
        files.pidfile.unlink(missing_ok=True)
        words = command(hardware, files, self._tuning, incoming=incoming)
        lifeline = start(["chrt", "--idle", "0", *words] if calm else words, log=files.log)
        try:
            _await_status(files, lifeline, wanted="inmigrate" if incoming else "running")
        finally:
            lifeline.close()

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
        """Remove all files of a machine whose process has ended."""
        leaving = files.folder.with_name(files.folder.name + LEAVING)
        if files.folder.exists():
            shutil.rmtree(leaving, ignore_errors=True)
            files.folder.rename(leaving)
        shutil.rmtree(leaving, ignore_errors=True)
        shutil.rmtree(files.runtime, ignore_errors=True)


def _await_status(files: MachineFiles, lifeline: Lifeline, *, wanted: str) -> None:
    waited, pause = 0.0, 0.02
    while not lifeline.ended(within=pause):
        waited += pause
        try:
            with Monitor(files.monitor) as monitor:
                if monitor.ask("query-status")["status"] == wanted:
                    return
        except MonitorError:
            if waited > _START_SECONDS:
                raise BootFailed("QEMU did not come up in time.", code="too_slow") from None
    raise disks.explain(files.log.read_text(encoding="utf-8", errors="replace"))


def alive(files: MachineFiles) -> bool:
    """Return whether a process has the machine: one that runs, is paused, or is on its way into or out of sleep."""
    return holder(files.pidfile) is not None


def asleep(files: MachineFiles) -> bool:
    """Return whether the machine is suspended: its memory is on disk, whatever its process does yet."""
    return files.memory.exists()


def drop_memory(files: MachineFiles) -> None:
    """Remove a memory that nobody shall go on from."""
    for path in (files.memory, files.spent_memory, files.memory_draft):
        path.unlink(missing_ok=True)


def devices(monitor: Monitor) -> frozenset[str]:
    """Return the names of the devices that were given names: cards and disks."""
    found: list[Mapping[str, Any]] = monitor.ask("qom-list", path="/machine/peripheral")
    return frozenset(each["name"] for each in found if each["type"].startswith("child<"))


def not_running(words: str = "The machine does not run.") -> BootFailed:
    """Return the refusal of what only a running machine can do."""
    return BootFailed(words, code="not_running", remedy="Start it first.")
