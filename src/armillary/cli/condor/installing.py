"""Writes the commands by HTCondor's names into a directory."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

from armillary.base.errors import Conflict

_MARK = "# Armillary under HTCondor's name"


def write_tools(directory: Path, names: Iterable[str], *, overwrite: bool = False) -> None:
    """Write commands of these names. Raises Conflict for a file that is somebody else's, unless to `overwrite` it."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in names:
        file = directory / name
        if not overwrite and file.exists() and _MARK not in file.read_text(errors="replace"):
            raise Conflict(
                f"{file} is there already, and is not ours",
                code="not_ours",
                remedy="Choose another directory, or say --overwrite.",
            )
        python = shlex.quote(sys.executable)
        file.write_text(f'#!/bin/sh\n{_MARK}\nexec {python} -m armillary.cli.condor {name} "$@"\n')
        file.chmod(0o755)
