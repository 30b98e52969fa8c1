"""From a fork to a job's program: group, private directories, user, and off it goes."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import resource
import signal
import time
from pathlib import Path
from typing import Any

from armillary.guest.agent.basics import Json

CLONE_NEWNS = 0x0002_0000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 0x1000, 0x4000, 0x4_0000
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
_libc = ctypes.CDLL(None, use_errno=True)


def adopt_orphans() -> None:
    """Become the parent of processes below us that lose theirs."""
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1)


def _checked(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    """Mount. Raises OSError."""
    made = _libc.mount(source.encode(), target.encode(), kind.encode(), flags, options.encode() or None)
    _checked(made, target)


def may_mount() -> bool:
    """Whether jobs can have directories of their own here; tried in a child, which goes away with what it mounted."""
    child = os.fork()
    if child == 0:
        try:
            _private([], [], [])
            os._exit(0)
        except BaseException:  # noqa: BLE001 - a forked child must not go on as its parent
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def _private(binds: list[list[str]], hidden: list[str], fresh: list[str]) -> None:
    """Give this process its own view: `binds` are (what, where), `hidden` directories look empty, `fresh` are its own."""
    _checked(_libc.unshare(CLONE_NEWNS), "unshare")
    mount("none", "/", "", MS_REC | MS_PRIVATE)
    for what, where in binds:
        mount(what, where, "", MS_BIND)
    for where in hidden:
        mount("tmpfs", where, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV, "size=4k,mode=555")
    for where in fresh:
        mount("tmpfs", where, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")


def _join(process: int) -> None:
    """See what another process sees of the file systems."""
    with open(f"/proc/{process}/ns/mnt", "rb") as space:  # noqa: PTH123 - the child of a fork does the least
        _checked(_libc.setns(space.fileno(), CLONE_NEWNS), "setns")


def launch(plan: Json, descriptors: list[int], stage: list[str]) -> None:
    """Become the program of `plan`. To be called in a fresh child; raises OSError when it cannot.

    `stage[0]` then says what was to blame: `worker`, `input` or `program`.

    `descriptors` are standard input, output and error; when there are none, the plan's `stdin`, `stdout` and `stderr` are
    opened: the streams with our rights, the input with the job's, since the job may have laid a link there.
    """
    os.setsid()
    for entry in plan.get("groups") or ():
        Path(entry).write_text("0")
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(plan.get("oom_score_adj", 0)))
    if plan.get("join"):
        _join(int(plan["join"]))
    elif plan.get("private"):
        _private(plan["binds"], plan["hidden"], plan["fresh"])
    if plan.get("terminal"):
        descriptors = [
            os.open(plan["terminal"], os.O_RDWR)
        ] * 3  # the first that a new session opens is its own
        if plan.get("uid") is not None:
            os.fchown(descriptors[0], int(plan["uid"]), -1)
    elif not descriptors:
        how = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if plan.get("append") else os.O_TRUNC)
        descriptors = [-1, *(os.open(plan[name], how, 0o600) for name in ("stdout", "stderr"))]
    if plan.get("uid") is not None:
        os.setgroups([])
        os.setresgid(plan["gid"], plan["gid"], plan["gid"])
        os.setresuid(plan["uid"], plan["uid"], plan["uid"])
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.umask(0o022)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    os.chdir(plan["directory"])
    if descriptors[0] < 0:
        stage[0] = "input"
        descriptors[0] = os.open(plan["stdin"], os.O_RDONLY)
    stage[0] = "program"
    _lay(descriptors)
    # What Python ignores by habit, the keeper on purpose, and whoever started us, the program would go on ignoring.
    for number in signal.valid_signals():
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    _become(plan["command"], plan["environment"])


def _lay(descriptors: list[int]) -> None:
    """Put descriptors at 0, 1, 2, whatever numbers they have now."""
    high = [os.dup(number) for number in descriptors]
    while min(high) < 3:
        high = [os.dup(number) for number in high]
    for place, number in enumerate(high):
        os.dup2(number, place, inheritable=True)


def _become(command: list[str], environment: dict[str, str]) -> Any:
    for _ in range(100):
        try:
            os.execve(command[0], command, environment)  # noqa: S606 - that is what it is for
        except OSError as error:
            if error.errno == errno.ENOEXEC:
                break
            if error.errno != errno.ETXTBSY:
                raise
            time.sleep(0.02)  # a program that the agent is starting has our file open, until it runs itself
        # A script without its `#!` line: every shell runs it, so users have such.
        os.execve("/bin/sh", ["/bin/sh", *command], environment)  # noqa: S606 - as above
