"""The platform's own side of a comparison: the records and results of jobs, as the caller may see them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from armillary.accounts.model import Principal
from armillary.base.errors import ArmillaryError, TooLarge
from armillary.crates.layout import Crate, Role
from armillary.crates.record import JobRecord
from armillary.crates.runs import local_name
from armillary.provenance.exporting import Exports

MOST = 256 << 20
"""bytes of a file that is compared here; the command line compares larger ones on the caller's machine"""


class Here:
    """Implements `crates.runs.Side`."""

    def __init__(self, *, exports: Exports, who: Principal, crate: Crate, most: int = MOST) -> None:
        self._exports = exports
        self._who = who
        self._crate = crate
        self._most = most
        self._entries = {entry.sha256: entry for entry in crate.contents() if entry.role is Role.OUTPUT}

    def jobs(self) -> Iterator[JobRecord]:
        """Yield the records of its jobs, in order."""
        yield from (job.document for job in self._crate.jobs)

    def bring(self, job: JobRecord, name: str, into: Path) -> bool:
        """Write an output into a file; whether its bytes were still to be had.

        Raises:
            TooLarge: it is larger than what is compared here, code `too_large_to_compare`.
        """
        wanted = next((file for file in job.results if name in {file.name, local_name(file.name)}), None)
        entry = self._entries.get(wanted.sha256) if wanted else None
        if entry is None:
            return False
        if entry.size > self._most:
            raise TooLarge(
                f"{name} has {entry.size} bytes",
                code="too_large_to_compare",
                facts={"name": name, "size": entry.size, "limit": self._most},
                remedy="Compare on your own machine: armillary compare",
            )
        try:
            with into.open("wb") as file:
                file.writelines(self._exports.held(self._who, entry))
        except ArmillaryError:
            return False  # what was written over in VOSpace since
        return True

    def holds(self, name: str, sha256: str) -> bool:
        """Whether a file in VOSpace has these bytes now."""
        return self._exports.lies_at(self._who, name) == sha256
