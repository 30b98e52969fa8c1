"""Brings a crate that somebody has uploaded into the platform: its bytes as their own, then its records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from armillary.accounts.model import Principal
from armillary.batch.ports import BlobWriter
from armillary.crates.layout import CLUSTER, IMAGE, Crate, disk_path, record_path
from armillary.crates.shelves import Shelf
from armillary.provenance.disks import Brought, Disks
from armillary.provenance.importing import Imported, Imports


class Sent(Protocol):
    """What people have sent: `batch.holdings.Holdings`."""

    def missing(self, who: Principal, digests: Iterable[str]) -> list[str]:
        """Return which of these the caller must still send."""
        ...

    def writer(self, who: Principal) -> AbstractContextManager[BlobWriter]:
        """Begin a file of the caller's."""
        ...


class Unpacking:
    """Does here what `armillary import` does from elsewhere."""

    def __init__(self, *, imports: Imports, sent: Sent, disks: Disks) -> None:
        self._imports = imports
        self._sent = sent
        self._disks = disks

    def bring(
        self, who: Principal, shelf: Shelf, crate: Crate, *, progress: Callable[[int, int], None]
    ) -> Imported:
        """Import a crate that was verified, with the keys that it brings. Again is fine.

        Raises:
            PreconditionFailed: a file is not what its record says, which verifying would have told.
            ArmillaryError: as `Imports.take`.
        """
        paths = {sha256: path for path, sha256 in _files(crate)}
        missing = self._sent.missing(who, list(paths))
        for number, sha256 in enumerate(missing):
            progress(number, len(missing))
            with self._sent.writer(who) as writer:
                for chunk in shelf.chunks(paths[sha256]):
                    writer.write(chunk)
                writer.commit(sha256)
        return self._imports.take(
            who,
            cluster=crate.cluster.signature,
            jobs=[job.signature for job in crate.jobs],
            keys=dict(crate.keys),
            image=crate.image.signature if crate.image else None,
        )

    def bring_image(self, who: Principal, shelf: Shelf, crate: Crate, *, project: str) -> Brought | None:
        """Have the machine image of a crate on a cloud of a project; None when the crate has none. Raises as `Disks.bring`."""
        if crate.image is None:
            return None
        chunks = shelf.chunks(disk_path(crate.image.document))
        return self._disks.bring(who, crate, project=project, cloud=None, chunks=chunks)


def _files(crate: Crate) -> Iterator[tuple[str, str]]:
    yield CLUSTER, crate.cluster.sha256
    if crate.image:
        yield IMAGE, crate.image.sha256
    yield from ((record_path(job.document.job), job.sha256) for job in crate.jobs)
    yield from ((entry.path, entry.sha256) for entry in crate.contents())
