"""What reading a submit file may touch. On the user's own machine: files and environment; elsewhere: nothing."""

from __future__ import annotations

import fnmatch
import glob
import os
import shlex
import subprocess
from collections.abc import Collection, Mapping, Sequence
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
        """Return the names that match a glob, sorted, directories with a `/`; `what` is files, dirs or any."""
        ...

    def variable(self, name: str) -> str | None:
        """Return a variable of the environment."""
        ...

    def variables(self, patterns: Sequence[str], *, line: int | None) -> Mapping[str, str]:
        """Return the variables whose names match one of the globs, and none that begins with a `!`."""
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
        except (OSError, ValueError) as error:  # ValueError: not UTF-8, or no name of a file
            raise SubmitError(f"cannot read {name[:200]}: {error}", line=line) from error

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
        found = sorted(glob.glob(pattern, root_dir=self._base))  # noqa: PTH207 - pathlib's also finds hidden files
        marked = [f"{name.rstrip('/')}/" if (self._base / name).is_dir() else name for name in found]
        return [name for name in marked if what == "any" or name.endswith("/") == (what == "dirs")]

    def variable(self, name: str) -> str | None:
        return os.environ.get(name)

    def variables(self, patterns: Sequence[str], *, line: int | None) -> Mapping[str, str]:
        no = [p[1:].lower() for p in patterns if p.startswith("!")]
        yes = [p.lower() for p in patterns if not p.startswith("!")] or ["*"]

        def any_of(globs: Sequence[str], name: str) -> bool:
            return any(fnmatch.fnmatchcase(name.lower(), one) for one in globs)

        return {k: v for k, v in sorted(os.environ.items()) if any_of(yes, k) and not any_of(no, k)}

    def tree(self, name: str, *, line: int | None) -> list[str] | None:
        path = self._base / name
        try:
            if path.is_dir():
                return sorted(str(p.relative_to(path)) for p in path.rglob("*") if p.is_file())
            if path.is_file():
                return None
        except (OSError, ValueError) as error:  # ValueError: no name that a file can have
            raise SubmitError(f"cannot look at {name[:200]}: {error}", line=line) from error
        raise SubmitError(
            f"there is no file {name[:200]}",
            line=line,
            remedy="Correct the name; it is relative to where you submit.",
        )

    def absolute(self, name: str) -> str:
        return os.path.abspath(self._base / name)  # noqa: PTH100 - looks at nothing, so it cannot fail


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

    def variables(self, patterns: Sequence[str], *, line: int | None) -> Mapping[str, str]:
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
