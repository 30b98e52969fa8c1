"""What reading a submit file may touch. On the user's own machine: files and environment; elsewhere: nothing."""

from __future__ import annotations

import fnmatch
import os
import shlex
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Protocol

from armillary.client.submitfile.model import SubmitError


class Access(Protocol):
    """The world around a submit file. Every method raises SubmitError when it is not allowed or not possible.

    `trusted`: who wrote the file owns the machine and the environment that it is read in.
    """

    @property
    def trusted(self) -> bool: ...

    def read(self, name: str, *, line: int) -> str:
        """Return the text of a file that the submit file names."""
        ...

    def run(self, command: str, *, line: int) -> str:
        """Return what a command prints."""
        ...

    def matching(self, pattern: str, *, what: str, line: int) -> list[str]:
        """Return the names that match a glob, sorted; `what` is files, dirs or any."""
        ...

    def variable(self, name: str) -> str | None:
        """Return a variable of the environment."""
        ...

    def variables(self, pattern: str, *, line: int | None) -> Mapping[str, str]:
        """Return the variables whose names match a glob."""
        ...

    def tree(self, name: str, *, line: int | None) -> list[str] | None:
        """Return the files below a directory, relative to it; None when `name` is a file."""
        ...

    def absolute(self, name: str) -> str:
        """Return the full name of a directory on the user's machine."""
        ...


class LocalAccess:
    """The user's own machine: names are relative to `base`. Commands run only when the user said so."""

    trusted = True

    def __init__(self, *, base: Path, allow_commands: bool = False) -> None:
        self._base = base
        self._commands = allow_commands

    def read(self, name: str, *, line: int) -> str:
        try:
            return (self._base / name).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise SubmitError(f"cannot read {name}: {error}", line=line) from error

    def run(self, command: str, *, line: int) -> str:
        if not self._commands:
            raise SubmitError(
                f"this runs a command on your machine: {command}",
                line=line,
                remedy="If you trust the file, submit it with --allow-commands.",
                code="command_not_allowed",
            )
        try:
            done = subprocess.run(
                shlex.split(command), cwd=self._base, capture_output=True, text=True, check=False
            )
        except (OSError, ValueError) as error:
            raise SubmitError(f"cannot run {command}: {error}", line=line) from error
        if done.returncode:
            raise SubmitError(
                f"{command} ended with status {done.returncode}: {done.stderr.strip()}", line=line
            )
        return done.stdout

    def matching(self, pattern: str, *, what: str, line: int) -> list[str]:
        found = sorted(
            self._base.glob(pattern) if not pattern.startswith("/") else Path("/").glob(pattern[1:])
        )
        wanted = [p for p in found if what == "any" or p.is_dir() == (what == "dirs")]
        return [str(p if pattern.startswith("/") else p.relative_to(self._base)) for p in wanted]

    def variable(self, name: str) -> str | None:
        return os.environ.get(name)

    def variables(self, pattern: str, *, line: int | None) -> Mapping[str, str]:
        return {k: v for k, v in os.environ.items() if fnmatch.fnmatchcase(k, pattern)}

    def tree(self, name: str, *, line: int | None) -> list[str] | None:
        path = self._base / name
        if path.is_dir():
            return sorted(str(p.relative_to(path)) for p in path.rglob("*") if p.is_file())
        if not path.is_file():
            raise SubmitError(
                f"there is no file {name}",
                line=line,
                remedy="Correct the name; it is relative to where you submit.",
            )
        return None

    def absolute(self, name: str) -> str:
        return str((self._base / name).resolve())


class NoAccess:
    """A place that is not the user's machine, such as the portal: only the files that came along are there."""

    trusted = False

    def __init__(self, *, files: Collection[str] = ()) -> None:
        self._files = frozenset(files)

    def _refuse(self, what: str, line: int | None) -> SubmitError:
        return SubmitError(
            f"{what} works only where your files are",
            line=line,
            remedy="Submit this file with the armillary command on your own machine.",
            code="needs_your_machine",
        )

    def read(self, name: str, *, line: int) -> str:
        raise self._refuse(f"reading {name}", line)

    def run(self, command: str, *, line: int) -> str:
        raise self._refuse("running a command", line)

    def matching(self, pattern: str, *, what: str, line: int) -> list[str]:
        if what != "files":
            raise self._refuse("matching directories", line)
        return sorted(name for name in self._files if fnmatch.fnmatchcase(name, pattern))

    def variable(self, name: str) -> str | None:
        raise self._refuse(f"$ENV({name})", None)

    def variables(self, pattern: str, *, line: int | None) -> Mapping[str, str]:
        raise self._refuse("getenv", line)

    def tree(self, name: str, *, line: int | None) -> list[str] | None:
        below = sorted(
            f[len(name.rstrip("/")) + 1 :] for f in self._files if f.startswith(name.rstrip("/") + "/")
        )
        if below:
            return below
        if name not in self._files:
            raise SubmitError(f"there is no file {name}", line=line, remedy="Add the file to the submission.")
        return None

    def absolute(self, name: str) -> str:
        return ""
