"""A job as its own policies see it: its ClassAd at this moment, with no more of it than the expressions name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from armillary.base.job_ads import Expression, job_ad
from armillary.batch.core.hold_codes import number
from armillary.batch.core.states import Result
from armillary.batch.policy.evaluator import Question, Value
from armillary.batch.policy.expressions import names_in
from armillary.batch.store.policy_records import JobFacts


def ended(facts: JobFacts, result: Result, usage: Mapping[str, float], seconds: float) -> JobFacts:
    """Return the facts as they are once the present attempt has ended so."""
    job = {
        **facts.job,
        "exit_code": result.exit_code,
        "signal": result.signal,
        "retried": facts.job["retried"] + 1,
    }
    return replace(facts, job=job, usage=usage, past_seconds=facts.past_seconds + seconds, has_ended=True)


def question(facts: JobFacts, ask: Mapping[str, str], *, now: datetime) -> Question:
    """Return what to ask the judge: `ask` over the job, with all that it refers to, directly or by attributes."""
    ad, also = _whole(facts, now)
    ad["CurrentTime"] = ad["ServerTime"] = int(now.timestamp())
    by_name = {name.lower(): name for name in (*ad, *also)}
    wanted: set[str] = set()
    fresh = {name for text in ask.values() for name in names_in(text)}
    while fresh:
        wanted |= fresh
        reached = {by_name[name] for name in fresh if name in by_name}
        fresh = {n for name in reached if name in also for n in names_in(also[name])} - wanted
    return Question(
        ad={name: value for name, value in ad.items() if name.lower() in wanted},
        also={name: text for name, text in also.items() if name.lower() in wanted},
        ask=ask,
    )


def _whole(facts: JobFacts, now: datetime) -> tuple[dict[str, Value], dict[str, str]]:
    hold = number(facts.job.get("hold_code"), facts.job.get("hold_subcode"))
    job = {**facts.job, "hold_reason_code": hold.number, "hold_reason_subcode": hold.subcode}
    known = {**job_ad(job, facts.spec), **_more(facts, now)}
    ad = {name: value for name, value in known.items() if not isinstance(value, Expression)}
    also = {name: str(value) for name, value in known.items() if isinstance(value, Expression)}
    return ad, also


def _more(facts: JobFacts, now: datetime) -> dict[str, Any]:
    """Return what only the service knows: counts, times and what the job used."""
    job, usage = facts.job, facts.usage
    more: dict[str, Any] = {
        "NumHolds": job["holds"],
        "NumJobCompletions": job["retried"],
        "JobRunCount": job["attempts"],
        "JobMaxRetries": job["max_retries"],
        "RequestCpus": job["cpus"],
        "RequestMemory": job["memory_mib"],
        "RequestDisk": job["disk_kib"],
        "RemoteWallClockTime": facts.past_seconds + _present_seconds(facts, now),
        "CumulativeSuspensionTime": 0,  # no job is suspended here, and policies for HTCondor take it from the time
    }
    if facts.claimed_at is not None:
        more["JobCurrentStartDate"] = int(facts.claimed_at.timestamp())
    if facts.started_at is not None:
        more["JobCurrentStartExecutingDate"] = int(facts.started_at.timestamp())
    for key, name in (("user_seconds", "RemoteUserCpu"), ("system_seconds", "RemoteSysCpu")):
        if key in usage:
            more[name] = usage[key]
    if "max_rss_kib" in usage:
        resident = int(usage["max_rss_kib"])
        more |= {"ResidentSetSize": resident, "ImageSize": resident, "MemoryUsage": -(-resident // 1024)}
    if "disk_kib" in usage:
        more["DiskUsage"] = int(usage["disk_kib"])
    return more


def _present_seconds(facts: JobFacts, now: datetime) -> float:
    """Return for how long the present attempt has run: policies see it in the total, as HTCondor has it for them."""
    began = facts.started_at or facts.claimed_at
    return 0.0 if facts.has_ended or began is None else max(0.0, (now - began).total_seconds())
