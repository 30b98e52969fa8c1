"""Compares records and bytes, both ways, and mends what can be mended without losing anything.

It works beside a running platform: what looks wrong is looked at once more before it is told, and younger than the
grace period nothing is suspected. Where there are many files they are compared in 256 portions, by the first digits of
their keys: memory grows with a small part of their number, and not with their sizes.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import islice

from armillary.base.clock import Clock, to_iso
from armillary.base.errors import ArmillaryError, Conflict, NotFound
from armillary.base.ids import PersonId
from armillary.base.units import format_size
from armillary.vospace.check_model import DAMAGED, Fault, Finding, HomeUsage, NamedBytes
from armillary.vospace.check_ports import Inspection
from armillary.vospace.job_model import Phase
from armillary.vospace.job_ports import JobRecords
from armillary.vospace.model import Node, NodeKind, Sharing
from armillary.vospace.paths import VOSPath
from armillary.vospace.ports import ByteStore, Records, Stored, Tree
from armillary.vospace.service.runner import left_behind

audit = logging.getLogger("armillary.audit")

GRACE = timedelta(hours=1)
"""Younger than this nothing is suspected: somebody may be at work."""
LOST_AND_FOUND = "lost+found"
_SHARDS = [f"{number:02x}" for number in range(256)]
_MOST_LOST = 200
"""branches that are taken care of at a time"""

Progress = Callable[[str, int, int], None]
"""Hears what is being looked at, how far it is, and of how much."""


class Checker:
    """Looks for faults and, when told to, mends them."""

    def __init__(
        self,
        *,
        records: Records,
        inspection: Inspection,
        bytes_: ByteStore,
        jobs: JobRecords,
        clock: Clock,
        known: Callable[[PersonId], bool],
        progress: Progress,
        mends: bool = False,
        checksums: bool = False,
        portion: int = 20_000,
    ) -> None:
        """Check the space; `known` says whether there is such a person. With `checksums` all bytes are read.

        Up to `portion` files are compared at once.
        """
        self._records = records
        self._inspection = inspection
        self._bytes = bytes_
        self._jobs = jobs
        self._clock = clock
        self._known = known
        self._progress = progress
        self._mends = mends
        self._checksums = checksums
        self._portion = portion
        self._before = clock.now() - GRACE

    def findings(self) -> Iterator[Finding]:
        """Yield what is found, as it is found."""
        yield from self._unreachable()
        yield from self._blobs()
        yield from self._waiting()
        yield from self._unfinished()
        yield from self._usages()
        yield from self._left_jobs()
        yield from self._gone_owners()

    # -- branches that hang on nothing

    def _unreachable(self) -> Iterator[Finding]:
        self._progress("branches", 0, 1)
        while True:
            found = self._inspection.unreachable(_MOST_LOST)
            kept = 0
            for node in found:
                mended = self._bring_home(node) if self._mends else ""
                kept += not mended
                yield Finding(
                    fault=Fault.UNREACHABLE,
                    subject=f"node {node.id}",
                    detail=f"{node.name} of {node.owner_name or 'the system'} is in no container",
                    mended=mended,
                )
            if not found or kept:
                return

    def _bring_home(self, node: Node) -> str:
        """Put a lost branch into its owner's home; return what was done."""
        home = VOSPath(("home", node.owner_name))
        with self._records.writing() as tree:
            way = tree.walk(home)
            if len(way) < 3 or way[-1].id == node.id:
                return ""
            shelf = self._shelf(tree, way[-1])
            place = shelf.path / f"{node.id} {node.name}"[:200]
            try:
                tree.save(replace(node, parent_id=shelf.id, path=place))
            except Conflict:
                return ""
        audit.info("vospace.fsck.moved %s", place, extra={"node": node.id})
        return f"moved to {place}"

    def _shelf(self, tree: Tree, home: Node) -> Node:
        way = tree.walk(home.path / LOST_AND_FOUND)
        if len(way) == 4:
            return way[-1]
        now = self._clock.now()
        return tree.add(
            replace(
                home,
                id=0,
                parent_id=home.id,
                path=home.path / LOST_AND_FOUND,
                kind=NodeKind.CONTAINER,
                created_at=now,
                modified_at=now,
                sharing=Sharing(),
                is_locked=False,
                properties={},
                used=0,
                quota=None,
            )
        )

    # -- bytes that nodes name, and bytes that none does

    def _blobs(self) -> Iterator[Finding]:
        for nameless in self._inspection.nameless():
            yield from self._suspect(nameless, None)
        for named, there in self._portions():
            for one in named:
                yield from self._suspect(one, there.get(one.blob or ""))
            blobs = {one.blob for one in named}
            yield from self._orphans(
                [
                    key
                    for key, stored in there.items()
                    if key not in blobs and stored.published_at < self._before
                ]
            )

    def _portions(self) -> Iterator[tuple[Sequence[NamedBytes], Mapping[str, Stored]]]:
        """Yield what nodes name and what there is, of the same keys: all at once, or 256 portions of much.

        What nodes name is asked first: what comes meanwhile looks like an orphan then, and is young.
        """
        self._progress("bytes", 0, len(_SHARDS))
        named = self._inspection.named("", self._portion + 1)
        there = (
            list(islice(self._bytes.published(), self._portion + 1)) if len(named) <= self._portion else []
        )
        if len(named) <= self._portion and len(there) <= self._portion:
            yield named, {stored.key: stored for stored in there}
            return
        for done, shard in enumerate(_SHARDS):
            self._progress("bytes", done, len(_SHARDS))
            named = self._inspection.named(shard)
            yield named, {stored.key: stored for stored in self._bytes.published(shard)}

    def _suspect(self, one: NamedBytes, stored: Stored | None) -> Iterator[Finding]:
        """Look at what a node names, and again at the node before anything is said."""
        fault, detail = self._judge(one, stored)
        if fault is None and not one.damaged:
            return
        path = self._inspection.path_of(one.node_id)
        node = self._still(one, path)
        if path is None or node is None:
            return
        if fault is None:
            mended = self._mark(one, path, "") if self._mends else ""
            yield Finding(
                fault=Fault.MISSING_BYTES,
                subject=str(path),
                detail="the bytes are there again; the mark is old",
                mended=mended,
            )
            return
        if self._mends and DAMAGED not in node.properties:
            self._mark(one, path, f"{fault.value} {to_iso(self._clock.now())}")
            detail += "; marked, and left as it is"
        yield Finding(fault=fault, subject=str(path), detail=detail)

    def _judge(self, one: NamedBytes, stored: Stored | None) -> tuple[Fault | None, str]:
        size = stored.size if stored else None
        if size is None and one.blob:
            size = self._bytes.size(one.blob)
        if size is None or not one.blob:
            return Fault.MISSING_BYTES, f"{format_size(one.length)} are lost"
        if size != one.length:
            return Fault.WRONG_LENGTH, f"{size} bytes are there, and {one.length} should be"
        if self._checksums:
            digest = hashlib.md5(usedforsecurity=False)
            try:
                for chunk in self._bytes.read(one.blob, 0, size):
                    digest.update(chunk)
            except NotFound:
                return Fault.MISSING_BYTES, "a part of the bytes is lost"
            if digest.hexdigest() != one.md5:
                return Fault.WRONG_CHECKSUM, f"the MD5 is {digest.hexdigest()}, and {one.md5} it should be"
        return None, ""

    def _still(self, one: NamedBytes, path: VOSPath | None) -> Node | None:
        """Return the node if it names the same bytes as before."""
        if path is None:
            return None
        with self._records.reading() as tree:
            way = tree.walk(path)
        same = len(way) == len(path.names) + 1 and (way[-1].id, way[-1].blob) == (one.node_id, one.blob)
        return way[-1] if same else None

    def _mark(self, one: NamedBytes, path: VOSPath, mark: str) -> str:
        """Write on the node what is known of its bytes. It is not locked: its owner may put the file there anew."""
        with self._records.writing() as tree:
            node = tree.walk(path)[-1]
            if (node.id, node.blob) != (one.node_id, one.blob):
                return ""
            properties = {uri: value for uri, value in node.properties.items() if uri != DAMAGED}
            tree.save(replace(node, properties={**properties, DAMAGED: mark} if mark else properties))
        audit.info("vospace.fsck.marked %s", path, extra={"mark": mark})
        return "mark taken away"

    def _orphans(self, keys: list[str]) -> Iterator[Finding]:
        for start in range(0, len(keys), 500):
            portion = keys[start : start + 500]
            # Uploads are asked first: what leaves them is in the tree by then.
            used = self._records.uploads.upload_keys() | self._records.blobs_in_use(portion)
            for key in portion:
                if key in used:
                    continue
                size = self._bytes.size(key)
                if size is None:
                    continue
                if self._mends:
                    self._bytes.delete(key)
                    audit.info("vospace.fsck.deleted %s", key, extra={"length": size})
                yield Finding(
                    fault=Fault.ORPHAN_BYTES,
                    subject=key,
                    detail=f"{format_size(size)} that no node names",
                    mended="deleted" if self._mends else "",
                )

    # -- what was not finished

    def _waiting(self) -> Iterator[Finding]:
        self._progress("deleted files", 0, 1)
        count = self._inspection.waiting()
        if not count:
            return
        if self._mends:
            while self._records.reap(self._bytes.delete, 200) == 200:
                pass
        yield Finding(
            fault=Fault.WAITING_BYTES,
            subject="deleted files",
            detail=f"the bytes of {count} have not been given back",
            mended="given back" if self._mends else "",
        )

    def _unfinished(self) -> Iterator[Finding]:
        self._progress("uploads", 0, 1)
        spare = self._records.uploads.upload_keys()
        for key in self._bytes.unfinished(self._before):
            if key not in spare:
                if self._mends:
                    self._bytes.forget(key)
                yield Finding(
                    fault=Fault.UNFINISHED_UPLOAD,
                    subject=key,
                    detail="nobody has written to it lately, and nobody can go on",
                    mended="deleted" if self._mends else "",
                )

    # -- sums

    def _usages(self) -> Iterator[Finding]:
        self._progress("homes", 0, 1)
        for usage in self._inspection.usages():
            if usage.used != usage.held:
                yield Finding(
                    fault=Fault.WRONG_USAGE,
                    subject=str(usage.path),
                    detail=f"{usage.used} bytes are counted, and {usage.held} are there",
                    mended=self._count_anew(usage) if self._mends else "",
                )

    def _count_anew(self, usage: HomeUsage) -> str:
        # Whatever happens meanwhile changes both figures alike, so the difference between them stays true.
        with self._records.writing() as tree:
            way = tree.walk(usage.path)
            if len(way) <= len(usage.path.names):
                return ""
            used = tree.charge(way[-1], usage.held - usage.used)
        audit.info("vospace.fsck.counted %s", usage.path, extra={"used": used})
        return f"counts {used} bytes now"

    # -- jobs and people

    def _left_jobs(self) -> Iterator[Finding]:
        self._progress("jobs", 0, 1)
        for job in self._jobs.beat("fsck", self._clock.now(), self._before):
            after = left_behind(job, self._clock.now())
            done = self._mends and self._jobs.update(after, among={Phase.EXECUTING}, runner=job.runner)
            yield Finding(
                fault=Fault.LEFT_JOB,
                subject=f"{job.kind.value}/{job.id}",
                detail=f"of {job.owner_name}; whoever ran it has ended",
                mended=f"is {after.phase.value}" if done else "",
            )

    def _gone_owners(self) -> Iterator[Finding]:
        self._progress("owners", 0, 1)
        for share in self._inspection.owners():
            if not self._is_known(share.owner_id):
                yield Finding(
                    fault=Fault.GONE_OWNER,
                    subject=share.owner_name,
                    detail=f"is nobody here any more, and owns {share.nodes} nodes with {format_size(share.octets)}",
                )

    def _is_known(self, person: PersonId) -> bool:
        try:
            return self._known(person)
        except ArmillaryError:
            return False
