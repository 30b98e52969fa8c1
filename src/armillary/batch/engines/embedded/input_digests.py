"""Which files belong to jobs, remembered: a worker asks for its inputs one after the other, and each time to read the
whole list of them would take the square of their number.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable

from sqlalchemy import Connection, select

from armillary.batch.store.tables import clusters, jobs

_Of = tuple[int, int | None]
"""A job, or with None what all jobs of its cluster have."""


class InputDigests:
    """Looks up inputs by their SHA-256. What a job was submitted with never changes, so that nothing here grows old."""

    def __init__(self, *, most: int = 200_000) -> None:
        """`most` digests are kept, each of some 150 bytes; the list that was read last is kept however long it is."""
        self._most = most
        self._kept: OrderedDict[_Of, frozenset[str]] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def have(self, db: Connection, of: Iterable[tuple[int, int]], sha256: str) -> bool:
        """Return whether one of these jobs, each by its cluster and number, has this input."""
        wanted: dict[_Of, None] = {}
        for cluster, proc in of:
            wanted[cluster, None] = wanted[cluster, proc] = None
        return any(sha256 in self._digests(db, one) for one in wanted)

    def _digests(self, db: Connection, of: _Of) -> frozenset[str]:
        with self._lock:
            if (known := self._kept.get(of)) is not None:
                self._kept.move_to_end(of)
                return known
        read = _read(db, of)
        with self._lock:
            if of not in self._kept:
                self._kept[of] = read
                self._size += _weight(read)
            while self._size > self._most and len(self._kept) > 1:
                _, forgotten = self._kept.popitem(last=False)
                self._size -= _weight(forgotten)
        return read


def _weight(digests: frozenset[str]) -> int:
    return len(digests) + 1  # an empty list takes its place, too


def _read(db: Connection, of: _Of) -> frozenset[str]:
    cluster, proc = of
    if proc is None:
        query = select(clusters.c.common_inputs).where(clusters.c.id == cluster)
    else:
        query = select(jobs.c.inputs).where(jobs.c.cluster == cluster, jobs.c.proc == proc)
    return frozenset(sha256 for _path, sha256, _size, _mode in db.execute(query).scalar_one())
