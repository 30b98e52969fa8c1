"""Stock clients whose imports are paid once.

A command of the stock clients imports for a second before it does its work. `WarmClient` keeps a parent process that
has imported what the client needs, and forks one child for each command. The child gets the command's own directory,
environment, arguments and standard streams, and calls the console script's own entry point: it is the unmodified
client in a process of its own; only its imports are shared. Modules that read the environment while they are
imported are named as `fresh`: each child imports them again.

What the interpreter itself reads when it starts (`PYTHON…`) is the parent's. So are the places in the parent's empty
home that a client computes while it is imported, unless its module is fresh.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

MOST_BYTES = 1 << 17  # of one command with its environment


def run_executable(
    *words: str, env: Mapping[str, str], cwd: Path, typed: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run one command of a stock client as its users do."""
    return subprocess.run(
        [Path(sys.executable).with_name(words[0]), *words[1:]],
        env=env, cwd=cwd, input=typed, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


class WarmClient:
    """Runs the console scripts of one client."""

    def __init__(self, *, home: Path, script: str, load: Sequence[str], fresh: Sequence[str] = ()) -> None:
        """Start the parent, which takes itself for `script`, and imports the modules `load` and their plugins."""
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        described = json.dumps({"script": script, "load": list(load), "fresh": list(fresh)})
        with theirs:
            self._parent = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno()), described],
                env={"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
                cwd=home,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )

    def run(
        self, *words: str, env: Mapping[str, str], cwd: Path, seconds: float = 100
    ) -> subprocess.CompletedProcess[str]:
        """Run one command to its end, with captured output and no input, like `run_executable`."""
        with (
            Path(os.devnull).open() as nothing,
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as err,
        ):
            wanted = json.dumps({"words": words, "env": dict(env), "cwd": str(cwd)}).encode()
            socket.send_fds(self._socket, [wanted], [nothing.fileno(), out.fileno(), err.fileno()])
            self._socket.settimeout(seconds)
            try:
                status = int(self._socket.recv(64))
            except TimeoutError:
                self.close()
                raise
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(words, status, out.read().decode(), err.read().decode())

    def close(self) -> None:
        """End the parent, and a child that still runs."""
        self._socket.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._parent.pid, signal.SIGKILL)
        self._parent.wait()


def _serve(listening: socket.socket, load: Sequence[str], fresh: Sequence[str]) -> None:
    scripts = {script.name: script for script in entry_points(group="console_scripts")}
    for name in load:
        importlib.import_module(name)
    if "stevedore" in sys.modules:
        _load_plugins()
    for known in (sys.modules, logging.root.manager.loggerDict):  # handlers are made at import too
        for name in [name for name in known if name.partition(".")[0] in fresh]:
            del known[name]
    gc.collect()
    gc.freeze()
    while True:
        wanted, streams, _, _ = socket.recv_fds(listening, MOST_BYTES, 3)
        if not wanted:
            return
        child = os.fork()
        if child == 0:
            listening.close()
            _become(scripts, streams, **json.loads(wanted))
        for stream in streams:
            os.close(stream)
        _, ended = os.waitpid(child, 0)
        listening.send(str(os.waitstatus_to_exitcode(ended)).encode())


def _load_plugins() -> None:
    """Import the commands that `openstack` finds through entry points, as it would find them itself."""
    from stevedore import _cache

    groups = [group for group in entry_points().groups if group.startswith("openstack.")]
    for group in groups:
        for point in _cache.get_group_all(group):
            if point.module.startswith("openstackclient"):
                point.load()


def _become(
    scripts: Mapping[str, EntryPoint], streams: Sequence[int], words: list[str], env: dict[str, str], cwd: str
) -> None:
    """Be the command, and end."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin, sys.stdout, sys.stderr = (
        open(number, mode, encoding="utf-8", errors=errors, buffering=buffered)  # noqa: SIM115, PTH123
        for number, mode, errors, buffered in (
            (0, "r", "strict", -1),
            (1, "w", "strict", -1),
            (2, "w", "backslashreplace", 1),
        )
    )
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    sys.argv[:] = [str(Path(sys.executable).with_name(words[0])), *words[1:]]
    status = 1
    try:
        status = _status(scripts[words[0]].load()())
    except SystemExit as ended:
        status = _status(ended.code)
    finally:
        raised = sys.exc_info()
        if raised[0] is not None:
            traceback.print_exception(*raised)
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status & 0xFF)


def _status(code: object) -> int:
    """What the interpreter makes of the argument of `sys.exit`."""
    if code is None or isinstance(code, int):
        return code or 0
    print(code, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.path[0] = str(Path(sys.executable).parent)  # as for a script there
    number, asked = int(sys.argv[1]), json.loads(sys.argv[2])
    sys.argv[:] = [str(Path(sys.executable).with_name(asked["script"]))]
    _serve(socket.socket(fileno=number), asked["load"], asked["fresh"])
