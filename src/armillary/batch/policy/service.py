"""What jobs' own policies say: when a program has ended, and once a minute."""

from __future__ import annotations

import logging
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol

from armillary.base.bell import Bell
from armillary.base.clock import Clock
from armillary.base.ids import ClusterId
from armillary.batch.core.policy import Act, AtExit, Hold, Periodic, Watched, look
from armillary.batch.core.states import Result
from armillary.batch.model import JobId, JobSpec, JobState
from armillary.batch.policy.ads import ended, question
from armillary.batch.policy.evaluator import Evaluator, Question, Undecidable, Value
from armillary.batch.policy.expressions import check
from armillary.batch.store.policy_records import JobFacts, PolicyRecords

log = logging.getLogger(__name__)

PAGE = 500
_WHOLE = re.compile(r"[+-]?\d+")
_PERIODIC = ("hold", "release", "remove", "vacate")
_EXPRESSIONS = (
    "retry_until",
    *(f"on_exit_{name}" for name in ("remove", "hold", "hold_reason", "hold_subcode")),
    *(f"periodic_{name}" for name in (*_PERIODIC, "hold_reason", "hold_subcode")),
    "leave_in_queue",
)


def check_policies(jobs: Sequence[JobSpec]) -> None:
    """Raise Invalid `bad_expression` for the first expression of a job that we would not evaluate."""
    before: tuple[Any, ...] | None = None
    for job in jobs:
        parts = tuple(job.data.get(name) for name in _WITH_EXPRESSIONS)
        # A hundred thousand jobs mostly share what they say, as the very same objects.
        if before is not None and all(map(operator.is_, parts, before)):
            continue
        before = parts
        _check(job.proc, *parts)


_WITH_EXPRESSIONS = ("policy", "attributes", "requirements", "rank")


def _check(
    proc: int,
    policy: Mapping[str, Any] | None,
    attributes: Mapping[str, str] | None,
    requirements: str | None,
    rank: str | None,
) -> None:
    texts = {name: (policy or {}).get(name) for name in _EXPRESSIONS}
    texts |= {"requirements": requirements, "rank": rank}
    texts |= {f"+{name}": text for name, text in (attributes or {}).items()}
    for field, text in texts.items():
        if text is not None:
            check(text, field=field, proc=proc)


def holds(value: Value) -> bool:
    """Whether a value counts as true: true, or a number other than zero."""
    return isinstance(value, bool | int | float) and bool(value)


class Leaver(Protocol):
    """The engine, as far as policies move jobs about."""

    def carry_out(self, acts: Sequence[tuple[JobId, JobState, Act]]) -> int: ...


class ExitPolicies:
    """Answers, before an attempt is finished, what the job's policy makes of it."""

    def __init__(self, *, records: PolicyRecords, evaluator: Evaluator, clock: Clock) -> None:
        self._records = records
        self._evaluator = evaluator
        self._clock = clock

    def __call__(self, job: JobId, result: Result, usage: Mapping[str, float]) -> AtExit | None:
        """Return what the policy says, None when the job has none."""
        if not self._records.decides_at_exit(job.cluster):
            return None
        facts = self._records.job(job)
        if facts is None or not facts.policy:
            return None
        policy = facts.policy
        said: Mapping[str, Value] = {}
        ask = _exit_questions(policy)
        if ask and result.error is None:
            began = facts.started_at or facts.claimed_at
            now = self._clock.now()
            seconds = (now - began).total_seconds() if began else 0.0
            said = self._ask(job, question(ended(facts, result, usage, seconds), ask, now=now))
        return AtExit(
            success_exit_code=policy.get("success_exit_code", 0),
            hold=_hold(policy, "on_exit_hold", said),
            has_remove=bool(policy.get("on_exit_remove")),
            remove=_three_ways(said.get("on_exit_remove")),
            until=holds(said.get("retry_until")),
            memory_steps=policy.get("retry_request_memory_mib") or (),
            memory_mib=facts.job["memory_mib"],
        )

    def _ask(self, job: JobId, asked: Question) -> Mapping[str, Value]:
        try:
            return self._evaluator.ask([asked])[0]
        except Undecidable as error:
            log.warning("job %s: its policy could not be evaluated: %s", job, error)
            return {}


class PolicyWatch:
    """Call `tick` once a minute. It looks only at submits with periodic policies or durations, a page at a time."""

    def __init__(
        self,
        *,
        records: PolicyRecords,
        evaluator: Evaluator,
        engine: Leaver,
        clock: Clock,
        bell: Bell,
        grace: timedelta = timedelta(seconds=60),
        page: int = PAGE,
    ) -> None:
        self._records = records
        self._evaluator = evaluator
        self._engine = engine
        self._clock = clock
        self._bell = bell
        self._grace = grace
        self._page = page

    def tick(self) -> int:
        """Do what the policies say now. Returns how many jobs changed."""
        return sum(self._look(cluster) for cluster in self._records.watched())

    def _look(self, cluster: ClusterId) -> int:
        changed, after, seen = 0, -1, False
        while page := self._records.page(cluster, after=after, limit=self._page):
            seen, after = True, page[-1].id.proc
            try:
                acts = self._acts(page)
            except Undecidable as error:  # nobody else's jobs wait for this submit's expressions
                log.warning("submit %s: its periodic policies could not be evaluated: %s", cluster, error)
                break
            if acts:
                changed += self._engine.carry_out(acts)
        if not seen:
            self._records.forget(cluster)
        if changed:
            self._bell.ring(("cluster", cluster), "work")
        return changed

    def _acts(self, page: Sequence[JobFacts]) -> list[tuple[JobId, JobState, Act]]:
        asks = [_periodic_questions(facts) for facts in page]
        now = self._clock.now()
        pairs = zip(page, asks, strict=True)
        answers = iter(self._evaluator.ask([question(facts, ask, now=now) for facts, ask in pairs if ask]))
        acts: list[tuple[JobId, JobState, Act]] = []
        for facts, ask in zip(page, asks, strict=True):
            act = look(self._watched(facts), _periodic(facts.policy, next(answers) if ask else {}))
            if act is not None:
                acts.append((facts.id, facts.state, act))
        return acts

    def _watched(self, facts: JobFacts) -> Watched:
        return Watched(
            state=facts.state,
            now=self._clock.now(),
            claimed_at=facts.claimed_at,
            started_at=facts.started_at,
            allowed_job=_seconds(facts.spec.get("allowed_job_seconds")),
            allowed_execute=_seconds(facts.spec.get("allowed_execute_seconds")),
            grace=self._grace,
        )


def _exit_questions(policy: Mapping[str, Any]) -> dict[str, str]:
    names = ("on_exit_remove", *_hold_names("on_exit_hold"))
    ask: dict[str, str] = {name: policy[name] for name in names if policy.get(name)}
    until: str | None = policy.get("retry_until")
    if until:
        ask["retry_until"] = f"ExitCode =?= {until}" if _WHOLE.fullmatch(until.strip()) else until
    return ask


def _periodic_questions(facts: JobFacts) -> dict[str, str]:
    """Return the expressions that may change anything in the job's state."""
    state = facts.state
    names: list[str] = ["periodic_remove"]
    names += ["periodic_release"] if state is JobState.HELD else _hold_names("periodic_hold")
    if state.on_worker:
        names.append("periodic_vacate")
    return {name: facts.policy[name] for name in names if facts.policy.get(name)}


def _hold_names(name: str) -> list[str]:
    return [name, f"{name}_reason", f"{name}_subcode"]


def _periodic(policy: Mapping[str, Any], said: Mapping[str, Value]) -> Periodic:
    true: Callable[[str], bool] = lambda name: holds(said.get(f"periodic_{name}"))  # noqa: E731 - read three times
    return Periodic(
        hold=_hold(policy, "periodic_hold", said),
        release=true("release"),
        remove=true("remove"),
        vacate=true("vacate"),
    )


def _hold(policy: Mapping[str, Any], name: str, said: Mapping[str, Value]) -> Hold | None:
    if not holds(said.get(name)):
        return None
    reason, subcode = said.get(f"{name}_reason"), said.get(f"{name}_subcode")
    return Hold(
        reason=reason if isinstance(reason, str) and reason else f"{name} is true: {policy[name]}"[:1000],
        subcode=int(subcode) if isinstance(subcode, int | float) and abs(subcode) < 1 << 31 else None,
    )


def _three_ways(value: Value) -> bool | None:
    return holds(value) if isinstance(value, bool | int | float) else None


def _seconds(value: int | None) -> timedelta | None:
    return None if value is None else timedelta(seconds=value)
