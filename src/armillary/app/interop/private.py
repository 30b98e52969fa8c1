"""Other people's programs, each in a Python environment of its own: what they pin is at odds with what we need."""

from __future__ import annotations

import fcntl
import subprocess
import venv
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path

from armillary.base.errors import Unavailable

Say = Callable[[str], None]


class PrivateEnvironment:
    """A program of PyPI with what it was seen to run with, installed under `cache` once for all runs."""

    def __init__(self, *, cache: Path, name: str, wanted: str, constraints: str, also: str = "") -> None:
        """`wanted` and `also` are `PACKAGE==VERSION`; `constraints` is a file beside this one."""
        version = wanted.partition("==")[2]
        self._home = cache / "tools" / f"{name}-{version}"
        self._name = name
        self._packages = [one for one in (wanted, also) if one]
        self._constraints = constraints

    def install(self, say: Say) -> None:
        """Install it if it is not there; of several processes that come at the same time, one does.

        Raises:
            Unavailable: pip could not.
        """
        done = self._home / "installed"
        if done.exists():
            return
        self._home.parent.mkdir(parents=True, exist_ok=True)
        with self._home.with_name(f"{self._home.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if done.exists():
                return
            say(f"installing {self._packages[0].replace('==', ' ')} (once)")
            venv.create(self._home, with_pip=True, clear=True)
            self._pip()
            done.touch()

    def program(self, name: str) -> Path:
        """Return where one of its programs is."""
        return self._home / "bin" / name

    def _pip(self) -> None:
        with as_file(files("armillary.app.interop") / self._constraints) as constraints:
            options = ["-m", "pip", "install", "-q", "--disable-pip-version-check", "-c", constraints]
            command = [self.program("python"), *options, *self._packages]
            ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if ran.returncode:
            raise Unavailable(
                f"{self._name} could not be installed: {ran.stderr.strip()[-500:]}",
                code="judge_not_installed",
                facts={"program": self._name},
                remedy="pip must reach a package index (pip config list shows which one)",
            )
