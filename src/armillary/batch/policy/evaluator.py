"""Asks the judge, the process that evaluates, and does not wait for it longer than it should take."""

from __future__ import annotations

import json
import logging
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

log = logging.getLogger(__name__)

Value = bool | int | float | str | None
"""Of an expression; None: undefined, an error, or of a kind that no policy asks for."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """Expressions (`ask`, by a key of the asker) over one job: its facts, and its own attributes, which are expressions."""

    ad: Mapping[str, Value]
    ask: Mapping[str, str]
    also: Mapping[str, str] = field(default_factory=dict[str, str])
    target: Mapping[str, Value] = field(default_factory=dict[str, Value])
    """the machine that the expressions may look at"""


class Undecidable(Exception):
    """The judge did not answer in time, or died of the question."""


class Evaluator:
    """One judge, started when it is first needed. Safe to use from many threads; they wait for each other."""

    def __init__(self, *, seconds: float = 2.0, start_seconds: float = 30.0) -> None:
        """Let a question take `seconds`, and the first one after a start `start_seconds` more."""
        self._seconds = seconds
        self._start_seconds = start_seconds
        self._lock = threading.Lock()
        self._judge: subprocess.Popen[bytes] | None = None

    def ask(self, questions: Sequence[Question]) -> list[dict[str, Value]]:
        """Return each question's values by its keys. Raises Undecidable; then another one begins afresh."""
        if not questions:
            return []
        request = {
            "jobs": [{"ad": q.ad, "also": q.also, "target": q.target, "ask": q.ask} for q in questions]
        }
        line = json.dumps(request).encode() + b"\n"
        with self._lock:
            allowed = self._seconds
            if self._judge is None or self._judge.poll() is not None:
                self.close_judge()
                self._judge = _start()
                allowed += (
                    self._start_seconds
                )  # reading HTCondor's libraries takes a moment on a busy machine
            try:
                answer = _exchange(self._judge, line, time.monotonic() + allowed)
                return json.loads(answer)
            except (OSError, ValueError) as error:
                self.close_judge()
                raise Undecidable(str(error)) from error

    def close_judge(self) -> None:
        """End the process, if there is one."""
        judge, self._judge = self._judge, None
        if judge is None:
            return
        judge.kill()
        judge.wait()
        for pipe in (judge.stdin, judge.stdout):
            if pipe is not None:
                pipe.close()

    def close(self) -> None:
        """End the process; a question after that starts another one."""
        with self._lock:
            self.close_judge()


def _start() -> subprocess.Popen[bytes]:
    judge = subprocess.Popen(
        [sys.executable, "-m", "armillary.batch.policy.judge"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"CONDOR_CONFIG": "/dev/null", "PATH": os.defpath, "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd="/",
        bufsize=0,
        start_new_session=True,
    )
    for pipe in (judge.stdin, judge.stdout):
        if pipe is not None:
            os.set_blocking(pipe.fileno(), False)
    return judge


def _exchange(judge: subprocess.Popen[bytes], line: bytes, deadline: float) -> bytes:
    """Write the question and read the answer, both as far as the other side is ready. Raises OSError."""
    assert judge.stdin is not None
    assert judge.stdout is not None
    to, out = judge.stdin.fileno(), judge.stdout.fileno()
    rest, answer = memoryview(line), bytearray()
    ready = select.poll()  # not select(): a busy service has files with numbers beyond what that can name
    ready.register(out, select.POLLIN)
    ready.register(to, select.POLLOUT)
    while not answer.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("it took too long")
        for which, _ in ready.poll(left * 1000):
            if which == to:
                rest = rest[os.write(to, rest[:65536]) :]
                if not rest:
                    ready.unregister(to)
            else:
                piece = os.read(out, 1 << 20)
                if not piece:
                    raise ConnectionError("it died")
                answer += piece
    return bytes(answer)
