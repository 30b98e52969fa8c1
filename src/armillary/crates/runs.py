"""Whether two runs made the same: what each job brought back, and what it wrote into VOSpace."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from armillary.base.errors import NotFound, TooLarge
from armillary.crates.comparing import Comparison, Tolerance, Way, compare
from armillary.crates.layout import Crate, output_path
from armillary.crates.record import JobRecord
from armillary.crates.shelves import Shelf

IDENTICAL, ALIKE, DIFFERENT, MISSING, ADDED = "identical", "alike", "different", "missing", "added"
KEPT = "kept"
"""It was there with the same bytes already, in VOSpace, and was not written again: stock `vcp` leaves such a file alone."""
GOOD = frozenset({IDENTICAL, ALIKE, KEPT})
"""Outcomes of files of which there is after the second run what the first one made."""

_VOS = "vos:/"
_NOT_SENT = "it was not written: vcp leaves a file alone that is there already with the same bytes"


class Side(Protocol):
    """One of two runs."""

    def jobs(self) -> Iterator[JobRecord]:
        """Yield the records of its jobs, in order."""
        ...

    def bring(self, job: JobRecord, name: str, into: Path) -> bool:
        """Write an output into a file; whether its bytes were still to be had. Raises TooLarge."""
        ...

    def holds(self, name: str, sha256: str) -> bool:
        """Whether a file in VOSpace has these bytes now, where the run was. `name` as by `local_name`."""
        ...


class InCrate:
    """A run as a crate has it."""

    def __init__(self, *, shelf: Shelf, crate: Crate) -> None:
        self._shelf = shelf
        self._crate = crate

    def jobs(self) -> Iterator[JobRecord]:
        yield from (job.document for job in self._crate.jobs)

    def bring(self, job: JobRecord, name: str, into: Path) -> bool:
        found = next((file.name for file in job.results if name in {file.name, local_name(file.name)}), name)
        try:
            with into.open("wb") as file:
                file.writelines(self._shelf.chunks(output_path(job.job, found)))
        except NotFound:
            return False
        return True

    def holds(self, name: str, sha256: str) -> bool:
        """Return False: a crate does not know what became of VOSpace."""
        return False


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one file. `outcome`: identical, alike (within the tolerance), kept, different, missing, added."""

    job: str
    of: str
    name: str
    outcome: str
    way: str = Way.BYTES
    differences: Sequence[str] = ()

    @property
    def good(self) -> bool:
        """Whether what the first run made is what there is after the second."""
        return self.outcome in GOOD

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON shape."""
        return {**asdict(self), "differences": list(self.differences)}


class Comparing(AbstractContextManager["Comparing"]):
    """Compares job by job. Only files whose digests differ are brought here."""

    def __init__(
        self,
        *,
        first: Side,
        second: Side,
        tolerance: Tolerance,
        judge: Callable[[Path, Path, Tolerance], Comparison] = compare,
    ) -> None:
        """`judge` compares two files: strangers' files in a process apart, where that is not one's own machine."""
        self._first = first
        self._second = second
        self._tolerance = tolerance
        self._judge = judge
        self._room = tempfile.TemporaryDirectory(prefix="armillary-compare-")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._room.cleanup()

    def outcomes(self) -> Iterator[Outcome]:
        """Yield what became of each file: jobs go together by their numbers, a single one with a single one."""
        before, after = list(self._first.jobs()), list(self._second.jobs())
        if len(before) == len(after) == 1:
            yield from self._job(before[0], after[0])
            return
        others = {job.proc: job for job in after}
        for job in before:
            other = others.pop(job.proc, None)
            if other is None:
                yield Outcome(
                    job="", of=job.job, name="", outcome=MISSING, differences=["the job did not run again"]
                )
            else:
                yield from self._job(job, other)
        for other in others.values():
            yield Outcome(
                job=other.job, of="", name="", outcome=ADDED, differences=["the first run has no such job"]
            )

    def _job(self, before: JobRecord, after: JobRecord) -> Iterator[Outcome]:
        had, has = _made(before), _made(after)
        if (before.exit_code, before.signal) != (after.exit_code, after.signal):
            told = f"exit code {before.exit_code} and signal {before.signal}, then {after.exit_code} and {after.signal}"
            yield Outcome(job=after.job, of=before.job, name="exit", outcome=DIFFERENT, differences=[told])
        for name in [*had, *(name for name in has if name not in had)]:
            if name not in has or name not in had:
                outcome = MISSING if name not in has else ADDED
                if outcome == MISSING and name.startswith(_VOS) and self._second.holds(name, had[name] or ""):
                    outcome = KEPT
                told = [_NOT_SENT] if outcome == KEPT else []
                yield Outcome(job=after.job, of=before.job, name=name, outcome=outcome, differences=told)
            elif had[name] == has[name]:
                yield Outcome(job=after.job, of=before.job, name=name, outcome=IDENTICAL)
            else:
                yield self._differing(before, after, name)

    def _differing(self, before: JobRecord, after: JobRecord, name: str) -> Outcome:
        places = Path(self._room.name) / "first", Path(self._room.name) / "second"
        sides = ((self._first, before, places[0]), (self._second, after, places[1]))
        try:
            there = all(side.bring(job, name, place) for side, job, place in sides)
            why = "those of one run are no longer there to be compared"
        except TooLarge as refusal:
            there, why = False, f"{refusal.message}. {refusal.remedy}"
        if not there:
            told = [f"other bytes; {why}"]
            return Outcome(job=after.job, of=before.job, name=name, outcome=DIFFERENT, differences=told)
        found = self._judge(*places, self._tolerance)
        outcome = IDENTICAL if found.identical else ALIKE if found.alike else DIFFERENT
        more = found.count - len(found.differences)
        told = [*found.differences, *([f"and {more} more"] if more > 0 else [])]
        return Outcome(
            job=after.job, of=before.job, name=name, outcome=outcome, way=found.way.value, differences=told
        )


def _made(job: JobRecord) -> Mapping[str, str | None]:
    """Return what a job made, by name: outputs, and what it left in VOSpace."""
    written = {one.uri: one.sha256 or one.md5 for one in job.writes}
    return {file.name: file.sha256 for file in job.outputs} | {
        local_name(uri): found for uri, found in written.items()
    }


def local_name(uri: str) -> str:
    """Return the name of a file in VOSpace without its platform's: a rerun elsewhere writes the same path there."""
    return _VOS + uri.removeprefix("vos://").partition("/")[2]
