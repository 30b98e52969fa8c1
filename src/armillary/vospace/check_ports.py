"""What a check of the space asks the records, beside what services ask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from armillary.vospace.check_model import HomeUsage, NamedBytes, OwnerShare
from armillary.vospace.model import Node
from armillary.vospace.paths import VOSPath


class Inspection(Protocol):
    """Looks at all records, also at those that no path leads to. Changes nothing."""

    def named(self, shard: str, limit: int | None = None) -> Sequence[NamedBytes]:
        """Return the nodes whose blob begins with `shard`, at most `limit`."""
        ...

    def nameless(self) -> Sequence[NamedBytes]:
        """Return the nodes that have a length and no blob."""
        ...

    def path_of(self, node_id: int) -> VOSPath | None:
        """Return where a node is; None when it is gone, or no path leads to it."""
        ...

    def unreachable(self, limit: int) -> Sequence[Node]:
        """Return nodes that no path leads to, of each lost branch the uppermost; their paths are mere names."""
        ...

    def usages(self) -> Iterator[HomeUsage]:
        """Walk over all homes. What a home holds and what it says are of one moment."""
        ...

    def waiting(self) -> int:
        """Return how many blobs wait for `Records.reap`."""
        ...

    def owners(self) -> Sequence[OwnerShare]:
        """Return everybody who owns nodes."""
        ...
