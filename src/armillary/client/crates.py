"""Crates of jobs, and jobs run again."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote

from armillary.client.http import Armillary

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

    def rerun(self, target: str, *, cloud: str | None, project: str | None) -> Record:
        """Run a cluster or job again from its records."""
        body = {"target": target, "cloud": cloud, "project": project}
        return self._http.post(f"{_BASE}/reruns", body, headers={"Idempotency-Key": uuid.uuid4().hex})
