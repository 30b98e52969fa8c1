"""Copies files as they are on disk: shared where the file system can share, with their holes where it cannot."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

_FICLONE = 0x40049409
"""`ioctl_ficlone(2)`: both files share the extents until one of them is written (Btrfs, XFS, bcachefs)."""
_CHUNK = 1 << 24
_NOT_HERE = frozenset({errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS})


def copy_sparse(source: Path, target: Path) -> None:
    """Copy a file that nobody writes to. What fails leaves a part of `target` behind; nothing is brought to disk.

    Raises:
        OSError: the disk is full, the source is gone, …
    """
    with source.open("rb") as origin, target.open("wb") as copy:
        if not _shared(origin.fileno(), copy.fileno()):
            _copy_extents(origin.fileno(), copy.fileno())


def _shared(origin: int, copy: int) -> bool:
    try:
        fcntl.ioctl(copy, _FICLONE, origin)
    except OSError as error:
        if error.errno in _NOT_HERE:
            return False
        raise
    return True


def _copy_extents(origin: int, copy: int) -> None:
    end = os.fstat(origin).st_size
    os.ftruncate(copy, end)
    place = 0
    while place < end:
        try:
            start = os.lseek(origin, place, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole is left
                return
            raise
        place = os.lseek(origin, start, os.SEEK_HOLE)
        os.lseek(copy, start, os.SEEK_SET)
        os.lseek(origin, start, os.SEEK_SET)
        left = place - start
        while left:
            moved = os.sendfile(copy, origin, None, min(left, _CHUNK))
            if not moved:
                raise OSError(errno.EIO, "the file became shorter while it was copied")
            left -= moved
