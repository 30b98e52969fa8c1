"""What jobs did as the jobs themselves saw it, and the judge who reads it afterwards.

The platform's word counts for nothing here: a start and an end are written down by the process that started and
ended. The rules are those of a batch system that loses nothing and counts nothing twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from armillary.batch.core.states import MOVES
from armillary.batch.model import JobState


@dataclass(kw_only=True)
class Run:
    """One process of a job. It has several spans if its machine was frozen meanwhile."""

    job: str
    attempt: int
    spans: list[tuple[datetime, datetime | None]] = field(
        default_factory=list[tuple[datetime, datetime | None]]
    )
    wrote: str | None = None
    """what it left behind, when it came to its own end"""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the platform says in the end about one job."""

    state: str
    attempt: int | None
    """whose results it shows"""
    content: str | None
    moves: Sequence[str]
    """the states of the job, in order"""


class History:
    """The notebook that all processes write into."""

    def __init__(self) -> None:
        self.runs: dict[tuple[str, int], Run] = {}
        self.wrong: list[str] = []

    def began(self, job: str, attempt: int, at: datetime) -> None:
        if (job, attempt) in self.runs:
            self.wrong.append(f"{job}: attempt {attempt} began twice")
        self.runs[job, attempt] = Run(job=job, attempt=attempt, spans=[(at, None)])

    def stopped(self, job: str, attempt: int, at: datetime, *, wrote: str | None = None) -> None:
        """The process ended, was killed or was frozen."""
        run = self.runs[job, attempt]
        start, end = run.spans[-1]
        run.spans[-1] = (start, end or at)
        run.wrote = wrote

    def went_on(self, job: str, attempt: int, at: datetime) -> None:
        self.runs[job, attempt].spans.append((at, None))

    def judge(self, submitted: Iterable[str], verdicts: Mapping[str, Verdict]) -> list[str]:
        """Return every rule that was broken, as sentences."""
        wrong = list(self.wrong)
        wrong += [f"{job}: was submitted and is not known" for job in submitted if job not in verdicts]
        wrong += self._overlaps()
        for job, verdict in verdicts.items():
            wrong += [f"{job}: {problem}" for problem in self._of(job, verdict)]
        return wrong

    def _overlaps(self) -> Iterable[str]:
        spans: dict[str, list[tuple[datetime, datetime | None, int]]] = {}
        for run in self.runs.values():
            spans.setdefault(run.job, []).extend((start, end, run.attempt) for start, end in run.spans)
        for job, times in spans.items():
            times.sort(key=lambda span: (span[0], span[2]))
            for (_, end, first), (start, _, second) in pairwise(times):
                if first != second and (end is None or end > start):
                    yield f"{job}: attempts {first} and {second} ran at the same time"

    def _of(self, job: str, verdict: Verdict) -> Iterable[str]:
        for before, after in pairwise(verdict.moves):
            if JobState(after) not in MOVES[JobState(before)]:
                yield f"went from {before} to {after}"
        if Counter(verdict.moves)[JobState.COMPLETED.value] > 1:
            yield "was completed more than once"
        if verdict.state != JobState.COMPLETED:
            yield f"is {verdict.state} in the end"
            return
        run = self.runs.get((job, verdict.attempt or 0))
        if run is None or run.wrote is None:
            yield f"shows results of attempt {verdict.attempt}, which never came to its end"
        elif run.wrote != verdict.content:
            yield f"shows {verdict.content!r}, but attempt {verdict.attempt} wrote {run.wrote!r}"
