"""A folder of disks under names: what is half made has another name, and goes when the folder is opened again."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from armillary.cloud.volumes.ports import DiskFailed

_PART = ".part"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class DiskFolder:
    """Files that are whole or not there. One process at a time uses a folder.

    With `durable` that holds after a loss of power too.
    """

    def __init__(self, *, directory: Path, suffix: str, durable: bool = True) -> None:
        self._directory, self._suffix, self._durable = directory, suffix, durable
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for part in directory.glob(f"*{_PART}"):
            part.unlink(missing_ok=True)  # what a killed process left

    def path(self, name: str) -> Path:
        """Where a disk is, or would be."""
        return self._directory / f"{name}{self._suffix}"

    @contextmanager
    def making(self, target: Path) -> Generator[Path]:
        """Give a file to fill; it gets its name at the end of the block, or goes if the block fails.

        Raises:
            DiskFailed: instead of any OSError of the block.
        """
        part = target.with_name(target.name + _PART)
        try:
            with told():
                part.unlink(missing_ok=True)
                yield part
                if self._durable:
                    with part.open("rb+") as file:
                        os.fsync(file.fileno())
                part.replace(target)
                self._sync()
        finally:
            part.unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        """Delete a disk; one that is not there is fine."""
        with told():
            self.path(name).unlink(missing_ok=True)
            self._sync()

    def names(self) -> frozenset[str]:
        """The disks that are here."""
        return frozenset(
            file.name.removesuffix(self._suffix) for file in self._directory.glob(f"*{self._suffix}")
        )

    def _sync(self) -> None:
        """Let the folder's new contents survive a loss of power."""
        if not self._durable:
            return
        folder = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def told() -> Generator[None]:
    """Turn what the system says into what a user may read."""
    try:
        yield
    except FileNotFoundError as error:
        name = Path(str(error.filename)).name
        raise DiskFailed(
            f"The bytes that were to be read are gone ({name}).", code="volume_missing"
        ) from error
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFailed("The disk of this computer is full.", code="disk_full") from error
        raise DiskFailed(
            f"The volume's file could not be written: {error.strerror}", code="volume_disk_failed"
        ) from error
