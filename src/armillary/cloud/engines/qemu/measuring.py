"""What a machine uses: processor time and memory from the kernel, disks from QEMU."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from armillary.base.ids import ServerId
from armillary.base.units import MiB
from armillary.cloud.engines.qemu.process import holder
from armillary.cloud.engines.qemu.qmp import Monitor, MonitorError
from armillary.cloud.engines.qemu.stand import Stand, asleep
from armillary.cloud.model import DiskUse, MachineUse

_UTIME, _STIME = 11, 12
"""Fields 14 and 15 of `/proc/PID/task/TID/stat` (proc_pid_stat(5)), counted from behind the program's name."""


class QemuMeasuring(Stand):
    """The `Measures` port on QEMU processes."""

    def measure(self, server_id: ServerId) -> MachineUse | None:
        """What a running machine has used; None if it does not run."""
        files = self._layout.machine(server_id)
        process = holder(files.pidfile)
        if process is None or asleep(files):
            return None
        try:
            with Monitor(files.status_monitor, timeout=2) as monitor:
                threads = [int(each["thread-id"]) for each in monitor.ask("query-cpus-fast")]
                disks = disks_of(monitor.ask("query-blockstats"))
        except MonitorError:
            return None  # it ends, or another visitor holds the monitor for a moment
        return MachineUse(
            cpu_nanoseconds=tuple(_time_of(process, thread) for thread in threads),
            memory=memory_of(Path(f"/proc/{process}/status")),
            disks=disks,
        )


def disks_of(told: Sequence[dict[str, Any]]) -> tuple[DiskUse, ...]:
    """Read QEMU's `query-blockstats`: the disks that the guest has, and not the files behind them."""
    return tuple(
        DiskUse(
            read_bytes=int(each["stats"]["rd_bytes"]),
            reads=int(each["stats"]["rd_operations"]),
            written_bytes=int(each["stats"]["wr_bytes"]),
            writes=int(each["stats"]["wr_operations"]),
        )
        for each in told
        if each.get("qdev")
    )


def memory_of(status: Path) -> MiB | None:
    """Return what the computer holds for a process (`VmRSS` of proc_pid_status(5)); None if it is gone."""
    try:
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmRSS:"):
                return MiB(int(line.split()[1]) // 1024)
    except OSError:
        return None
    return None


def _time_of(process: int, thread: int) -> int:
    """Processor time of a thread in nanoseconds; 0 once it is gone."""
    try:
        line = Path(f"/proc/{process}/task/{thread}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    # the program's name stands in brackets and may hold blanks and brackets itself
    fields = line.rpartition(")")[2].split()
    ticks = int(fields[_UTIME]) + int(fields[_STIME])
    return ticks * 1_000_000_000 // os.sysconf("SC_CLK_TCK")
