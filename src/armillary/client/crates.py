"""Crates of jobs, and jobs run again."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from armillary.base.errors import Conflict
from armillary.base.units import format_size
from armillary.client.batch import Batch
from armillary.client.http import Armillary
from armillary.crates.layout import CLUSTER, IMAGE, Crate, Signed, disk_path, record_path
from armillary.crates.record import ImageRecord
from armillary.crates.shelves import Shelf

_BASE = "/api/v1/provenance"
_PATIENCE = 3600.0
"""seconds, for a platform that has machine images to write"""
Record = dict[str, Any]
Begin = Callable[[int], Callable[[int], None]]
"""Hears how many bytes there will be; what it returns hears of each piece as it goes."""


class Crates:
    """What the platform keeps of how results were made, over `http`."""

    def __init__(self, *, http: Armillary) -> None:
        self._http = http

    def receive(
        self,
        target: str,
        into: Path,
        *,
        image: bool = False,
        project: str | None = None,
        begin: Begin = lambda _total: lambda _done: None,
    ) -> None:
        """Bring the crate of a cluster or job into a zip file, which appears whole or not at all.

        `image`: with the machine image, as a member of `project`. `begin` hears how many bytes there will be, and
        returns who is told of each piece.

        Raises:
            Conflict: it would not fit on the disk, code `no_room`.
        """
        part = into.with_name(f".{into.name}.part")

        def meet(headers: Mapping[str, str]) -> Callable[[int], None]:
            total = int(headers.get("X-Armillary-Octets") or 0)
            _require_room(part.absolute().parent, total)
            return begin(total)

        wanted = {"image": "true", "project": project} if image else {}
        try:
            with part.open("w+b") as file:
                self._http.receive_file(f"{_BASE}/crates/{quote(target)}", file, meet=meet, **wanted)
            part.replace(into)
        finally:
            part.unlink(missing_ok=True)

    def description(self, target: str, form: str) -> bytes:
        """Return what a crate says of itself: `prov-json` or `ro-crate-metadata`."""
        return self._http.read_bytes(f"{_BASE}/crates/{quote(target)}/{form}")[0]

    def records(self, target: str) -> list[Record]:
        """Return the records of the jobs of a cluster, of one job, or of an import."""
        return self._http.get(f"{_BASE}/crates/{quote(target)}/records")["records"]

    def receive_content(self, target: str, sha256: str, into: BinaryIO) -> str:
        """Bring bytes that the records of a target name; return their SHA-256."""
        return self._http.receive_file(f"{_BASE}/crates/{quote(target)}/contents/{sha256}", into)

    def lies_at(self, path: str) -> str:
        """Return the SHA-256 of a file in VOSpace."""
        return str(self._http.get("/api/v1/provenance/why", file=path)["sha256"])

    def bring(self, shelf: Shelf, crate: Crate) -> Record:
        """Send a crate that was verified: what the platform does not have, then the signatures."""
        batch = Batch(http=self._http)
        paths = {paper.sha256: path for paper, path in _papers(crate)}
        paths |= {entry.sha256: entry.path for entry in crate.contents()}
        with tempfile.TemporaryDirectory(prefix="armillary-import-") as room:
            place = Path(room) / "content"
            for sha256 in batch.missing(list(paths)):
                with place.open("wb") as file:
                    file.writelines(shelf.chunks(paths[sha256]))
                batch.send_blob(sha256, place)
        body = {
            "cluster": crate.cluster.signature.model_dump(),
            "jobs": [job.signature.model_dump() for job in crate.jobs],
            "keys": dict(crate.keys),
            "image": crate.image.signature.model_dump() if crate.image else None,
        }
        return self._http.post(f"{_BASE}/imports", body)

    def image(self, target: str, *, project: str | None) -> Record:
        """Return the digest of a crate's machine image, and the clouds that have it already."""
        return self._http.get(f"{_BASE}/crates/{quote(target)}/image", project=project)

    def send_image(
        self,
        target: str,
        shelf: Shelf,
        image: ImageRecord,
        *,
        project: str | None,
        cloud: str | None,
        begin: Begin = lambda _total: lambda _done: None,
    ) -> Record:
        """Send the machine image of a crate that was imported as `target` into a cloud: whole, or not at all."""
        tell = begin(image.size)

        def chunks() -> Iterator[bytes]:
            for chunk in shelf.chunks(disk_path(image)):
                yield chunk
                tell(len(chunk))

        path = f"{_BASE}/crates/{quote(target)}/image"
        return self._http.send_chunks(
            path, chunks(), image.size, patience=_PATIENCE, project=project, cloud=cloud
        )

    def freeze(self, cluster: int, *, to: str | None, title: str | None, with_image: bool = False) -> Record:
        """Keep a cluster for ever in VOSpace, with the bytes of its machine image if they are wanted."""
        body = {"cluster": cluster, "to": to, "title": title, "with_image": with_image}
        return self._http.post(f"{_BASE}/frozen", body, patience=_PATIENCE)

    def unfreeze(self, cluster: int) -> None:
        """Let what was frozen go."""
        self._http.delete(f"{_BASE}/frozen/{cluster}")

    def cite(self, cluster: int, *, publish: bool) -> Record:
        """Give a frozen cluster a DOI."""
        return self._http.post(f"{_BASE}/frozen/{cluster}/doi", {"publish": publish})

    def rerun(self, target: str, *, cloud: str | None, project: str | None) -> Record:
        """Run a cluster or job again from its records."""
        body = {"target": target, "cloud": cloud, "project": project}
        return self._http.post(f"{_BASE}/reruns", body, headers={"Idempotency-Key": uuid.uuid4().hex})


def _papers(crate: Crate) -> Iterator[tuple[Signed[Any], str]]:
    yield crate.cluster, CLUSTER
    for job in crate.jobs:
        yield job, record_path(job.document.job)
    if crate.image:
        yield crate.image, IMAGE


def _require_room(folder: Path, octets: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < octets:
        raise Conflict(
            f"{format_size(octets)} do not fit on the disk of {folder}: {format_size(free)} are free",
            code="no_room",
            facts={"needed": octets, "free": free, "folder": str(folder)},
            remedy="Make room, or name a file on another disk with -o.",
        )
