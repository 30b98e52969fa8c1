"""Answers what the platform asks about this machine's files, to show that it began from the image that it should."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from pathlib import Path

from armillary.guest.agent.basics import Json

SECONDS = 1.0
"""For all that is not asked of every machine."""
_PIECE = 1 << 20


def measure(asked: Json, root: Path = Path("/")) -> Json:
    """Return the digests of the files and folders; of what is not asked always, as many as a second allows."""
    files = {path: _file(root / path) for path in asked.get("always") or ()}
    folders: dict[str, str] = {}
    limit = time.monotonic() + SECONDS
    for names, known, look in (
        (asked.get("folders") or (), folders, _folder),
        (asked.get("files") or (), files, _file),
    ):
        for path in names:
            if time.monotonic() > limit:
                break
            known[path] = look(root / path)
    return {"files": files, "folders": folders}


def _file(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        # neither a link out of the image nor a pipe without an end
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123  # of a descriptor
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return ""
            while piece := file.read(_PIECE):
                digest.update(piece)
    except OSError:
        return ""
    return digest.hexdigest()


def _folder(path: Path) -> str:
    lines: list[str] = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name == "__pycache__":
                    continue
                if entry.is_symlink():
                    lines.append(f"{entry.name} link {Path(entry.path).readlink()}")
                elif entry.is_dir(follow_symlinks=False):
                    lines.append(f"{entry.name} dir")
                elif entry.is_file(follow_symlinks=False):
                    about = entry.stat(follow_symlinks=False)
                    lines.append(f"{entry.name} file {stat.S_IMODE(about.st_mode):o} {about.st_size}")
    except OSError:
        return ""
    digest = hashlib.sha256()
    for line in sorted(lines):
        digest.update(line.encode(errors="surrogateescape") + b"\n")
    return digest.hexdigest()
