"""Crates of this platform's own jobs: their records, what they read, and what they made, in one zip that is streamed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from armillary.accounts.model import Principal
from armillary.base.errors import Conflict, NotFound, TooLarge
from armillary.base.ids import ClusterId
from armillary.batch.model import JobId
from armillary.crates.describing import descriptions
from armillary.crates.layout import Crate, Entry, Role, Signed, disk_path
from armillary.provenance.crate_ports import Bytes, ImportedRecords, Recorded, Sent, Tree
from armillary.provenance.gaps import impossible
from armillary.provenance.model import Gap
from armillary.vospace.archives import Entry as Packed
from armillary.vospace.archives import zipped

MAX_JOBS = 20_000
"""of one crate: it is put together in memory"""
IMPORTED = "import-"
_CHUNK = 1 << 20
_NAMED = 50


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a person means by `12` or `12.0`, or by `import-3` or `import-3.0`: records that came from elsewhere."""

    cluster: ClusterId
    proc: int | None = None
    imported: bool = False

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read a cluster's or a job's name. Raises Invalid."""
        name = text.removeprefix(IMPORTED)
        job = JobId.parse(name if "." in name else f"{name}.0")
        return cls(cluster=job.cluster, proc=job.proc if "." in name else None, imported=name != text)

    def __str__(self) -> str:
        name = str(self.cluster) if self.proc is None else f"{self.cluster}.{self.proc}"
        return IMPORTED + name if self.imported else name


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """A crate on its way out. `octets`: of its files, the descriptions not counted."""

    octets: int
    chunks: Iterator[bytes]


class Exports:
    """Puts crates together."""

    def __init__(
        self, *, recorded: Recorded, imported: ImportedRecords, spool: Bytes, sent: Sent, tree: Tree
    ) -> None:
        self._recorded = recorded
        self._imported = imported
        self._spool = spool
        self._sent = sent
        self._tree = tree

    def crate(self, who: Principal, target: Target) -> Crate:
        """Return the records of a cluster's jobs that are over, or of one job.

        Raises:
            NotFound: there is no such cluster, no job of it is over, or no record can be made of those that are.
            TooLarge: it has more jobs than a crate takes.
        """
        if target.imported:
            return self._imported.crate(who, target.cluster, target.proc)
        cluster = self._recorded.cluster_record(who, target.cluster)
        record = cluster.record
        if target.proc is None and record.jobs > MAX_JOBS:
            raise TooLarge(
                f"cluster {target} has {record.jobs} jobs; a crate takes {MAX_JOBS}",
                facts={"jobs": record.jobs, "limit": MAX_JOBS},
                remedy="Export single jobs: armillary export CLUSTER.JOB",
            )
        procs = None if target.proc is None else [target.proc]
        jobs = self._recorded.job_records(who, target.cluster, procs=procs)
        if not jobs:
            self._require_possible(who, target)
            raise NotFound(
                f"no job of {target} has a record yet",
                code="no_record",
                facts={"target": str(target)},
                remedy="A job's record is written when it is over: armillary watch",
            )
        signers = {cluster.signature.key, *(job.signature.key for job in jobs)}
        return Crate(
            cluster=Signed(document=record, data=cluster.document, signature=cluster.signature),
            jobs=[Signed(document=job.record, data=job.document, signature=job.signature) for job in jobs],
            keys={key.id: key.pem for key in self._recorded.published_keys() if key.id in signers},
        )

    def unrecorded(self, who: Principal, cluster: ClusterId) -> list[Gap]:
        """Return jobs of a cluster of which no record can be made, the first of them."""
        return self._recorded.unrecorded(who, cluster)

    def _require_possible(self, who: Principal, target: Target) -> None:
        for gap in self.unrecorded(who, target.cluster):
            if target.proc in {None, gap.job.proc}:
                raise impossible(gap)

    def require_inputs(self, crate: Crate) -> None:
        """Raise Conflict `contents_gone`, with the list, when files that the jobs were given are no longer here."""
        given = {file.sha256 for job in crate.jobs for file in job.document.files}
        entries = [entry for entry in crate.contents() if entry.sha256 in given and entry.role is Role.INPUT]
        gone = set(self._spool.missing([entry.sha256 for entry in entries]))
        if gone:
            raise _gone([entry for entry in entries if entry.sha256 in gone])

    def require_contents(self, who: Principal, crate: Crate) -> None:
        """Raise Conflict `contents_gone`, with the list, when bytes that the records name can no longer be had."""
        elsewhere = self._not_in_spool(who, crate.contents())
        gone = [entry for entry in elsewhere if not self._in_tree(who, entry)]
        if gone:
            raise _gone(gone)

    def chunks(self, who: Principal, entry: Entry) -> Iterator[bytes]:
        """Yield the bytes of an input or output, from wherever they are."""
        if not self._not_in_spool(who, [entry]):
            return chunks_of(self._spool.path(entry.sha256))
        uri = entry.content.uri if entry.content else None
        assert uri is not None, "it was looked for before"
        return self._tree.chunks(who, uri)

    def content(self, who: Principal, target: Target, sha256: str) -> Iterator[bytes]:
        """Yield bytes that a crate's records name. Raises NotFound when they name none such, or those are gone."""
        for entry in self.crate(who, target).contents():
            if entry.sha256 == sha256:
                return self.held(who, entry)
        raise NotFound(f"no record of {target} names {sha256}", facts={"sha256": sha256})

    def held(self, who: Principal, entry: Entry) -> Iterator[bytes]:
        """Yield the bytes of an input or output. Raises Conflict `contents_gone` when they are nowhere any more."""
        if self._not_in_spool(who, [entry]) and not self._in_tree(who, entry):
            raise _gone([entry])
        return self.chunks(who, entry)

    def lies_at(self, who: Principal, name: str) -> str | None:
        """Return the SHA-256 of what is in VOSpace now, at `vos:/home/…`, for those who may read it."""
        return self._tree.sha256(who, f"vos:///{name.removeprefix('vos:/')}")

    def _not_in_spool(self, who: Principal, entries: Sequence[Entry]) -> list[Entry]:
        """Return what the caller does not have by the spool.

        What a job read or wrote in VOSpace is had there, by those who may read it: that somebody's spool has the same
        bytes opens it to nobody else. What a job brought home is had there, though it may have written the same.
        """
        missing = set(self._spool.missing([entry.sha256 for entry in entries]))
        private = [entry for entry in entries if entry.content and entry.content.uri]
        unsent = set(self._sent.missing(who, [entry.sha256 for entry in private]))
        elsewhere = {id(entry) for entry in private if entry.sha256 in unsent}
        return [entry for entry in entries if entry.sha256 in missing or id(entry) in elsewhere]

    def _in_tree(self, who: Principal, entry: Entry) -> bool:
        uri = entry.content.uri if entry.content else None
        return uri is not None and self._tree.sha256(who, uri) == entry.sha256

    def archive(self, who: Principal, target: Target) -> Iterator[bytes]:
        """Yield a crate as a zip. What is wrong with it is said before its first byte."""
        return self.pack(who, self.crate(who, target)).chunks

    def pack(self, who: Principal, crate: Crate, image: Iterator[bytes] | None = None) -> Parcel:
        """Return a crate as a zip, with its image if its bytes are given. Raises as `require_contents`."""
        crate = crate if image else replace(crate, image=None)
        self.require_contents(who, crate)
        octets = sum(entry.size for entry in [*crate.papers(), *crate.contents()])
        octets += crate.image.document.size if crate.image else 0
        return Parcel(octets=octets, chunks=zipped(self._packed(who, crate, image or iter(()))))

    def _packed(self, who: Principal, crate: Crate, image: Iterator[bytes]) -> Iterator[Packed]:
        at = crate.cluster.document.submitted_at
        papers = [(entry.path, entry.data or b"") for entry in crate.papers()]
        for path, data in [*descriptions(crate).items(), *papers]:
            yield Packed(name=path, modified_at=at, length=len(data), chunks=[data])
        for entry in crate.contents():
            yield Packed(name=entry.path, modified_at=at, length=entry.size, chunks=self.chunks(who, entry))
        if crate.image:
            disk = crate.image.document
            yield Packed(name=disk_path(disk), modified_at=at, length=disk.size, chunks=image)


def chunks_of(place: Path) -> Iterator[bytes]:
    """Yield a file's bytes."""
    with place.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _gone(entries: list[Entry]) -> Conflict:
    named = [
        {"role": entry.role.value, "name": entry.content.name if entry.content else entry.path,
         "sha256": entry.sha256, "jobs": list(entry.jobs[:_NAMED])}
        for entry in entries[:_NAMED]
    ]  # fmt: skip
    first = ", ".join(str(one["name"]) for one in named[:3])
    return Conflict(
        f"{len(entries)} files that the records name are no longer on the platform: {first}",
        code="contents_gone",
        facts={"gone": named, "count": len(entries)},
        remedy="Bring them back by importing a crate that has them: armillary import CRATE",
    )
