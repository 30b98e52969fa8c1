"""Files that people send for their submits. To know a digest is not to have the bytes: each sends their own."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager

from armillary.accounts.model import Principal
from armillary.base.errors import Invalid
from armillary.batch.model import InputFile
from armillary.batch.ports import Blob, BlobWriter, Spool
from armillary.batch.store.holding_records import HoldingRecords

_NAMED = 1000


class Holdings:
    """The spool as people see it: what somebody else has sent is not there before they send it too.

    Records and shared crates tell digests of files that not everybody may read. Were a digest enough, whoever knows
    it could name the file as an input of a job of theirs, and read it there.
    """

    def __init__(self, *, spool: Spool, records: HoldingRecords) -> None:
        self._spool = spool
        self._records = records

    def missing(self, who: Principal, digests: Iterable[str]) -> list[str]:
        """Return those of `digests` that the caller must still send, in order, each once."""
        asked = list(dict.fromkeys(digests))
        gone = set(self._spool.missing(asked))
        sent = self._records.of(who.person.id, asked)
        return [digest for digest in asked if digest in gone or digest not in sent]

    @contextmanager
    def writer(self, who: Principal) -> Generator[BlobWriter]:
        """Begin a file of the caller's. It is theirs, durably, when `commit` returns."""
        with self._spool.writer() as writer:
            yield _Writer(self, who, writer)

    def vouch(self, who: Principal, digests: Iterable[str]) -> None:
        """Take it that the caller has these bytes: somebody has looked whether they may read them."""
        self._records.add(who.person.id, digests)

    def check(self, who: Principal, files: Mapping[str, InputFile]) -> None:
        """Raise Invalid unless the caller has sent all of these: `blobs_missing`, `size_mismatch`."""
        missing = self.missing(who, (file.sha256 for file in files.values()))
        if missing:
            raise Invalid(
                f"{len(missing)} file(s) were not sent",
                code="blobs_missing",
                facts={"sha256": missing[:_NAMED]},
                remedy="Send them to /api/v1/batch/blobs, then submit again.",
            )
        for path, file in files.items():
            found = self._spool.path(file.sha256).stat().st_size
            if found != file.size:
                raise Invalid(
                    f"{path} has {found} bytes, not {file.size}",
                    code="size_mismatch",
                    facts={"path": path, "size": found},
                )


class _Writer:
    def __init__(self, holdings: Holdings, who: Principal, inner: BlobWriter) -> None:
        self._holdings = holdings
        self._who = who
        self._inner = inner

    def write(self, chunk: bytes) -> None:
        self._inner.write(chunk)

    def commit(self, expected: str | None = None) -> Blob:
        blob = self._inner.commit(expected)
        self._holdings.vouch(self._who, [blob.sha256])
        return blob
