"""What crates are made of, as their services see it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from armillary.accounts.model import Principal
from armillary.base.ids import ClusterId
from armillary.crates.layout import Crate
from armillary.provenance.model import Gap, PublicKey, SignedCluster, SignedJob


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

    def unrecorded(self, who: Principal, cluster: ClusterId) -> list[Gap]:
        """Return jobs of which no record can be made, the first of them. Raises NotFound as `cluster_record`."""
        ...

    def published_keys(self) -> list[PublicKey]:
        """Return every key that ever signed."""
        ...


class ImportedRecords(Protocol):
    """Records that came from other platforms."""

    def crate(self, who: Principal, number: int, proc: int | None) -> Crate:
        """Return what the caller has imported under a number. Raises NotFound."""
        ...


class Bytes(Protocol):
    """Contents by their digest: `batch.ports.Spool`."""

    def missing(self, digests: Sequence[str]) -> list[str]:
        """Return which of these are not here."""
        ...

    def path(self, sha256: str) -> Path:
        """Return where a content is. Raises NotFound."""
        ...


class Sent(Protocol):
    """What people have sent: `batch.holdings.Holdings`."""

    def missing(self, who: Principal, digests: Iterable[str]) -> list[str]:
        """Return which of these the caller must still send, though others may have."""
        ...


class Tree(Protocol):
    """The files of VOSpace, as the caller may read them."""

    def md5(self, who: Principal, uri: str) -> str | None:
        """Return the MD5 of a file's bytes, or None when it is not there or not the caller's to read."""
        ...

    def sha256(self, who: Principal, uri: str) -> str | None:
        """Return the SHA-256 of a file's bytes, or None as above."""
        ...

    def chunks(self, who: Principal, uri: str) -> Iterator[bytes]:
        """Yield a file's bytes. Raises NotFound or Forbidden."""
        ...
