"""Bytes in a folder of this machine."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from obstore.store import LocalStore, ObjectStore

from armillary.vospace.bytes.objects import ObjectBytes, ObjectWriter, location


class FolderWriter(ObjectWriter):
    """Writes beside the final place (`<key>#1`), then renames."""

    def __init__(self, store: ObjectStore, key: str, folder: Path) -> None:
        """Open a key for writing."""
        super().__init__(store, key)
        self._path = folder / location(key)

    def _persist(self) -> None:
        # The name first becomes known to anybody when the record that holds the key is committed, so it is
        # early enough to force file and folder to the disk after the rename.
        for path in (self._path, self._path.parent, self._path.parent.parent):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


class FolderBytes(ObjectBytes):
    """See `ports.ByteStore`. One file for each key."""

    def __init__(self, folder: Path) -> None:
        """Keep bytes in `folder`, which is made when it is missing."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._local = LocalStore(prefix=folder)
        super().__init__(self._local)

    def begin(self, key: str) -> FolderWriter:
        """See `ports.ByteStore`."""
        return FolderWriter(self._local, key, self._folder)

    def forget_unfinished(self, before: datetime) -> int:
        """See `ports.ByteStore`."""
        count = 0
        for path in self._folder.glob("??/*#*"):
            if datetime.fromtimestamp(path.stat().st_mtime, UTC) < before:
                path.unlink(missing_ok=True)
                count += 1
        return count
