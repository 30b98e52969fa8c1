"""Watches what a job uses, and says when that is more than it may."""

from __future__ import annotations

from pathlib import Path

from armillary.guest.agent import processes
from armillary.guest.agent.basics import Fault, Json, figure, now
from armillary.guest.agent.groups import Group
from armillary.guest.agent.outputs import disk_kib

LOOK = 1.0
"""Seconds between looks at memory, and between looks at the disk when those are quick."""
PART = 20
"""A look at the disk may take one part in so many of the time."""


class Limits:
    """One job's bounds, its peaks, and the kernel's or our own account of them."""

    def __init__(
        self, *, spec: Json, base: Path, work: Path, uid: int | None, group: Group | None, pids: int
    ) -> None:
        self._memory_mib = int(spec.get("request_memory_mib") or 0)
        self._disk_kib = int(spec.get("request_disk_kib") or 0)
        self._seconds = float(spec.get("allowed_execute_seconds") or 0)
        self._pids = pids
        self._base, self._work, self._uid = base, work, uid
        self._group = group
        self._watched = group is None or not group.counts_memory
        self._started = now()
        self._memory_at = self._disk_at = self._started + LOOK
        self._peak_memory_kib = 0
        self._peak_disk_kib = 0

    def look(self) -> Fault | None:
        """Return why the job has to end, if it does. Call it about twice a second."""
        moment = now()
        if self._seconds and moment - self._started > self._seconds:
            ran = f"{figure(moment - self._started)} s of {figure(self._seconds)} s"
            return Fault("time_exceeded", f"the job ran for {ran} that it may execute", retry=False)
        if moment >= self._memory_at:
            self._memory_at = moment + LOOK
            fault = self._memory()
            if fault:
                return fault
        if moment >= self._disk_at:
            fault = self._disk()
            self._disk_at = moment + max(LOOK, PART * (now() - moment))
            return fault
        return None

    def _memory(self) -> Fault | None:
        used = self._group.memory_kib() if self._group and not self._watched else None
        if used is None:
            used = processes.memory_kib(self._work, self._uid, exactly=False)
            if self._watched and self._memory_mib and used > self._memory_mib << 10:
                used = processes.memory_kib(self._work, self._uid, exactly=True)
        self._peak_memory_kib = max(self._peak_memory_kib, used)
        if self._watched and self._memory_mib and used > self._memory_mib << 10:
            return self._too_much_memory(used)
        return None

    def _too_much_memory(self, used_kib: float) -> Fault:
        used = max(used_kib / 1024, self._memory_mib)
        return Fault(
            "memory_exceeded",
            f"used {figure(used)} MiB of {figure(self._memory_mib)} MiB of memory",
            retry=False,
        )

    def _disk(self) -> Fault | None:
        used = disk_kib(self._base)
        self._peak_disk_kib = max(self._peak_disk_kib, used)
        if self._disk_kib and used > self._disk_kib:
            unit, name = (1, "KiB") if self._disk_kib < 10 << 10 else (1024, "MiB")
            figures = (
                f"used {figure(-(-used // unit))} {name} of {figure(self._disk_kib / unit)} {name} of disk"
            )
            return Fault("disk_exceeded", figures, retry=False)
        return None

    def after(self, status: int) -> Fault | None:
        """Return what the program ran out of, as far as the kernel tells after its end; what it did with less is kept."""
        self._disk()
        if self._group and self._memory_mib and self._group.out_of_memory():
            peak = self._group.peak_memory_kib() or 0
            self._peak_memory_kib = max(self._peak_memory_kib, peak)
            return self._too_much_memory(peak)
        if status and self._group and self._group.out_of_pids():
            return Fault("pids_exceeded", f"used {self._pids} of {self._pids} processes", retry=False)
        return None

    def usage(self, end: Json) -> Json:
        """Return what the job used; `end` is what the keeper said of its program."""
        counted = self._group.cpu_seconds() if self._group else None
        # Group accounts come by the tick of a clock; the program's own, and that of children it waited for, is finer.
        user, system = counted or (0.0, 0.0)
        peak = max(self._peak_memory_kib, int(end["max_rss_kib"]))
        if not peak and self._group:  # too short and too small to have been seen
            peak = self._group.peak_memory_kib() or 0
        return {
            "wall_seconds": round(now() - self._started, 3),
            "user_seconds": round(max(user, end["user"]), 3),
            "system_seconds": round(max(system, end["system"]), 3),
            "max_rss_kib": peak,
            "disk_kib": self._peak_disk_kib,
        }
