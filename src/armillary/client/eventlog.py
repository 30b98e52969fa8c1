"""HTCondor's job event log: what `log = …` in a submit file asks for, readable by its tools (condor_wait, DAGMan)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from armillary.client.notes import Notes
from armillary.client.submitfile import CLUSTER


class EventLogs:
    """Appends the events of a cluster to the files that its jobs name, each event once."""

    def __init__(
        self, *, notes: Notes, platform: str, cluster: int, specs: Mapping[int, Mapping[str, Any]]
    ) -> None:
        self._notes = notes
        self._platform = platform
        self._cluster = cluster
        self._files = {proc: _file(spec, cluster) for proc, spec in specs.items() if spec.get("log")}
        self._logged = notes.logged(platform, cluster)
        self._states: dict[str, str] = {}

    def add(self, event: Mapping[str, Any]) -> None:
        """Take the next event of the cluster, in order from its first one; write it if it is new to the log."""
        job = str(event["job"])
        before = self._states.get(job)
        self._states[job] = str(event["state"])
        if event["seq"] <= self._logged:
            return
        file = self._files.get(int(job.partition(".")[2]))
        text = render(event, before=before) if file else ""
        if file and text:
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("a") as log:
                log.write(text)
        self._logged = int(event["seq"])
        self._notes.log(self._platform, self._cluster, self._logged)


def render(event: Mapping[str, Any], *, before: str | None) -> str:
    """Return one event in HTCondor's form, or nothing for a change that it has no event for.

    `before` is the state that the job had, None at its first event.
    """
    detail: dict[str, Any] = dict(event.get("detail") or {})
    reason = str(detail.get("reason") or "no reason given")
    state = str(event["state"])
    texts: list[str] = []
    if before is None:
        texts.append(_event(0, event, "Job submitted from host: <armillary>", ""))
    elif state == "idle" and before in {"claimed", "running"}:
        texts.append(_event(4, event, "Job was evicted.", f"\t{reason}\n"))
    elif state == "idle":
        texts.append(_event(13, event, "Job was released.", ""))
    if state == "running":
        where = f"{event.get('worker') or 'worker'}@{event.get('cloud') or 'cloud'}"
        texts.append(_event(1, event, f"Job executing on host: <{where}>", ""))
    elif state == "completed":
        texts.append(_event(5, event, "Job terminated.", f"\t{_ending(detail)}\n"))
    elif state == "held":
        texts.append(_event(12, event, "Job was held.", f"\t{reason}\n\tCode 0 Subcode 0\n"))
    elif state == "removed":
        texts.append(_event(9, event, "Job was aborted.", f"\t{reason}\n"))
    return "".join(texts)


def _ending(detail: Mapping[str, Any]) -> str:
    if detail.get("signal") is not None:
        return f"(0) Abnormal termination (signal {detail['signal']})"
    return f"(1) Normal termination (return value {detail.get('exit_code', 0)})"


def _event(number: int, event: Mapping[str, Any], text: str, more: str) -> str:
    cluster, _, proc = str(event["job"]).partition(".")
    moment = datetime.fromisoformat(event["at"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return f"{number:03} ({int(cluster):03}.{int(proc):03}.000) {moment} {text}\n{more}...\n"


def _file(spec: Mapping[str, Any], cluster: int) -> Path:
    home = Path(spec.get("iwd") or ".")
    return (home if home.is_dir() else Path()) / str(spec["log"]).replace(CLUSTER, str(cluster))
