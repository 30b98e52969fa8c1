"""Calls into running jobs: somebody's shell or command in a job's scratch, as its user, within its limits.

The platform cannot connect to a worker, so it is asked for calls in a long poll, and each is answered over a WebSocket of its
own. A message is one byte that says what it is, and the rest.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import signal
import struct
import termios
import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from armillary.guest.agent.basics import Fault, Json, Refused, Unreachable, say
from armillary.guest.agent.keeping import Program
from armillary.guest.agent.websocket import WebSocket, connect

if TYPE_CHECKING:
    from armillary.guest.agent.job import Job
    from armillary.guest.agent.worker import Worker

STDIN, STDOUT, STDERR, WINDOW, EXIT, ERROR, END_OF_STDIN = range(7)
PIECE = 32 << 10
AT_ONCE = 16
"""Calls into one worker at a time."""
HANGUP_GRACE = 2.0


class Calls:
    """Listens for calls and answers them, each in threads of its own."""

    def __init__(self, *, worker: Worker) -> None:
        self._worker = worker
        self._room = threading.Semaphore(AT_ONCE)

    def listen(self) -> None:
        """Begin, in a thread."""
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        worker = self._worker
        pause = worker.retry_seconds
        while not worker.abandon.is_set():
            try:
                answer = worker.server.call("calls", {}, timeout=60)
            except Unreachable:
                worker.abandon.wait(pause)
                pause = min(30.0, pause * 2)
                continue
            except Refused as refused:
                if refused.status == 404:
                    return  # a platform that knows no calls
                worker.refused(refused, None)
                worker.abandon.wait(pause)
                pause = min(30.0, pause * 2)
                continue
            pause = worker.retry_seconds
            if answer.get("renew"):
                worker.renew_now()
            for call in answer.get("calls") or ():
                threading.Thread(target=self._answer, args=(call,), daemon=True).start()

    def _answer(self, call: Json) -> None:
        try:
            socket = connect(self._worker.server, f"calls/{call['call']}")
        except (Refused, Unreachable) as error:
            say(f"a call into job {call.get('job')} is lost: {error}")
            return
        try:
            with contextlib.suppress(OSError):
                if not self._room.acquire(blocking=False):
                    _tell(socket, ERROR, {"code": "too_many_calls", "message": f"{AT_ONCE} calls are open"})
                    return
                try:
                    self._carry(call, socket)
                except Fault as fault:
                    _tell(socket, ERROR, {k: fault.record[k] for k in ("code", "message")})
                finally:
                    self._room.release()
        finally:
            socket.close()

    def _carry(self, call: Json, socket: WebSocket) -> None:
        job = next(
            (
                j
                for j in self._worker.jobs()
                if j.ids["job"] == call["job"] and j.ids["attempt"] == call["attempt"]
            ),
            None,
        )
        if job is None or job.program is None or job.program.end is not None or job.lost:
            raise Fault("job_not_running", f"job {call['job']} does not run here now", retry=False)
        (_Terminal if call.get("tty") else _Pipes)(job=job, call=call, socket=socket).carry()


def _tell(socket: WebSocket, kind: int, body: Json) -> None:
    socket.send(bytes([kind]) + json.dumps(body).encode())


class _Carrier(ABC):
    """What terminals and pipes have in common. `ours` are our ends: to write to, and to read from by kind of message."""

    def __init__(self, *, job: Job, call: Json, socket: WebSocket) -> None:
        self._job = job
        self._call = call
        self._socket = socket
        self._input = -1
        self._outputs: dict[int, int] = {}
        self._ended = threading.Event()

    @abstractmethod
    def _open(self) -> tuple[Json, list[int]]:
        """Return what the plan of the program says besides, and the ends that are the program's own."""

    def _set_window(self, size: Json) -> None:  # noqa: B027 - pipes have none, and nothing to do
        """Take a new size of the caller's window."""

    def _close_input(self) -> None:
        if self._input >= 0:
            os.close(self._input)
            self._input = -1

    def carry(self) -> None:
        """Run what is called for until it, the caller or the job ends."""
        more, theirs = self._open()
        keeping = self._job.worker.keeping
        try:
            program = keeping.start({**self._plan(), **more}, *theirs, ended=self._ended)
        except OSError as error:
            self._close()
            raise Fault("call_failed", f"it could not be started: {error.strerror}", retry=False) from error
        except Fault:
            self._close()
            raise
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        listener = threading.Thread(target=self._listen, args=(program,), daemon=True)
        listener.start()
        readers = [
            threading.Thread(target=self._read, args=pair, daemon=True) for pair in self._outputs.items()
        ]
        for reader in readers:
            reader.start()
        while program.end is None and not keeping.gone.is_set():
            self._ended.wait(1.0)
            self._ended.clear()
        for reader in readers:
            reader.join(timeout=5.0)  # a child that stays in the background may keep them open
        status = int((program.end or {}).get("status", -signal.SIGKILL))
        with contextlib.suppress(OSError):
            body: Json = {
                "exit_code": status if status >= 0 else None,
                "signal": -status if status < 0 else None,
            }
            _tell(self._socket, EXIT, body)
        self._socket.close()
        listener.join(timeout=5.0)
        self._close()

    def _plan(self) -> Json:
        job = self._job
        variables = {**job.environment(), "TERM": str(self._call.get("term") or "dumb")}
        plan: Json = {
            "command": self._call.get("command") or [_shell(), "-l"],
            "environment": variables,
            "directory": str(job.work),
            "owner": job.program.number if job.program else 0,
            "groups": job.group.entries if job.group else [],
        }
        if not plan["command"][0].startswith("/"):
            plan["command"] = ["/usr/bin/env", *plan["command"]]
        if job.worker.machine.private and job.program:
            plan["join"] = job.program.pid
        if job.account:
            plan.update(uid=job.account.uid, gid=job.account.gid)
        return plan

    def _listen(self, program: Program) -> None:
        """Take what the caller sends; when the caller goes, what was called is hung up on."""
        while True:
            message = self._socket.receive()
            if message is None:
                break
            kind, rest = message[:1], message[1:]
            with contextlib.suppress(OSError, ValueError, KeyError):
                if kind == bytes([STDIN]) and self._input >= 0:
                    view = memoryview(rest)
                    while view:
                        view = view[os.write(self._input, view) :]
                elif kind == bytes([WINDOW]):
                    self._set_window(json.loads(rest))
                elif kind == bytes([END_OF_STDIN]):
                    self._end_of_input()
        if program.end is None:
            self._job.worker.keeping.stop(program, number=signal.SIGHUP, grace=HANGUP_GRACE)

    def _end_of_input(self) -> None:
        self._close_input()

    def _read(self, kind: int, descriptor: int) -> None:
        with contextlib.suppress(OSError):  # EIO: the other side of a terminal is closed
            while True:
                data = os.read(descriptor, PIECE)
                if not data:
                    return
                self._socket.send(bytes([kind]) + data)

    def _close(self) -> None:
        self._close_input()
        for descriptor in self._outputs.values():
            with contextlib.suppress(OSError):
                os.close(descriptor)


class _Terminal(_Carrier):
    """A call with a terminal."""

    def _open(self) -> tuple[Json, list[int]]:
        ours, theirs = pty.openpty()
        name = os.ttyname(theirs)
        # Kept open until the program has opened it itself, as the terminal of its session.
        self._input, self._outputs = os.dup(ours), {STDOUT: ours}
        self._set_window(self._call)
        return {"terminal": name}, [theirs]

    def _set_window(self, size: Json) -> None:
        shape = struct.pack("HHHH", int(size.get("rows") or 24), int(size.get("cols") or 80), 0, 0)
        fcntl.ioctl(self._outputs[STDOUT], termios.TIOCSWINSZ, shape)

    def _end_of_input(self) -> None:
        os.write(self._input, b"\x04")


class _Pipes(_Carrier):
    """A call with three pipes."""

    def _open(self) -> tuple[Json, list[int]]:
        pairs = [os.pipe() for _ in range(3)]
        self._input = pairs[0][1]
        self._outputs = {STDOUT: pairs[1][0], STDERR: pairs[2][0]}
        return {}, [pairs[0][0], pairs[1][1], pairs[2][1]]


def _shell() -> str:
    return "/bin/bash" if os.access("/bin/bash", os.X_OK) else "/bin/sh"
