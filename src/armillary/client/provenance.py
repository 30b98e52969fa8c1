"""What made a result, over HTTP."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from armillary.client.http import Armillary

Record = dict[str, Any]


class Provenance:
    """Signed records of one platform. Records are the JSON shapes of the API."""

    def __init__(self, *, http: Armillary) -> None:
        self._http = http

    def why(self, path: str) -> Record:
        """Say what made a file in VOSpace."""
        return self._http.get("/api/v1/provenance/why", file=path)

    def record(self, job: str) -> Record:
        """Return a job's record, with its cluster's and both signatures."""
        return self._http.get(f"/api/v1/batch/jobs/{quote(job, safe='.')}/record")

    def gaps(self, limit: int) -> Record:
        """Return ends of jobs of which no record can be made: `gaps`, the oldest first, and their `count`."""
        return self._http.get("/api/v1/provenance/gaps", limit=limit)

    def keys(self) -> list[Record]:
        """Return every key that ever signed."""
        return self._http.get("/api/v1/provenance/keys")["keys"]

    def save(self, job: str, folder: Path) -> list[Path]:
        """Put what it takes to check a record by hand into a folder: documents, raw signatures and keys."""
        folder.mkdir(parents=True, exist_ok=True)
        known = {key["id"]: str(key["pem"]) for key in self.keys()}
        written: list[Path] = []
        for part in ("job", "cluster"):
            document, headers = self._signed(job, part)
            signature = base64.b64decode(headers["X-Armillary-Signature"])
            pem = known[headers["X-Armillary-Key"]].encode()
            for ending, content in ((".json", document), (".sig", signature), (".pem", pem)):
                written.append(folder / f"{part}{ending}")
                written[-1].write_bytes(content)
        return written

    def _signed(self, job: str, part: str) -> tuple[bytes, Mapping[str, str]]:
        return self._http.read_bytes(f"/api/v1/batch/jobs/{quote(job, safe='.')}/record", raw=part)
