"""Follow a cluster to its end: tell what happens, bring outputs as jobs complete, keep HTCondor's event log."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from armillary.cli.fetching import report
from armillary.cli.output import Columns, emit, say
from armillary.cli.words import context
from armillary.client import config as settings
from armillary.client.batch import Batch
from armillary.client.errors import ClientError, Unreachable
from armillary.client.eventlog import EventLogs
from armillary.client.fetching import Fetcher
from armillary.client.notes import Notes

_WAIT = 20.0
_GIVE_UP = 3600.0
_OVER = {"completed", "removed"}


def follow(batch: Batch, *, cluster: int, platform: str) -> None:
    """Return when every job is over. Raises ClientError when one did not end well, or all that is left is held."""
    notes = Notes(directory=settings.state_directory())
    fetcher = Fetcher(batch=batch, notes=notes)
    procs = {int(job["proc"]): str(job["job"]) for job in batch.jobs(cluster=cluster)}
    specs = {proc: batch.job(job)["spec"] for proc, job in procs.items()}
    logs = EventLogs(notes=notes, platform=platform, cluster=cluster, specs=specs)
    states: dict[str, str] = dict.fromkeys(procs.values(), "idle")
    after, kept = 0, 0
    while not _settled(states):
        page = _patiently(batch, cluster, after)
        for event in page["events"]:
            logs.add(event)
            states[event["job"]] = event["state"]
            _tell(event)
            if event["state"] == "completed":
                fetched = fetcher.fetch(event["job"])
                kept += report(fetched)
        after = int(page["next"])
    _finish(list(batch.jobs(cluster=cluster)), kept)


def _settled(states: Mapping[str, str]) -> bool:
    return all(state in _OVER or state == "held" for state in states.values())


def _patiently(batch: Batch, cluster: int, after: int) -> dict[str, Any]:
    """Ask for events; a platform that is away for a while loses nothing."""
    silent_since: float | None = None
    while True:
        try:
            return batch.events(cluster, after=after, wait=_WAIT)
        except Unreachable as error:
            if silent_since is None:
                silent_since = time.monotonic()
                say(f"{error.message}; waiting for it. The jobs go on.")
            if time.monotonic() - silent_since > _GIVE_UP:
                raise
            time.sleep(2)


def _tell(event: Mapping[str, Any]) -> None:
    detail: dict[str, Any] = dict(event.get("detail") or {})
    words = [f"job {event['job']} {event['state']}"]
    if event["state"] == "running" and event.get("worker"):
        words.append(f"on {event['worker']} ({event.get('cloud') or 'some cloud'})")
    if event["state"] == "completed":
        ended = (
            f"signal {detail['signal']}"
            if detail.get("signal")
            else f"exit code {detail.get('exit_code', 0)}"
        )
        words.append(f"with {ended}")
    elif detail.get("reason"):
        words.append(f"because {detail['reason']}")
    say(" ".join(words))


def _finish(jobs: list[dict[str, Any]], kept: int) -> None:
    columns: Columns = [
        ("JOB", "job"),
        ("STATE", "state"),
        ("EXIT", "exit_code"),
        ("CLOUD", "cloud"),
        ("REASON", "reason"),
    ]
    emit(jobs, columns=columns, identity="job")
    count = Counter("done" if job["exit_code"] == 0 else job["state"] for job in jobs)
    bad = {"completed": "failed", "held": "held", "removed": "removed"}
    wrong = [f"{number} {bad[state]}" for state, number in count.items() if state in bad]
    if wrong:
        raise ClientError(
            f"not every job did well: {', '.join(wrong)}",
            code="jobs_failed",
            answered=200,
            remedy="Look with: armillary job logs JOB, and armillary job explain JOB",
        )
    if kept:
        context().exit(1)
