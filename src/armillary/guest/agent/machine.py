"""What this machine has, and what it is."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from pathlib import Path

from armillary.guest.agent import groups, launch, privacy
from armillary.guest.agent.basics import Json, hardware, say
from armillary.guest.agent.slots import Slots

_LOCAL = ("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs")


class Machine:
    """The machine as jobs share it: processors, memory, scratch disk, users, control groups."""

    def __init__(self, *, config: Json) -> None:
        # `users: false` keeps the agent's hands off a machine that is not its own (tests, a shared host)
        self.root = os.geteuid() == 0 and bool(config.get("users", True))
        self.scratch = Path(config.get("scratch_dir") or pick_scratch())
        self.scratch.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):
            self.scratch.chmod(0o711)
        self.cpus = int(config.get("cpus") or os.cpu_count() or 1)
        self.memory_mib = int(config.get("memory_mib") or memory_mib())
        free = shutil.disk_usage(self.scratch).free // 1024
        self.disk_kib = min(int(config.get("disk_kib") or free), free)
        self.gpus = int(config.get("gpus") or len(list(Path("/proc/driver/nvidia/gpus").glob("*"))))
        self.pids = int(config.get("pids_per_job") or 4096)
        self.groups = groups.find() if self.root else None
        self.slots = Slots() if self.root else None
        self.private = self.root and launch.may_mount()
        self.hardware = hardware()
        self.notes = self._notes()
        for note in self.notes:
            say(note)

    def _notes(self) -> list[str]:
        """Say in words what this machine cannot do for jobs."""
        notes: list[str] = []
        if not self.root:
            notes.append("not root: jobs run as this user and share its files")
        elif not self.private:
            notes.append("no mount namespaces here: jobs share /tmp")
        if not (self.groups and self.groups.limits_memory):
            notes.append("no control group of memory here: memory is watched once a second")
        return notes

    def views(self, temporary: Path) -> Json:
        """Return what a job sees in place of the machine's directories; `temporary` becomes its `/tmp`."""
        if not self.private:
            return {"private": False}
        shared = ["/tmp", "/var/tmp"]  # noqa: S108 - they are what is replaced
        places = [place for place in shared if os.path.isdir(place)]  # noqa: PTH112
        inside = any(Path(place) in temporary.resolve().parents for place in places)
        return {
            "private": True,
            "binds": [] if inside else [[str(temporary), place] for place in places],
            "hidden": privacy.hidden_here(),
            "fresh": ["/dev/shm"] if os.path.isdir("/dev/shm") else [],  # noqa: S108, PTH112
        }


def pick_scratch(mounts: str | None = None) -> str:
    """Return a directory on the ephemeral disk, or the largest other local disk that is mounted, else on the root disk."""
    text = Path("/proc/self/mounts").read_text() if mounts is None else mounts
    found: list[tuple[bool, int, str]] = []
    for line in text.splitlines():
        device, place, kind, options = line.split()[:4]
        apart = place != "/" and not place.startswith(
            ("/boot", "/etc", "/usr", "/var", "/home", "/proc", "/sys")
        )
        if not device.startswith("/dev/") or kind not in _LOCAL or not apart or options.split(",")[0] != "rw":
            continue
        with contextlib.suppress(OSError):
            found.append((device.startswith("/dev/vdb"), shutil.disk_usage(place).free, place))
    return f"{max(found)[2]}/scratch" if found else "/var/lib/armillary/scratch"


def memory_mib() -> int:
    """Return the machine's memory, rounded up to 128 MiB: the kernel keeps some of it for itself."""
    return -(-(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")) // (128 << 20)) * 128


def instance_id() -> str:
    """Return the identifier that the cloud gave this machine, or nothing."""
    with contextlib.suppress(OSError):
        text = Path("/var/lib/cloud/data/instance-id").read_text().strip()
        if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text):
            return text
    return ""
