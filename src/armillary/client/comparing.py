"""A side of a comparison that the platform has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from armillary.client.crates import Crates
from armillary.client.errors import ClientError
from armillary.crates.record import JobRecord
from armillary.crates.runs import local_name


class OnPlatform:
    """A cluster, a job or an import of the platform, by its records."""

    def __init__(self, *, crates: Crates, target: str) -> None:
        self._crates = crates
        self._target = target

    def jobs(self) -> Iterator[JobRecord]:
        yield from (JobRecord.model_validate(record) for record in self._crates.records(self._target))

    def bring(self, job: JobRecord, name: str, into: Path) -> bool:
        wanted = next((file.sha256 for file in job.results if name in {file.name, local_name(file.name)}), "")
        try:
            with into.open("w+b") as file:
                return self._crates.receive_content(self._of(job), wanted, file) == wanted
        except ClientError:
            return False  # what was written over in VOSpace since

    def holds(self, name: str, sha256: str) -> bool:
        try:
            return self._crates.lies_at(unquote(name)) == sha256
        except ClientError:
            return False  # it is not there, or not the caller's to read

    def _of(self, job: JobRecord) -> str:
        """Return the job alone as a target: for a file of it the platform need not read the records of the others."""
        return self._target if "." in self._target else f"{self._target}.{job.proc}"
