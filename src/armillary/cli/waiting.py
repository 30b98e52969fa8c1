"""Follow a cluster to its end: tell what happens, bring outputs as jobs complete, keep HTCondor's event log."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
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
Tell = Callable[[Mapping[str, Any] | None, Mapping[str, str]], None]
"""Hears an event (None: before the first one) and the states of all jobs by their names."""


class Following:
    """Follows one cluster. `tell` hears each change with all states; without it, changes are said as lines."""

    def __init__(
        self, *, batch: Batch, cluster: int, platform: str, fetching: bool = True, tell: Tell | None = None
    ) -> None:
        self._batch = batch
        self._cluster = cluster
        notes = Notes(directory=settings.state_directory())
        self._fetcher = Fetcher(batch=batch, notes=notes) if fetching else None
        self._tell = tell
        self._after = 0
        self.kept = 0
        """how many files were kept because they were changed here"""
        jobs = list(batch.jobs(cluster=cluster, spec=True))
        specs = {int(job["proc"]): job["spec"] for job in jobs}
        self._states = {str(job["job"]): str(job["state"]) for job in jobs}
        self._logs = EventLogs(notes=notes, platform=platform, cluster=cluster, specs=specs)

    def run(self, *, until_done: bool = False, deadline: float | None = None) -> bool:
        """Return when every job is over, or, unless `until_done`, what is left is held; False when time was up first."""
        self.catch_up()
        while not self._settled(until_done=until_done):
            left = _WAIT if deadline is None else min(_WAIT, deadline - time.monotonic())
            if left <= 0:
                return False
            self._hear(left)
        return True

    def catch_up(self) -> None:
        """Hear what happened before we came: it belongs into the log, and what it brought is fetched."""
        if self._tell:
            self._tell(None, self._states)
        while self._hear(0):
            pass

    def _hear(self, seconds: float) -> int:
        page = _patiently(self._batch, self._cluster, self._after, wait=seconds)
        for event in page["events"]:
            self._take(event)
        # After the files are here: whoever waits for the log expects them.
        self._logs.add_all(page["events"])
        self._after = int(page["next"])
        return len(page["events"])

    def jobs(self) -> list[dict[str, Any]]:
        """Return the jobs as they stand."""
        return list(self._batch.jobs(cluster=self._cluster))

    def _settled(self, *, until_done: bool) -> bool:
        enough = _OVER if until_done else {*_OVER, "held"}
        return all(state in enough for state in self._states.values())

    def _take(self, event: Mapping[str, Any]) -> None:
        self._states[event["job"]] = event["state"]
        if self._tell:
            self._tell(event, self._states)
        else:
            _tell(event)
        if event["state"] == "completed" and self._fetcher:
            self.kept += report(self._fetcher.fetch(event["job"]))


def follow(batch: Batch, *, cluster: int, platform: str) -> None:
    """Return when every job is over. Raises ClientError when one did not end well, or all that is left is held."""
    following = Following(batch=batch, cluster=cluster, platform=platform)
    following.run()
    _finish(following.jobs(), following.kept)


def _patiently(batch: Batch, cluster: int, after: int, *, wait: float) -> dict[str, Any]:
    """Ask for events; a platform that is away for a while loses nothing."""
    silent_since: float | None = None
    while True:
        try:
            return batch.events(cluster, after=after, wait=wait)
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
    count = Counter("done" if job["succeeded"] else job["state"] for job in jobs)
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
