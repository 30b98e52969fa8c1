"""Talk with QEMU's monitor (QMP) and with the agent inside the guest (QGA): one question, one answer, by line.

Ours are short visits from any thread (connect, ask, leave). `qemu.qmp` is asyncio through and through, its
synchronous wrapper makes an event loop for each connection, and it does not speak to guest agents (no greeting,
`guest-sync-delimited`); this small client serves both.
"""

from __future__ import annotations

import json
import secrets
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

_MAX_LINE = 16 * 2**20


class MonitorError(Exception):
    """The other end is away, too slow, or refuses."""


class TooSlow(MonitorError):
    """No answer came in time; the command may be done yet."""


class Refused(MonitorError):
    """The command was understood and not done."""


class _Line:
    """A connection on which each message is a line of JSON."""

    def __init__(self, path: Path, *, timeout: float) -> None:
        self._timeout = timeout
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._buffer = bytearray()
        try:
            self._socket.settimeout(timeout)
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise MonitorError(f"nobody answers at {path}: {error}") from error

    def close(self) -> None:
        self._socket.close()

    def send(self, message: dict[str, Any], *, prefix: bytes = b"", descriptors: Sequence[int] = ()) -> None:
        line = prefix + json.dumps(message).encode() + b"\n"
        try:
            if descriptors:  # they travel with the first byte, and so short a line is taken whole
                socket.send_fds(self._socket, [line], list(descriptors))
            else:
                self._socket.sendall(line)
        except OSError as error:
            raise MonitorError(f"cannot send: {error}") from error

    def receive(
        self, wanted: Callable[[dict[str, Any]], bool], *, timeout: float | None = None
    ) -> dict[str, Any]:
        """Return the first message that is wanted; others (events, late answers) are dropped."""
        deadline = time.monotonic() + (self._timeout if timeout is None else timeout)
        while True:
            end = self._buffer.find(b"\n")
            if end < 0:
                self._fill(deadline)
                continue
            line = bytes(self._buffer[:end]).rpartition(b"\xff")[2].strip()
            del self._buffer[: end + 1]
            try:
                message = json.loads(line) if line else None
            except ValueError:
                continue  # the rest of an answer to a client before us; guest-sync-delimited foresees it
            if isinstance(message, dict) and wanted(cast("dict[str, Any]", message)):
                return cast("dict[str, Any]", message)

    def _fill(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TooSlow("no answer in time")
        self._socket.settimeout(left)
        try:
            piece = self._socket.recv(65536)
        except TimeoutError as error:
            raise TooSlow("no answer in time") from error
        except OSError as error:
            raise MonitorError(f"no answer: {error}") from error
        if not piece:
            raise MonitorError("the other end hung up")
        self._buffer += piece
        if len(self._buffer) > _MAX_LINE:
            raise MonitorError("an answer without end")


def _message(command: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"execute": command}
    if arguments:
        message["arguments"] = {name.replace("_", "-"): value for name, value in arguments.items()}
    return message


class Monitor:
    """A visit to QEMU's monitor. Use as a context manager; not for several threads at once.

    Raises:
        MonitorError: QEMU is away, busy with another visitor for longer than `timeout` seconds, or refuses.
    """

    def __init__(self, path: Path, *, timeout: float = 10) -> None:
        self._line = _Line(path, timeout=timeout)
        try:
            self._line.receive(lambda message: "QMP" in message)
            self.ask("qmp_capabilities")
        except MonitorError:
            self._line.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.close()

    def ask(self, command: str, *, timeout: float | None = None, **arguments: Any) -> Any:
        """Run a command and return what it returns. Argument names have `_` for QMP's `-`."""
        self._line.send(_message(command, arguments))
        return self._answer(timeout)

    def give(self, descriptor: int, *, name: str) -> None:
        """Give QEMU an open file, which it knows by that name from now on."""
        self._line.send(_message("getfd", {"fdname": name}), descriptors=[descriptor])
        self._answer(None)

    def _answer(self, timeout: float | None) -> Any:
        answer = self._line.receive(lambda got: "return" in got or "error" in got, timeout=timeout)
        if "error" in answer:
            raise Refused(str(answer["error"].get("desc", "refused")))
        return answer["return"]

    def human(self, command_line: str) -> str:
        """Run a command of the human monitor and return what it prints."""
        printed: str = self.ask("human-monitor-command", command_line=command_line)
        return printed

    def wait_for(self, *events: str, timeout: float, device: str | None = None) -> str:
        """Return the name of the first of the named events that comes, of that device if one is given."""

        def wanted(message: dict[str, Any]) -> bool:
            about = message.get("data", {}).get("device")
            return message.get("event") in events and device in (None, about)

        got: str = self._line.receive(wanted, timeout=timeout)["event"]
        return got


def agent_listens(monitor: Monitor) -> bool:
    """Return whether an agent in the guest has opened the port to us."""
    return any(
        device["label"] == "agent" and device["frontend-open"] for device in monitor.ask("query-chardev")
    )


class GuestAgent:
    """A visit to the agent inside a guest. Use as a context manager.

    Raises:
        MonitorError: no agent answers within `timeout` seconds, or it refuses.
    """

    def __init__(self, path: Path, *, timeout: float = 2) -> None:
        self._line = _Line(path, timeout=timeout)
        number = secrets.randbelow(2**31)
        try:
            # the 0xFF makes the agent forget half a command that a visitor before us may have left (QGA protocol)
            self._line.send({"execute": "guest-sync-delimited", "arguments": {"id": number}}, prefix=b"\xff")
            self._line.receive(lambda message: message.get("return") == number)
        except MonitorError:
            self._line.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave; a second time does nothing."""
        self._line.close()

    def ask(self, command: str, *, timeout: float | None = None, **arguments: Any) -> Any:
        """Run a command and return what it returns. Argument names have `_` for `-`."""
        self._line.send(_message(command, arguments))
        answer = self._line.receive(lambda got: "return" in got or "error" in got, timeout=timeout)
        if "error" in answer:
            raise Refused(str(answer["error"].get("desc", "refused")))
        return answer["return"]
