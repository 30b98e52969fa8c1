"""Where it is kept what running jobs did with files."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from armillary.vospace.access_model import JobAccess


class AccessRecords(Protocol):
    """Accesses of jobs, and the SHA-256 of bytes. Each call is a transaction of its own, on disk when it returns."""

    def add_access(self, access: JobAccess) -> int:
        """Note an access; returns its number, for `count_accesses`."""
        ...

    def count_accesses(self, more: Mapping[int, int]) -> None:
        """Add to the counts of accesses, by their numbers."""
        ...

    def accesses_of(self, jobs: Collection[str], most: int) -> Sequence[JobAccess]:
        """Return what some jobs did, in the order in which it was noted; of each at most `most`, and one more."""
        ...

    def forget_accesses(self, jobs: Collection[str]) -> None:
        """Forget what some jobs did."""
        ...

    def sha256_of(self, blobs: Collection[str]) -> Mapping[str, str]:
        """Return the known SHA-256 (hexadecimal) of bytes, by their key in the byte store."""
        ...

    def note_sha256(self, blob: str, sha256: str) -> None:
        """Remember the SHA-256 of bytes, which never change, for as long as they are there."""
        ...
