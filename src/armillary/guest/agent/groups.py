"""Control groups, of both versions: a job's limits, what it used, and all of its processes at once.

The kernel's documents: admin-guide/cgroup-v2 and admin-guide/cgroup-v1/{memory,pids,cgroups}.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from pathlib import Path

from armillary.guest.agent.basics import say

ROOT = Path("/sys/fs/cgroup")
CONTROLLERS = ("cpu", "memory", "pids")


class Group:
    """The control group of one job: a directory (version 2), or one for each controller (version 1)."""

    def __init__(self, *, version: int, directories: dict[str, Path]) -> None:
        self._version = version
        self._directories = directories

    @property
    def entries(self) -> list[str]:
        """Where a process writes its number to come in."""
        return [str(path / "cgroup.procs") for path in dict.fromkeys(self._directories.values())]

    @property
    def counts_memory(self) -> bool:
        """Whether the kernel watches the memory of the job."""
        return "memory" in self._directories

    def limit(self, *, cpus: int, memory_mib: int, pids: int) -> None:
        """Set the job's share: a weight of the processors, and hard bounds of memory and processes."""
        if self._version == 2:
            self._write("cpu", "cpu.weight", max(1, min(10_000, 100 * cpus)))
            self._write("memory", "memory.max", memory_mib << 20)
            self._write("memory", "memory.swap.max", 0)
            self._write("memory", "memory.oom.group", 1)
        else:
            self._write("cpu", "cpu.shares", max(2, min(262_144, 1024 * cpus)))
            self._write("memory", "memory.limit_in_bytes", memory_mib << 20)
            self._write("memory", "memory.memsw.limit_in_bytes", memory_mib << 20)
        self._write("pids", "pids.max", pids)

    def memory_kib(self) -> int | None:
        """Return the memory that the job's processes have together now, without the cache of files, if it is counted."""
        facts = self._facts("memory", "memory.stat")
        names = ("anon", "shmem") if self._version == 2 else ("total_rss", "total_shmem")
        return sum(facts.get(name, 0) for name in names) >> 10 if facts else None

    def peak_memory_kib(self) -> int | None:
        """Return the most memory that was ever counted, with the cache of files, if it was counted."""
        names = (
            ("memory.peak",)
            if self._version == 2
            else ("memory.memsw.max_usage_in_bytes", "memory.max_usage_in_bytes")
        )
        for name in names:
            found = self._read("memory", name).strip()
            if found.isdigit():
                return int(found) >> 10
        return None

    def cpu_seconds(self) -> tuple[float, float] | None:
        """Return (user, system) seconds of all processes that were in it, if they were counted."""
        facts = (
            self._facts("cpu", "cpu.stat") if self._version == 2 else self._facts("cpuacct", "cpuacct.stat")
        )
        if self._version == 2 and "user_usec" in facts:
            return facts["user_usec"] / 1e6, facts.get("system_usec", 0) / 1e6
        if "user" in facts:
            tick = os.sysconf("SC_CLK_TCK")
            return facts["user"] / tick, facts.get("system", 0) / tick
        return None

    def out_of_memory(self) -> bool:
        """Whether the kernel has killed a process of it for want of memory."""
        name = "memory.events" if self._version == 2 else "memory.oom_control"
        return self._facts("memory", name).get("oom_kill", 0) > 0

    def out_of_pids(self) -> bool:
        """Whether a process of it was refused a child."""
        return self._facts("pids", "pids.events").get("max", 0) > 0

    def processes(self) -> list[int]:
        """Return the processes that are in it now."""
        found: set[int] = set()
        for entry in self.entries:
            with contextlib.suppress(OSError):
                found.update(int(line) for line in Path(entry).read_text().split())
        return sorted(found)

    def kill(self) -> None:
        """Kill all that is in it; whoever forks meanwhile is killed in a later round."""
        for _ in range(100):
            left = self.processes()
            if not left:
                return
            for directory in self._directories.values():
                with contextlib.suppress(OSError):
                    (directory / "cgroup.kill").write_text("1")
            for number in left:
                with contextlib.suppress(OSError):
                    os.kill(number, signal.SIGKILL)
            time.sleep(0.01)

    def remove(self) -> None:
        """Take it away. What was killed may need a moment to leave it."""
        for directory in dict.fromkeys(self._directories.values()):
            for _ in range(50):
                try:
                    directory.rmdir()
                except OSError as error:
                    if error.errno == errno.EBUSY:
                        time.sleep(0.01)
                        continue
                break

    def _facts(self, controller: str, name: str) -> dict[str, int]:
        rows = (line.split() for line in self._read(controller, name).splitlines())
        return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}

    def _read(self, controller: str, name: str) -> str:
        directory = self._directories.get(controller)
        try:
            return (directory / name).read_text() if directory else ""
        except OSError:
            return ""

    def _write(self, controller: str, name: str, value: int) -> None:
        if controller in self._directories:
            with contextlib.suppress(OSError):  # a kernel without this one file (swap accounting, oom.group)
                (self._directories[controller] / name).write_text(str(value))


class Groups:
    """Where jobs' control groups are made: below our own."""

    def __init__(self, *, version: int, bases: dict[str, Path]) -> None:
        self._version = version
        self._bases = bases

    @property
    def limits_memory(self) -> bool:
        """Whether memory has a hard bound here."""
        return "memory" in self._bases

    def make(self, key: str) -> Group | None:
        """Return a new group, or None when the machine refuses one."""
        made: dict[str, Path] = {}
        try:
            for controller, base in self._bases.items():
                directory = base / f"job-{key}"
                directory.mkdir(exist_ok=True)
                made[controller] = directory
        except OSError as error:
            say(f"no control group for {key}: {error}")
            Group(version=self._version, directories=made).remove()
            return None
        return Group(version=self._version, directories=made)

    def leftovers(self) -> list[Group]:
        """Return the groups that an earlier agent left."""
        names = {path.name for base in self._bases.values() for path in base.glob("job-*") if path.is_dir()}
        found: list[Group] = []
        for name in sorted(names):
            here = {c: base / name for c, base in self._bases.items() if (base / name).is_dir()}
            found.append(Group(version=self._version, directories=here))
        return found


def find(*, root: Path = ROOT, own: str | None = None) -> Groups | None:
    """Return where we may make groups, or None. `own` has the lines of `/proc/self/cgroup`."""
    try:
        lines = (Path("/proc/self/cgroup").read_text() if own is None else own).splitlines()
    except OSError:
        return None
    paths = {part: line.split(":", 2)[2] for line in lines for part in line.split(":", 2)[1].split(",")}
    if (root / "cgroup.controllers").exists():
        return _second(root / paths.get("", "/").lstrip("/"))
    bases: dict[str, Path] = {}
    for controller in (*CONTROLLERS, "cpuacct"):
        if controller not in paths:
            continue
        for place in (root / controller / paths[controller].lstrip("/"), root / controller):
            if (place / "cgroup.procs").exists() and os.access(place, os.W_OK):
                bases[controller] = place
                break
    return Groups(version=1, bases=bases) if bases else None


def _second(base: Path) -> Groups | None:
    """Prepare our own group of version 2 (`Delegate=yes`) for one child per job."""
    try:
        # Processes and controllers may not stand in one group, so we move a level down first.
        (base / "agent").mkdir(exist_ok=True)
        (base / "agent" / "cgroup.procs").write_text(str(os.getpid()))
        wishes = [" ".join(f"+{c}" for c in CONTROLLERS), *(f"+{c}" for c in CONTROLLERS)]
        for wish in wishes:  # all at once, else those that there are
            with contextlib.suppress(OSError):
                (base / "cgroup.subtree_control").write_text(wish)
                if wish == wishes[0]:
                    break
        granted = (base / "cgroup.subtree_control").read_text().replace("+", " ").split()
    except OSError:
        return None
    # The directory is the same for all; `cpu.stat` is there without the controller too.
    bases = dict.fromkeys(("cpu", *(c for c in CONTROLLERS if c in granted)), base)
    return Groups(version=2, bases=bases)
