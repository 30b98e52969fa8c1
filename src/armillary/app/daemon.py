"""Starts the platform in the background and waits until it answers."""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import select
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

from armillary.app import instance
from armillary.app.settings import Settings
from armillary.base.errors import Conflict, Unavailable


def log_to(file: Path | None) -> None:
    """Send the platform's log to `file`, ten files of 10 MB at most, or to standard error."""
    handler: logging.Handler = (
        logging.handlers.RotatingFileHandler(file, maxBytes=10_000_000, backupCount=9)
        if file
        else logging.StreamHandler()
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("openstack").setLevel(logging.WARNING)
    logging.getLogger("keystoneauth").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)


def run_here(settings: Settings, *, ready_fd: int | None = None, log_file: Path | None = None) -> None:
    """Run the platform in this process; tell `ready_fd` in one JSON line when it answers."""
    from armillary.app.serve import Started, run  # late: the parent of a daemon needs none of it

    def ready(started: Started) -> None:
        logging.getLogger("armillary").info("answering at %s", started.instance.url)
        if ready_fd is not None:
            os.write(ready_fd, (json.dumps(asdict(started)) + "\n").encode())
            os.close(ready_fd)

    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    log_to(log_file)
    run(settings, ready)


def start(settings: Settings, *, wait: float = 60) -> tuple[instance.Instance, str | None]:
    """Start the platform of `settings.home` as a process of its own.

    Returns:
        Where it is, and the first administrator's one-time password if this start made one.

    Raises:
        Conflict: one runs there already.
        Unavailable: it ended, or did not answer in `wait` seconds.
    """
    if instance.running(settings.home):
        raise Conflict(
            f"a platform runs already in {settings.home}",
            code="already_running",
            remedy="use it (armillary status), or stop it first (armillary down)",
        )
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    log_file = settings.home / "armillary.log"
    reader, writer = os.pipe()
    with (settings.home / "start.log").open("wb") as words:
        child = subprocess.Popen(
            [sys.executable, "-m", "armillary.app.main", "up", "--foreground", "--ready-fd", str(writer)],
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            pass_fds=[writer],
            start_new_session=True,
            cwd="/",
            env={**os.environ, "ARMILLARY_HOME": str(settings.home)},
        )
    os.close(writer)
    said = _read_line(reader, wait)
    if not said:
        ended = child.poll() is not None
        if not ended:
            child.terminate()
        words_said = (settings.home / "start.log").read_text(errors="replace").strip()[-2000:]
        raise Unavailable(
            f"the platform {'ended at its start' if ended else f'has not answered in {wait:.0f} s'}"
            + (f": {words_said}" if words_said else ""),
            code="start_failed",
            remedy=f"look at {log_file}, and run: armillary doctor",
        )
    told = json.loads(said)
    return instance.Instance(**told["instance"]), told["admin_password"]


def _read_line(reader: int, wait: float) -> bytes:
    """Read one line from a pipe; empty when the other end closed it without a word, or time ran out."""
    end, line = time.monotonic() + wait, b""
    try:
        while not line.endswith(b"\n"):
            left = end - time.monotonic()
            if left <= 0 or not select.select([reader], [], [], left)[0]:
                return b""
            chunk = os.read(reader, 65536)
            if not chunk:
                return b""
            line += chunk
        return line
    finally:
        os.close(reader)
