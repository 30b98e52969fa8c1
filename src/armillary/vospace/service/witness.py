"""Notes what running jobs do with files by their own credentials, so that it can be said later what made a result."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice

from armillary.base.clock import Clock
from armillary.base.errors import NotFound
from armillary.base.ids import PersonId
from armillary.vospace.access_model import Deed, JobAccess
from armillary.vospace.access_ports import AccessRecords
from armillary.vospace.core.permissions import Asker
from armillary.vospace.model import EMPTY_MD5, Node
from armillary.vospace.paths import VOSPath
from armillary.vospace.ports import ByteStore, Tree

MOST = 10_000
"""Different accesses of one job that are noted; of more it is noted that there were some."""
_REMEMBERED = 50_000
"""Different accesses of all jobs that are known to be noted: the same again is only counted."""
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()

_Key = tuple[Deed, str, str | None]


@dataclass
class _Seen:
    """What one job did of late: the number of each note."""

    notes: dict[_Key, int] = field(default_factory=dict[_Key, int])


class Witness:
    """A read is on disk before its first byte goes out, a write together with the node. Of what is done again, counts.

    Reading the same bytes at the same path again costs nothing but a number in memory, which `settle` writes down. So
    after a crash counts may be too low; no access is missing.
    """

    def __init__(self, *, records: AccessRecords, bytes_: ByteStore, clock: Clock) -> None:
        """Note in `records`."""
        self._records = records
        self._bytes = bytes_
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        self._size = 0
        self._more: Counter[int] = Counter()
        self._looks = True
        self._at_work: Callable[[str, PersonId], bool] = lambda _job, _person: True
        self._named: OrderedDict[str, PersonId] = OrderedDict()

    def look_away(self) -> None:
        """Note nothing from now on: nobody writes records of jobs."""
        self._looks = False

    def ask(self, at_work: Callable[[str, PersonId], bool]) -> None:
        """Know from now on only jobs that `at_work` knows, by name and person."""
        self._at_work = at_work

    def job(self, named: str, person: PersonId) -> str:
        """Return a job's name if it is at work for this person, else nothing: a token's mark is its bearer's word."""
        if not named or not self._looks:
            return ""
        with self._lock:
            if self._named.get(named) == person:
                return named
        if not self._at_work(named, person):
            return ""
        with self._lock:
            self._named[named] = person
            while len(self._named) > _REMEMBERED:
                self._named.popitem(last=False)
        return named

    def read(self, asker: Asker | None, node: Node) -> None:
        """Note that bytes of a file are about to be read."""
        if asker is None or not asker.job:
            return
        access = self._access(asker, Deed.READ, node)
        key = (access.deed, access.path, access.blob)
        with self._lock:
            seen = self._of(asker.job)
            number = seen.notes.get(key)
            if number is not None:
                self._more[number] += 1
                return
            if len(seen.notes) > MOST:
                return
        number = self._records.add_access(access)
        self._remember(asker.job, key, number)

    def write(self, tree: Tree, asker: Asker, node: Node, sha256: str) -> None:
        """Note a file that is written, in the transaction that writes it."""
        if asker.job and self._has_room(asker.job):
            access = replace(self._access(asker, Deed.WRITE, node), sha256=sha256)
            self._remember(asker.job, (access.deed, access.path, access.blob), tree.note_access(access))

    def delete(self, tree: Tree, asker: Asker | None, node: Node) -> None:
        """Note a branch that is deleted, in the transaction that deletes it."""
        if asker is not None and asker.job and self._has_room(asker.job):
            access = self._access(asker, Deed.DELETE, node)
            self._remember(asker.job, (access.deed, access.path, access.blob), tree.note_access(access))

    def copied(self, tree: Tree, asker: Asker, source: Node, copy: Node) -> None:
        """Note a file that is copied, in the transaction that does it: its bytes are read there and written here."""
        if asker.job and self._has_room(asker.job):
            # not remembered: were this undone, the next read of it would count for a note that is not there
            tree.note_access(self._access(asker, Deed.READ, source))
            self.write(tree, asker, copy, "")

    def moved(self, tree: Tree, asker: Asker | None, before: Node, now: Node) -> None:
        """Note a branch that was moved, in the transaction that does it: as if it were copied, and then deleted."""
        if asker is None or not asker.job:
            return
        for node in islice(chain([now], tree.below(now)), MOST + 1):
            if node.is_file:
                inside = node.path.names[len(now.path.names) :]
                there = replace(node, path=VOSPath((*before.path.names, *inside)))
                self.copied(tree, asker, there, node)
        self.delete(tree, asker, before)

    def settle(self) -> None:
        """Write the counts down."""
        with self._lock:
            more, self._more = self._more, Counter()
        self._records.count_accesses(more)

    def of_jobs(self, jobs: Collection[str]) -> Sequence[JobAccess]:
        """Return what some jobs did; of each at most `MOST`, and one more if there were more."""
        return self._records.accesses_of(jobs, MOST) if jobs else ()

    def forget(self, jobs: Collection[str]) -> None:
        """Forget what some jobs did: it is written down elsewhere."""
        with self._lock:
            for job in jobs:
                self._named.pop(job, None)
                gone = self._seen.pop(job, None)
                self._size -= len(gone.notes) if gone else 0
        if jobs:
            self._records.forget_accesses(jobs)

    def sha256(self, blob: str | None, length: int, *, most: int | None = None) -> str:
        """Return the SHA-256 of bytes, added up if nobody has done so; empty for more than `most`, or when they are gone."""
        if blob is None:
            return EMPTY_SHA256
        known = self._records.sha256_of([blob]).get(blob)
        if known is not None:
            return known
        if most is not None and length > most:
            return ""
        total = hashlib.sha256()
        try:
            for chunk in self._bytes.read(blob, 0, length):
                total.update(chunk)
        except NotFound:
            return ""
        self._records.note_sha256(blob, total.hexdigest())
        return total.hexdigest()

    def _access(self, asker: Asker, deed: Deed, node: Node) -> JobAccess:
        return JobAccess(
            job=asker.job,
            person_id=asker.person_id,
            deed=deed,
            path=str(node.path),
            blob=node.blob,
            length=node.length,
            md5=node.md5 if node.is_file else "",
            at=self._clock.now(),
            sha256=EMPTY_SHA256 if node.md5 == EMPTY_MD5 else "",
        )

    def _of(self, job: str) -> _Seen:
        """Return what is known of a job; with the lock held."""
        seen = self._seen.setdefault(job, _Seen())
        self._seen.move_to_end(job)
        return seen

    def _has_room(self, job: str) -> bool:
        with self._lock:
            return len(self._of(job).notes) <= MOST

    def _remember(self, job: str, key: _Key, number: int) -> None:
        with self._lock:
            seen = self._of(job)
            self._size += key not in seen.notes
            seen.notes[key] = number
            while self._size > _REMEMBERED and len(self._seen) > 1:
                self._size -= len(self._seen.popitem(last=False)[1].notes)
