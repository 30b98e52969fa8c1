"""Processes that outlive us: started on their own, found again by the lock on their pidfile.

The lock, not the number in the file, says that the process lives and who it is, so a pid that the system has
given to somebody else is never touched.
"""

from __future__ import annotations

import fcntl
import math
import os
import select
import signal
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

_FLOCK = "hhqqi4x"
"""`struct flock` on 64-bit Linux: type, whence, start, length, pid."""


def holder(pidfile: Path) -> int | None:
    """Return the pid of the process that holds the pidfile's lock, or None when nobody does."""
    try:
        with pidfile.open("rb+") as file:
            asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, asked))
    except OSError:
        return None
    return pid if kind != fcntl.F_UNLCK and pid > 0 else None


class Handle:
    """A hold on the one process that owned the pidfile when this was made; never on a later one with its pid."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

    def wait(self, seconds: float) -> bool:
        """Return whether the process has ended within `seconds`."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        return bool(poll.poll(int(seconds * 1000)))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; a process that has ended is fine."""
        try:
            signal.pidfd_send_signal(self._fd, number)
        except ProcessLookupError:
            return

    def end(self, *, grace: float) -> None:
        """Ask the process to end, wait `grace` seconds, then kill it. After return it is gone."""
        if self.wait(0):
            return
        self.signal(signal.SIGTERM)
        if not self.wait(grace):
            self.signal(signal.SIGKILL)
            self.wait(10)


def find(pidfile: Path) -> Handle | None:
    """Return a handle on the process that holds the pidfile, or None when nobody does."""
    pid = holder(pidfile)
    if pid is None:
        return None
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    if holder(pidfile) != pid:  # it ended, and its pid may be another's, between the two looks
        os.close(fd)
        return None
    return Handle(fd)


def readable(fd: int, *, within: float) -> bool:
    """Return whether there is something to read, or the other end is gone, waiting at most `within` seconds.

    By poll: select takes no descriptor beyond 1023, and a large cloud has more.
    """
    watch = select.poll()
    watch.register(fd, select.POLLIN)
    return bool(watch.poll(math.ceil(within * 1000)))


class Lifeline:
    """Tells whether a process that we started has ended, without being its parent: a pipe that it holds open."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def ended(self, *, within: float) -> bool:
        """Return whether the process has ended, waiting at most `within` seconds for it."""
        return readable(self._fd, within=within)

    def close(self) -> None:
        """Let go; the process is not disturbed."""
        os.close(self._fd)


def start(command: Sequence[str], *, log: Path) -> Lifeline:
    """Start a process in a session of its own, child of nobody here; what it prints goes to `log`.

    (QEMU's `-daemonize` would do as much, but it forks and calls setsid, which QEMU's own sandbox then forbids.)
    """
    reading, writing = os.pipe()
    try:
        with log.open("wb") as out:
            subprocess.run(
                ["setsid", "--fork", *command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                pass_fds=[writing],
                check=True,
            )
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    return Lifeline(reading)
