"""Machines that stand still: their processors stopped, or their memory on disk and no process at all."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Generator

from armillary.base.ids import ServerId
from armillary.cloud.engines.qemu import disks, hardware
from armillary.cloud.engines.qemu.cards import cards_of
from armillary.cloud.engines.qemu.hardware import Hardware
from armillary.cloud.engines.qemu.layout import MachineFiles
from armillary.cloud.engines.qemu.memory import (
    as_it_is,
    drop_ways_out,
    end_migration,
    read_memory,
    sync_folder,
    write_memory,
)
from armillary.cloud.engines.qemu.process import find
from armillary.cloud.engines.qemu.qmp import GuestAgent, Monitor, MonitorError, Refused, agent_listens
from armillary.cloud.engines.qemu.stand import BUSY_SECONDS, Stand, alive, asleep, not_running
from armillary.cloud.model import MachineSpec
from armillary.cloud.ports import BootFailed

_log = logging.getLogger(__name__)
_CLOCK_SECONDS = 10.0


class QemuSleep(Stand):
    """The `Sleep` port."""

    def pause(self, server_id: ServerId) -> None:
        """Stop the machine's processors."""
        files = self._layout.machine(server_id)
        with self._lock(server_id), _visit(files, "paused") as monitor:
            monitor.ask("stop")

    def unpause(self, server_id: ServerId) -> None:
        """Let the machine's processors turn again, with the guest's clock set where its agent answers."""
        files = self._layout.machine(server_id)
        with self._lock(server_id):
            with _visit(files, "unpaused") as monitor:
                monitor.ask("cont")
            set_clock(files)

    def suspend(self, server_id: ServerId) -> None:
        """Write the machine's memory to disk and end its process."""
        files = self._layout.machine(server_id)
        with self._lock(server_id):
            process = find(files.pidfile)
            if process is None:
                if not asleep(files):
                    raise not_running()
                return
            with process:
                if not asleep(files):
                    self._save(files)
                self._quit(files)
                process.end(grace=5)

    def resume(self, spec: MachineSpec) -> None:
        """Go on from the memory on disk."""
        files = self._layout.machine(spec.id)
        with self._lock(spec.id):
            if asleep(files):
                self._check_memory(spec)
                self._kill(files)  # one that was killed with its platform half-way in or out of sleep
                try:
                    self._go_on(hardware.read(files).where(spec), files)
                except BaseException as error:
                    self._kill(files)
                    if files.spent_memory.exists():
                        files.spent_memory.replace(files.memory)
                    if isinstance(error, MonitorError):  # QEMU ends when it cannot take the memory
                        raise disks.explain(files.log.read_text(errors="replace") or str(error)) from error
                    raise
            with _visit(files, "resumed") as monitor:
                monitor.ask("cont")
            files.spent_memory.unlink(missing_ok=True)
            set_clock(files)

    # -- into sleep

    def _save(self, files: MachineFiles) -> None:
        with _visit(files, "suspended") as monitor:
            end_migration(monitor)
            monitor.ask("stop")
            found = as_it_is(hardware.read(files), monitor)
            try:
                hardware.write(found, files)
                drop_ways_out(monitor, found, files)
                write_memory(monitor, files.memory_draft)
                files.memory_draft.replace(files.memory)
                sync_folder(files.folder)
            except (MonitorError, OSError, BootFailed) as error:
                files.memory_draft.unlink(missing_ok=True)
                _run_on(monitor, found, files)
                if isinstance(error, OSError):
                    raise disks.explain(str(error)) from error
                raise

    # -- out of sleep

    def _go_on(self, found: Hardware, files: MachineFiles) -> None:
        """Start a process that holds the machine's memory; from the end of this call its processors may turn."""
        self._launch(found, files, incoming=True)
        with Monitor(files.monitor, timeout=BUSY_SECONDS) as monitor:
            read_memory(monitor, files.memory)
        # Once the guest writes to its disks, this memory must never be gone on from again, whatever is killed when.
        files.memory.replace(files.spent_memory)


def set_clock(files: MachineFiles) -> None:
    """Set the guest's clock to this computer's, if its agent answers; else time servers must set it."""
    try:
        with Monitor(files.monitor, timeout=BUSY_SECONDS) as monitor:
            if not agent_listens(monitor):
                return
        with GuestAgent(files.agent, timeout=_CLOCK_SECONDS) as guest:
            guest.ask("guest-set-time", timeout=_CLOCK_SECONDS, time=time.time_ns())
    except MonitorError as error:
        _log.warning("the clock of the machine in %s is not set: %s", files.folder, error)


@contextlib.contextmanager
def _visit(files: MachineFiles, done: str) -> Generator[Monitor]:
    """Visit the monitor of a machine that is awake; what goes wrong says that the machine cannot be `done`."""
    if asleep(files) or not alive(files):
        raise not_running()
    try:
        with Monitor(files.monitor, timeout=BUSY_SECONDS) as monitor:
            if monitor.ask("query-status")["status"] == "shutdown":
                raise not_running()
            yield monitor
    except MonitorError as error:
        raise _failed(done, error) from error


def _failed(done: str, error: MonitorError) -> BootFailed:
    found = disks.explain(str(error))
    if found.code != BootFailed.code:
        return found
    return BootFailed(f"The machine cannot be {done}: {error}", facts={"said": str(error)})


def _run_on(monitor: Monitor, found: Hardware, files: MachineFiles) -> None:
    """Undo a suspension that failed."""
    try:
        end_migration(monitor)
        for each in cards_of(found, files):
            for netdev in each.way_out:
                with contextlib.suppress(Refused):  # it was not dropped yet
                    monitor.ask("netdev_add", **netdev)
        monitor.ask("cont")
    except MonitorError as error:
        _log.warning("the machine in %s does not run on after a failed suspension: %s", files.folder, error)
