"""The agents' side of the queue, with a look at the clock."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from armillary.base.ids import PersonId
from armillary.batch.core.states import Result
from armillary.batch.engines.embedded.leases import Leases
from armillary.batch.engines.embedded.parcels import Claimed, Finished, Held, LeaseKey, OutputRef
from armillary.batch.engines.embedded.register import Session
from armillary.batch.model import Resources


class Meter(Protocol):
    """Hears how claims and finishes went."""

    def claimed(self, seconds: float, jobs: int) -> None: ...

    def finished(self, seconds: float, state: str, fault: str | None) -> None: ...


class MeteredLeases(Leases):
    """See `Leases`. A claim's seconds are those of the answer, without the wait for work."""

    def __init__(self, *, meter: Meter, **options: Any) -> None:
        super().__init__(**options)
        self._meter = meter

    def claim(
        self,
        session: Session,
        free: Resources,
        held: Mapping[PersonId, Held] | None = None,
        call: str | None = None,
    ) -> Claimed:
        began = time.perf_counter()
        claimed = super().claim(session, free, held, call)
        self._meter.claimed(time.perf_counter() - began, len(claimed.jobs))
        return claimed

    def finish(
        self,
        session: Session,
        key: LeaseKey,
        result: Result,
        *,
        usage: Mapping[str, float],
        brought: Sequence[OutputRef],
        then: Resources | None = None,
        held: Mapping[PersonId, Held] | None = None,
        call: str | None = None,
    ) -> Finished:
        began = time.perf_counter()
        finished = super().finish(
            session, key, result, usage=usage, brought=brought, then=then, held=held, call=call
        )
        fault = result.error.code if result.error else None
        self._meter.finished(time.perf_counter() - began, finished.state.value, fault)
        return finished
