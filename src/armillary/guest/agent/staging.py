"""Lays out a job's scratch: its inputs, and what it acts with in its owner's name."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from armillary.guest.agent.basics import Fault, Json, say
from armillary.guest.agent.slots import Account

FETCH = """\
import sys, shutil, urllib.error, urllib.request
try:
    answer = urllib.request.urlopen(sys.argv[1], timeout=60)
except urllib.error.HTTPError as error:
    print(error, file=sys.stderr)
    sys.exit(1 if error.code >= 500 or error.code in (408, 425, 429) else 22)
with answer, open(sys.argv[2], "wb") as file:
    shutil.copyfileobj(answer, file)
"""
FETCH_REFUSED = 22
"""The exit status of `FETCH` when asking again is of no use."""
FETCH_PAUSES = (2, 8, 32)
"""Between tries to fetch an input from elsewhere, in units of `retry_seconds`."""
PUT = 'umask 077; mkdir -p "$1" && cat >"$1/.$2.new" && mv -f "$1/.$2.new" "$1/$2"'

Fetch = Callable[[str, BinaryIO], str]
"""(SHA-256, file) -> the SHA-256 of what was written into the file"""


def destination(key: str) -> str:
    """Return where an input goes inside the scratch: below rsync's `/./` mark, else at its base name.

    Raises Fault for a name that would leave the scratch.
    """
    name = key.split("/./", 1)[1] if "/./" in key else key.rstrip("/").rsplit("/", 1)[-1]
    return _kept_inside(name, key)


def _kept_inside(name: str, key: str) -> str:
    if not name or name.startswith("/") or ".." in name.split("/"):
        raise Fault("input_invalid", f"an input may not be called {key!r}", retry=False)
    return name


def stage(entry: Json, work: Path, *, fetch: Fetch, executable: str | None) -> None:
    """Bring one input, checked. A file of a checkpoint goes to where it was."""
    path = str(entry["path"])
    target = work / (_kept_inside(path, path) if entry.get("checkpoint") else destination(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    for _ in range(3):
        with target.open("wb") as file:
            digest = fetch(entry["sha256"], file)
        if digest == entry["sha256"]:
            break
    else:
        raise Fault("input_fetch_failed", f"the bytes of {path} do not have their SHA-256", retry=True)
    runs = bool(int(entry.get("mode") or 0) & 0o111) or path == executable
    target.chmod(0o755 if runs else 0o644)


def retrieve(
    source: str,
    *,
    work: Path,
    environment: dict[str, str],
    account: Account | None,
    pause: Callable[[float], None],
) -> None:
    """Bring an input that is named by its address, with the rights of the job's user. `pause` may raise to give up."""
    name = source.rstrip("/").rsplit("/", 1)[-1].rsplit(":", 1)[-1].split("?", 1)[0] or "input"
    if source.startswith(("vos:", "arc:")):
        command = ["vcp", source, f"./{name}"]
    else:
        if not source.startswith(("http://", "https://", "ftp://")):
            why = f"cannot fetch {source}: only http, https, ftp and vos addresses"
            raise Fault("input_invalid", why, retry=False)
        command = [sys.executable, "-c", FETCH, source, name]
    for units in (*FETCH_PAUSES, None):
        try:
            done: subprocess.CompletedProcess[bytes] = subprocess.run(
                command,
                cwd=work,
                env=environment,
                capture_output=True,
                check=False,
                user=account and account.uid,
                group=account and account.gid,
                extra_groups=account and [],
            )
        except OSError as error:
            raise Fault("input_fetch_failed", f"cannot fetch {source}: {error}", retry=False) from error
        if not done.returncode:
            return
        why = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no reason given"]
        hopeless = command[0] == sys.executable and done.returncode == FETCH_REFUSED
        if units is None or hopeless:
            raise Fault("input_fetch_failed", f"cannot fetch {source}: {why[0]}", retry=not hopeless)
        say(f"cannot fetch {source}: {why[0]}; trying again")
        pause(units)


def put_as(account: Account | None, directory: Path, name: str, text: str) -> bool:
    """Write a private file with the rights of the job's user: a link laid by the job leads nowhere new."""
    command = ["/bin/sh", "-c", PUT, "sh", str(directory), name]
    done = subprocess.run(
        command,
        input=text.encode(),
        capture_output=True,
        check=False,
        user=account and account.uid,
        group=account and account.gid,
        extra_groups=account and [],
    )
    return not done.returncode


def give_to(account: Account, directory: Path) -> None:
    """Make a user the owner of a directory and all that is in it."""
    for folder, _, files in os.walk(directory):
        for path in (Path(folder), *(Path(folder, name) for name in files)):
            os.chown(path, account.uid, account.gid, follow_symlinks=False)
