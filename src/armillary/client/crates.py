"""Crates of jobs, and jobs run again."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from armillary.client.batch import Batch
from armillary.client.http import Armillary
from armillary.crates.layout import CLUSTER, Crate, Signed, record_path
from armillary.crates.shelves import Shelf

_BASE = "/api/v1/provenance"
Record = dict[str, Any]


class Crates:
    """What the platform keeps of how results were made, over `http`."""

    def __init__(self, *, http: Armillary) -> None:
        self._http = http

    def receive(self, target: str, into: Path) -> None:
        """Bring the crate of a cluster or job into a zip file, which appears whole or not at all."""
        part = into.with_name(f".{into.name}.part")
        try:
            with part.open("w+b") as file:
                self._http.receive_file(f"{_BASE}/crates/{quote(target)}", file)
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
        }
        return self._http.post(f"{_BASE}/imports", body)

    def freeze(self, cluster: int, *, to: str | None, title: str | None) -> Record:
        """Keep a cluster for ever in VOSpace."""
        return self._http.post(f"{_BASE}/frozen", {"cluster": cluster, "to": to, "title": title})

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
