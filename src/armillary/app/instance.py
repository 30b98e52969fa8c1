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

from armillary.base.errors import Conflict, Unavailable


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
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict(
                f"a platform runs already in {home}",
                code="already_running",
                remedy="use it (armillary status), or stop it first (armillary down)",
            ) from error
        try:
            yield
        finally:
            _note(home).unlink(missing_ok=True)


def announce(home: Path, instance: Instance) -> None:
    """Leave the note for `running`."""
    draft = home / "run.json.new"
    draft.write_text(json.dumps(asdict(instance), indent=2))
    draft.replace(_note(home))


def _locked(home: Path) -> bool:
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
    if not _locked(home):
        return None
    try:
        return Instance(**json.loads(_note(home).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None  # it is just starting or stopping


def stop(home: Path, *, wait: float = 30) -> bool:
    """Ask the platform of this home to end, and wait until it has; False if none ran.

    Raises:
        Unavailable: it has not ended in `wait` seconds.
    """
    instance = running(home)
    if instance is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(instance.pid, signal.SIGTERM)
    end = time.monotonic() + wait
    while _locked(home):
        if time.monotonic() > end:
            raise Unavailable(
                f"the platform (process {instance.pid}) has not ended after {wait:.0f} s",
                remedy=f"look at {home / 'armillary.log'}; kill -9 {instance.pid} loses nothing",
            )
        time.sleep(0.05)
    return True
