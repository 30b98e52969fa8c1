"""What crates are made of, as their services see it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from armillary.accounts.model import Principal
from armillary.base.ids import ClusterId
from armillary.provenance.model import PublicKey, SignedCluster, SignedJob


class Recorded(Protocol):
    """Who may see a submit sees its records."""

    def cluster_record(self, who: Principal, cluster: ClusterId) -> SignedCluster:
        """Return what the jobs of a submit share. Raises NotFound when it is not the caller's to see."""
        ...

    def job_records(
        self, who: Principal, cluster: ClusterId, *, procs: Sequence[int] | None = None
    ) -> list[SignedJob]:
        """Return the records of the jobs that are over, in order: all, or those of `procs`."""
        ...

    def published_keys(self) -> list[PublicKey]:
        """Return every key that ever signed."""
        ...


class Bytes(Protocol):
    """Contents by their digest: `batch.ports.Spool`."""

    def missing(self, digests: Sequence[str]) -> list[str]:
        """Return which of these are not here."""
        ...

    def path(self, sha256: str) -> Path:
        """Return where a content is. Raises NotFound."""
        ...
