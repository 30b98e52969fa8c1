"""Which platform runs in a home directory: a lock that dies with its process, and a note of where it listens."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import time
from collections.abc import Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from armillary.base.errors import Conflict, Unavailable

_LOOKERS = 25
"""tries at the lock, 20 ms apart"""


@dataclass(frozen=True, kw_only=True)
class Instance:
    """A running platform."""

    pid: int
    started_at: str
    url: str
    """TLS: APIs, VOSpace, portal"""
    portal_url: str
    """without TLS, on loopback: the portal in a browser that does not know our authority"""
    clouds: dict[str, str]
    """auth URL by cloud"""
    ca_file: str


def _note(home: Path) -> Path:
    return home / "run.json"


@contextlib.contextmanager
def hold(home: Path) -> Generator[None]:
    """Be the one platform of this home for as long as the block runs.

    Raises:
        Conflict: another process is.
    """
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (home / "lock").open("a") as lock:
        if not _lock(lock):
            raise already_running(home)
        # one that was killed has left its note: nobody may take its process id for ours meanwhile
        _note(home).unlink(missing_ok=True)
        try:
            yield
        finally:
            _note(home).unlink(missing_ok=True)


def already_running(home: Path) -> Conflict:
    """The refusal for a second platform in one home."""
    return Conflict(
        f"a platform runs already in {home}",
        code="already_running",
        remedy="use it (armillary status), or stop it first (armillary down)",
    )


def _lock(lock: IO[str]) -> bool:
    """Take the lock. Those who only look (`locked`) have it for an instant, so one refusal does not count."""
    for _ in range(_LOOKERS):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(0.02)
    return False


def announce(home: Path, instance: Instance) -> None:
    """Leave the note for `running`."""
    draft = home / "run.json.new"
    draft.write_text(json.dumps(asdict(instance), indent=2))
    draft.replace(_note(home))


def locked(home: Path) -> bool:
    """Whether a platform runs in this home, is starting, or is stopping."""
    try:
        with (home / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def running(home: Path) -> Instance | None:
    """The platform that runs in this home, or None. A note left by a killed one does not count."""
    if not locked(home):
        return None
    try:
        return Instance(**json.loads(_note(home).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None  # it is just starting or stopping


def stop(home: Path, *, wait: float = 30) -> bool:
    """Ask the platform of this home to end, and wait until it has; False if none ran. One that starts is waited for.

    Raises:
        Unavailable: it has not ended in `wait` seconds.
    """
    end = time.monotonic() + wait
    while (instance := running(home)) is None:
        if not locked(home):
            return False
        if time.monotonic() > end:
            raise Unavailable(
                f"a platform in {home} has been starting for more than {wait:.0f} s",
                remedy=f"look at {home / 'armillary.log'}, and try again",
            )
        time.sleep(0.05)
    with contextlib.suppress(ProcessLookupError):
        os.kill(instance.pid, signal.SIGTERM)
    while locked(home):
        if time.monotonic() > end:
            raise Unavailable(
                f"the platform (process {instance.pid}) has not ended after {wait:.0f} s",
                remedy=f"look at {home / 'armillary.log'}; kill -9 {instance.pid} loses nothing",
            )
        time.sleep(0.05)
    return True
