"""The agent's side of the keeper: start programs and hear of their ends."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from typing import Any

from armillary.guest.agent.basics import Fault, Json, fault_of, now
from armillary.guest.agent.keeper import Keeper, receive, send


class Program:
    """A program that the keeper runs for us."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.pid = 0
        self.end: Json | None = None
        """`status`: its exit code, or less than zero for a signal; `user`, `system` seconds; `max_rss_kib` (0: little); `fenced`; `strays`"""
        self.changed = threading.Event()


class NotStarted(OSError):
    """A program could not be started. `stage`: what was to blame: `worker`, `input` or `program`."""

    def __init__(self, told: Json) -> None:
        super().__init__(int(told["errno"]), str(told["failed"]))
        self.stage = str(told["stage"])


class Keeping:
    """Owns the keeper. Callable from any thread."""

    def __init__(self) -> None:
        """Fork the keeper. No other thread may run yet."""
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if self.pid == 0:
            self._channel.close()
            try:
                Keeper(theirs).run()
            finally:
                os._exit(0)
        theirs.close()
        self._lock = threading.Lock()
        self._sending = threading.Lock()  # not the same: who hears must never wait for who sends
        self._count = 0
        self._programs: dict[int, Program] = {}
        self.answered = now()
        """When the keeper last answered a `ping`."""
        self.gone = threading.Event()

    def listen(self) -> None:
        """Begin to hear the keeper, in a thread."""
        threading.Thread(target=self._hear, daemon=True).start()

    def start(self, plan: Json, *descriptors: int, ended: threading.Event | None = None) -> Program:
        """Run a program; `ended` is set when it has ended. Raises NotStarted, or Fault when we are out of means."""
        file = os.memfd_create("plan")
        try:
            with os.fdopen(os.dup(file), "w") as sheet:
                json.dump(plan, sheet)
            with self._lock:
                self._count += 1
                program = self._programs[self._count] = Program(self._count)
            if ended:
                program.changed = ended
            with self._sending:
                send(self._channel, {"do": "start", "id": program.number}, [file, *descriptors])
        except OSError as error:
            raise fault_of(error) from error
        finally:
            os.close(file)
        while not program.pid and program.end is None:
            program.changed.wait(1.0)
            program.changed.clear()
            if self.gone.is_set():
                raise Fault("worker_fault", "the keeper of jobs has died", retry=True)
        if program.end is not None and "failed" in program.end:
            raise NotStarted(program.end)
        return program

    def extend(self, deadlines: dict[int, float]) -> None:
        """Let programs run on until their new deadlines."""
        if deadlines:
            self._tell({"do": "extend", "deadlines": {str(n): at for n, at in deadlines.items()}})

    def stop(self, program: Program, *, number: int, grace: float) -> None:
        """Send a signal to the program's group; kill all of it when `grace` seconds are over."""
        self._tell({"do": "stop", "id": program.number, "signal": number, "grace": grace})

    def ping(self) -> None:
        """Ask the keeper for a sign of life."""
        self._tell({"do": "ping", "ping": now()})

    def close(self) -> None:
        """Let the keeper go; it ends what still runs."""
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def _tell(self, message: Json) -> None:
        with self._sending, contextlib.suppress(OSError):  # a keeper that died is heard of by `gone`
            send(self._channel, message)

    def _hear(self) -> None:
        while True:
            try:
                message, _ = receive(self._channel)
            except OSError:
                message = None
            if message is None:
                break
            if "pong" in message:
                self.answered = now()
                continue
            self._told(message)
        self.gone.set()
        with self._lock:
            left = list(self._programs.values())
        for program in left:
            program.changed.set()

    def _told(self, message: dict[str, Any]) -> None:
        with self._lock:
            program = self._programs.get(message["id"])
            if program is None:
                return
            if "status" in message or "failed" in message:
                program.end = message
                del self._programs[program.number]
            else:
                program.pid = message["pid"]
        program.changed.set()
