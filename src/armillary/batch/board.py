"""The board: a submit as a picture, its failures by cause, the jobs that one looks for, when it will be over."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from math import ceil
from typing import Any

from armillary.accounts.model import Principal
from armillary.base.clock import Clock
from armillary.base.ids import ClusterId
from armillary.batch.core.picture import bins, run_lengths
from armillary.batch.forecast import Forecaster
from armillary.batch.load import Load
from armillary.batch.looking import CauseView, JobFilter, SubmitFilter
from armillary.batch.model import InputFile, JobId, JobState
from armillary.batch.ports import People
from armillary.batch.seeing import scope_of
from armillary.batch.store.board_records import BoardRecords
from armillary.batch.store.records import Records
from armillary.batch.views import ClusterView, JobView

MOST_CELLS = 10_000
"""Beyond this many jobs a cell stands for several, so that a picture of a million is as small as one of these."""
MOST_CHANGES = 2_000
"""What is more than this is told as a whole picture."""
MOST_BINS = 100
CAUSES_KEPT = 256
"""submits whose causes of failure are remembered, until something happens to their jobs"""
MOST_KEPT = 5_000
"""jobs whose files are taken over into another submit"""

_USED = re.compile(r"used ([\d.]+) MiB of")


@dataclass(frozen=True, kw_only=True)
class Picture:
    """How the jobs of a submit stand, or what of it has changed since `since`."""

    seq: int
    """to ask with for what changes after this"""
    jobs: int
    states: Mapping[str, int]
    width: int
    """jobs of one cell"""
    whole: bool
    cells: str = ""
    """of a whole picture, with one job in each cell: `core.picture.run_lengths`"""
    changes: Mapping[int, str] | None = None
    """cells that changed; with several jobs in each cell, all cells of a whole picture: `core.picture.bins`"""

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON shape."""
        return {
            "seq": self.seq,
            "jobs": self.jobs,
            "states": dict(self.states),
            "width": self.width,
            "whole": self.whole,
            "cells": self.cells,
            "changes": dict(self.changes or {}),
        }


@dataclass(frozen=True, kw_only=True)
class Cause:
    """Jobs that failed or are held for one cause, and what would help."""

    row: CauseView
    reason: str | None
    """what was said of one of them"""
    needed_mib: int | None = None
    """the memory that the hungriest of them had when it was stopped"""
    wanted_mib: int | None = None
    """the memory to ask for instead: a fifth more, in steps of 256 MiB"""

    @property
    def held(self) -> bool:
        """Whether they wait for a person."""
        return self.row.state == JobState.HELD.value


class Board:
    """What people look at. Members see their projects, administrators all."""

    def __init__(
        self,
        *,
        records: Records,
        board: BoardRecords,
        people: People,
        clock: Clock,
        forecaster: Forecaster,
        load: Load,
        most_cells: int = MOST_CELLS,
    ) -> None:
        self._records = records
        self._board = board
        self._people = people
        self._clock = clock
        self.forecaster = forecaster
        self.load = load
        self._most_cells = most_cells
        self._causes_at = lru_cache(maxsize=CAUSES_KEPT)(self._causes)

    def submits(
        self, who: Principal, chosen: SubmitFilter, *, limit: int, before: int | None = None
    ) -> list[ClusterView]:
        """Return the submits that the filter leaves, newest first."""
        return self._board.submits(scope_of(who, self._people), chosen, limit=limit, before=before)

    def picture(self, who: Principal, chosen: JobFilter, *, since: int | None = None) -> Picture:
        """Return a submit's picture: whole, or what has changed since a sequence number. Raises NotFound."""
        cluster = chosen.cluster
        summary = self._records.cluster(scope_of(who, self._people), cluster)
        # Read before the cells: what changes between the two is told again, and never lost.
        seq = self._board.latest(cluster)
        width = max(1, ceil(summary.jobs / self._most_cells))
        told: dict[str, Any] = {"seq": seq, "jobs": summary.jobs, "states": summary.states, "width": width}
        numbers = None if since is None else self._board.changed(cluster, after=since, most=MOST_CHANGES)
        if numbers is not None and width > 1:
            numbers = sorted({number // width for number in numbers})
            numbers = numbers if len(numbers) <= MOST_BINS else None
        if numbers is not None and not numbers:
            return Picture(whole=False, changes={}, **told)
        if width > 1:
            counts = self._board.bins(chosen, width=width, only=numbers)
            return Picture(whole=numbers is None, changes=bins(counts), **told)
        cells = self._board.cells(chosen, only=numbers)
        if numbers is None:
            return Picture(whole=True, cells=run_lengths(cells), **told)
        return Picture(whole=False, changes=dict(cells), **told)

    def jobs(
        self, who: Principal, chosen: JobFilter, *, limit: int, after: JobId | None = None
    ) -> list[JobView]:
        """Return the jobs of a submit that the filter leaves, in order."""
        return self._board.find(scope_of(who, self._people), chosen, limit=limit, after=after)

    def causes(self, who: Principal, cluster: ClusterId) -> list[Cause]:
        """Return why jobs of a submit failed or are held, the most jobs first. Raises NotFound."""
        self._records.owner_of(scope_of(who, self._people), cluster)
        # Whatever happens to a job is told by a number, and it is read before the causes: what is kept under it is
        # never older than it says.
        return list(self._causes_at(cluster, self._board.latest(cluster)))

    def clouds(self, who: Principal, cluster: ClusterId) -> list[str]:
        """Return the clouds on which jobs of a submit have been. Raises NotFound."""
        self._records.owner_of(scope_of(who, self._people), cluster)
        return self._board.clouds_of(cluster)

    def submit_text(self, who: Principal, cluster: ClusterId) -> str:
        """Return the submit file. Raises NotFound."""
        self._records.owner_of(scope_of(who, self._people), cluster)
        return self._board.submit_text(cluster)

    def inputs(self, who: Principal, cluster: ClusterId) -> list[InputFile]:
        """Return the files that a submit's jobs came with, for another submit like it. Raises NotFound."""
        self._records.owner_of(scope_of(who, self._people), cluster)
        return self._board.inputs(cluster, most=MOST_KEPT)

    def over_at(self, shown: ClusterView) -> datetime | None:
        """Return when a submit will be over at the pace of its last jobs; None when there is none to go by."""
        left = sum(shown.states.get(state.value, 0) for state in JobState if state.active)
        pace = self._board.pace(ClusterId(shown.cluster)) if left else None
        if pace is None:
            return None
        ended, first, _ = pace
        # until now, and not to the last end: when nothing ends any more the pace goes down
        now = self._clock.now()
        return now + (now - first) / ended * left

    def _causes(self, cluster: ClusterId, _seq: int) -> Sequence[Cause]:
        return [self._cause(cluster, row) for row in self._board.causes(cluster)]

    def _cause(self, cluster: ClusterId, row: CauseView) -> Cause:
        said: Sequence[str] = self._board.reasons(cluster, row.hold_code) if row.hold_code else ()
        reason = said[0] if said else None
        if row.hold_code != "memory_exceeded":
            return Cause(row=row, reason=reason)
        used = [float(found[1]) for text in said if (found := _USED.search(text))]
        if not used:
            return Cause(row=row, reason=reason)
        needed = max(used)
        return Cause(
            row=row, reason=reason, needed_mib=ceil(needed), wanted_mib=ceil(needed * 1.2 / 256) * 256
        )
