"""The pool as the engine sees it: calls that end in time, through a process that may be killed."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from armillary.base.errors import Unavailable
from armillary.batch.engines.htcondor.ports import Ad

log = logging.getLogger(__name__)

_AT_ONCE = 500
"""jobs in one order"""
_WITH_FILES = frozenset({"submit", "retrieve"})


class CondorPool:
    """The `Pool` port, through a child process."""

    def __init__(
        self, *, config: Path, schedd: str = "", patience: float = 120, patience_with_files: float = 1800
    ) -> None:
        """`config` is HTCondor's configuration for us; `schedd` the name of one of several.

        Calls that carry files may take long: of a schedd that says nothing meanwhile, HTCondor itself tires sooner.
        """
        self._config = config
        self._schedd = schedd
        self._patience = patience
        self._patience_with_files = max(patience, patience_with_files)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._rest = b""

    def submit(self, shared: Mapping[str, str], each: Sequence[Mapping[str, str]]) -> tuple[int, int]:
        where = self._call("submit", shared=dict(shared), each=[dict(one) for one in each])
        return int(where["cluster"]), int(where["first"])

    def query(self, constraint: str, projection: Sequence[str]) -> list[Ad]:
        return self._call("query", constraint=constraint, projection=list(projection))

    def act(self, action: str, jobs: Sequence[str], reason: str) -> int:
        return sum(int(self._call("act", action=action, jobs=part, reason=reason)) for part in _parts(jobs))

    def edit(self, jobs: Sequence[str], attribute: str, value: str) -> None:
        for part in _parts(jobs):
            self._call("edit", jobs=part, attribute=attribute, value=value)

    def edit_where(self, constraint: str, attribute: str, value: str) -> None:
        self._call("edit_where", constraint=constraint, attribute=attribute, value=value)

    def retrieve(self, jobs: Sequence[str]) -> None:
        self._call("retrieve", jobs=list(jobs))

    def machines(self, constraint: str, projection: Sequence[str]) -> list[Ad]:
        return self._call("machines", constraint=constraint, projection=list(projection))

    def forget(self, constraint: str) -> None:
        self._call("forget", constraint=constraint)

    def ping(self) -> Ad:
        return self._call("ping")

    def close(self) -> None:
        """End the process; the next call starts another."""
        with self._lock:
            self._end()

    def _call(self, name: str, /, **arguments: Any) -> Any:
        with self._lock:
            try:
                answer = self._ask({"call": name, "with": arguments})
            except (OSError, EOFError, TimeoutError) as error:
                self._end()
                raise _unavailable(f"{error}" or type(error).__name__) from error
        if "error" in answer:
            raise _unavailable(str(answer["error"]))
        return answer["answer"]

    def _ask(self, call: Mapping[str, Any]) -> Mapping[str, Any]:
        process = self._process or self._start()
        assert process.stdin is not None
        process.stdin.write(json.dumps(call).encode() + b"\n")
        process.stdin.flush()
        patience = self._patience_with_files if call["call"] in _WITH_FILES else self._patience
        return cast("dict[str, Any]", json.loads(self._line(process, patience)))

    def _line(self, process: subprocess.Popen[bytes], patience: float) -> bytes:
        assert process.stdout is not None
        until = time.monotonic() + patience
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._rest:
                if not selector.select(max(0.0, until - time.monotonic())):
                    raise TimeoutError(f"it said nothing for {patience:g} s")
                piece = os.read(process.stdout.fileno(), 2**20)
                if not piece:
                    raise EOFError("the process that talks to it has ended")
                self._rest += piece
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _start(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "armillary.batch.engines.htcondor.door", self._schedd],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Only what it needs: HTCondor takes settings from variables of any name with _CONDOR_ in front.
            env={**{k: v for k, v in os.environ.items() if not k.upper().startswith("_CONDOR_")}}
            | {"CONDOR_CONFIG": str(self._config)},
        )
        return self._process

    def _end(self) -> None:
        process, self._process, self._rest = self._process, None, b""
        if process is None:
            return
        process.kill()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):  # what it did not read any more
                    stream.close()
        process.wait()


def _parts(jobs: Sequence[str]) -> Iterable[list[str]]:
    return ([*jobs[n : n + _AT_ONCE]] for n in range(0, len(jobs), _AT_ONCE))


def _unavailable(why: str) -> Unavailable:
    return Unavailable(
        f"HTCondor does not answer as it should: {why}",
        code="htcondor_unavailable",
        facts={"reason": why},
        remedy="See `armillary doctor`; what was asked for is done once the pool answers again.",
    )
