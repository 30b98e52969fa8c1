"""The processes of a job, found where no control group and no user of its own holds them together."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

MARK = "_CONDOR_SCRATCH_DIR"


def _of(scratch: Path | None, uid: int | None) -> Iterator[Path]:
    """Yield `/proc` entries of what was started for `scratch`, whatever group or session it moved to, or runs as `uid`."""
    marker = f"{MARK}={scratch}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(entry.name) == os.getpid():
                continue
            if uid is not None:
                if entry.stat().st_uid == uid:
                    yield entry
            elif marker in (entry / "environ").read_bytes().split(b"\0"):
                yield entry


def kill_stragglers(scratch: Path) -> None:
    """Kill every process that was started for `scratch`."""
    for _ in range(5):
        found = False
        for entry in _of(scratch, None):
            with contextlib.suppress(OSError):
                os.kill(int(entry.name), signal.SIGKILL)
                found = True
        if not found:
            return
        time.sleep(0.05)


def kill_user(uid: int) -> None:
    """Kill every process of a user, from a process of that user's: nobody can fork away from it."""
    command = ["/bin/sh", "-c", "kill -9 -1"]
    with contextlib.suppress(OSError):
        subprocess.run(
            command, user=uid, group=uid, extra_groups=[], cwd="/", capture_output=True, check=False
        )


def memory_kib(scratch: Path, uid: int | None, *, exactly: bool) -> int:
    """Return what the processes have in memory. `exactly`: a page that several share counts once, which costs more."""
    total = 0
    for entry in _of(scratch, uid):
        with contextlib.suppress(OSError, ValueError, IndexError):
            if exactly:
                lines = (entry / "smaps_rollup").read_text().splitlines()
                total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
            else:
                pages = int((entry / "statm").read_text().split()[1])
                total += pages * os.sysconf("SC_PAGE_SIZE") >> 10
    return total


def kill_users(first: int, last: int) -> None:
    """Kill what runs as any user with a number in this range."""
    found: set[int] = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found.add(entry.stat().st_uid)
    for uid in found:
        if first <= uid <= last:
            kill_user(uid)
