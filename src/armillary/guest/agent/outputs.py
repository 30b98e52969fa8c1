"""Which files of a job come back, and how much room its scratch takes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
from pathlib import Path

from armillary.guest.agent.basics import CHUNK, Fault, Json

MAX_OUTPUTS = 9_900
"""Files that one job may bring back besides its streams: the platform takes 10 000."""

Snapshot = dict[str, tuple[int, int, int]]


def top_level(work: Path) -> Snapshot:
    """Return the files directly in `work`, each with what changes when it is written."""
    found: Snapshot = {}
    for entry in os.scandir(work):
        if entry.is_file():
            facts = entry.stat()
            found[entry.name] = (facts.st_ino, facts.st_size, facts.st_mtime_ns)
    return found


class Harvest:
    """The files of one job: `work` is its scratch, inside of `base`, which is ours."""

    def __init__(self, *, base: Path, work: Path) -> None:
        self._base = base
        self._work = work

    def changed(self, before: Snapshot) -> list[Json]:
        """Return the files directly in the scratch that are new or other than `before`."""
        after = top_level(self._work)
        names = [name for name in sorted(after) if after[name] != before.get(name)]
        _refuse_too_many(len(names))
        return [self.entry(name, self._work / name) for name in names if self._inside(self._work / name)]

    def listed(self, names: list[str], *, missing_is_fault: bool, whole_paths: bool) -> list[Json]:
        """Return the named files, and all in the named directories. `whole_paths`: called as listed, not by base name."""
        entries: list[Json] = []
        for listed in names:
            if listed in ("", "/dev/null"):
                continue
            path = self._work / listed
            if not path.exists():
                if not missing_is_fault:  # that it failed is the news; what is missing follows from it
                    continue
                why = f"the job did not make {listed}, named in transfer_output_files"
                raise Fault("output_missing", why, retry=False)
            if not self._inside(path):
                raise Fault("output_missing", f"{listed} is outside the job's scratch directory", retry=False)
            if path.is_dir():
                above = self._work if whole_paths else path if listed.endswith("/") else path.resolve().parent
                for folder, _, files in sorted(os.walk(path.resolve())):
                    for name in sorted(files):
                        file = Path(folder, name)
                        if file.is_file() and self._inside(file):
                            entries.append(self.entry(os.path.relpath(file, above.resolve()), file))
            else:
                entries.append(self.entry(os.path.normpath(listed) if whole_paths else path.name, path))
            _refuse_too_many(len(entries))
        return entries

    def _inside(self, path: Path) -> bool:
        """Whether `path`, all links followed, stays in this job's own directories."""
        return self._base.resolve() in path.resolve().parents

    @staticmethod
    def entry(name: str, path: Path) -> Json:
        """Return what is said of a file to the platform, and where it is."""
        digest = hashlib.sha256()
        size = 0
        try:
            name.encode()
        except UnicodeEncodeError as error:
            why = f"the job made a file whose name is not UTF-8: {name!a}"
            raise Fault("output_invalid", why, retry=False) from error
        with path.open("rb") as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise Fault("output_missing", f"{name} is not a file", retry=False)
            while True:
                piece = file.read(CHUNK)
                if not piece:
                    break
                digest.update(piece)
                size += len(piece)
        made = {"name": name, "sha256": digest.hexdigest(), "size": size, "path": str(path)}
        return {**made, "mode": stat.S_IMODE(facts.st_mode) & 0o777}


def _refuse_too_many(count: int) -> None:
    if count > MAX_OUTPUTS:
        why = f"the job made {count} files to bring back, more than {MAX_OUTPUTS}: pack them into an archive"
        raise Fault("too_many_outputs", why, retry=False)


def disk_kib(directory: Path) -> int:
    """Return the room that the files of a tree take on the disk; one with two names counts once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    stack = [str(directory)]
    while stack:
        with contextlib.suppress(OSError), os.scandir(stack.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):  # it went away meanwhile
                    facts = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(facts.st_mode):
                        stack.append(entry.path)
                        continue
                    if facts.st_nlink > 1:
                        if (facts.st_dev, facts.st_ino) in seen:
                            continue
                        seen.add((facts.st_dev, facts.st_ino))
                    # Some file systems give room to a small file only later.
                    total += max(facts.st_blocks, -(-min(facts.st_size, 1 << 16) // 1024) * 2)
    return total // 2


def remove_tree(path: Path) -> None:
    """Delete a job's files, also where the job took away the rights to do so."""
    for folder, names, _ in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):
                if not Path(folder, name).is_symlink():
                    Path(folder, name).chmod(0o700)
    shutil.rmtree(path, ignore_errors=True)
