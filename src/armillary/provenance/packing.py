"""Documents as they lie in the database: compressed, with a document that is nearly the same as the pattern.

Records of the jobs of one submit differ in little. Against the first of them another takes a tenth of its room.
"""

from __future__ import annotations

import zlib
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from armillary.base.errors import Unavailable
from armillary.batch.ports import BlobWriter

_WINDOW = 32 << 10
"""bytes of a pattern that zlib looks at"""


def pack(document: bytes, pattern: bytes = b"") -> bytes:
    """Return the packed form of a document."""
    pattern = pattern[-_WINDOW:]
    packer = zlib.compressobj(level=6, zdict=pattern) if pattern else zlib.compressobj(level=6)
    return packer.compress(document) + packer.flush()


def unpack(packed: bytes, pattern: bytes = b"") -> bytes:
    """Return what was packed with the same pattern.

    Raises:
        Unavailable: the bytes are not what was written, code `record_damaged`.
    """
    pattern = pattern[-_WINDOW:]
    unpacker = zlib.decompressobj(zdict=pattern) if pattern else zlib.decompressobj()
    try:
        return unpacker.decompress(packed) + unpacker.flush()
    except zlib.error as error:
        raise damaged() from error


def damaged() -> Unavailable:
    """Return the refusal of a record whose bytes are not those that were signed."""
    return Unavailable(
        "The record is damaged in the platform's database.",
        code="record_damaged",
        remedy="Restore the database from a backup; a bundle that was exported before has the record, too.",
    )


class BigDocuments(Protocol):
    """Where large documents lie, by their SHA-256: batch's spool."""

    def writer(self) -> AbstractContextManager[BlobWriter]: ...

    def path(self, sha256: str) -> Path: ...
