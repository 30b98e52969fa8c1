"""Child processes of a build: their failure is one error with the end of what they said."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from armillary.recipes.model import BuildFailed, MissingTools

_TAIL = 12

PACKAGES = {
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "dpkg-deb": "dpkg",
    "qemu-img": "qemu-utils",
    "tar": "tar",
}
"""The programs that building needs, and the Debian package of each."""


def tool(name: str) -> str:
    """Return the path of a program, looked for in the administrator's directories too.

    Raises:
        MissingTools: it is not installed.
    """
    path = os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin:/sbin"
    found = shutil.which(name, path=path)
    if not found:
        package = PACKAGES.get(name, name)
        raise MissingTools(
            f"The program {name} is not installed",
            remedy=f"sudo apt-get install {package}",
            facts={"tool": name, "package": package},
        )
    return found


def missing_tools() -> list[str]:
    """Return the Debian packages that must be installed before an image can be built."""
    missing: list[str] = []
    for name, package in PACKAGES.items():
        try:
            tool(name)
        except MissingTools:
            missing.append(package)
    return missing


def run(
    command: Sequence[str],
    *,
    what: str,
    env: Mapping[str, str] | None = None,
    stdout: IO[bytes] | None = None,
    cwd: Path | None = None,
) -> str:
    """Run a command to its end and return what it printed, or write that to `stdout`.

    Raises:
        BuildFailed: it ended with an error; the message has `what` and the last lines that it said.
    """
    done = subprocess.run(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=stdout or subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **(env or {})},
        cwd=cwd,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-_TAIL:]
        raise BuildFailed(
            f"{what} failed with exit status {done.returncode}: {said[-1] if said else 'it said nothing'}",
            facts={"command": command[0], "exit_status": done.returncode, "said": said},
        )
    return (done.stdout or b"").decode(errors="replace")
