"""Bytes in memory, for tests."""

from __future__ import annotations

from obstore.store import MemoryStore

from armillary.vospace.bytes.objects import ObjectBytes


class MemoryBytes(ObjectBytes):
    """See `ports.ByteStore`. Everything is gone with the process."""

    def __init__(self) -> None:
        """Start empty."""
        super().__init__(MemoryStore())
