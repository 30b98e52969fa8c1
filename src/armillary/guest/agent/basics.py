"""What all rooms of the agent share: time, words, reasons, small files."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

VERSION = "2"
FENCE = 0.8
"""The part of a lease after which a job without a renewal is ended."""
CHUNK = 1 << 18
MAX_REASON = 2000
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

Json = dict[str, Any]


def now() -> float:
    """Return seconds that only go forward, also through a suspended machine."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def say(message: str) -> None:
    """Write one line to the journal."""
    sys.stderr.write(f"armillary-agent: {message}\n")
    sys.stderr.flush()


class Unreachable(Exception):
    """No answer, or one that says to come back later."""


class Refused(Exception):
    """The platform said no."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code


class Fault(Exception):
    """Why a job could not be run or its results be brought back. `retry`: the job itself is not to blame."""

    def __init__(self, code: str, message: str, *, retry: bool) -> None:
        super().__init__(message)
        self.record: Json = {"code": code, "message": message[:MAX_REASON], "retry": retry}


def fault_of(error: OSError) -> Fault:
    """Name what the machine ran out of, or what no machine could do."""
    if error.errno in (errno.E2BIG, errno.ENAMETOOLONG):
        return Fault("job_invalid", f"the job cannot be started as it is: {error}", retry=False)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Fault("disk_full", f"the worker's disk is full: {error}", retry=True)
    return Fault("worker_fault", f"the worker could not go on: {error}", retry=True)


def write_private(path: Path, text: str, *, durable: bool = True) -> None:
    """Replace `path` whole, readable by us alone; `durable`: see it onto the disk."""
    new = path.with_name(path.name + ".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    new.replace(path)


def hardware() -> dict[str, str]:
    """Return what results may depend on besides the image: the processors' model and the running kernel."""
    names = os.uname()
    found = {"kernel": f"{names.release} {names.version}", "architecture": names.machine}
    with contextlib.suppress(OSError):
        model = re.search(
            r"^(?:model name|Model|cpu model)\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE
        )
        if model:
            found["cpu_model"] = model[1].strip()
    return {name: value[:255] for name, value in found.items()}


def figure(number: float) -> str:
    """Return a whole number with marks between thousands, as people read it."""
    return f"{round(number):,}"
