"""Runs other programs as a person at a terminal would: the stock clients, ssh and our own command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from armillary.base.errors import Unavailable


class Shell:
    """One person's terminal: a home directory and an environment of its own, and our programs on the path."""

    def __init__(self, *, home: Path, environment: Mapping[str, str], tell: Callable[[str], None]) -> None:
        self.home = home
        self._tell = tell
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("OS_")},
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / ".config"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '/usr/bin:/bin')}",
            "PYTHONWARNINGS": "ignore",
            **environment,
        }

    def run(
        self,
        *command: str,
        cwd: Path | None = None,
        stdin: str | None = None,
        timeout: float = 120,
        quiet: bool = False,
    ) -> str:
        """Run a program to its end and return what it printed.

        Raises:
            Unavailable: it failed or took longer than `timeout` seconds; the message has its last words.
        """
        if not quiet:
            self._tell("$ " + " ".join(command))
        try:
            done = subprocess.run(
                command,
                cwd=cwd or self.home,
                env=self._environment,
                input=stdin if stdin is not None else "",
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise Unavailable(
                f"`{' '.join(command)}` has not ended after {timeout:.0f} s", code="command_failed"
            ) from error
        if done.returncode:
            words = (done.stderr.strip() or done.stdout.strip())[-2000:]
            raise Unavailable(
                f"`{' '.join(command)}` ended with {done.returncode}: {words}", code="command_failed"
            )
        return done.stdout

    def json(self, *command: str, timeout: float = 120, quiet: bool = False) -> Any:
        """Run a program that prints JSON, and return what it says."""
        return json.loads(self.run(*command, timeout=timeout, quiet=quiet))

    def ssh(self, address: tuple[str, int], key: Path, script: str, *, timeout: float = 600) -> str:
        """Run a shell script in a machine."""
        return self.run(*ssh_command(address, key), script, timeout=timeout, quiet=True)

    def wait_for_ssh(self, address: tuple[str, int], key: Path, *, timeout: float) -> None:
        """Return once the machine lets us in.

        Raises:
            Unavailable: it has not after `timeout` seconds.
        """
        end = time.monotonic() + timeout
        while True:
            try:
                self.ssh(address, key, "true", timeout=30)
            except Unavailable as error:
                if time.monotonic() > end:
                    raise Unavailable(
                        f"no ssh at {address[0]} after {timeout:.0f} s: {error.message}",
                        code="no_ssh",
                        remedy="look at the machine's console log: openstack console log show NAME",
                    ) from error
                time.sleep(0.5)
            else:
                return


def ssh_command(address: tuple[str, int], key: Path) -> Sequence[str]:
    """The `ssh` line for a machine made a moment ago: its host key is new, and known to nobody yet."""
    return (
        "ssh", "-i", str(key), "-p", str(address[1]), "-o", "BatchMode=yes", "-o", "ConnectTimeout=5",
        "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
        f"debian@{address[0]}",
    )  # fmt: skip
