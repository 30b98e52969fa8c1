"""The second serial port of a template: it says there that it waits, and is told there to become somebody."""

from __future__ import annotations

import secrets
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from armillary.cloud.engines.qemu.process import readable
from armillary.cloud.engines.qemu.qmp import MonitorError

WAITING, AWAKE, FAILED = "waiting", "awake", "failed"
_ENTROPY = 64
_AGAIN_SECONDS = 3.0
_LONGEST = 4096


class Unwilling(Exception):
    """The guest says that it cannot become what it was told to be."""


class Waker:
    """A visit to that port. Use as a context manager.

    Raises:
        MonitorError: nobody listens there, or the machine ended.
    """

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._heard = bytearray()
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise MonitorError(f"nobody answers at {path}: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def hear(self, *, within: float) -> str:
        """Return the next line, empty if none comes in time."""
        deadline = time.monotonic() + within
        while b"\n" not in self._heard:
            left = deadline - time.monotonic()
            if left <= 0 or not readable(self._socket.fileno(), within=left):
                return ""
            piece = self._socket.recv(_LONGEST)
            if not piece:
                raise MonitorError("the machine ended")
            self._heard += piece
            if len(self._heard) > _LONGEST:  # no line of ours: something else talks there
                self._heard.clear()
        line, _, self._heard = self._heard.partition(b"\n")
        return line.decode("ascii", "replace").strip("\r\0 ")

    def wake(self, *, within: float) -> None:
        """Tell the guest the time, give it random bytes, and wait until it is who its config drive says.

        Raises:
            Unwilling: it says that it cannot be.
            MonitorError: it says nothing in time.
        """
        deadline, told, line = time.monotonic() + within, float("-inf"), WAITING
        while (now := time.monotonic()) < deadline:
            if line == WAITING and now - told >= _AGAIN_SECONDS:
                self._say(f"wake {time.time():.6f} {secrets.token_hex(_ENTROPY)}")
                told = now
            line = self.hear(within=deadline - now)
            if line == AWAKE:
                return
            if line.startswith(FAILED):
                raise Unwilling(line.removeprefix(FAILED).strip())
        raise MonitorError(f"the guest is not awake after {within:.0f} s")

    def _say(self, line: str) -> None:
        try:
            self._socket.sendall(line.encode("ascii") + b"\n")
        except OSError as error:
            raise MonitorError(f"the machine ended: {error}") from error
