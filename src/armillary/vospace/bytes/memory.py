"""Bytes in memory, for tests."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

import obstore
from obstore.store import MemoryStore

from armillary.base.errors import NotFound
from armillary.vospace.bytes.objects import CHUNK, ObjectBytes, location


class MemoryWriter:
    """See `ports.ByteWriter`."""

    def __init__(self, store: MemoryStore, unfinished: dict[str, bytearray], key: str) -> None:
        """Append to `unfinished[key]`."""
        self._store = store
        self._unfinished = unfinished
        self._key = key

    def write(self, chunk: bytes) -> None:
        """See `ports.ByteWriter`."""
        self._unfinished[self._key] += chunk

    def publish(self) -> None:
        """See `ports.ByteWriter`."""
        obstore.put(self._store, location(self._key), bytes(self._unfinished.pop(self._key)))

    def pause(self) -> None:
        """See `ports.ByteWriter`."""

    def discard(self) -> None:
        """See `ports.ByteWriter`."""
        self._unfinished.pop(self._key, None)


class MemoryBytes(ObjectBytes):
    """See `ports.ByteStore`. Everything is gone with the process."""

    def __init__(self) -> None:
        """Start empty."""
        self._memory = MemoryStore()
        self._unfinished: dict[str, bytearray] = {}
        super().__init__(self._memory)

    def begin(self, key: str) -> MemoryWriter:
        """See `ports.ByteStore`."""
        self._unfinished[key] = bytearray()
        return MemoryWriter(self._memory, self._unfinished, key)

    def kept(self, key: str) -> int | None:
        """See `ports.UnfinishedBytes`."""
        found = self._unfinished.get(key)
        return None if found is None else len(found)

    def resume(self, key: str, size: int) -> MemoryWriter:
        """See `ports.UnfinishedBytes`."""
        del self._kept(key, size)[size:]
        return MemoryWriter(self._memory, self._unfinished, key)

    def read_kept(self, key: str, stop: int) -> Iterator[bytes]:
        """See `ports.UnfinishedBytes`."""
        whole = bytes(self._kept(key, stop)[:stop])
        return (whole[start : start + CHUNK] for start in range(0, stop, CHUNK))

    def forget(self, key: str) -> None:
        """See `ports.UnfinishedBytes`."""
        self._unfinished.pop(key, None)

    def unfinished(self, before: datetime) -> Iterator[str]:
        """See `ports.UnfinishedBytes`. Moments are not kept: whatever is unfinished is told."""
        return iter(list(self._unfinished))

    def forget_unfinished(self, before: datetime, spare: Collection[str] = ()) -> int:
        """See `ports.UnfinishedBytes`. What ends with the process is not swept."""
        return 0

    def _kept(self, key: str, size: int) -> bytearray:
        found = self._unfinished.get(key)
        if found is None or len(found) < size:
            raise NotFound("Fewer bytes are kept.", code="bytes_gone")
        return found
