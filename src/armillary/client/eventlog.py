"""HTCondor's job event log: what `log = …` in a submit file asks for, readable by its tools (condor_wait, DAGMan)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from armillary.client.batch import Batch
from armillary.client.notes import Notes
from armillary.client.submitfile import CLUSTER

SUBMIT, EXECUTE, EVICTED, TERMINATED, IMAGE_SIZE, ABORTED, HELD, RELEASED = 0, 1, 4, 5, 6, 9, 12, 13
"""HTCondor's numbers of events"""
END = "...\n"
"""the last line of each event"""
_ON_WORKER = {"claimed", "running"}
_FROM = "Job submitted from host: <armillary>"


class EventLogs:
    """Appends the events of a cluster to the files that its jobs name, each event once."""

    def __init__(
        self, *, notes: Notes, platform: str, cluster: int, specs: Mapping[int, Mapping[str, Any]]
    ) -> None:
        self._notes = notes
        self._platform = platform
        self._cluster = cluster
        self._specs = {proc: spec for proc, spec in specs.items() if spec.get("log")}
        self._logged = notes.logged(platform, cluster)
        self._states: dict[str, str] = {}

    @property
    def wanted(self) -> bool:
        """Whether any job asks for a log."""
        return bool(self._specs)

    def add_all(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Take the next events of the cluster, in order from its first one.

        What is new is written, with one append to each file.
        """
        texts: dict[Path, list[str]] = {}
        logged = self._logged
        for event in events:
            job = str(event["job"])
            before = self._states.get(job)
            self._states[job] = str(event["state"])
            if event["seq"] <= self._logged:
                continue
            logged = int(event["seq"])
            spec = self._specs.get(int(job.partition(".")[2]))
            text = render(event, before=before, spec=spec) if spec else ""
            if spec and text:
                texts.setdefault(_file(spec, self._cluster), []).append(text)
        for file, parts in texts.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("a") as log:
                log.write("".join(parts))
        if logged > self._logged:
            self._logged = logged
            self._notes.log(self._platform, self._cluster, logged)


def catch_up(batch: Batch, *, notes: Notes, platform: str, cluster: int) -> None:
    """Write what has happened to a cluster into the logs that its jobs name, if they name any."""
    specs = {int(job["proc"]): job["spec"] for job in batch.jobs(cluster=cluster, spec=True)}
    logs = EventLogs(notes=notes, platform=platform, cluster=cluster, specs=specs)
    after = 0
    while logs.wanted:
        page = batch.events(cluster, after=after)
        logs.add_all(page["events"])
        after = int(page["next"])
        if not page["events"]:
            break


def render(
    event: Mapping[str, Any], *, before: str | None, spec: Mapping[str, Any] | None = None, note: str = ""
) -> str:
    """Return one event in HTCondor's form, or nothing for a change that it has no event for.

    `before` is the state that the job had, None at its first event; `spec` is what the job asked for, and `note` what
    the event of its submission is to say besides.
    """
    detail: dict[str, Any] = dict(event.get("detail") or {})
    reason = _line(detail.get("reason"))
    state = str(event["state"])
    asked = spec or {}
    texts: list[str] = []
    if before is None:
        texts.append(_event(SUBMIT, event, _FROM, note))
    elif state == "idle" and before in _ON_WORKER:
        texts.append(_evicted(event, detail, reason, asked))
    elif state == "idle" and before == "held":
        texts.append(_event(RELEASED, event, "Job was released.", reason))
    elif (
        state == "idle"
    ):  # a person runs it again after its end, which HTCondor has no event for: its next life
        texts.append(_event(SUBMIT, event, _FROM, note))
    if state == "running":
        where = f"{event.get('worker') or 'worker'}@{event.get('cloud') or 'cloud'}"
        texts.append(_event(EXECUTE, event, f"Job executing on host: <{where}>", f"SlotName: slot1@{where}"))
    elif state == "completed":
        if before != "running":  # it ended before it was heard of; no tool expects an end without a beginning
            texts.append(render({**event, "state": "running"}, before="claimed", spec=spec))
        texts.append(_image_size(event, detail))
        texts.append(_event(TERMINATED, event, "Job terminated.", *_terminated(detail, asked)))
    elif state == "held":
        numbers = f"Code {detail.get('hold_reason_code', 0)} Subcode {detail.get('hold_reason_subcode', 0)}"
        texts.append(_event(HELD, event, "Job was held.", reason or "Reason unspecified", numbers))
    elif state == "removed":
        texts.append(_event(ABORTED, event, "Job was aborted.", reason))
    return "".join(texts)


def _evicted(
    event: Mapping[str, Any], detail: Mapping[str, Any], reason: str, asked: Mapping[str, Any]
) -> str:
    """An attempt that did not bring its job to an end: it was lost or stopped, or its program is to run again."""
    again = detail.get("exit_code") is not None or detail.get("signal") is not None
    lines = ["(0) Job terminated and was requeued" if again else "(0) CPU times"]
    lines += [f"\t{_cpu(detail)}  -  Run Remote Usage", f"\t{_cpu({})}  -  Run Local Usage"]
    lines += [f"{_bytes(detail, name)}  -  Run Bytes {way} By Job" for name, way in _WAYS]
    if again:
        lines += _ending(detail)
    if reason:
        lines.append(reason if again else f"Reason: {reason}")
    return _event(EVICTED, event, "Job was evicted.", *lines, *_resources(detail, asked))


def _terminated(detail: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    lines = _ending(detail)
    for span in ("Run", "Total"):
        lines += [f"\t{_cpu(detail)}  -  {span} Remote Usage", f"\t{_cpu({})}  -  {span} Local Usage"]
    for span in ("Run", "Total"):
        lines += [f"{_bytes(detail, name)}  -  {span} Bytes {way} By Job" for name, way in _WAYS]
    return lines + _resources(detail, asked)


def _ending(detail: Mapping[str, Any]) -> list[str]:
    if detail.get("signal") is not None:
        return [f"(0) Abnormal termination (signal {detail['signal']})", "(0) No core file"]
    return [f"(1) Normal termination (return value {detail.get('exit_code', 0)})"]


_WAYS = (("sent_bytes", "Sent"), ("received_bytes", "Received"))


def _bytes(detail: Mapping[str, Any], name: str) -> str:
    return f"{_usage(detail).get(name, 0):.0f}"


def _image_size(event: Mapping[str, Any], detail: Mapping[str, Any]) -> str:
    resident = int(_usage(detail).get("max_rss_kib", 0))
    if not resident:
        return ""
    return _event(
        IMAGE_SIZE,
        event,
        f"Image size of job updated: {resident}",
        f"{_mebibytes(resident)}  -  MemoryUsage of job (MB)",
        f"{resident}  -  ResidentSetSize of job (KB)",
    )


def _resources(detail: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """HTCondor's table of what was used, asked for and given."""
    used = _usage(detail)
    cpus, gpus = asked.get("request_cpus") or 1, asked.get("request_gpus") or 0
    memory, disk = asked.get("request_memory_mib") or 512, asked.get("request_disk_kib") or 1024
    wall = used.get("wall_seconds") or 0
    busy = (used.get("user_seconds", 0) + used.get("system_seconds", 0)) / wall if wall else 0.0
    rows = [
        ("Cpus", f"{busy:.2f}", cpus),
        ("Disk (KB)", f"{used['disk_kib']:.0f}" if "disk_kib" in used else "", disk),
        ("Memory (MB)", str(_mebibytes(int(used["max_rss_kib"]))) if "max_rss_kib" in used else "", memory),
    ]
    if gpus:
        rows.insert(2, ("GPUs", "", gpus))
    lines = [f"Partitionable Resources : {'Usage':>8} {'Request':>8} {'Allocated':>9} "]
    return lines + [f"   {name:<20} : {use:>8} {ask:>8} {ask:>9} " for name, use, ask in rows]


def _cpu(detail: Mapping[str, Any]) -> str:
    used = _usage(detail)
    return f"Usr {_span(used.get('user_seconds', 0))}, Sys {_span(used.get('system_seconds', 0))}"


def _span(seconds: float) -> str:
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return f"{days} {hour:02}:{minute:02}:{second:02}"


def _usage(detail: Mapping[str, Any]) -> Mapping[str, float]:
    return detail.get("usage") or {}


def _mebibytes(kib: int) -> int:
    return -(-kib // 1024)


def _line(text: object) -> str:
    """Return a text as one line: another one could look like the end of the event."""
    return " ".join(str(text or "").split())


def _event(number: int, event: Mapping[str, Any], text: str, *more: str) -> str:
    cluster, _, proc = str(event["job"]).partition(".")
    moment = datetime.fromisoformat(event["at"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    head = f"{number:03} ({int(cluster):03}.{int(proc):03}.000) {moment} {text}\n"
    return head + "".join(f"\t{line}\n" for line in more if line) + END


def _file(spec: Mapping[str, Any], cluster: int) -> Path:
    home = Path(spec.get("iwd") or ".")
    return (home if home.is_dir() else Path()) / str(spec["log"]).replace(CLUSTER, str(cluster))
