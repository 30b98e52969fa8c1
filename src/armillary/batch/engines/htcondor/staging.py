"""The folder through which files pass between our spool and the schedd's. What is in it may be lost at any time."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from armillary.base.errors import Invalid
from armillary.batch.engines.htcondor.translate import below
from armillary.batch.model import InputFile
from armillary.batch.ports import Blob, Spool

_CHUNK = 2**20
_OF_NAMES = frozenset({errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG})


class Staging:
    """Folders of jobs: `in` with the files of one that is being sent, `out` for those that come back."""

    def __init__(self, *, directory: Path, spool: Spool) -> None:
        self._directory = directory
        self._spool = spool
        self._directory.mkdir(parents=True, exist_ok=True)

    def lay_out(self, cluster: int, proc: int, files: Sequence[InputFile]) -> tuple[Path, Path]:
        """Put a job's files under the names of its spec; returns (where they are, where its outputs will come).

        Raises Invalid for names that no folder can have together.
        """
        self.clear(cluster, proc)
        inputs, outputs = self._place(cluster, proc) / "in", self.outputs(cluster, proc)
        inputs.mkdir(parents=True)
        for file in files:
            place = inputs / below(file.path)
            blob = self._spool.path(file.sha256)
            with _at(file.path):
                place.parent.mkdir(parents=True, exist_ok=True)
                if file.mode & 0o777 == 0o644:
                    place.symlink_to(blob.absolute())
                else:  # the mode travels with the file, and a blob may be several jobs'
                    with blob.open("rb") as source, place.open("xb") as copy:
                        shutil.copyfileobj(source, copy)
                    place.chmod(file.mode & 0o777)
        return inputs, outputs

    @staticmethod
    def add_secret(inputs: Path, name: str, text: str) -> None:
        """Put a file among a job's inputs that nobody else reads, here or where it comes to. Raises Invalid."""
        with _at(name):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(inputs / name, flags, 0o600), "w") as file:
                file.write(text)

    def outputs(self, cluster: int, proc: int) -> Path:
        """Return the folder that a job's outputs come to; it is there."""
        place = self._place(cluster, proc) / "out"
        place.mkdir(parents=True, exist_ok=True)
        return place

    def clear(self, cluster: int, proc: int) -> None:
        """Remove a job's folders."""
        shutil.rmtree(self._place(cluster, proc), ignore_errors=True)

    def keep(self, file: Path) -> Blob:
        """Take a file into the spool, durably."""
        with self._spool.writer() as writer, file.open("rb") as source:
            while chunk := source.read(_CHUNK):
                writer.write(chunk)
            return writer.commit()

    def _place(self, cluster: int, proc: int) -> Path:
        return self._directory / f"{cluster}" / f"{proc}"


@contextmanager
def _at(path: str) -> Generator[None]:
    """Blame a name, and not the disk, for what is wrong with a name: it is its job's fault alone."""
    try:
        yield
    except OSError as error:
        if error.errno not in _OF_NAMES:
            raise
        raise Invalid(
            f"{path} cannot lie beside the job's other input files: {error.strerror}",
            code="not_with_htcondor",
            facts={"file": path},
            remedy="Give each input file a name of its own, and none the name of another one's folder.",
        ) from error


def regular_files(folder: Path) -> list[tuple[str, Path]]:
    """Return the files below a folder with their names in it; what leads out of it is no file of the job's."""
    found: list[tuple[str, Path]] = []
    for here, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            place = Path(here, name)
            if place.is_file() and not place.is_symlink():
                found.append((str(place.relative_to(folder)), place))
    return found
