"""Workflow systems from PyPI, each in a virtual environment of its own that is made once."""

from __future__ import annotations

import fcntl
import subprocess
import venv
from pathlib import Path

from armillary.app.settings import cache_directory

TOOLS = cache_directory() / "tools"
"""found before a test puts its person into an empty home"""


def installed(name: str, version: str, *beside: str) -> Path:
    """Return the `bin` of an environment with this package, and with those `beside` it, each with its version.

    Tests that run side by side make it once.
    """
    TOOLS.mkdir(parents=True, exist_ok=True)
    home = TOOLS / f"{name}-{version}"
    with (TOOLS / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "whole").exists():
            venv.create(home, with_pip=True, clear=True)
            command = ["-m", "pip", "install", "-q", "--disable-pip-version-check"]
            wanted = [f"{name}=={version}", *beside]
            subprocess.run([str(home / "bin" / "python"), *command, *wanted], check=True, timeout=600)
            (home / "whole").touch()
    return home / "bin"
