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
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from armillary.app import instance
from armillary.app.settings import Settings
from armillary.base.errors import Unavailable

log = logging.getLogger("armillary")

PASSWORD_FILE = "first-admin-password"  # noqa: S105 - a file name
"""in the home: where the first administrator's password is kept if nobody was there to hear it"""

Told = Callable[[instance.Instance, str | None], None]
"""Hears where the platform answers, and the first administrator's password if this start made one."""


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
    logging.getLogger("keystoneauth").setLevel(
        logging.ERROR
    )  # it warns at each try; we say once that a cloud is away
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    for chatty in ("asyncssh", "httpx2"):  # each connection and each request of a notebook
        logging.getLogger(chatty).setLevel(logging.WARNING)


def run_here(settings: Settings, *, log_file: Path | None, told: Told) -> None:
    """Run the platform in this process; `told` hears when it answers, and the first administrator's password.

    If `told` fails the platform runs on, and keeps the password in a file: it is made only once.
    """
    from armillary.app.serve import Started, run  # late: the parent of a daemon needs none of it

    def ready(started: Started) -> None:
        log.info("answering at %s", started.instance.url)
        try:
            told(started.instance, started.admin_password)
        except OSError as error:  # whoever started us is gone
            log.warning("nobody heard that we answer: %s", error)
            if started.admin_password:
                _keep_password(settings.home / PASSWORD_FILE, started.admin_password)

    _make_home(settings.home)
    log_to(log_file)
    run(settings, ready)


def to_starter(ready_fd: int) -> Told:
    """Tell `start`, at the other end of a pipe, in one line of JSON."""

    def told(running: instance.Instance, admin_password: str | None) -> None:
        line = json.dumps({"instance": asdict(running), "admin_password": admin_password}) + "\n"
        with os.fdopen(ready_fd, "w") as pipe:
            pipe.write(line)

    return told


def _keep_password(file: Path, password: str) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(password + "\n")
    log.warning("the password of the first administrator, admin, is in %s: use it and delete the file", file)


def _make_home(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        (home / "lock").open("a").close()
    except OSError as error:
        raise Unavailable(
            f"{home} cannot be used: {error.strerror}",
            code="home_unusable",
            facts={"home": str(home)},
            remedy="make it writable for you, make room on its disk, or set ARMILLARY_HOME to another directory",
        ) from error


def start(settings: Settings, *, wait: float = 60) -> tuple[instance.Instance, str | None]:
    """Start the platform of `settings.home` as a process of its own.

    Returns:
        Where it is, and the first administrator's one-time password if this start made one.

    Raises:
        Conflict: one runs there already.
        Unavailable: it ended, or did not answer in `wait` seconds.
    """
    _make_home(settings.home)
    if instance.running(settings.home):
        raise instance.already_running(settings.home)
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
        try:
            child.wait(1)  # one that closed the pipe is about to end
            ended = True
        except subprocess.TimeoutExpired:
            ended = False
            child.terminate()
        if ended and instance.locked(settings.home):
            raise instance.already_running(settings.home)  # two were started at once
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
