"""Gathers what there is to know about a job's wait, and has the core say it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from armillary.base.clock import Clock
from armillary.batch.core.explain import Known, KnownOffer, explain
from armillary.batch.matching import MachineKind, Matcher
from armillary.batch.model import JobId, JobState, Refusal
from armillary.batch.store.fleet_records import FleetRecords
from armillary.batch.store.records import Records
from armillary.batch.views import JobDetail

Waits = Callable[[JobId], list[Refusal]]
"""What in the queue itself keeps a job waiting."""


def nothing_waits(_job: JobId) -> list[Refusal]:
    """Know of nothing."""
    return []


class Explainer:
    """Answers why a job is where it is."""

    def __init__(
        self,
        *,
        records: Records,
        fleet_records: FleetRecords,
        clock: Clock,
        matcher: Matcher | None = None,
        waits: Waits = nothing_waits,
    ) -> None:
        self._records = records
        self._fleet_records = fleet_records
        self._clock = clock
        self._matcher = matcher
        self._waits = waits

    def explain(self, job: JobId, detail: JobDetail) -> list[Refusal]:
        """Return every reason for the job's state, the most telling first; never an empty list."""
        view = detail.view
        state = JobState(view.state)
        common = Known(
            job=job,
            state=state,
            now=self._clock.now(),
            entered_at=view.entered_at,
            reason=view.reason,
            hold_code=view.hold_code,
            exit_code=view.exit_code,
            signal=view.signal,
        )
        return explain(self._idle(common, detail) if state is JobState.IDLE else common)

    def _idle(self, known: Known, detail: JobDetail) -> Known:
        job = known.job
        group = self._records.group_of(job)
        looked = self._fleet_records.reasons(group)
        asked, wants = self._records.asks(job)
        matcher = self._matcher

        def parts(offer: KnownOffer) -> Sequence[tuple[str, bool]]:
            kind = MachineKind(offer.size, group.image, *offer.kind)
            return matcher.answer(wants, asked, kind).parts if matcher else ()

        return replace(
            known,
            stopping=detail.live_attempt is not None,
            ahead=self._records.ahead(job, group),
            waits=self._waits(job),
            machines=self._fleet_records.machines(group=group),
            refusals=looked.refusals if looked else (),
            offers=looked.offers if looked else (),
            asked=asked,
            flavor=group.flavor,
            wants=wants,
            parts=parts,
            looked=looked is not None and looked.at >= known.entered_at,
        )
