"""Machines that stand still: their processors stopped, or their memory on disk and no process at all."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import Any

from armillary.base.ids import ServerId
from armillary.cloud.engines.qemu import disks, hardware
from armillary.cloud.engines.qemu.cards import Card, card
from armillary.cloud.engines.qemu.hardware import Hardware, card_device
from armillary.cloud.engines.qemu.layout import MachineFiles
from armillary.cloud.engines.qemu.process import find
from armillary.cloud.engines.qemu.qmp import GuestAgent, Monitor, MonitorError, Refused, agent_listens
from armillary.cloud.engines.qemu.stand import BUSY_SECONDS, Stand, alive, asleep, devices, not_running
from armillary.cloud.model import MachineSpec
from armillary.cloud.ports import BootFailed

_log = logging.getLogger(__name__)
_MEMORY = "memory"
_NO_LIMIT = 2**40
"""Bytes a second: a migration is throttled for the sake of a network, and there is none here."""
_LOOK_SECONDS = 0.05
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
            _end_migration(monitor)
            monitor.ask("stop")
            found = _as_it_is(hardware.read(files), monitor)
            try:
                hardware.write(found, files)
                _drop_ways_out(monitor, found, files)
                _write_memory(monitor, str(files.memory_draft))
                files.memory_draft.replace(files.memory)
                _sync(str(files.folder))
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
            reading = os.open(files.memory, os.O_RDONLY | os.O_CLOEXEC)
            try:
                monitor.give(reading, name=_MEMORY)
                monitor.ask("migrate-incoming", uri=f"fd:{_MEMORY}")
                _await_migration(monitor)
            finally:
                os.close(reading)
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


def _as_it_is(found: Hardware, monitor: Monitor) -> Hardware:
    """Leave out what is recorded but not there: a plug was killed half-way, or the guest let go too late."""
    there = devices(monitor)
    machine: str = monitor.ask("qom-get", path="/machine", property="type")
    kept = found.without(name for name in found.slots if name not in there)
    return replace(kept, machine_type=machine.removesuffix("-machine"))


def _cards(found: Hardware, files: MachineFiles) -> Iterator[Card]:
    for port in found.spec.ports:
        yield card(port, files, found.slots[card_device(port.id)])


def _drop_ways_out(monitor: Monitor, found: Hardware, files: MachineFiles) -> None:
    """Take the user-mode stacks out of what is saved.

    Connections through them do not outlive the process anyway, and QEMU numbers them in the order of their making:
    after an unplug the numbers would not be those of a new process.
    """
    for each in _cards(found, files):
        for netdev in reversed(each.way_out):
            with contextlib.suppress(Refused):  # gone, in an attempt before this one
                monitor.ask("netdev_del", id=netdev["id"])


def _run_on(monitor: Monitor, found: Hardware, files: MachineFiles) -> None:
    """Undo a suspension that failed."""
    try:
        _end_migration(monitor)
        for each in _cards(found, files):
            for netdev in each.way_out:
                with contextlib.suppress(Refused):  # it was not dropped yet
                    monitor.ask("netdev_add", **netdev)
        monitor.ask("cont")
    except MonitorError as error:
        _log.warning("the machine in %s does not run on after a failed suspension: %s", files.folder, error)


def _write_memory(monitor: Monitor, path: str) -> None:
    writing = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        monitor.ask("migrate-set-parameters", max_bandwidth=_NO_LIMIT)
        monitor.give(writing, name=_MEMORY)
        monitor.ask("migrate", uri=f"fd:{_MEMORY}")
        _await_migration(monitor)
        os.fsync(writing)
    finally:
        os.close(writing)


def _await_migration(monitor: Monitor) -> None:
    while True:
        found: dict[str, Any] = monitor.ask("query-migrate")
        status = found.get("status")
        if status == "completed":
            return
        if status in ("failed", "cancelled"):
            raise MonitorError(str(found.get("error-desc", "the memory could not be copied")))
        time.sleep(_LOOK_SECONDS)


def _end_migration(monitor: Monitor) -> None:
    """End what a process before us may have begun."""
    if monitor.ask("query-migrate").get("status") not in (None, "completed", "failed", "cancelled"):
        monitor.ask("migrate_cancel")
        with contextlib.suppress(MonitorError):
            _await_migration(monitor)


def _sync(folder: str) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
