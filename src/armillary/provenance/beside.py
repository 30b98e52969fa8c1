"""Records beside the results: in the home that a submit's jobs wrote to, one file for each submit that is over.

A folder with a file for each of a hundred thousand jobs is no use to anybody, and a file among the results would be in
the way of programs that take all that is in a folder. So it is `.records/cluster-12.jsonl` of the owner's home: lines of
JSON, first the keys, then the submit's own record, then those of its jobs, each with its signature.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from armillary.base.clock import to_iso
from armillary.base.errors import ArmillaryError, Conflict
from armillary.base.ids import PersonId
from armillary.crates.canonical import parse
from armillary.provenance.model import PublicKey, Signed, SignedCluster
from armillary.provenance.store import RecordStore
from armillary.vospace.core.permissions import Asker
from armillary.vospace.service import VOSpaceService

log = logging.getLogger(__name__)

FOLDER = ".records"
AT_ONCE = 20
"""submits at a tick"""
MOST_JOBS = 20_000
"""records in one file; those of a larger submit are had by job, or exported"""


class Active(Protocol):
    """Whether a submit has jobs that are not over."""

    def __call__(self, number: int, /) -> bool: ...


class Beside:
    """Writes the files, as their owner: they count against the owner's quota, and may be deleted. Call `tick` now and then."""

    def __init__(
        self,
        *,
        store: RecordStore,
        space: VOSpaceService,
        active: Active,
        keys: Callable[[], list[PublicKey]],
    ) -> None:
        self._store = store
        self._space = space
        self._active = active
        self._keys = keys

    def tick(self) -> int:
        """Write the files of submits that are over now; return how many. One that cannot be written is not tried again."""
        written = 0
        for cluster, due in self._store.due(AT_ONCE):
            if self._active(cluster):
                self._store.postpone(cluster)
                continue
            shared = self._store.cluster(cluster)
            if shared is not None and due:
                written += self._write(shared)
            self._store.done(cluster)
        return written

    def _write(self, shared: SignedCluster) -> bool:
        owner = shared.record.owner
        asker = Asker(person_id=PersonId(owner.id or ""), user_name=owner.name)
        folder = f"/home/{owner.name}/{FOLDER}"
        try:
            with contextlib.suppress(Conflict):  # it is there
                self._space.make_container(asker, folder)
            file = f"{folder}/cluster-{shared.cluster}.jsonl"
            self._space.put_bytes(asker, file, self._lines(shared), content_type="application/jsonl")
        except ArmillaryError as error:  # the home is full, or gone: the records are ours all the same
            log.warning(
                "cluster %s: no file of records beside its results: %s", shared.cluster, error.message
            )
            return False
        return True

    def _lines(self, shared: SignedCluster) -> Iterator[bytes]:
        for key in self._keys():
            yield _line({"key": {"id": key.id, "pem": key.pem, "since": to_iso(key.since)}})
        yield _line(_shape(shared))
        after, left = -1, MOST_JOBS
        while left > 0 and (page := self._store.jobs_of(shared.cluster, after=after, limit=min(500, left))):
            for one in page:
                yield _line(_shape(one))
            after, left = page[-1].job.proc, left - len(page)


def _shape(signed: Signed) -> dict[str, Any]:
    return {"record": parse(signed.document), "signature": signed.signature.model_dump(mode="json")}


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
