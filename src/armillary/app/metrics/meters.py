"""What this process did since it started, in a registry of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.registry import Collector

from armillary.batch.core.hold_codes import HOLD_CODES
from armillary.batch.core.scaling import Decision

_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_MOST_CODES = 200
"""of refusals: they come from our own code, but some carry a cloud's"""
OTHER = "other"


class Scaling(Protocol):
    """A scaler, as far as it is watched."""

    def tick(self) -> Sequence[Decision]: ...


class Meters:
    """Instruments, to be read as text in Prometheus' format by `render`."""

    def __init__(self, *, records: Collector | None = None) -> None:
        """`records` are figures that are looked up when somebody reads."""
        self._registry = CollectorRegistry(auto_describe=False)
        if records is not None:
            self._registry.register(records)
        self._requests = Counter(
            "armillary_http_requests",
            "Requests answered, by class of route and status.",
            ["route", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "armillary_http_first_byte_seconds",
            "Time to the head of an answer, but for agents, whose requests wait for work.",
            ["route"],
            buckets=_QUICK,
            registry=self._registry,
        )
        self._claims = Histogram(
            "armillary_claim_seconds",
            "Time to answer a worker's claim, without the wait for work.",
            buckets=_QUICK,
            registry=self._registry,
        )
        self._claimed = Counter("armillary_jobs_claimed", "Jobs given to workers.", registry=self._registry)
        self._finishes = Histogram(
            "armillary_finish_seconds", "Time to end an attempt.", buckets=_QUICK, registry=self._registry
        )
        self._finished = Counter(
            "armillary_attempts_finished",
            "Attempts ended by their workers, by what the job became.",
            ["state"],
            registry=self._registry,
        )
        self._holds = Counter(
            "armillary_holds",
            "Jobs held at the end of an attempt, by cause.",
            ["code"],
            registry=self._registry,
        )
        self._boots = Counter(
            "armillary_scaler_boots",
            "Machines that the scaler asked for.",
            ["cloud"],
            registry=self._registry,
        )
        self._rounds = Histogram(
            "armillary_scaler_round_seconds",
            "Time of a round of the scaler.",
            buckets=(*_QUICK, 10.0, 30.0),
            registry=self._registry,
        )
        self._refusals = Gauge(
            "armillary_scaler_refusals",
            "Kinds of waiting jobs that the last round refused a machine, by cloud (empty: any) and reason.",
            ["cloud", "code"],
            registry=self._registry,
        )
        self._codes: set[str] = set()
        self._loop_failures = Counter(
            "armillary_loop_failures", "Failed rounds of a loop.", ["loop"], registry=self._registry
        )
        self._loop_success = Gauge(
            "armillary_loop_success_timestamp_seconds",
            "When a loop last came through a round.",
            ["loop"],
            registry=self._registry,
        )

    def render(self) -> bytes:
        """Return all figures as Prometheus reads them."""
        return generate_latest(self._registry)

    def answered(self, route: str, status: int, seconds: float | None) -> None:
        """Count a request; `seconds` to the head of its answer, None where that says nothing."""
        self._requests.labels(route, str(status)).inc()
        if seconds is not None:
            self._seconds.labels(route).observe(seconds)

    # batch.engines.embedded.metered.Meter

    def claimed(self, seconds: float, jobs: int) -> None:
        """Count a claim and the jobs that it was given."""
        self._claims.observe(seconds)
        if jobs:
            self._claimed.inc(jobs)

    def finished(self, seconds: float, state: str, fault: str | None) -> None:
        """Count the end of an attempt."""
        self._finishes.observe(seconds)
        self._finished.labels(state).inc()
        if state == "held":
            code = fault or "policy_hold"
            self._holds.labels(code if code in HOLD_CODES else OTHER).inc()

    # loops

    def watched(self, name: str, work: Callable[[], object]) -> Callable[[], object]:
        """Return the work of a loop, which is counted from now on."""
        failures, success = self._loop_failures.labels(name), self._loop_success.labels(name)

        def go() -> object:
            with failures.count_exceptions():
                done = work()
            success.set_to_current_time()
            return done

        return go

    def scaled(self, scaler: Scaling) -> None:
        """Let the scaler do a round, and note what it decided."""
        began = time.perf_counter()
        decisions = scaler.tick()
        self._rounds.observe(time.perf_counter() - began)
        refused: dict[tuple[str, str], int] = {}
        for decision in decisions:
            for cloud in decision.boot:
                self._boots.labels(cloud).inc()
            for key in {(refusal.cloud or "", self._code(refusal.code)) for refusal in decision.refusals}:
                refused[key] = refused.get(key, 0) + 1
        self._refusals.clear()
        for (cloud, code), count in refused.items():
            self._refusals.labels(cloud, code).set(count)

    def _code(self, code: str) -> str:
        if len(self._codes) < _MOST_CODES:
            self._codes.add(code)
        return code if code in self._codes else OTHER
