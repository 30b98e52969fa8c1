"""Is a machine that has booted what its image says? Questions that a machine answers in a second, and their answers judged.

A cloud may serve other bytes under an image's name. So a new worker is asked about its files: which packages are
installed, the programs that all jobs use, and a choice of the rest that is another one for each machine. Asked is
only what no boot changes: nothing under /etc and /var but the package manager's record, and no file that Python
writes beside its modules.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from armillary.disks.model import File, Manifest

FOLDERS, FILES = 150, 60
"""How many of each are asked about."""
_MOST_BYTES = 1 << 20
"""of a file that is asked about by chance"""
_ALWAYS = re.compile(
    r"var/lib/dpkg/status|usr/bin/(?:bash|dash|env|python3\.\d+)"
    r"|usr/lib(?:64)?/(?:[^/]+-linux-gnu/)?(?:libc\.so\.6|libpython3\.\d+\.so\.1\.0)"
)
_FIRST = ("usr/bin", "usr/sbin", "usr/local/bin", "usr/local/lib", "usr/lib/x86_64-linux-gnu")
_CHANGED_BY_BOOTS = re.compile(
    r"usr/local/share(?:/ca-certificates(?:/.*)?)?"  # the platform's authority is written there
    r"|usr/lib/locale(?:/.*)?"  # cloud-init makes the locale that it is told
    r"|usr/share/(?:doc|info|man|locale)(?:/.*)?"  # systemd writes README.logs at the first boot; and no job reads these
    r"|usr/lib/sysimage(?:/.*)?"  # rpm's database has a journal beside it
    r"|(?:.*/)?__pycache__(?:/.*)?"
)


@dataclass(frozen=True, kw_only=True)
class Questions:
    """What a machine is asked: `always` wholly, and of the others as many as it can answer in its time."""

    always: Sequence[str]
    folders: Sequence[str]
    files: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What it says: a digest for each folder's list and each file. Empty for what is not there, or is no such thing."""

    files: Mapping[str, str] = field(default_factory=dict[str, str])
    folders: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What machines made of one image say, and no more of its manifest than that."""

    always: Sequence[str]
    files: Mapping[str, str]
    folders: Mapping[str, str]

    def questions(self, seed: str) -> Questions:
        """Return what to ask a machine. The same seed gives the same questions."""
        chance = random.Random(seed)
        first = [path for path in _FIRST if path in self.folders]
        rest = [path for path in self.folders if path not in first]
        others = [path for path in self.files if path not in self.always]
        return Questions(
            always=self.always,
            folders=[*first, *chance.sample(rest, min(len(rest), FOLDERS - len(first)))],
            files=chance.sample(others, min(len(others), FILES)),
        )

    def differences(self, answers: Answers) -> list[str]:
        """Return in words what is not as the image has it; none for a machine that is what it should be."""
        found = [f"/{path}: it did not say" for path in self.always if path not in answers.files]
        for known, said, what in (
            (self.files, answers.files, "other contents"),
            (self.folders, answers.folders, "other files"),
        ):
            for path, digest in said.items():
                if path in known and digest != known[path]:
                    found.append(f"/{path}: {what if digest else 'it is not there'}")
        return sorted(found)


def expected(manifest: Manifest) -> Expected | None:
    """Return what machines made of the image must say; None when its manifest cannot tell."""
    children: dict[str, list[File]] = {}
    for file in manifest.files:
        children.setdefault(file.path.rpartition("/")[0], []).append(file)
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    always: list[str] = []
    for file in manifest.files:
        if "\\" in file.path:  # a name that is no text was written otherwise than it is
            continue
        if file.kind == "file" and file.sha256 and _ALWAYS.fullmatch(file.path):
            always.append(file.path)
            files[file.path] = file.sha256
        elif file.kind == "file" and file.sha256 and file.size <= _MOST_BYTES and _is_asked(file.path):
            files[file.path] = file.sha256
        elif file.kind == "dir" and _is_asked(file.path):
            inside = children.get(file.path, ())
            if not any("\\" in f"{child.path}{child.target}" for child in inside):
                folders[file.path] = listing(inside)
    return Expected(always=always, files=files, folders=folders) if always else None


def listing(files: Sequence[File]) -> str:
    """Return the digest of a folder's list: names, kinds, modes, sizes, targets of links. The agent does the same."""
    digest = hashlib.sha256()
    for line in sorted(_lines(files)):
        digest.update(line.encode(errors="surrogateescape") + b"\n")
    return digest.hexdigest()


def _lines(files: Sequence[File]) -> Iterator[str]:
    for file in files:
        name = file.path.rpartition("/")[2]
        if name == "__pycache__":
            continue
        if file.kind == "dir":
            yield f"{name} dir"
        elif file.kind == "link":
            yield f"{name} link {file.target}"
        elif file.kind == "file":
            yield f"{name} file {file.mode:o} {file.size}"


def _is_asked(path: str) -> bool:
    return path.startswith("usr/") and not _CHANGED_BY_BOOTS.fullmatch(path)
