"""Makes room on the platform's disk: bytes that nothing names any more go, and logs of long ago when that is wanted.

What attempts brought that came to nothing is never asked for again, nor is what was saved by a job that is over. All
that a record, a person, a job or a checkpoint names stays.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

from armillary.base.clock import Clock
from armillary.batch.logs import LogFolder
from armillary.batch.spool import FolderSpool

GRACE = timedelta(days=1)
"""What arrived since may be on its way to be named."""
_AT_ONCE = 200_000
"""files that are looked up together"""

Named = Callable[[Collection[str]], Collection[str]]
"""Of some digests, those that must stay."""


@dataclass(frozen=True, kw_only=True)
class Swept:
    """What was removed, or would be."""

    what: str
    """file or log"""
    name: str
    size: int


class Sweeper:
    """Works beside a platform that runs, too."""

    def __init__(
        self,
        *,
        spool: FolderSpool,
        logs: LogFolder,
        named: Sequence[Named],
        active: Callable[[int], bool],
        clock: Clock,
        at_once: int = _AT_ONCE,
    ) -> None:
        """`named` are all who may need bytes; `active` says whether a submit has jobs that are not over."""
        self._spool = spool
        self._logs = logs
        self._named = named
        self._active = active
        self._clock = clock
        self._at_once = at_once

    def files(self, *, removes: bool) -> Iterator[Swept]:
        """Yield the files of the spool that nothing names, and remove them if asked to."""
        before = self._clock.now() - GRACE
        old = self._spool.older(before)
        while some := dict(islice(old, self._at_once)):
            for named in self._named:
                for digest in named(some.keys()):
                    some.pop(digest, None)
            for digest, size in some.items():
                if not removes or self._spool.remove(digest, before):
                    yield Swept(what="file", name=digest, size=size)

    def old_logs(self, age: timedelta, *, removes: bool) -> Iterator[Swept]:
        """Yield the logs of submits that are over and have said nothing for so long, and remove them if asked to."""
        before = self._clock.now() - age
        for cluster, size in self._logs.older(before):
            if self._active(cluster):
                continue
            if removes:
                self._logs.remove(cluster)
            yield Swept(what="log", name=str(cluster), size=size)
